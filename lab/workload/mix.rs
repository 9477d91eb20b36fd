//! What a background client does next. Pure: the seed decides.

use kvlab::judge::Consistency;
use kvlab::types::{ReadLevel, WriteLevel};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// A family of operations. Each has keys of its own, so that the promises of one are not judged by the
/// operations of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// Quorum writes and quorum reads, judged for linearizability.
    Quorum,
    /// Async writes and eventual reads, measured for staleness.
    Async,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Write a register that others write and read as well.
    WriteRegister(Family, u32),
    /// Read one, at home.
    ReadRegister(Family, u32),
    /// Write a key of the ledger, to be read back.
    WriteLedger(Family),
}

/// Chooses for one client.
#[derive(Debug)]
pub(crate) struct Mix {
    random: SmallRng,
    families: Vec<Family>,
    registers: u32,
    ledger: bool,
}

impl Family {
    /// The family of a level of writes.
    pub(crate) fn of(level: WriteLevel) -> Self {
        match level {
            WriteLevel::Async => Self::Async,
            WriteLevel::Quorum => Self::Quorum,
        }
    }

    /// The family of a write in the history.
    pub(crate) fn of_write(consistency: Consistency) -> Self {
        match consistency {
            Consistency::Quorum => Self::Quorum,
            Consistency::Async | Consistency::Eventual => Self::Async,
        }
    }

    /// How it writes.
    pub(crate) fn write_level(self) -> WriteLevel {
        match self {
            Self::Quorum => WriteLevel::Quorum,
            Self::Async => WriteLevel::Async,
        }
    }

    /// How it reads.
    pub(crate) fn read_level(self) -> ReadLevel {
        match self {
            Self::Quorum => ReadLevel::Quorum,
            Self::Async => ReadLevel::Eventual,
        }
    }

    /// `q0`, `a3`.
    pub(crate) fn register_key(self, register: u32) -> String {
        format!("{}{register}", self.letter())
    }

    /// `lq-17`: the one of this number.
    pub(crate) fn ledger_key(self, number: u32) -> String {
        format!("l{}-{number}", self.letter())
    }

    fn letter(self) -> char {
        match self {
            Self::Quorum => 'q',
            Self::Async => 'a',
        }
    }
}

impl Mix {
    /// `None` if there is nothing to do: no family, or neither registers nor ledger.
    pub(crate) fn new(families: &[Family], registers: u32, ledger: bool, seed: u64) -> Option<Self> {
        if families.is_empty() || (registers == 0 && !ledger) {
            return None;
        }
        let random = SmallRng::seed_from_u64(seed);
        Some(Self { random, families: families.to_vec(), registers, ledger })
    }

    /// To read a register, if there is one.
    pub(crate) fn look(&mut self, family: Family) -> Option<Choice> {
        let register = (self.registers > 0).then(|| self.random.random_range(0..self.registers))?;
        Some(Choice::ReadRegister(family, register))
    }

    /// A third each: writes of registers, reads of registers, writes of the ledger. Without a ledger half and
    /// half; without registers all ledger.
    pub(crate) fn next(&mut self) -> Choice {
        let family = *self.families.choose(&mut self.random).expect("there is a family");
        let kinds = if self.ledger { 3 } else { 2 };
        let kind = if self.registers == 0 { 2 } else { self.random.random_range(0..kinds) };
        match kind {
            0 => Choice::WriteRegister(family, self.random.random_range(0..self.registers)),
            1 => Choice::ReadRegister(family, self.random.random_range(0..self.registers)),
            _ => Choice::WriteLedger(family),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Family; 2] = [Family::Async, Family::Quorum];

    fn choices(registers: u32, ledger: bool, seed: u64) -> Vec<Choice> {
        let mut mix = Mix::new(&BOTH, registers, ledger, seed).expect("something to do");
        (0..3000).map(|_| mix.next()).collect()
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(choices(8, true, 1), choices(8, true, 1));
        assert_ne!(choices(8, true, 1), choices(8, true, 2));
    }

    #[test]
    fn every_register_and_the_ledger_of_both_families_have_their_share() {
        let choices = choices(4, true, 7);
        for family in BOTH {
            let ledger = choices.iter().filter(|c| **c == Choice::WriteLedger(family)).count();
            assert!((400..600).contains(&ledger), "{ledger} of 3000");
            for register in 0..4 {
                for choice in
                    [Choice::WriteRegister(family, register), Choice::ReadRegister(family, register)]
                {
                    let count = choices.iter().filter(|c| **c == choice).count();
                    assert!((70..180).contains(&count), "{choice:?}: {count} of 3000");
                }
            }
        }
    }

    #[test]
    fn without_a_ledger_nothing_goes_there_and_without_registers_everything() {
        assert!(choices(4, false, 7).iter().all(|c| !matches!(c, Choice::WriteLedger(_))));
        assert!(choices(0, true, 7).iter().all(|c| matches!(c, Choice::WriteLedger(_))));
        assert!(Mix::new(&BOTH, 0, true, 7).expect("a ledger").look(Family::Async).is_none());
        assert!(Mix::new(&BOTH, 0, false, 7).is_none());
        assert!(Mix::new(&[], 4, true, 7).is_none());
    }

    #[test]
    fn keys_of_different_families_and_purposes_differ() {
        assert_eq!(Family::Quorum.register_key(0), "q0");
        assert_eq!(Family::Async.register_key(12), "a12");
        assert_eq!(Family::Quorum.ledger_key(17), "lq-17");
        assert_eq!(Family::Async.ledger_key(17), "la-17");
    }
}
