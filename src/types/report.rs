//! What a node tells its watchers.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::position::{NodeId, Position};
use super::quirks::Quirks;
use super::status::Status;

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
    /// What they are used for, and what cleanup does about it.
    #[serde(default)]
    pub disk: Box<DiskStatus>,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
    /// Its process.
    pub pid: u32,
}

impl NodeStatus {
    /// What the core knows, of a process of which nothing is known.
    pub fn new(replication: Status) -> Self {
        Self {
            replication,
            applied_per_s: 0,
            connections: 0,
            keys: 0,
            log_bytes: 0,
            disk: Box::default(),
            uptime_ms: 0,
            pid: 0,
        }
    }
}

/// How a node's disk is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskStatus {
    /// Bytes of records that hold a key's value.
    pub live_bytes: u64,
    /// How much of the log is garbage (overwritten values, tombstones, no-ops), in percent.
    pub garbage_percent: u8,
    /// Segments of the log, the one that is written to among them.
    pub segments: u64,
    /// The cleanup under way: bytes gone through, and to go through in all.
    pub cleanup: Option<(u64, u64)>,
    /// How many cleanups have ended since the node started.
    pub cleanups: u64,
    /// How the last of them ended.
    pub last_cleanup: Option<LastCleanup>,
    /// Values that are not the ones that were written.
    #[serde(default)]
    pub damage: DamageStatus,
    /// How far the search for them is.
    #[serde(default)]
    pub scrub: ScrubStatus,
}

/// Damaged values of a node. A value that nobody needs any more does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamageStatus {
    /// How many there are now, as far as is known.
    pub now: u64,
    /// How many were found since the node started.
    pub found: u64,
    /// How many of these got their right value back from another member.
    pub repaired: u64,
    /// How often one was met that there was no room to list. It is refused all the same, and is listed when there is room.
    pub unlisted: u64,
    /// Some of those that there are now, oldest version first; at most [`DamageStatus::SHOWN_MAX`].
    pub some: Vec<ShownDamage>,
}

/// A damaged value, as a status shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownDamage {
    /// Its version.
    pub at: Position,
    /// Its key, as text.
    pub key: String,
    /// The file, relative to the data directory.
    pub file: String,
    /// The byte of the file at which its record begins.
    pub offset: u64,
}

/// The background search for damage, round after round through the closed segments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubStatus {
    /// Bytes a second; 0: it is off.
    pub rate: u64,
    /// The round under way: bytes gone through, and to go through in all. `None`: it pauses between two, or is off.
    pub round: Option<(u64, u64)>,
    /// Whole rounds since the node started.
    pub rounds: u64,
    /// Milliseconds since the last whole round ended.
    pub ended_ms_ago: Option<u64>,
}

impl DamageStatus {
    /// A status shows so many at most.
    pub const SHOWN_MAX: usize = 8;
}

/// How a cleanup ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCleanup {
    /// Bytes of the segments that it replaced.
    pub before: u64,
    /// Bytes of those in their place.
    pub after: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Why it was given up before its end, if it was.
    pub given_up: Option<String>,
    /// Segments that were left as they are, since a value in them is damaged and not repaired yet.
    #[serde(default)]
    pub left_damaged: u64,
}

/// The line that a node prints on standard output when its ports are bound and its log is recovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Always true; tells this line from others.
    pub ready: bool,
    /// The node.
    pub node: NodeId,
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
