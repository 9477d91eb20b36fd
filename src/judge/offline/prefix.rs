//! Beginnings of a history: where it ceases to be linearizable.
//!
//! A beginning of a linearizable history is linearizable: leave off what comes later. So there is one event in which a
//! history ceases to be, an operation's end, and a binary search finds it.

use super::history::{KeyHistory, KeyOp, OpOutcome};
use crate::judge::judgement::Linearizable;

/// What had begun before the event at `last`, as it was known right after it.
pub(super) fn prefix(history: &KeyHistory, last: u64) -> KeyHistory {
    let cut = |op: &KeyOp| {
        let mut op = op.clone();
        // What failed never happened, whenever that became known.
        if op.outcome != OpOutcome::Failed && op.ended.is_some_and(|ended| ended.i > last) {
            (op.ended, op.outcome) = (None, OpOutcome::Unknown);
        }
        op
    };
    let begun = history.ops().iter().filter(|op| op.began.i < last).map(cut);
    history.with(begun.filter(|op| op.outcome != OpOutcome::Unknown || !op.act.only_looks()).collect())
}

/// The first end after which a history fails; the last beginning that `fails` was shown and did not is all before it.
/// `None`: it does not fail, or some beginning could not be decided.
pub(super) fn first_failing(
    history: &KeyHistory,
    fails: &mut impl FnMut(&KeyHistory) -> Linearizable,
) -> Option<u64> {
    let mut ends: Vec<u64> = history.ops().iter().filter_map(|op| op.ended.map(|ended| ended.i)).collect();
    ends.sort_unstable();
    let (mut from, mut to) = (0, ends.len());
    while from < to {
        let middle = usize::midpoint(from, to);
        match fails(&prefix(history, ends[middle])) {
            Linearizable::No => to = middle,
            Linearizable::Yes => from = middle + 1,
            Linearizable::Undecided => return None,
        }
    }
    ends.get(from).copied()
}
