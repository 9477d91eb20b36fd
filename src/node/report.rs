//! What a node tells its watchers.

use serde::{Deserialize, Serialize};

use crate::replication::{Event, Quirks, Status};

/// One thing that a watcher is told; travels as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "lowercase")]
pub enum Report {
    /// The state at one moment.
    Status(NodeStatus),
    /// A change of state.
    Event {
        /// Milliseconds since the node started.
        uptime_ms: u64,
        /// What changed.
        event: Event,
    },
    /// Anything else worth telling: a torn tail was cut, a disk was slow, reports were skipped.
    Notice {
        /// Milliseconds since the node started.
        uptime_ms: u64,
        /// One sentence.
        text: String,
    },
}

/// A node's state at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// What the core knows.
    #[serde(flatten)]
    pub replication: Status,
    /// Entries made durable in the last second.
    pub applied_per_s: u64,
    /// Client connections open.
    pub connections: u32,
    /// Keys in the index, tombstones not counted.
    pub keys: u64,
    /// Bytes of all segments.
    pub log_bytes: u64,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
    /// Its process.
    pub pid: u32,
}

/// The line that a node prints on standard output when its ports are bound and its log is recovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Always true; tells this line from others.
    pub ready: bool,
    /// The node.
    pub node: crate::replication::NodeId,
    /// Its process.
    pub pid: u32,
    /// Where it takes clients: `address:port`.
    pub client: String,
    /// Where it takes members: `address:port`.
    pub peer: String,
    /// The program's version.
    pub version: String,
    /// The mistakes that it makes on purpose.
    #[serde(default, skip_serializing_if = "Quirks::is_empty")]
    pub quirks: Quirks,
}
