//! The history: what clients asked and were told, in one order. `docs/history.md` describes the file.

use serde::{Deserialize, Serialize};

use crate::types::{Epoch, NodeId};

/// One line of `history.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryEvent {
    /// The one atomic order: stamped before a request is sent and after its answer is received.
    pub i: u64,
    /// Nanoseconds since the run began.
    pub t_ns: u64,
    /// The client process; it has one operation at a time.
    pub client: u32,
    /// The node asked (on an invoke) or answering; `null` if none was reached.
    pub node: Option<NodeId>,
    /// Which part of the operation this is.
    #[serde(rename = "type")]
    pub phase: Phase,
    /// What the operation does.
    pub op: OpKind,
    /// The key.
    pub key: String,
    /// Writes: the value, unique in the history. Reads: the value seen, `null` if absent (and on the invoke).
    pub value: Option<String>,
    /// The promise asked for.
    pub consistency: Consistency,
    /// On replies: the epoch of the entry written or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// On replies: its seq.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// The part of an operation that a history event stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It is about to be sent.
    Invoke,
    /// It happened, and this is its result.
    Ok,
    /// It certainly did not happen.
    Fail,
    /// It may have happened.
    Info,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpKind {
    /// Sets the key.
    Put,
    /// Reads the key.
    Get,
    /// Removes the key.
    Del,
}

/// The promise that an operation asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// A write acknowledged when durable on the primary.
    Async,
    /// A read of one node's state.
    Eventual,
    /// A write or read with a quorum.
    Quorum,
}
