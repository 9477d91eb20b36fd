//! Beginnings of a history: where it ceases to be linearizable.
//!
//! A beginning of a linearizable history is linearizable: leave off what comes later. So there is one event in which a
//! history ceases to be, an operation's end, and a binary search finds it.

use super::history::{KeyHistory, Op, Outcome};
use super::verdict::{Evidence, searched};
use crate::judge::report::Linearizable;
use crate::judge::search::Found;

/// What had begun before the event at `last`, as it was known right after it.
pub(super) fn prefix(history: &KeyHistory, last: u64) -> KeyHistory {
    let cut = |op: &Op| {
        let mut op = op.clone();
        if op.ended.is_some_and(|ended| ended.i > last) {
            (op.ended, op.outcome) = (None, Outcome::Unknown);
        }
        op
    };
    let begun = history.ops().iter().filter(|op| op.began.i < last).map(cut);
    history.with(begun.filter(|op| op.outcome != Outcome::Unknown || !op.act.only_looks()).collect())
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

/// Of a history that is not linearizable: an order of all that had ended before it ceased to be, and the operation in
/// whose end it did. `None`: the caller gave up.
pub(super) fn ceasing(history: &KeyHistory, go_on: &mut dyn FnMut(u64) -> bool) -> Option<Evidence> {
    let mut longest = Vec::new();
    let mut decide = |begun: &KeyHistory| match searched(begun, go_on).0 {
        Found::Linearizable(order) => {
            let place = |at: usize| history.place_of(begun.ops()[at].began);
            longest = order.into_iter().filter_map(place).collect();
            Linearizable::Yes
        }
        Found::NotLinearizable { .. } => Linearizable::No,
        Found::Undecided => Linearizable::Undecided,
    };
    let end = first_failing(history, &mut decide)?;
    let stuck = history.ops().iter().position(|op| op.ended.is_some_and(|ended| ended.i == end))?;
    Some(Evidence::Stuck { longest, stuck, is_first: true })
}
