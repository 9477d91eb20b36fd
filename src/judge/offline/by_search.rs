//! A history given to the general search, and what it found in the history's own words.
#![expect(clippy::disallowed_types, reason = "its hasher is named: the same in every run")]

use std::collections::HashMap;

use super::history::{KeyAct, KeyHistory, KeyOp, OpOutcome};
use crate::judge::hash::Hash;
use crate::judge::search::{
    ABSENT, AppendModel, AppendOp, Call, RegisterModel, RegisterOp, SearchResult, search,
};
use crate::judge::value::Value;

/// What the general search finds, in places of the history, and its steps.
pub(super) fn by_search(
    history: &KeyHistory,
    may_continue: &mut dyn FnMut(u64) -> bool,
) -> (SearchResult, u64) {
    let (places, (found, steps)) = if history.ops().iter().any(|op| op.act.is_of_string()) {
        let (places, calls) = calls(history, append_op);
        (places, search(&mut AppendModel::default(), &calls, may_continue))
    } else {
        let mut numbers = Numbers::default();
        let (places, calls) = calls(history, |act| register_op(act, &mut numbers));
        (places, search(&mut RegisterModel, &calls, may_continue))
    };
    let placed = |order: Vec<usize>| order.into_iter().map(|call| places[call]).collect();
    let found = match found {
        SearchResult::Linearizable(order) => SearchResult::Linearizable(placed(order)),
        SearchResult::NotLinearizable { longest, stuck } => {
            SearchResult::NotLinearizable { longest: placed(longest), stuck: places[stuck] }
        }
        SearchResult::Undecided => SearchResult::Undecided,
    };
    (found, steps)
}

/// The operations that happened or may have, as the search wants them, and the place of each in the history.
fn calls<'a, O>(
    history: &'a KeyHistory,
    mut to_op: impl FnMut(&'a KeyAct) -> O,
) -> (Vec<usize>, Vec<Call<O>>) {
    let counts = |op: &KeyOp| match op.outcome {
        OpOutcome::Ok => true,
        OpOutcome::Unknown => !op.act.only_looks(),
        OpOutcome::Failed => false,
    };
    let happened = history.ops().iter().enumerate().filter(|(_, op)| counts(op));
    happened
        .map(|(place, op)| {
            let ended = op.ended.filter(|_| op.outcome == OpOutcome::Ok).map(|ended| ended.i);
            (place, Call { op: to_op(&op.act), began: op.began.i, ended })
        })
        .unzip()
}

/// A number for each value.
#[derive(Default)]
struct Numbers<'a>(HashMap<&'a Value, u32, Hash>);

impl<'a> Numbers<'a> {
    fn of(&mut self, value: &'a Option<Value>) -> u32 {
        let Some(value) = value else { return ABSENT };
        let fresh = self.0.len() as u32 + 1;
        *self.0.entry(value).or_insert(fresh)
    }
}

fn register_op<'a>(act: &'a KeyAct, numbers: &mut Numbers<'a>) -> RegisterOp {
    match act {
        KeyAct::Read(value) => RegisterOp::Read(numbers.of(value)),
        KeyAct::Write(value) => RegisterOp::Write(numbers.of(value)),
        KeyAct::Cas { from, to } => RegisterOp::Cas { from: numbers.of(from), to: numbers.of(to) },
        KeyAct::CasFailed { from, .. } => RegisterOp::CasFailed { from: numbers.of(from) },
        KeyAct::Get(_) | KeyAct::Put(_) | KeyAct::Append(_) => {
            unreachable!("a history is of registers or of strings")
        }
    }
}

fn append_op(act: &KeyAct) -> AppendOp {
    match act {
        KeyAct::Get(value) => AppendOp::Get(value.clone()),
        KeyAct::Put(value) => AppendOp::Put(value.clone()),
        KeyAct::Append(value) => AppendOp::Append(value.clone()),
        KeyAct::Read(_) | KeyAct::Write(_) | KeyAct::Cas { .. } | KeyAct::CasFailed { .. } => {
            unreachable!("a history is of registers or of strings")
        }
    }
}
