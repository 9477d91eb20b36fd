//! Why events are no history: what an event can have wrong after those before it.

use std::fmt;

use super::history::{Consistency, OpKind};

/// An event that cannot follow those before it. The judge refuses it and is as it was; whoever wrote the history
/// has a fault, and what the judge says of the rest is worth no more than the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryError {
    /// The event's index.
    pub i: u64,
    /// Its client.
    pub client: u32,
    /// What is wrong with it.
    pub fault: HistoryFault,
}

/// Why an event cannot follow those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryFault {
    /// Indices strictly ascend.
    IndexGoesBack {
        /// The highest index before it.
        last: u64,
    },
    /// Indices stay below 2^62.
    IndexTooLarge,
    /// A reply needs a request.
    ReplyWithoutInvoke,
    /// A client does one thing at a time.
    InvokeWhileOutstanding {
        /// The index of the invoke that has no reply.
        invoked: u64,
    },
    /// A reply belongs to its client's request.
    ReplyMismatch {
        /// The index of the invoke.
        invoked: u64,
        /// What differs: operation, key, value or consistency.
        what: &'static str,
    },
    /// A put puts something.
    PutWithoutValue {
        /// The key.
        key: String,
    },
    /// Writes are async or quorum, reads eventual or quorum.
    NoSuchLevel {
        /// The operation.
        op: OpKind,
        /// The consistency.
        consistency: Consistency,
    },
    /// Nothing follows the end.
    AfterEnd,
}

impl std::error::Error for HistoryError {}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { i, client, fault } = self;
        match fault {
            HistoryFault::IndexGoesBack { last } => {
                write!(f, "event {i} (client {client}) comes after event {last}: the index must ascend")
            }
            HistoryFault::IndexTooLarge => {
                write!(f, "event {i} (client {client}): the index must be below 2^62")
            }
            HistoryFault::ReplyWithoutInvoke => {
                write!(f, "event {i}: client {client} gets a reply, but has nothing invoked")
            }
            HistoryFault::InvokeWhileOutstanding { invoked } => write!(
                f,
                "event {i}: client {client} invokes again, but its operation of event {invoked} has no reply yet"
            ),
            HistoryFault::ReplyMismatch { invoked, what } => write!(
                f,
                "event {i}: client {client} gets a reply about another {what} than it invoked in event {invoked}"
            ),
            HistoryFault::PutWithoutValue { key } => {
                write!(f, "event {i}: client {client} invokes a put of key {key:?} without a value")
            }
            HistoryFault::NoSuchLevel { op, consistency } => write!(
                f,
                "event {i}: client {client} invokes a {op:?} with consistency {consistency:?}, which there is not"
            ),
            HistoryFault::AfterEnd => {
                write!(f, "event {i} (client {client}) comes after the end of the history")
            }
        }
    }
}
