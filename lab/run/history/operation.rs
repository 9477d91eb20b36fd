//! An operation as its client records it: what it asks, and how that ended.

use kvlab::judge::{Consistency, OpKind, Phase};
use kvlab::types::{MemberVote, NodeId, Position, ReadLevel, WriteLevel};

use crate::run::event::Outcome;

/// What a client is about to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) op: OpKind,
    pub(crate) key: String,
    /// What a put puts: `None` until its client has chosen a fresh value. `None` for the others.
    pub(crate) value: Option<String>,
    pub(crate) consistency: Consistency,
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    /// Who answered last.
    pub(crate) node: Option<NodeId>,
    /// Whether it happened.
    pub(crate) outcome: Outcome,
    /// Reads: what was seen.
    pub(crate) seen: Option<String>,
    /// The entry written or read.
    pub(crate) at: Option<Position>,
    /// Each member's vote, for quorum operations.
    pub(crate) votes: Vec<MemberVote>,
    /// An eventual read that was refused as too stale.
    pub(crate) refused_stale: bool,
}

impl Intent {
    /// To set a key, to a fresh value if none is named.
    pub(crate) fn put(key: String, value: Option<String>, level: WriteLevel) -> Self {
        Self { op: OpKind::Put, key, value, consistency: of_write(level) }
    }

    /// To remove a key.
    pub(crate) fn del(key: String, level: WriteLevel) -> Self {
        Self { op: OpKind::Del, key, value: None, consistency: of_write(level) }
    }

    /// To read a key.
    pub(crate) fn get(key: String, level: ReadLevel) -> Self {
        let consistency = match level {
            ReadLevel::Eventual => Consistency::Eventual,
            ReadLevel::Quorum => Consistency::Quorum,
        };
        Self { op: OpKind::Get, key, value: None, consistency }
    }

    /// With a fresh value, if it is a put without one.
    pub(crate) fn with_value(mut self, fresh: impl FnOnce() -> String) -> Self {
        if self.op == OpKind::Put {
            self.value.get_or_insert_with(fresh);
        }
        self
    }
}

impl Completion {
    /// The outcome in the history's word.
    pub(crate) fn phase(&self) -> Phase {
        match self.outcome {
            Outcome::Ok => Phase::Ok,
            Outcome::Failed(_) => Phase::Fail,
            Outcome::Unknown(_) => Phase::Info,
        }
    }
}

fn of_write(level: WriteLevel) -> Consistency {
    match level {
        WriteLevel::Async => Consistency::Async,
        WriteLevel::Quorum => Consistency::Quorum,
    }
}
