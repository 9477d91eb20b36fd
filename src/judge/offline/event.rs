//! The events of a key's history: each operation begins, and most end.

use super::history::{EventTime, KeyAct, KeyHistory, KeyOp, OpOutcome};
use crate::judge::history::{Consistency, HistoryEvent, OpKind, Phase};

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
    pub key: String,
    /// What is done. What a read saw counts only where it ended well.
    pub act: KeyAct,
}

/// The events of all these keys in one order.
///
/// A compare-and-set that is known not to have run is left out: it says nothing, and others would take it for one that
/// looked and did not match.
pub fn op_events<'a>(keys: impl IntoIterator<Item = &'a KeyHistory>) -> Vec<OpEvent> {
    let mut events = Vec::new();
    let never_ran = |op: &KeyOp| op.outcome == OpOutcome::Failed && matches!(op.act, KeyAct::Cas { .. });
    let ops = keys.into_iter().flat_map(|history| history.ops().iter().map(move |op| (history.key(), op)));
    for (key, op) in ops.filter(|(_, op)| !never_ran(op)) {
        let event =
            |at, phase| OpEvent { at, process: op.process, phase, key: key.to_owned(), act: op.act.clone() };
        events.push(event(op.began, Phase::Invoke));
        events.extend(op.ended.map(|ended| event(ended, ends_as(&op.act, op.outcome))));
    }
    events.sort_by_key(|event| event.at.i);
    events
}

/// A compare-and-set that looked and did not match is what others call a failed one.
fn ends_as(act: &KeyAct, outcome: OpOutcome) -> Phase {
    match (act, outcome) {
        (KeyAct::CasFailed { .. }, OpOutcome::Ok) | (_, OpOutcome::Failed) => Phase::Fail,
        (_, OpOutcome::Ok) => Phase::Ok,
        (_, OpOutcome::Unknown) => Phase::Info,
    }
}

impl OpEvent {
    /// As an event of `history.jsonl`, which takes the empty string for absence. `None`: it has no word for what is
    /// done.
    pub fn into_history_event(self) -> Option<HistoryEvent> {
        let is_present = |value: &String| !value.is_empty();
        let (op, value) = match self.act {
            KeyAct::Read(value) => (OpKind::Get, value),
            KeyAct::Get(value) => (OpKind::Get, Some(value).filter(is_present)),
            KeyAct::Write(None) => (OpKind::Del, None),
            KeyAct::Write(value) => (OpKind::Put, value),
            KeyAct::Put(value) if value.is_empty() => (OpKind::Del, None),
            KeyAct::Put(value) => (OpKind::Put, Some(value)),
            KeyAct::Cas { .. } | KeyAct::CasFailed { .. } | KeyAct::Append(_) => return None,
        };
        Some(HistoryEvent {
            i: self.at.i,
            t_ns: self.at.t_ns.unwrap_or(0),
            client: self.process,
            node: None,
            phase: self.phase,
            op,
            key: self.key,
            value: value.filter(|_| op != OpKind::Get || self.phase == Phase::Ok),
            consistency: Consistency::Quorum,
            epoch: None,
            seq: None,
        })
    }
}

impl From<&HistoryEvent> for OpEvent {
    fn from(event: &HistoryEvent) -> Self {
        let act = match event.op {
            OpKind::Get => KeyAct::Read(event.value.clone()),
            OpKind::Put => KeyAct::Write(event.value.clone()),
            OpKind::Del => KeyAct::Write(None),
        };
        Self {
            at: EventTime { i: event.i, t_ns: Some(event.t_ns) },
            process: event.client,
            phase: event.phase,
            key: event.key.clone(),
            act,
        }
    }
}
