//! The judge as the lab uses it: events in, findings out. Whatever knows the judge's own words is here.

use kvlab::judge::HistoryEvent;

/// What there is to say of the history so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Findings {
    /// Quorum operations so far are linearizable; `None`: undecided.
    pub(crate) linearizable: Option<bool>,
    /// The last event that this covers.
    pub(crate) checked_i: u64,
    /// Quorum writes acknowledged.
    pub(crate) quorum_writes_acked: u64,
    /// Async writes acknowledged.
    pub(crate) async_writes_acked: u64,
    /// Of keys written once, at quorum.
    pub(crate) quorum_loss: Loss,
    /// Of keys written once, async.
    pub(crate) async_loss: Loss,
    /// Eventual reads that returned something already overwritten.
    pub(crate) stale_reads: u64,
    /// The age of the oldest of them, in milliseconds.
    pub(crate) stale_max_ms: u64,
    /// Operations that may have happened or not.
    pub(crate) unknown: u64,
    /// The longest time in which no write succeeded though some were tried, in milliseconds.
    pub(crate) unavailable_ms: u64,
    /// One line for each violation, the first first. Bounded.
    pub(crate) violations: Vec<String>,
}

/// What has become of acknowledged writes that nothing has overwritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Read back, and there.
    pub(crate) kept: u64,
    /// Read back, and gone.
    pub(crate) lost: u64,
    /// Not read back.
    pub(crate) waiting: u64,
}

/// What there is to say of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Finding {
    /// For the reply of an eventual read that was stale: how old what it saw was, in milliseconds.
    pub(super) stale_ms: Option<u64>,
}

/// The judge at work. The adapter's place: until the judge stands, nothing is known, and it says so.
#[derive(Debug, Default)]
pub(super) struct Judging {}

impl Judging {
    /// Takes the next event.
    pub(super) fn observe(&mut self, _event: &HistoryEvent) -> Finding {
        Finding::default()
    }

    /// What it has found so far.
    pub(super) fn findings(&self) -> Findings {
        Findings::default()
    }
}

impl Loss {
    /// How many of `acked` writes are lost, as far as that can be said. What is proved lost is lost. "None" is
    /// said only when some have been read back; and, once reading back is `over`, only if nothing was left unread,
    /// or there was nothing to lose.
    pub(crate) fn known(self, acked: u64, over: bool) -> Option<u64> {
        let says_none = if over { self.waiting == 0 && (self.kept > 0 || acked == 0) } else { self.kept > 0 };
        (self.lost > 0 || says_none).then_some(self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn loss(kept: u64, lost: u64, waiting: u64) -> Loss {
        Loss { kept, lost, waiting }
    }

    #[test]
    fn nothing_is_said_before_something_was_read_back() {
        assert_eq!(loss(0, 0, 100).known(100, false), None);
        assert_eq!(loss(1, 0, 99).known(100, false), Some(0));
        assert_eq!(loss(0, 1, 99).known(100, false), Some(1));
    }

    #[test]
    fn what_was_left_unread_is_not_called_kept() {
        assert_eq!(loss(99, 0, 1).known(100, true), None);
        assert_eq!(loss(98, 1, 1).known(100, true), Some(1), "what is proved lost is lost all the same");
        assert_eq!(loss(100, 0, 0).known(300, true), Some(0));
    }

    #[test]
    fn without_a_ledger_nobody_knows_unless_there_was_nothing_to_lose() {
        assert_eq!(loss(0, 0, 0).known(300, true), None);
        assert_eq!(loss(0, 0, 0).known(0, true), Some(0));
        assert_eq!(loss(0, 0, 0).known(0, false), None);
    }
}
