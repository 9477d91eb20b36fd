//! The events of a key's history: each operation begins, and most end.

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
pub fn op_events<'a>(keys: impl IntoIterator<Item = &'a KeyHistory>) -> Vec<OpEvent> {
    let keys: Vec<&KeyHistory> = keys.into_iter().collect();
    let ops = keys.iter().flat_map(|history| history.ops().iter().map(move |op| (history.key(), op)));
    let acts =
        keys.iter().flat_map(|history| history.initially().iter().map(move |act| (history.key(), act)));
    let process = ops.clone().map(|(_, op)| op.process).max().map_or(0, |last| last.saturating_add(1));
    let mut events = Vec::new();
    for ((key, act), i) in acts.zip((0..).step_by(2)) {
        let event = |i, phase| {
            let at = EventTime { i, t_ns: None };
            OpEvent { at, process, phase, key: key.clone(), act: act.clone() }
        };
        events.extend([event(i, Phase::Invoke), event(i + 1, Phase::Ok)]);
    }
    // Where the first indices are taken already, all go on after these.
    let first = ops.clone().map(|(_, op)| op.began.i).min().unwrap_or(0);
    let shift = (events.len() as u64).saturating_sub(first);
    for (key, op) in ops {
        let event = |at: EventTime, phase| {
            let at = EventTime { i: at.i + shift, ..at };
            OpEvent { at, process: op.process, phase, key: key.clone(), act: op.act.clone() }
        };
        events.push(event(op.began, Phase::Invoke));
        events.extend(op.ended.map(|ended| event(ended, ends_as(&op.act, op.outcome))));
    }
    events.sort_by_key(|event| event.at.i);
    events
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
