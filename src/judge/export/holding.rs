//! Holding events back until it is known whether their operation is to be written at all.

use std::collections::{BTreeMap, VecDeque};

use crate::judge::offline::OpEvent;

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
    event: OpEvent,
    /// Whether it is to be written; `None`: nobody knows yet.
    write: Option<bool>,
}

impl Holding {
    /// An operation begins.
    pub(super) fn begins(&mut self, event: OpEvent) {
        self.running.insert(event.process, self.first + self.held.len() as u64);
        self.held.push_back(Held { event, write: None });
    }

    /// The operation of the process ends: it is written or dropped, and followed by `completion`, if any.
    pub(super) fn ends(&mut self, process: u32, write: bool, completion: Option<OpEvent>) {
        if let Some(place) = self.running.remove(&process) {
            self.held[(place - self.first) as usize].write = Some(write);
        }
        self.held.extend(completion.map(|event| Held { event, write: Some(true) }));
    }

    /// The next event that is to be written, once nothing before it is open.
    pub(super) fn next(&mut self) -> Option<OpEvent> {
        while let Some(write) = self.held.front()?.write {
            self.first += 1;
            let held = self.held.pop_front()?;
            if write {
                return Some(held.event);
            }
        }
        None
    }

    /// Nothing follows: of what is open, that is written which may have changed something.
    pub(super) fn finish(&mut self) {
        self.running.clear();
        for held in &mut self.held {
            held.write.get_or_insert(!held.event.act.only_looks());
        }
    }
}
