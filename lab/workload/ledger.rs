//! The ledger: keys that are written once at a time and read back all the time. Loss is measured there, from outside: what
//! was acknowledged and is gone is lost, whatever the servers say.
//!
//! Pure: time is an argument. The judge decides what is lost; the ledger decides which key is written next, and which is
//! read next:
//!
//! * What was acknowledged is read twice at a low rate, oldest first. Then its key may be written again: the keys of a
//!   family are a ring. While half of them were never used, first reads go before second ones. When all are read twice,
//!   they are read on, more slowly.
//! * After [`Ledger::ask_again`] everything is read again, what was never read first, and fast: a loss is to be known
//!   within seconds of its cause.

use std::collections::VecDeque;
use std::time::Duration;

use super::mix::Family;
use crate::run::event::Outcome;

/// Keys of each family at most.
pub(crate) const KEYS_MAX: u32 = 4096;
/// Acknowledged writes of each family that may wait to be read for the first time. Beyond it clients write registers
/// instead, so that what is read back never falls far behind what is written.
pub(crate) const UNREAD_MAX: usize = 512;
/// Reads a second of keys that were not read twice yet.
pub(crate) const READ_BACK_PER_S: u32 = 60;
/// Reads a second while everything is asked for again.
pub(crate) const ASK_AGAIN_PER_S: u32 = 1000;
/// Reads a second of keys that were read twice.
pub(crate) const READ_ON_PER_S: u32 = 6;
/// A key that could not be read is not asked for at once again, nor is another.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(250);

/// A key of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LedgerKey {
    family: Family,
    /// From 0.
    number: u32,
}

/// How a write of a key of the ledger ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Acknowledged,
    Failed,
    Unknown,
}

impl From<&Outcome> for Written {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Ok => Self::Acknowledged,
            Outcome::Failed(_) => Self::Failed,
            Outcome::Unknown(_) => Self::Unknown,
        }
    }
}

/// The keys of both families, and what is to be done with them.
#[derive(Debug)]
pub(crate) struct Ledger {
    quorum: KeyRing,
    unreplicated: KeyRing,
    /// Whose turn it is to be read.
    turn: Family,
    /// No read begins before.
    next_read: Duration,
    /// How often everything had to be asked for again.
    asked: u64,
}

/// The keys of a family. Each that is not being written or read is in one of the queues, the oldest first.
#[derive(Debug, Default)]
struct KeyRing {
    /// Keys that were ever written.
    used: u32,
    /// By number: whether something was ever acknowledged there.
    acked: Vec<bool>,
    /// By number: what the last read found there.
    seen: Vec<Option<String>>,
    /// Nothing is there.
    free: VecDeque<u32>,
    /// The last write may have happened. Written again only when no other key is left.
    unsure: VecDeque<u32>,
    /// Acknowledged, and never read.
    unread: VecDeque<u32>,
    /// The first so many of the unread were acknowledged before everything had to be asked for again.
    unread_before: usize,
    /// Was read before everything had to be asked for again.
    doubtful: VecDeque<u32>,
    /// Read once since.
    once: VecDeque<u32>,
    /// Read at least twice since, and the last two reads agree: may be written again.
    twice: VecDeque<u32>,
    /// Whose turn it is, of keys to be read for the first and for the second time.
    second: bool,
}

/// Where a key was taken from to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shelf {
    Unread,
    Doubtful,
    Once,
    Twice,
}

/// A key that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadingBack {
    pub(crate) key: LedgerKey,
    shelf: Shelf,
    /// [`Ledger::asked`] when it began.
    asked: u64,
}

impl LedgerKey {
    /// As the store knows it: `la-17`.
    pub(crate) fn name(self) -> String {
        self.family.ledger_key(self.number)
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            quorum: KeyRing::default(),
            unreplicated: KeyRing::default(),
            turn: Family::Quorum,
            next_read: Duration::ZERO,
            asked: 0,
        }
    }
}

impl Ledger {
    /// A key to write; `None`: there is none, or enough waits to be read.
    pub(crate) fn begin(&mut self, family: Family) -> Option<LedgerKey> {
        self.of(family).begin().map(|number| LedgerKey { family, number })
    }

    /// A write that was [begun](Self::begin) has ended.
    pub(crate) fn ended(&mut self, key: LedgerKey, how: Written) {
        self.of(key.family).ended(key.number, how);
    }

    /// Something has happened since which what was found may be gone.
    pub(crate) fn ask_again(&mut self) {
        self.quorum.ask_again();
        self.unreplicated.ask_again();
        self.asked += 1;
        self.next_read = Duration::ZERO;
    }

