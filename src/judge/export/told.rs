//! What there is to write: the events of a history, one after another, whoever recorded it.

use super::super::history::{HistoryEvent, OpKind, Phase};
use crate::judge::offline::{Act, KeyHistory, Mark, Op, Outcome};

/// One event of a history: an operation begins, or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub at: Mark,
    /// Whose operation it is.
    pub process: u32,
    /// Whether it begins, or how it ends.
    pub phase: Phase,
    /// The key; empty where there is only one and nobody names it.
    pub key: String,
    /// What is done. What a read saw counts only where it ended well.
    pub act: Act,
}

/// The events of all these keys in one order.
///
/// A compare-and-set that is known not to have run is left out: it says nothing, and others would take it for one that
/// looked and did not match.
pub fn tell(keys: &[KeyHistory]) -> Vec<Told> {
    let mut events = Vec::new();
    let never_ran = |op: &Op| op.outcome == Outcome::Failed && matches!(op.act, Act::Cas { .. });
    let ops = keys.iter().flat_map(|history| history.ops().iter().map(move |op| (history.key(), op)));
    for (key, op) in ops.filter(|(_, op)| !never_ran(op)) {
        let event =
            |at, phase| Told { at, process: op.process, phase, key: key.to_owned(), act: op.act.clone() };
        events.push(event(op.began, Phase::Invoke));
        events.extend(op.ended.map(|ended| event(ended, ends_as(&op.act, op.outcome))));
    }
    events.sort_by_key(|told| told.at.i);
    events
}

/// A compare-and-set that looked and did not match is what others call a failed one.
fn ends_as(act: &Act, outcome: Outcome) -> Phase {
    match (act, outcome) {
        (Act::CasFailed { .. }, Outcome::Ok) | (_, Outcome::Failed) => Phase::Fail,
        (_, Outcome::Ok) => Phase::Ok,
        (_, Outcome::Unknown) => Phase::Info,
    }
}

impl From<&HistoryEvent> for Told {
    fn from(event: &HistoryEvent) -> Self {
        let act = match event.op {
            OpKind::Get => Act::Read(event.value.clone()),
            OpKind::Put => Act::Write(event.value.clone()),
            OpKind::Del => Act::Write(None),
        };
        Self {
            at: Mark { i: event.i, t_ns: Some(event.t_ns) },
            process: event.client,
            phase: event.phase,
            key: event.key.clone(),
            act,
        }
    }
}
