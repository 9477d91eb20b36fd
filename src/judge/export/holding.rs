//! Holding events back until it is known whether their operation is to be written at all.

use std::collections::{BTreeMap, VecDeque};

use super::told::Told;

/// Events in their order, of which the first waits to learn its outcome.
///
/// Memory: what began after an operation that does not end is held until the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Holding {
    held: VecDeque<Held>,
    /// The place of the first that is held among all.
    first: u64,
    /// By process: the place of its operation that runs.
    running: BTreeMap<u32, u64>,
}

#[derive(Clone, Debug)]
struct Held {
    told: Told,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Write,
    Drop,
}

impl Holding {
    /// An operation begins.
    pub(super) fn begins(&mut self, told: Told) {
        self.running.insert(told.process, self.first + self.held.len() as u64);
        self.held.push_back(Held { told, fate: Fate::Open });
    }

    /// The operation of the process ends: it is written or dropped, and followed by `completion`, if any.
    pub(super) fn ends(&mut self, process: u32, write: bool, completion: Option<Told>) {
        if let Some(place) = self.running.remove(&process) {
            let begun = &mut self.held[(place - self.first) as usize];
            begun.fate = if write { Fate::Write } else { Fate::Drop };
        }
        self.held.extend(completion.map(|told| Held { told, fate: Fate::Write }));
    }

    /// The next event that is to be written, once nothing before it is open.
    pub(super) fn next(&mut self) -> Option<Told> {
        while self.held.front()?.fate != Fate::Open {
            let Held { told, fate } = self.held.pop_front()?;
            self.first += 1;
            if fate == Fate::Write {
                return Some(told);
            }
        }
        None
    }

    /// Nothing follows: of what is open, that is written which may have changed something.
    pub(super) fn finish(&mut self) {
        self.running.clear();
        for held in self.held.iter_mut().filter(|held| held.fate == Fate::Open) {
            held.fate = if held.told.act.only_looks() { Fate::Drop } else { Fate::Write };
        }
    }
}
