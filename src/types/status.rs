//! Statuses: a member's state of replication at one moment, and what it knows of the others.

use serde::{Deserialize, Serialize};

use super::position::{Epoch, NodeId, Position};
use super::quirks::Quirks;

/// A node's part in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows a primary, or waits for one.
    Replica,
    /// Asks for votes.
    Candidate,
    /// It has lost what it had acknowledged (its disk was wiped, or its log torn): follows, but neither votes nor counts.
    Learner,
}

/// A node's replication state at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The node.
    pub id: NodeId,
    /// Its part.
    pub role: Role,
    /// The epoch that it leads or follows; `0@n0` if none yet.
    pub epoch: Epoch,
    /// The highest epoch that it has promised.
    pub promised: Epoch,
    /// The primary that it follows or is.
    pub primary: Option<NodeId>,
    /// Where its log ends, durable or not.
    pub last: Position,
    /// The highest durable seq.
    pub durable: u64,
    /// The highest seq that it knows to be committed.
    pub commit: u64,
    /// Operations behind the primary as of the last heartbeat; `None` at a primary, and where none was heard.
    pub lag: Option<u64>,
    /// Milliseconds since the primary was last heard; `None` at a primary, and where none was heard.
    pub heard_ms: Option<u64>,
    /// Whether eventual reads are refused here.
    pub stale: bool,
    /// Whether the disk has no room: a primary refuses writes, a replica takes no more entries.
    #[serde(default)]
    pub disk_full: bool,
    /// Progress of a full resync being received: bytes so far and in all.
    pub resync: Option<(u64, u64)>,
    /// How often this node has brought others up to date, or was, since it started.
    #[serde(default)]
    pub resyncs: Resyncs,
    /// The newest entries, kept in memory for members that were away.
    #[serde(default)]
    pub backlog: BacklogStatus,
    /// At a primary: each other member.
    pub peers: Vec<PeerStatus>,
    /// The mistakes that it makes on purpose.
    #[serde(default, skip_serializing_if = "Quirks::is_empty")]
    pub quirks: Quirks,
}

impl Status {
    /// The status of a member with nothing in its log that has heard of nobody.
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            role: Role::Replica,
            epoch: Epoch::ZERO,
            promised: Epoch::ZERO,
            primary: None,
            last: Position::ZERO,
            durable: 0,
            commit: 0,
            lag: None,
            heard_ms: None,
            stale: false,
            disk_full: false,
            resync: None,
            resyncs: Resyncs::default(),
            backlog: BacklogStatus::default(),
            peers: Vec::new(),
            quirks: Quirks::NONE,
        }
    }
}

/// How often replicas came back, and at what price. Counted since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resyncs {
    /// As a primary: replicas brought up to date from the backlog after a silence. An empty log's first entries do
    /// not count.
    pub partial: u64,
    /// As a primary: full resyncs begun.
    pub full: u64,
    /// As a replica: full resyncs installed.
    pub installed: u64,
}

/// How far back a backlog reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BacklogStatus {
    /// Bytes of memory that its entries take.
    pub bytes: u64,
    /// Its bound in bytes: a full backlog holds between this and twice as much.
    pub bytes_max: u64,
    /// The longest absence, in milliseconds, that it covers at the rate of the last ten seconds. `None`: nothing was
    /// written in them.
    pub covers_ms: Option<u64>,
}

/// What a primary knows of another member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The member.
    pub id: NodeId,
    /// The highest seq that it has acknowledged in this epoch.
    pub acked: u64,
    /// Operations that it has not acknowledged.
    pub lag: u64,
    /// Milliseconds since anything was heard from it; `None` if nothing ever was.
    pub heard_ms: Option<u64>,
    /// Whether the connection to it stands.
    pub connected: bool,
    /// Whether it is being sent the whole state.
    pub resyncing: bool,
}

/// What a node knows of one member, itself included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// The member.
    pub id: NodeId,
    /// Its part, as this node knows it. Of others it knows who is primary, and a primary knows its learners; whoever
    /// else there is, is a replica. `None` while it knows of no primary.
    pub role: Option<Role>,
    /// Whether this node's connection to it stands; of itself: true.
    pub connected: bool,
    /// Milliseconds since anything was heard from it; `None` if nothing ever was, and of itself.
    pub heard_ms: Option<u64>,
}
