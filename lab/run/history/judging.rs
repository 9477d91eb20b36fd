//! The judge as the lab uses it: events in, the verdict out. Whatever knows the judge's own words is here.

use kvlab::judge::{HistoryEvent, Judge, JudgeOptions, Ledger, Violation};

use crate::run::event::{HarmVerdict, PromiseVerdict, Verdict};

/// Violations named in a verdict at most: the first ones. The history has them all.
const VIOLATIONS_NAMED_MAX: usize = 8;

/// Violations handed out with their proofs: the first ones, as many as the judge keeps. All are counted.
pub(crate) const VIOLATIONS_PROVED_MAX: usize = 64;

/// What has become of acknowledged writes that nothing has overwritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Loss {
    /// Read back, and there.
    kept: u64,
    /// Read back, and gone.
    lost: u64,
    /// Not read back.
    waiting: u64,
    /// Of these: acknowledged before everything had to be asked for again.
    doubtful: u64,
    /// Read back twice, and overwritten since.
    released: u64,
}

/// What there is to say of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    /// For the reply of an eventual read that was stale: how old what it saw was, in milliseconds.
    pub(crate) stale_ms: Option<u64>,
    /// The broken promise that it revealed, if it is one of the first.
    pub(crate) violation: Option<Violation>,
}

/// The judge at work.
#[derive(Debug)]
pub(crate) struct Judging {
    judge: Judge,
    /// What is wrong with the history itself, if anything is: the first such event. Then nothing that the judge
    /// says of the rest is worth anything, and nothing is said.
    refused: Option<String>,
    /// Violations handed out with their proofs.
    handed_out: usize,
}

impl Default for Judging {
    fn default() -> Self {
        Self { judge: Judge::new(JudgeOptions::default()), refused: None, handed_out: 0 }
    }
}

impl Judging {
    /// Takes the next event.
    pub(crate) fn observe(&mut self, event: &HistoryEvent) -> Finding {
        if self.refused.is_some() {
            return Finding::default();
        }
        let violation = match self.judge.observe(event) {
            Ok(violation) => violation.filter(|_| self.handed_out < VIOLATIONS_PROVED_MAX),
            Err(error) => {
                self.refused = Some(format!("the history is wrong, and cannot be judged: {error}"));
                return Finding::default();
            }
        };
        self.handed_out += usize::from(violation.is_some());
        let stale_ms = self.judge.stale().map(|stale| stale.age_ms());
        Finding { stale_ms, violation }
    }

    /// What was found must be found again to count as read back.
    pub(crate) fn ask_again(&mut self) {
        self.judge.ask_again();
    }

    /// The verdict so far, as far as the history decides it. `read_back`: everything has been, as far as it could be.
    pub(crate) fn verdict(&self, read_back: bool) -> Verdict {
        let report = self.judge.judgement();
        let (quorum_acked, async_acked) = (report.quorum_writes.acked, report.async_writes.acked);
        let of = |ledger| if self.refused.is_some() { Loss::default() } else { Loss::of(ledger) };
        let (quorum_loss, async_loss) = (of(&report.quorum_ledger), of(&report.async_ledger));
        let violations =
            self.refused.iter().cloned().chain(report.violations.iter().map(ToString::to_string));
        Verdict {
            promise: PromiseVerdict {
                linearizable: report.linearizable.known().filter(|_| self.refused.is_none()),
                checked_i: report.checked_i,
                quorum_writes_acked: quorum_acked,
                quorum_writes_lost: quorum_loss.known(quorum_acked, read_back),
                quorum_writes_unread: quorum_loss.waiting,
                quorum_writes_doubtful: quorum_loss.doubtful,
                quorum_writes_released: quorum_loss.released,
                members_equal: None,
                violations: violations.take(VIOLATIONS_NAMED_MAX).collect(),
                violations_total: report.violations_total,
            },
            harm: HarmVerdict {
                async_writes_acked: async_acked,
                async_writes_lost: async_loss.known(async_acked, read_back),
                async_writes_unread: async_loss.waiting,
                async_writes_doubtful: async_loss.doubtful,
                async_writes_released: async_loss.released,
                stale_reads: report.staleness.stale,
                // Rounded down, like every age that is shown.
                stale_max_ms: report.staleness.age_ms.max as u64,
                refused_stale: 0,
                unknown: report.unknown,
                unavailable_ms: report.unavailable.any_ms,
            },
        }
    }
}

impl Loss {
    fn of(ledger: &Ledger) -> Self {
        Self {
            kept: ledger.read_back,
            lost: ledger.lost,
            waiting: ledger.waiting(),
            doubtful: ledger.doubtful,
            released: ledger.released,
        }
    }

    /// How many of `acked` writes are lost, as far as that can be said. What is proved lost is lost. "None" is said
    /// only when nothing is left unread and something was read; or, once reading back is `over`, if there was nothing
    /// to lose.
    fn known(self, acked: u64, over: bool) -> Option<u64> {
        let says_none = self.waiting == 0 && (self.kept + self.released > 0 || over && acked == 0);
        (self.lost > 0 || says_none).then_some(self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn loss(kept: u64, lost: u64, waiting: u64) -> Loss {
        Loss { kept, lost, waiting, doubtful: 0, released: 0 }
    }

    #[test]
    fn none_is_said_only_when_all_was_read_back() {
        assert_eq!(loss(0, 0, 100).known(100, false), None);
        assert_eq!(loss(99, 0, 1).known(100, false), None);
        assert_eq!(loss(100, 0, 0).known(100, false), Some(0));
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
