//! The oracle: tries every order that time allows, with no idea but the definition of linearizability.

use super::super::*;
use crate::judge::offline::KeyAct;

/// An operation of known or unknown outcome.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) act: KeyAct,
    pub(super) began: u64,
    /// `None`: it may have happened.
    pub(super) ended: Option<u64>,
}

/// The quorum operations on `key` that matter, after these events.
pub(super) fn operations(events: &[HistoryEvent], key: &str) -> Vec<Op> {
    let mut operations = Vec::new();
    for (at, event) in events.iter().enumerate().filter(|(_, event)| event.phase == Phase::Invoke) {
        if event.key != key || event.consistency != Consistency::Quorum {
            continue;
        }
        let reply = events[at + 1..].iter().find(|other| other.client == event.client);
        let ended = reply.filter(|reply| reply.phase == Phase::Ok).map(|reply| reply.i);
        let failed = reply.is_some_and(|reply| reply.phase == Phase::Fail);
        let act = match (event.op, ended) {
            (OpKind::Get, None) => continue,
            (OpKind::Get, Some(_)) => {
                KeyAct::Read(reply.and_then(|reply| reply.value.as_deref().map(Value::from)))
            }
            (OpKind::Put | OpKind::Del, _) if failed => continue,
            (OpKind::Put | OpKind::Del, _) => KeyAct::Write(event.value.as_deref().map(Value::from)),
        };
        operations.push(Op { act, began: event.i, ended });
    }
    operations
}

/// The operations of a key's history that matter.
pub(super) fn of_history(history: &offline::KeyHistory) -> Vec<Op> {
    let happened = history.ops().iter().filter(|op| op.outcome != offline::OpOutcome::Failed);
    happened
        .map(|op| {
            let ended = op.ended.filter(|_| op.outcome == offline::OpOutcome::Ok).map(|ended| ended.i);
            Op { act: op.act.clone(), began: op.began.i, ended }
        })
        .collect()
}

/// Whether any order of the operations explains what they returned.
pub(super) fn is_linearizable(operations: &[Op]) -> bool {
    extend(operations, &mut vec![false; operations.len()], &None)
}

fn extend(operations: &[Op], placed: &mut [bool], state: &Option<Value>) -> bool {
    let left = || operations.iter().zip(&*placed).filter(|(_, placed)| !**placed).map(|(op, _)| op);
    if left().all(|op| op.ended.is_none()) {
        return true;
    }
    let first_end = left().filter_map(|op| op.ended).min().unwrap_or(u64::MAX);
    let next: Vec<usize> =
        (0..operations.len()).filter(|&at| !placed[at] && operations[at].began < first_end).collect();
    for at in next {
        let Some(after) = apply(&operations[at].act, state) else { continue };
        placed[at] = true;
        let explained = extend(operations, placed, &after);
        placed[at] = false;
        if explained {
            return true;
        }
    }
    false
}

/// What a register or a string holds after an operation, if it can have had this result.
pub(super) fn apply(act: &KeyAct, state: &Option<Value>) -> Option<Option<Value>> {
    let text = state.as_ref().and_then(Value::text).unwrap_or("");
    match act {
        KeyAct::Read(value) => (value == state).then(|| state.clone()),
        KeyAct::Write(value) => Some(value.clone()),
        KeyAct::Cas { from, to } => (from == state).then(|| to.clone()),
        KeyAct::CasFailed { from, .. } => (from != state).then(|| state.clone()),
        KeyAct::Get(value) => (value == text).then(|| state.clone()),
        KeyAct::Put(value) => Some(Some(value.as_str().into())),
        KeyAct::Append(value) => Some(Some(format!("{text}{value}").into())),
        act => unreachable!("`{act}` is for the oracle of all models"),
    }
}
