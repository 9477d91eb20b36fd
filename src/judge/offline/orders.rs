//! Every order at once, event by event: what an object may hold by then, and what has been placed of what runs.
//!
//! This is for few operations at once. The search finds one order among many operations; this finds all that could be
//! held, which sentences say, and where a history can be cut in two.

use std::collections::BTreeSet;

use super::act::KeyAct;
use super::history::{KeyHistory, OpOutcome};
use super::model::Held;

/// Possibilities that are kept at once; with more nothing is said.
const KEPT_MAX: usize = 2048;

/// What may have happened up to an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Possible {
    pub(super) held: Held,
    /// Operations that run, or are of unknown outcome, and have taken effect; by their place, ascending.
    pub(super) placed: Vec<usize>,
}

/// All that may have happened up to an event.
pub(super) struct Orders<'h> {
    history: &'h KeyHistory,
    /// Operations that have begun and not ended, by their place.
    running: Vec<usize>,
    possible: BTreeSet<Possible>,
}

/// An event of an operation, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    Begins(usize),
    Ends(usize),
}

/// The events of all operations that happened or may have, in their order, with their indices.
pub(super) fn turns(history: &KeyHistory) -> Vec<(u64, Turn)> {
    let mut turns = Vec::new();
    let counts = history.ops().iter().enumerate().filter(|(_, op)| op.counts());
    for (place, op) in counts {
        turns.push((op.began.i, Turn::Begins(place)));
        let ended = op.ended.filter(|_| op.outcome == OpOutcome::Ok);
        turns.extend(ended.map(|ended| (ended.i, Turn::Ends(place))));
    }
    turns.sort_unstable();
    turns
}

impl<'h> Orders<'h> {
    /// Before anything. `None`: some operation is a drain, which takes several steps.
    pub(super) fn new(history: &'h KeyHistory) -> Option<Self> {
        if history.ops().iter().any(|op| op.counts() && matches!(op.act, KeyAct::Drain(_))) {
            return None;
        }
        let mut held = Held::first(history.model());
        for act in history.initially() {
            held = held.after(act)?;
        }
        let possible = BTreeSet::from([Possible { held, placed: Vec::new() }]);
        Some(Self { history, running: Vec::new(), possible })
    }

    /// All that may have happened.
    pub(super) fn possible(&self) -> &BTreeSet<Possible> {
        &self.possible
    }

    /// Goes on by one event. `None`: there are too many possibilities. Afterwards there may be none.
    pub(super) fn turn(&mut self, turn: Turn) -> Option<()> {
        match turn {
            Turn::Begins(place) => {
                self.running.push(place);
                let before = std::mem::take(&mut self.possible);
                self.possible = self.reached(before)?;
            }
            Turn::Ends(place) => {
                self.running.retain(|&other| other != place);
                let had = |possible: Possible| {
                    let at = possible.placed.binary_search(&place).ok()?;
                    let mut placed = possible.placed;
                    placed.remove(at);
                    Some(Possible { placed, ..possible })
                };
                self.possible = std::mem::take(&mut self.possible).into_iter().filter_map(had).collect();
            }
        }
        Some(())
    }

    /// What is reached from there by what runs, the beginning included.
    fn reached(&self, from: BTreeSet<Possible>) -> Option<BTreeSet<Possible>> {
        let mut open: Vec<Possible> = from.iter().cloned().collect();
        let mut reached = from;
        while let Some(possible) = open.pop() {
            for &place in &self.running {
                let Err(at) = possible.placed.binary_search(&place) else { continue };
                let op = &self.history.ops()[place];
                for held in possible.held.after_any(&op.act, op.outcome == OpOutcome::Ok) {
                    let mut placed = possible.placed.clone();
                    placed.insert(at, place);
                    let next = Possible { held, placed };
                    if reached.insert(next.clone()) {
                        open.push(next);
                    }
                }
            }
            if reached.len() > KEPT_MAX {
                return None;
            }
        }
        Some(reached)
    }

    /// What the object held, if all that may have happened comes of that by what runs now alone: then whatever comes
    /// after depends on nothing else of what was before.
    pub(super) fn root(&self) -> Option<Held> {
        let root = self.possible.iter().find(|possible| possible.placed.is_empty())?;
        let reached = self.reached(BTreeSet::from([root.clone()]))?;
        (self.possible.is_subset(&reached)).then(|| root.held.clone())
    }
}
