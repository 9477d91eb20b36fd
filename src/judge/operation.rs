//! One client operation from its invoke to its reply, as proofs show it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::history::{Consistency, OpKind, Phase};
use super::value::{Shown, Value};
use crate::types::{Epoch, NodeId};

/// A moment of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The index of the event in the one atomic order. This decides what was before what.
    pub i: u64,
    /// Nanoseconds since the run began. For people; it decides nothing.
    pub t_ns: u64,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// When.
    pub at: Stamp,
    /// Anything but `invoke`.
    pub phase: Phase,
    /// The epoch of the entry written or read, where it was told.
    pub epoch: Option<Epoch>,
    /// Its seq, where it was told.
    pub seq: Option<u64>,
}

/// A client operation: both of its events in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The client process.
    pub client: u32,
    /// The node that answered, or else the node asked.
    pub node: Option<NodeId>,
    /// What it did.
    pub op: OpKind,
    /// The key.
    pub key: String,
    /// The value written or seen; `None` is absent.
    pub value: Option<Value>,
    /// The promise asked for.
    pub consistency: Consistency,
    /// When it was about to be sent.
    pub began: Stamp,
    /// How it ended; `None`: it has not, as far as the history goes.
    pub ended: Option<Completion>,
}

impl Operation {
    /// Whether this one had ended before the other began.
    pub fn precedes(&self, other: &Self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.at.i < other.began.i)
    }
}

/// `client 3 wrote "a17" at n2 (#4 to #9, t=1.204 s to 1.206 s, 1@n1/412)`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = Shown(self.value.as_ref());
        let happened = self.ended.as_ref().is_some_and(|ended| ended.phase == Phase::Ok);
        match (self.op, happened) {
            (OpKind::Put, true) => write!(f, "client {} wrote {value}", self.client)?,
            (OpKind::Put, false) => write!(f, "client {} tried to write {value}", self.client)?,
            (OpKind::Get, true) => write!(f, "client {} read {value}", self.client)?,
            (OpKind::Get, false) => write!(f, "client {} tried to read", self.client)?,
            (OpKind::Del, true) => write!(f, "client {} deleted the key", self.client)?,
            (OpKind::Del, false) => write!(f, "client {} tried to delete the key", self.client)?,
        }
        if let Some(node) = self.node {
            write!(f, " at {node}")?;
        }
        write!(f, " (#{}", self.began.i)?;
        match &self.ended {
            Some(ended) => write!(f, " to #{}", ended.at.i)?,
            None => f.write_str(" and on")?,
        }
        // A history that tells no times has zeros.
        match (self.began.t_ns, self.ended.as_ref().map(|ended| ended.at.t_ns)) {
            (0, None | Some(0)) => {}
            (began, None) => write!(f, ", from t={}", Seconds(began))?,
            (began, Some(ended)) => write!(f, ", t={} to {}", Seconds(began), Seconds(ended))?,
        }
        let Some(ended) = &self.ended else { return f.write_str(")") };
        if let (Some(epoch), Some(seq)) = (ended.epoch, ended.seq) {
            write!(f, ", {epoch}/{seq}")?;
        }
        f.write_str(")")
    }
}

/// Nanoseconds as seconds with milliseconds.
pub(super) struct Seconds(pub(super) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 / 1_000_000;
        write!(f, "{}.{:03} s", ms / 1000, ms % 1000)
    }
}
