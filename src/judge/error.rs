//! What makes a history no history.

use super::history::{Consistency, OpKind};

/// An event that cannot follow those before it. The judge refuses it and is as it was; whoever wrote the history
/// has a fault, and what the judge says of the rest is worth no more than the history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// Indices strictly ascend.
    #[error("event {i} (client {client}) comes after event {last}: the index must ascend")]
    IndexGoesBack {
        /// The event's index.
        i: u64,
        /// Its client.
        client: u32,
        /// The highest index before it.
        last: u64,
    },
    /// Indices stay below 2^62.
    #[error("event {i} (client {client}): the index must be below 2^62")]
    IndexTooLarge {
        /// The event's index.
        i: u64,
        /// Its client.
        client: u32,
    },
    /// A reply needs a request.
    #[error("event {i}: client {client} gets a reply, but has nothing invoked")]
    ReplyWithoutInvoke {
        /// The event's index.
        i: u64,
        /// Its client.
        client: u32,
    },
    /// A client does one thing at a time.
    #[error(
        "event {i}: client {client} invokes again, but its operation of event {invoked} has no reply yet"
    )]
    InvokeWhileOutstanding {
        /// The event's index.
        i: u64,
        /// Its client.
        client: u32,
        /// The index of the invoke that has no reply.
        invoked: u64,
    },
    /// A reply belongs to its client's request.
    #[error(
        "event {i}: client {client} gets a reply about another {what} than it invoked in event {invoked}"
    )]
    ReplyMismatch {
        /// The event's index.
        i: u64,
        /// Its client.
        client: u32,
        /// The index of the invoke.
        invoked: u64,
        /// What differs: operation, key, value or consistency.
        what: &'static str,
    },
    /// A put puts something.
    #[error("event {i}: client {client} invokes a put of key {key:?} without a value")]
    PutWithoutValue {
        /// The event's index.
        i: u64,
        /// Its client.
        client: u32,
        /// The key.
        key: String,
    },
    /// Writes are async or quorum, reads eventual or quorum.
    #[error(
        "event {i}: client {client} invokes a {op:?} with consistency {consistency:?}, which there is not"
    )]
    NoSuchLevel {
        /// The event's index.
        i: u64,
        /// Its client.
        client: u32,
        /// The operation.
        op: OpKind,
        /// The consistency.
        consistency: Consistency,
    },
    /// Nothing follows the end.
    #[error("event {i} (client {client}) comes after the end of the history")]
    AfterEnd {
        /// The event's index.
        i: u64,
        /// Its client.
        client: u32,
    },
}

impl HistoryError {
    /// The index of the event that is wrong.
    pub fn i(&self) -> u64 {
        match self {
            Self::IndexGoesBack { i, .. }
            | Self::IndexTooLarge { i, .. }
            | Self::ReplyWithoutInvoke { i, .. }
            | Self::InvokeWhileOutstanding { i, .. }
            | Self::ReplyMismatch { i, .. }
            | Self::PutWithoutValue { i, .. }
            | Self::NoSuchLevel { i, .. }
            | Self::AfterEnd { i, .. } => *i,
        }
    }
}
