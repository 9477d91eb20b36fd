//! The last acknowledged write of each key, and whether it can still be read.
//!
//! A key belongs to the ledger as long as no two of its writes ran at the same time and it was not deleted: then it is
//! plain which of its writes must be found. That write is its *entry*. Let E be an entry and R a quorum read that began
//! after E was acknowledged, while no write of the key was running:
//!
//! * R returns E: E is *found*.
//! * R returns a write of unknown outcome that may have taken effect after E: nothing is claimed of E any more.
//! * R returns anything else: every other write had ended before E began, or certainly failed, so nothing can have taken
//!   E's place. E is *lost*, until a later read finds it.
//!
//! The next write that is acknowledged takes the entry's place. If two reads had found the entry since somebody last said
//! that everything must be asked for again, it is *released*; if not, it is merely overwritten, and counts no more. A loss
//! that two reads have seen stands.

use super::ids::NO_ID;
use crate::judge::history::{Consistency, Phase};
use crate::judge::judgement::Ledger;

/// Reads that must have found an entry before it counts as released when it is overwritten.
const FOUND_FOR_RELEASE: u8 = 2;
/// Reads that must have missed an entry before its loss stands when it is overwritten: one may have been stale.
const MISSED_FOR_LOSS: u8 = 2;

/// Where a key stands in the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    entry: Option<Entry>,
    /// A write is running.
    writes: bool,
    /// The write that is running releases the entry if it is acknowledged.
    releases: bool,
    /// It was written by two at once, or deleted: it is not a key of the ledger, and never will be again.
    left: bool,
    /// One of its entries was released or lost, and another took its place: it is a key of a ring.
    reused: bool,
    /// Its entries that were released: of quorum writes, and of async ones.
    released: [u32; 2],
    /// Its entries that were lost and overwritten since, likewise.
    lost: [u32; 2],
}

/// An acknowledged write that nothing has overwritten.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u32,
    level: Consistency,
    /// The event of its acknowledgement.
    acked: u64,
    /// When it was acknowledged or last read, in [`Ledgers::asked`].
    asked: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not asked for.
    Unread,
    /// Found by the last reads, so many.
    Found(u8),
    /// Not found by the last reads, so many.
    Lost(u8),
}

/// What a quorum read of a key says of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It returned it.
    Found,
    /// It returned what may have been written after it.
    Overtaken,
    /// It returned something else.
    Missed,
}

/// The counts of both levels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ledgers {
    pub(super) quorum: Ledger,
    pub(super) unreplicated: Ledger,
    /// How often everything had to be asked for again.
    asked: u32,
    /// The last event before that; reads that began by then say nothing of what is there since.
    asked_after: u64,
}

impl Standing {
    /// The id of its entry, [`NO_ID`] if there is none.
    pub(super) fn entry(&self) -> u32 {
        self.entry.map_or(NO_ID, |entry| entry.id)
    }

    /// Whether it is a key of a ring: its writes are sequential and many.
    pub(super) fn is_reused(&self) -> bool {
        self.reused && !self.left
    }
}

impl Entry {
    /// Whether more than one read has missed it.
    fn is_lost_for_certain(&self) -> bool {
        matches!(self.state, State::Lost(times) if times >= MISSED_FOR_LOSS)
    }
}

impl Ledgers {
    /// A write of the key is tried, or (`puts` is false) a delete.
    pub(super) fn tried(&mut self, key: &mut Standing, puts: bool) {
        if key.writes && !key.left {
            self.disown(key);
        } else if !puts && !key.left {
            self.leave(key);
            key.left = true;
        }
        let asked = self.asked;
        let may_go = |entry: Entry| {
            entry.asked == asked && matches!(entry.state, State::Found(times) if times >= FOUND_FOR_RELEASE)
        };
        key.writes = true;
        key.releases = key.entry.is_some_and(may_go);
    }

    /// The write that was tried ended with event `i`; it has this id.
    pub(super) fn ended(&mut self, key: &mut Standing, id: u32, level: Consistency, phase: Phase, i: u64) {
        key.writes = false;
        if key.left || phase != Phase::Ok {
            return;
        }
        if let Some(old) = key.entry {
            let at = usize::from(old.level != Consistency::Quorum);
            let lost = old.is_lost_for_certain();
            if key.releases {
                self.of(old.level).released += 1;
                key.released[at] = key.released[at].saturating_add(1);
            } else if lost {
                key.lost[at] = key.lost[at].saturating_add(1);
            }
            key.reused |= key.releases || lost;
        }
        self.leave(key);
        let entry = Entry { id, level, acked: i, asked: self.asked, state: State::Unread };
        self.count(&entry, 1);
        key.entry = Some(entry);
    }

