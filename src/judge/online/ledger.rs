//! Keys written once, and whether what was acknowledged can still be read.

use crate::judge::history::Consistency;
use crate::judge::judgement::Ledger;

/// Where a key stands in the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// Never written.
    #[default]
    Blank,
    /// One write was tried and has not been acknowledged.
    Tried(Consistency),
    /// Acknowledged by this event, and not read back yet.
    Acked(Consistency, u64),
    /// Acknowledged by this event, and found by the last read.
    Found(Consistency, u64),
    /// Acknowledged by this event, and not found by the last read.
    Lost(Consistency, u64),
    /// Written more than once, or deleted: not a key of the ledger.
    Left,
    /// Lost, and then written again: the loss stands.
    LeftLost,
}

/// The counts of both levels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ledgers {
    pub(super) quorum: Ledger,
    pub(super) unreplicated: Ledger,
}

impl Ledgers {
    /// A write, or a delete, of the key is tried.
    pub(super) fn tried(&mut self, entry: &mut Standing, level: Consistency, puts: bool) {
        *entry = match *entry {
            Standing::Blank if puts => Standing::Tried(level),
            Standing::Lost(..) | Standing::LeftLost => Standing::LeftLost,
            Standing::Acked(level, _) => {
                self.of(level).acked -= 1;
                Standing::Left
            }
            Standing::Found(level, _) => {
                self.of(level).acked -= 1;
                self.of(level).read_back -= 1;
                Standing::Left
            }
            Standing::Blank | Standing::Tried(_) | Standing::Left => Standing::Left,
        };
    }

    /// The write of the key was acknowledged by event `i`.
    pub(super) fn acked(&mut self, entry: &mut Standing, i: u64) {
        if let Standing::Tried(level) = *entry {
            self.of(level).acked += 1;
            *entry = Standing::Acked(level, i);
        }
    }

    /// A quorum read that began with event `began` returned the value of the key's one write, or it did not.
    pub(super) fn read(&mut self, entry: &mut Standing, began: u64, found: bool) {
        let (level, acked) = match *entry {
            Standing::Acked(level, acked) | Standing::Found(level, acked) | Standing::Lost(level, acked) => {
                (level, acked)
            }
            Standing::Blank | Standing::Tried(_) | Standing::Left | Standing::LeftLost => return,
        };
        if began < acked {
            return;
        }
        let counts = self.of(level);
        match *entry {
            Standing::Found(..) => counts.read_back -= 1,
            Standing::Lost(..) => counts.lost -= 1,
            _ => {}
        }
        if found {
            counts.read_back += 1;
            *entry = Standing::Found(level, acked);
        } else {
            counts.lost += 1;
            *entry = Standing::Lost(level, acked);
        }
    }

    fn of(&mut self, level: Consistency) -> &mut Ledger {
        match level {
            Consistency::Quorum => &mut self.quorum,
            Consistency::Async | Consistency::Eventual => &mut self.unreplicated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(ledgers: &Ledgers) -> (u64, u64, u64, u64, Option<u64>) {
        let l = ledgers.unreplicated;
        (l.acked, l.read_back, l.lost, l.waiting(), l.known_lost())
    }

    #[test]
    fn a_loss_is_cleared_by_a_later_read_that_finds_it() {
        let (mut ledgers, mut entry) = (Ledgers::default(), Standing::default());
        ledgers.tried(&mut entry, Consistency::Async, true);
        ledgers.acked(&mut entry, 5);
        assert_eq!(counts(&ledgers), (1, 0, 0, 1, None));
        ledgers.read(&mut entry, 4, false);
        assert_eq!(
            counts(&ledgers),
            (1, 0, 0, 1, None),
            "a read that began before the acknowledgement says nothing"
        );
        ledgers.read(&mut entry, 6, false);
        assert_eq!(counts(&ledgers), (1, 0, 1, 0, Some(1)));
        ledgers.read(&mut entry, 9, true);
        assert_eq!(counts(&ledgers), (1, 1, 0, 0, Some(0)));
        assert_eq!(ledgers.quorum, Ledger::default());
    }

    #[test]
    fn a_key_that_is_written_again_leaves_but_its_loss_stands() {
        let (mut ledgers, mut kept, mut lost) =
            (Ledgers::default(), Standing::default(), Standing::default());
        for entry in [&mut kept, &mut lost] {
            ledgers.tried(entry, Consistency::Async, true);
            ledgers.acked(entry, 5);
        }
        ledgers.read(&mut kept, 7, true);
        ledgers.read(&mut lost, 7, false);
        assert_eq!(counts(&ledgers), (2, 1, 1, 0, Some(1)));
        ledgers.tried(&mut kept, Consistency::Async, true);
        ledgers.tried(&mut lost, Consistency::Async, true);
        ledgers.acked(&mut lost, 12);
        ledgers.read(&mut lost, 13, true);
        assert_eq!(counts(&ledgers), (1, 0, 1, 0, Some(1)));
    }

    #[test]
    fn deletes_and_unacknowledged_writes_are_not_in_it() {
        let (mut ledgers, mut entry) = (Ledgers::default(), Standing::default());
        ledgers.tried(&mut entry, Consistency::Async, false);
        ledgers.acked(&mut entry, 1);
        ledgers.read(&mut entry, 2, false);
        let mut entry = Standing::default();
        ledgers.tried(&mut entry, Consistency::Async, true);
        ledgers.read(&mut entry, 2, false);
        assert_eq!(counts(&ledgers), (0, 0, 0, 0, None));
    }
}
