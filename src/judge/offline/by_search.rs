//! A history given to the general search, and what it found in the history's own words.
#![expect(clippy::disallowed_types, reason = "its hasher is named: the same in every run")]

use std::collections::HashMap;

use super::act::{Family, KeyAct, RegisterAct};
use super::history::{KeyHistory, OpOutcome};
use super::model::ModelName;
use crate::judge::hash::Hash;
use crate::judge::search::{
    ABSENT, AppendModel, AppendOp, Call, CounterModel, CounterOp, Model, QueueModel, QueueOp, RegisterModel,
    RegisterOp, RegistersModel, SearchResult, SetModel, SetOp, Transaction, search,
};
use crate::judge::value::Value;

/// What the general search finds, in places of the history, and its steps.
pub(super) fn by_search(
    history: &KeyHistory,
    may_continue: &mut dyn FnMut(u64) -> bool,
) -> (SearchResult, u64) {
    let mut numbers = Numbers::default();
    match history.model().family() {
        Family::KeyValue => {
            searched(history, AppendModel::default(), |act, _| vec![append_op(act)], may_continue)
        }
        Family::Register => {
            searched(history, RegisterModel, |act, _| vec![register_op(act, &mut numbers)], may_continue)
        }
        Family::MultiRegister => {
            let mut names = Numbers::default();
            let op = |act, _| vec![transaction(act, &mut names, &mut numbers)];
            searched(history, RegistersModel::default(), op, may_continue)
        }
        Family::Mutex => searched(history, RegisterModel, |act, _| vec![mutex_op(act)], may_continue),
        Family::Set => {
            searched(history, SetModel::default(), |act, _| vec![set_op(act, &mut numbers)], may_continue)
        }
        Family::Counter => {
            searched(history, CounterModel::default(), |act, _| vec![counter_op(act)], may_continue)
        }
        Family::Queue => {
            let is_enqueue = |act: &&KeyAct| matches!(act, KeyAct::Enqueue(_));
            let acts = history.ops().iter().map(|op| &op.act).chain(history.initially());
            let enqueued = acts.filter(is_enqueue).count();
            let model = match history.model() {
                ModelName::UnorderedQueue => QueueModel::unordered(),
                _ => QueueModel::fifo(),
            };
            let ops = |act, is_known| queue_ops(act, is_known, enqueued, &mut numbers);
            searched(history, model, ops, may_continue)
        }
    }
}

/// The search by one model. An operation may be several of the model's; `to_ops` is also told whether it is known to
/// have happened.
fn searched<'a, M: Model>(
    history: &'a KeyHistory,
    mut model: M,
    mut to_ops: impl FnMut(&'a KeyAct, bool) -> Vec<M::Op>,
    may_continue: &mut dyn FnMut(u64) -> bool,
) -> (SearchResult, u64) {
    let (mut places, mut calls) = (Vec::new(), Vec::new());
    for act in history.initially() {
        let began = calls.len() as u64 * 2;
        calls.extend(to_ops(act, true).into_iter().map(|op| Call { op, began, ended: Some(began + 1) }));
        places.resize(calls.len(), None);
    }
    let first = calls.len() as u64 * 2;
    for (place, op) in history.ops().iter().enumerate().filter(|(_, op)| op.counts()) {
        let is_known = op.outcome == OpOutcome::Ok;
        let ended = op.ended.filter(|_| is_known).map(|ended| first + ended.i);
        let began = first + op.began.i;
        calls.extend(to_ops(&op.act, is_known).into_iter().map(|op| Call { op, began, ended }));
        places.resize(calls.len(), Some(place));
    }
    let (found, steps) = search(&mut model, &calls, may_continue);
    let placed = |order: Vec<usize>| {
        let mut placed: Vec<usize> = order.into_iter().filter_map(|call| places[call]).collect();
        placed.dedup();
        placed
    };
    let found = match found {
        SearchResult::Linearizable(order) => SearchResult::Linearizable(placed(order)),
        SearchResult::NotLinearizable { longest, stuck } => {
            // What is there at the beginning always fits.
            let stuck = places[stuck].unwrap_or(0);
            SearchResult::NotLinearizable { longest: placed(longest), stuck }
        }
        SearchResult::Undecided => SearchResult::Undecided,
    };
    (found, steps)
}

/// A number for each value.
#[derive(Default)]
struct Numbers<'a>(HashMap<&'a Value, u32, Hash>);

