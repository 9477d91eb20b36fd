//! The events of a key's history: each operation begins, and most end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::act::KeyAct;
use super::history::{EventTime, KeyHistory, OpOutcome};
use crate::judge::history::{Consistency, HistoryEvent, OpKind, Phase};
use crate::judge::value::Value;

/// One event of a history, whoever recorded it: an operation begins, or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpEvent {
    /// When.
    pub at: EventTime,
    /// Whose operation it is.
    pub process: u32,
    /// Whether it begins, or how it ends.
    pub phase: Phase,
    /// The key; empty where there is only one and nobody names it.
    pub key: Value,
    /// What is done. What a read saw counts only where it ended well.
    pub act: KeyAct,
}

/// The events of all these keys in one order. What had been done before the first is done by one process more.
///
/// A compare-and-set that looked and did not match ends as one that did not happen does: that is how others write both.
pub fn op_events<'a>(keys: impl IntoIterator<Item = &'a KeyHistory>) -> impl Iterator<Item = OpEvent> {
    let keys: Vec<&KeyHistory> = keys.into_iter().collect();
    let before = initial_events(&keys);
    // Where the first indices are taken already, all go on after these.
    let first = keys.iter().filter_map(|history| history.ops().first()).map(|op| op.began.i).min();
    let shift = (before.len() as u64).saturating_sub(first.unwrap_or(0));
    let mut next: BinaryHeap<Reverse<Next>> = BinaryHeap::new();
    for (key, history) in keys.iter().enumerate() {
        next.extend(history.ops().first().map(|op| Reverse(Next { i: op.began.i, key, op: 0, ends: false })));
    }
    // What is due is no more than one begin of each key and the ends of what runs.
    let events = std::iter::from_fn(move || {
        let Reverse(Next { key, op: at, ends, .. }) = next.pop()?;
        let (history, op) = (keys[key], &keys[key].ops()[at]);
        let event = |at: EventTime, phase| OpEvent {
            at: EventTime { i: at.i + shift, ..at },
            process: op.process,
            phase,
            key: history.key().clone(),
            act: op.act.clone(),
        };
        if ends {
            return op.ended.map(|ended| event(ended, ends_as(&op.act, op.outcome)));
        }
        next.extend(op.ended.map(|ended| Reverse(Next { i: ended.i, key, op: at, ends: true })));
        let following = history.ops().get(at + 1);
        next.extend(following.map(|op| Reverse(Next { i: op.began.i, key, op: at + 1, ends: false })));
        Some(event(op.began, Phase::Invoke))
    });
    before.into_iter().chain(events)
}

/// What had been done before the first operation, one after another, from index 0.
fn initial_events(keys: &[&KeyHistory]) -> Vec<OpEvent> {
    let acts =
        keys.iter().flat_map(|history| history.initially().iter().map(move |act| (history.key(), act)));
    let processes = keys.iter().flat_map(|history| history.ops()).map(|op| op.process);
    let mut events = Vec::new();
    let mut acts = acts.peekable();
    // Nobody looks through millions of operations for nothing.
    let process =
        if acts.peek().is_some() { processes.max().map_or(0, |last| last.saturating_add(1)) } else { 0 };
    for ((key, act), i) in acts.zip((0..).step_by(2)) {
        let event = |i, phase| {
            let at = EventTime { i, t_ns: None };
            OpEvent { at, process, phase, key: key.clone(), act: act.clone() }
        };
        events.extend([event(i, Phase::Invoke), event(i + 1, Phase::Ok)]);
    }
    events
}

/// An event that is due, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    i: u64,
    key: usize,
    op: usize,
    ends: bool,
}

fn ends_as(act: &KeyAct, outcome: OpOutcome) -> Phase {
    match (act, outcome) {
        (KeyAct::CasFailed { .. }, OpOutcome::Ok) | (_, OpOutcome::Failed) => Phase::Fail,
        (_, OpOutcome::Ok) => Phase::Ok,
        (_, OpOutcome::Unknown) => Phase::Info,
    }
}

impl OpEvent {
    /// As an event of `history.jsonl`, which has only strings (`text` says which) and takes the empty one for absence.
    /// `None`: it has no word for what is done.
    pub(in crate::judge) fn to_history_event(
        &self,
        mut text: impl FnMut(&Value) -> String,
    ) -> Option<HistoryEvent> {
        let (op, value) = match &self.act {
            KeyAct::Read(value) => (OpKind::Get, value.as_ref().map(&mut text)),
            KeyAct::Get(value) if value.is_empty() => (OpKind::Get, None),
            KeyAct::Get(value) => (OpKind::Get, Some(text(&value.as_str().into()))),
            KeyAct::Write(None) => (OpKind::Del, None),
            KeyAct::Write(Some(value)) => (OpKind::Put, Some(text(value))),
            KeyAct::Put(value) if value.is_empty() => (OpKind::Del, None),
            KeyAct::Put(value) => (OpKind::Put, Some(text(&value.as_str().into()))),
            _ => return None,
        };
        Some(HistoryEvent {
            i: self.at.i,
            t_ns: self.at.t_ns.unwrap_or(0),
            client: self.process,
            node: None,
            phase: self.phase,
            op,
            key: self.key.to_plain(),
            value: value.filter(|_| op != OpKind::Get || self.phase == Phase::Ok),
            consistency: Consistency::Quorum,
            epoch: None,
            seq: None,
        })
    }
}

impl From<&HistoryEvent> for OpEvent {
    fn from(event: &HistoryEvent) -> Self {
        let value = || event.value.as_deref().map(Value::from);
        let act = match event.op {
            OpKind::Get => KeyAct::Read(value()),
            OpKind::Put => KeyAct::Write(value()),
            OpKind::Del => KeyAct::Write(None),
        };
        Self {
            at: EventTime { i: event.i, t_ns: Some(event.t_ns) },
            process: event.client,
            phase: event.phase,
            key: event.key.as_str().into(),
            act,
        }
    }
}
