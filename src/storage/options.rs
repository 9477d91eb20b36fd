//! How a store is opened.

use std::time::Duration;

use crate::replication::Promise;
use crate::types::NodeId;

/// When a segment is closed unless told otherwise.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// No segment is asked to grow larger; a place in one is 32 bits.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// When an entry counts as durable: `always | interval | os`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When its batch is synced (default). Survives a loss of power.
    #[default]
    Always,
    /// When it is written; synced at least this often. Survives the end of the process.
    Interval(Duration),
    /// When it is written; the system syncs when it likes. Survives the end of the process.
    Os,
}

/// How to open a store.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whose store it is. Another member's is refused.
    pub node: NodeId,
    /// When an entry counts as durable.
    pub durability: Durability,
    /// A segment is closed when it has grown past this; at most [`SEGMENT_BYTES_MAX`].
    pub segment_bytes: u64,
    /// What a store that is created has promised: in its very first meta file, so that no crash can come between.
    pub first_promise: Promise,
    /// The cluster has no other member. If such a store has lost what was synced, it does not become a learner: there is
    /// nobody to learn from.
    pub alone: bool,
}

impl Options {
    /// The defaults for a node.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            durability: Durability::default(),
            segment_bytes: SEGMENT_BYTES,
            first_promise: Promise::default(),
            alone: false,
        }
    }
}