impl<'a> Numbers<'a> {
    fn of(&mut self, value: &'a Option<Value>) -> u32 {
        value.as_ref().map_or(ABSENT, |value| self.of_one(value))
    }

    fn of_one(&mut self, value: &'a Value) -> u32 {
        let fresh = self.0.len() as u32 + 1;
        *self.0.entry(value).or_insert(fresh)
    }
}

/// What is no operation of the model.
fn other(act: &KeyAct) -> ! {
    unreachable!("a history is of one model, and `{act}` is of another")
}

fn register_op<'a>(act: &'a KeyAct, numbers: &mut Numbers<'a>) -> RegisterOp {
    match act {
        KeyAct::Read(value) => RegisterOp::Read(numbers.of(value)),
        KeyAct::Write(value) => RegisterOp::Write(numbers.of(value)),
        KeyAct::Cas { from, to } => RegisterOp::Cas { from: numbers.of(from), to: numbers.of(to) },
        KeyAct::CasFailed { from, .. } => RegisterOp::CasFailed { from: numbers.of(from) },
        act => other(act),
    }
}

/// A mutex is a register that only compares and sets.
fn mutex_op(act: &KeyAct) -> RegisterOp {
    const TAKEN: u32 = ABSENT + 1;
    match act {
        KeyAct::Acquire => RegisterOp::Cas { from: ABSENT, to: TAKEN },
        KeyAct::Release => RegisterOp::Cas { from: TAKEN, to: ABSENT },
        act => other(act),
    }
}

fn append_op(act: &KeyAct) -> AppendOp {
    match act {
        KeyAct::Get(value) => AppendOp::Get(value.clone()),
        KeyAct::Put(value) => AppendOp::Put(value.clone()),
        KeyAct::Append(value) => AppendOp::Append(value.clone()),
        act => other(act),
    }
}

/// A transaction that saw something else than what it had written itself fits nowhere: then one of its reads is of a
/// value that no register has.
fn transaction<'a>(act: &'a KeyAct, names: &mut Numbers<'a>, numbers: &mut Numbers<'a>) -> Transaction {
    let KeyAct::Transact(steps) = act else { other(act) };
    let mut transaction = Transaction::default();
    for step in steps {
        match step {
            RegisterAct::Read { register, value } => {
                let read = (names.of_one(register) - 1, numbers.of(value));
                match transaction.writes.iter().find(|(written, _)| *written == read.0) {
                    Some(own) if *own == read => {}
                    Some(_) => transaction.reads.push((read.0, u32::MAX)),
                    None if transaction.reads.contains(&read) => {}
                    None => transaction.reads.push(read),
                }
            }
            RegisterAct::Write { register, value } => {
                let write = (names.of_one(register) - 1, numbers.of(value));
                transaction.writes.retain(|(written, _)| *written != write.0);
                transaction.writes.push(write);
            }
        }
    }
    transaction
}

fn set_op<'a>(act: &'a KeyAct, numbers: &mut Numbers<'a>) -> SetOp {
    match act {
        KeyAct::Insert(element) => SetOp::Add(numbers.of_one(element) - 1),
        KeyAct::Members(elements) => {
            SetOp::Read(elements.iter().map(|element| numbers.of_one(element) - 1).collect())
        }
        act => other(act),
    }
}

fn counter_op(act: &KeyAct) -> CounterOp {
    match act {
        KeyAct::Increase(amount) => CounterOp::Add(*amount),
        KeyAct::Count(sum) => CounterOp::Read(*sum),
        act => other(act),
    }
}

/// A drain is as many dequeues as it has values; one of unknown outcome may be as many as there are values at all.
fn queue_ops<'a>(
    act: &'a KeyAct,
    is_known: bool,
    enqueued: usize,
    numbers: &mut Numbers<'a>,
) -> Vec<QueueOp> {
    match act {
        KeyAct::Enqueue(value) => vec![QueueOp::Enqueue(numbers.of_one(value))],
        KeyAct::Dequeue(_) if !is_known => vec![QueueOp::Lose],
        KeyAct::Dequeue(None) => vec![QueueOp::Empty],
        KeyAct::Dequeue(Some(value)) => vec![QueueOp::Dequeue(numbers.of_one(value))],
        KeyAct::Drain(_) if !is_known => vec![QueueOp::Lose; enqueued],
        KeyAct::Drain(values) => values.iter().map(|value| QueueOp::Dequeue(numbers.of_one(value))).collect(),
        act => other(act),
    }
}