    /// The key to read now, if one is due.
    pub(crate) fn next_read(&mut self, now: Duration) -> Option<ReadingBack> {
        if now < self.next_read {
            return None;
        }
        let first = self.turn;
        let other = if first == Family::Quorum { Family::Async } else { Family::Quorum };
        // What is in doubt comes first, then what was not read twice, whichever family it is of.
        let urgency = |ring: &KeyRing| ring.pace();
        let family = if urgency(self.of(other)) > urgency(self.of(first)) { other } else { first };
        let per_second = urgency(self.of(family));
        let (number, shelf) = self.of(family).next_read()?;
        self.turn = if family == Family::Quorum { Family::Async } else { Family::Quorum };
        // A late timer is made up for, within reason.
        let earliest = now.saturating_sub(Duration::from_millis(20));
        self.next_read = self.next_read.max(earliest) + Duration::from_secs(1) / per_second.max(1);
        Some(ReadingBack { key: LedgerKey { family, number }, shelf, asked: self.asked })
    }

    /// When the next read may begin, if there is anything to read then.
    pub(crate) fn next_read_at(&self) -> Duration {
        self.next_read
    }

    /// It was read, and held this value or nothing; or (`answer` is `None`) it could not be.
    pub(crate) fn was_read(&mut self, read: ReadingBack, answer: Option<Option<String>>, now: Duration) {
        let answered = answer.is_some();
        // What was read before everything had to be asked for again is asked for again.
        let answer = answer.filter(|_| read.asked == self.asked);
        self.of(read.key.family).was_read(read.key.number, read.shelf, answer);
        if !answered {
            self.next_read = now + PAUSE_AFTER_FAILURE;
        }
    }

    /// Every key of which a write has ever been acknowledged.
    pub(crate) fn keys(&self) -> Vec<String> {
        let of = |family: Family, ring: &KeyRing| {
            let acked = ring.acked.iter().zip(0..).filter(|(acked, _)| **acked);
            acked.map(|(_, number)| family.ledger_key(number)).collect::<Vec<_>>()
        };
        let mut keys = of(Family::Quorum, &self.quorum);
        keys.extend(of(Family::Async, &self.unreplicated));
        keys
    }

    fn of(&mut self, family: Family) -> &mut KeyRing {
        match family {
            Family::Quorum => &mut self.quorum,
            Family::Async => &mut self.unreplicated,
        }
    }
}

impl KeyRing {
    fn begin(&mut self) -> Option<u32> {
        if self.unread.len() >= UNREAD_MAX {
            return None;
        }
        if let Some(number) = self.free.pop_front() {
            return Some(number);
        }
        if self.used < KEYS_MAX {
            self.used += 1;
            self.acked.push(false);
            self.seen.push(None);
            return Some(self.used - 1);
        }
        self.twice.pop_front().or_else(|| self.unsure.pop_front())
    }

    fn ended(&mut self, number: u32, how: Written) {
        let acked = &mut self.acked[number as usize];
        match how {
            Written::Acknowledged => {
                *acked = true;
                self.unread.push_back(number);
            }
            Written::Unknown => self.unsure.push_back(number),
            // What was there before is there still.
            Written::Failed if *acked => self.once.push_back(number),
            Written::Failed => self.free.push_back(number),
        }
    }

    fn ask_again(&mut self) {
        self.unread_before = self.unread.len();
        self.doubtful.append(&mut self.twice);
        self.doubtful.append(&mut self.once);
    }

    /// Reads a second that are called for; 0: there is nothing to read.
    fn pace(&self) -> u32 {
        if self.unread_before > 0 || !self.doubtful.is_empty() {
            ASK_AGAIN_PER_S
        } else if !self.unread.is_empty() || !self.once.is_empty() {
            READ_BACK_PER_S
        } else if !self.twice.is_empty() {
            READ_ON_PER_S
        } else {
            0
        }
    }

    fn next_read(&mut self) -> Option<(u32, Shelf)> {
        if self.unread_before == 0
            && let Some(number) = self.doubtful.pop_front()
        {
            return Some((number, Shelf::Doubtful));
        }
        // As long as there are keys enough, none need be read twice to be written again.
        let second = self.second && self.unread_before == 0 && self.used >= KEYS_MAX / 2;
        self.second = !self.second;
        if second && let Some(number) = self.once.pop_front() {
            return Some((number, Shelf::Once));
        }
        if let Some(number) = self.unread.pop_front() {
            self.unread_before = self.unread_before.saturating_sub(1);
            return Some((number, Shelf::Unread));
        }
        let once = self.once.pop_front().map(|number| (number, Shelf::Once));
        once.or_else(|| self.twice.pop_front().map(|number| (number, Shelf::Twice)))
    }

    fn was_read(&mut self, number: u32, shelf: Shelf, answer: Option<Option<String>>) {
        match (answer, shelf) {
            // Two reads in a row must agree: if one has missed it, so must another.
            (Some(value), Shelf::Once | Shelf::Twice) if self.seen[number as usize] == value => {
                self.twice.push_back(number);
            }
            (Some(value), _) => {
                self.seen[number as usize] = value;
                self.once.push_back(number);
            }
            (None, Shelf::Unread) => {
                self.unread.push_front(number);
                self.unread_before += 1;
            }
            (None, _) => self.doubtful.push_front(number),
        }
    }
}

#[cfg(test)]
#[path = "tests/ledger.rs"]
mod tests;