    /// A quorum read that began with event `began` saw the entry, or did not.
    pub(super) fn read(&mut self, key: &mut Standing, began: u64, sight: Sight) {
        let says = |entry: &Entry| began > entry.acked.max(self.asked_after) && !key.writes;
        let Some(entry) = key.entry.filter(says) else { return };
        if sight == Sight::Overtaken {
            return self.leave(key);
        }
        self.count(&entry, -1);
        let state = match (sight, entry.state) {
            (Sight::Found, State::Found(times)) if entry.asked == self.asked => {
                State::Found(times.saturating_add(1))
            }
            (Sight::Found, _) => State::Found(1),
            (_, State::Lost(times)) => State::Lost(times.saturating_add(1)),
            _ => State::Lost(1),
        };
        let entry = Entry { asked: self.asked, state, ..entry };
        self.count(&entry, 1);
        key.entry = Some(entry);
    }

    /// Something has happened, after event `last`, since which what was found may be gone: it counts as unread until it is
    /// found again.
    pub(super) fn ask_again(&mut self, last: u64) {
        self.asked = self.asked.wrapping_add(1);
        self.asked_after = last;
        for ledger in [&mut self.quorum, &mut self.unreplicated] {
            ledger.doubtful = ledger.acked - ledger.lost;
            ledger.read_back = 0;
        }
    }

    /// The key has no entry any more. One that is lost for certain stays counted.
    fn leave(&mut self, key: &mut Standing) {
        if let Some(entry) = key.entry.take().filter(|entry| !entry.is_lost_for_certain()) {
            self.count(&entry, -1);
        }
    }

    /// Two write it at once: it is a register, and never was a key of the ledger.
    fn disown(&mut self, key: &mut Standing) {
        if let Some(entry) = key.entry.take() {
            self.count(&entry, -1);
        }
        key.left = true;
        for (level, ledger) in [&mut self.quorum, &mut self.unreplicated].into_iter().enumerate() {
            let (released, lost) = (u64::from(key.released[level]), u64::from(key.lost[level]));
            ledger.released = ledger.released.saturating_sub(released);
            ledger.lost = ledger.lost.saturating_sub(lost);
            ledger.acked = ledger.acked.saturating_sub(lost);
        }
    }

    /// Counts an entry, or takes it out of the counts.
    fn count(&mut self, entry: &Entry, by: i64) {
        let current = entry.asked == self.asked;
        let ledger = self.of(entry.level);
        let add = |count: &mut u64| *count = count.saturating_add_signed(by);
        add(&mut ledger.acked);
        match entry.state {
            State::Lost(_) => add(&mut ledger.lost),
            _ if !current => add(&mut ledger.doubtful),
            State::Found(_) => add(&mut ledger.read_back),
            State::Unread => {}
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

    /// One key, written async.
    #[derive(Default)]
    struct Bench {
        ledgers: Ledgers,
        key: Standing,
        i: u64,
    }

    impl Bench {
        fn next(&mut self) -> u64 {
            self.i += 1;
            self.i
        }

        fn write(&mut self, phase: Phase) -> &mut Self {
            self.ledgers.tried(&mut self.key, true);
            let i = self.next();
            self.ledgers.ended(&mut self.key, i as u32, Consistency::Async, phase, i);
            self
        }

        fn read(&mut self, sight: Sight) -> &mut Self {
            let began = self.next();
            self.ledgers.read(&mut self.key, began, sight);
            self
        }

        /// Acknowledged, read back, lost, waiting, released.
        fn counts(&self) -> [u64; 5] {
            let l = self.ledgers.unreplicated;
            [l.acked, l.read_back, l.lost, l.waiting(), l.released]
        }
    }

    #[test]
    fn a_loss_is_cleared_by_a_later_read_that_finds_it() {
        let mut bench = Bench::default();
        bench.write(Phase::Ok);
        assert_eq!(bench.counts(), [1, 0, 0, 1, 0]);
        assert_eq!(bench.ledgers.unreplicated.known_lost(), None);
        bench.ledgers.read(&mut bench.key, 0, Sight::Missed);
        assert_eq!(bench.counts(), [1, 0, 0, 1, 0], "it began before the acknowledgement, and says nothing");
        assert_eq!(bench.read(Sight::Missed).counts(), [1, 0, 1, 0, 0]);
        assert_eq!(bench.read(Sight::Found).counts(), [1, 1, 0, 0, 0]);
        assert_eq!(bench.ledgers.quorum, Ledger::default());
    }

    #[test]
    fn the_last_acknowledged_write_is_the_entry_and_one_that_was_not_read_is_merely_overwritten() {
        let mut bench = Bench::default();
        assert_eq!(bench.write(Phase::Ok).write(Phase::Ok).counts(), [1, 0, 0, 1, 0]);
        assert_eq!(bench.read(Sight::Found).counts(), [1, 1, 0, 0, 0]);
        assert_eq!(
            bench.write(Phase::Ok).counts(),
            [1, 0, 0, 1, 0],
            "found once is not enough to be released"
        );
        assert!(!bench.key.is_reused());
    }

    #[test]
    fn an_entry_that_was_found_twice_is_released_by_the_next_write() {
        let mut bench = Bench::default();
        bench.write(Phase::Ok).read(Sight::Found).read(Sight::Found);
        assert_eq!(bench.write(Phase::Fail).counts(), [1, 1, 0, 0, 0], "it did not happen");
        assert_eq!(bench.write(Phase::Info).counts(), [1, 1, 0, 0, 0], "it may not have");
        assert_eq!(bench.write(Phase::Ok).counts(), [1, 0, 0, 1, 1]);
        assert!(bench.key.is_reused());
    }

    #[test]
    fn a_loss_stands_when_the_key_is_written_again() {
        let mut bench = Bench::default();
        bench.write(Phase::Ok).read(Sight::Missed).write(Phase::Ok);
        assert_eq!(bench.counts(), [1, 0, 0, 1, 0], "one read may have been stale");
        bench.read(Sight::Missed).read(Sight::Missed);
        assert_eq!(bench.write(Phase::Ok).read(Sight::Found).counts(), [2, 1, 1, 0, 0]);
        assert_eq!(bench.read(Sight::Found).write(Phase::Ok).counts(), [2, 0, 1, 1, 1]);
    }

    #[test]
    fn what_was_found_before_must_be_found_again() {
        let mut bench = Bench::default();
        bench.write(Phase::Ok).read(Sight::Found).read(Sight::Found);
        let before = bench.next();
        bench.ledgers.ask_again(before);
        assert_eq!((bench.counts(), bench.ledgers.unreplicated.doubtful), ([1, 0, 0, 1, 0], 1));
        bench.ledgers.read(&mut bench.key, before, Sight::Found);
        assert_eq!(bench.ledgers.unreplicated.doubtful, 1, "a read that began before says nothing");
        bench.write(Phase::Ok);
        assert_eq!(bench.counts(), [1, 0, 0, 1, 0], "what is in doubt is not released");
        assert_eq!(bench.ledgers.unreplicated.doubtful, 0, "this one was written since");
        bench.ledgers.ask_again(bench.i);
        bench.read(Sight::Missed);
        assert_eq!((bench.counts(), bench.ledgers.unreplicated.doubtful), ([1, 0, 1, 0, 0], 0));
        bench.ledgers.ask_again(bench.i);
        assert_eq!(
            (bench.counts(), bench.ledgers.unreplicated.doubtful),
            ([1, 0, 1, 0, 0], 0),
            "a loss stands"
        );
        bench.read(Sight::Found);
        assert_eq!((bench.counts(), bench.ledgers.unreplicated.doubtful), ([1, 1, 0, 0, 0], 0));
        bench.ledgers.ask_again(bench.i);
        bench.read(Sight::Found).write(Phase::Ok);
        assert_eq!(bench.counts(), [1, 0, 0, 1, 0], "found once since: not released");
    }

    #[test]
    fn a_write_of_unknown_outcome_that_turns_up_takes_the_entry_away_without_a_claim() {
        let mut bench = Bench::default();
        bench.write(Phase::Ok).write(Phase::Info).read(Sight::Overtaken);
        assert_eq!(bench.counts(), [0, 0, 0, 0, 0]);
        assert_eq!(
            bench.write(Phase::Ok).read(Sight::Found).counts(),
            [1, 1, 0, 0, 0],
            "the next is one again"
        );
    }

    #[test]
    fn keys_that_are_deleted_or_written_by_two_at_once_are_not_in_it() {
        let mut deleted = Bench::default();
        deleted.write(Phase::Ok);
        deleted.ledgers.tried(&mut deleted.key, false);
        deleted.ledgers.ended(&mut deleted.key, NO_ID, Consistency::Async, Phase::Ok, 9);
        assert_eq!(deleted.read(Sight::Missed).write(Phase::Ok).counts(), [0; 5]);

        let mut contended = Bench::default();
        contended.write(Phase::Ok);
        contended.ledgers.tried(&mut contended.key, true);
        contended.ledgers.tried(&mut contended.key, true);
        assert_eq!(contended.counts(), [0; 5]);
        assert_eq!(contended.write(Phase::Ok).read(Sight::Missed).counts(), [0; 5]);

        let mut register = Bench::default();
        register.write(Phase::Ok).read(Sight::Found).read(Sight::Found).write(Phase::Ok);
        assert_eq!(register.counts(), [1, 0, 0, 1, 1]);
        register.ledgers.tried(&mut register.key, true);
        register.ledgers.tried(&mut register.key, true);
        assert_eq!(register.counts(), [0; 5], "then it never was a key of the ledger");

        let mut lost = Bench::default();
        lost.write(Phase::Ok).read(Sight::Missed).read(Sight::Missed).write(Phase::Ok);
        assert_eq!(lost.counts(), [2, 0, 1, 1, 0]);
        lost.ledgers.tried(&mut lost.key, true);
        lost.ledgers.tried(&mut lost.key, true);
        assert_eq!(lost.counts(), [0; 5], "nor are its losses: a read of a register may be stale");

        let mut unknown = Bench::default();
        assert_eq!(unknown.write(Phase::Info).read(Sight::Missed).counts(), [0; 5]);
    }

    #[test]
    fn a_read_while_a_write_runs_says_nothing() {
        let mut bench = Bench::default();
        bench.write(Phase::Ok);
        bench.ledgers.tried(&mut bench.key, true);
        assert_eq!(bench.read(Sight::Missed).counts(), [1, 0, 0, 1, 0]);
    }
}
