//! The core's state as a watcher sees it.

use serde::{Deserialize, Serialize};

use super::core::{Core, RoleState};
use super::primary::Primary;
use super::progress::{Progress, Stream};
use super::quirks::Quirks;
use super::types::{Epoch, NodeId, Position, Time};

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
    /// Its disk was wiped: follows, but neither votes nor counts.
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
    /// At a primary: each other member.
    pub peers: Vec<PeerStatus>,
    /// The mistakes that it makes on purpose.
    #[serde(default, skip_serializing_if = "Quirks::is_empty")]
    pub quirks: Quirks,
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

impl Core {
    /// What a watcher sees.
    pub fn status(&self, now: Time) -> Status {
        let (role, peers) = match &self.role {
            RoleState::Primary(primary) => (Role::Primary, self.peers(primary, now)),
            RoleState::Candidate(_) => (Role::Candidate, Vec::new()),
            RoleState::Replica(_) if self.promise.learner => (Role::Learner, Vec::new()),
            RoleState::Replica(_) => (Role::Replica, Vec::new()),
        };
        let replica = self.replica();
        let heard_at = replica.and_then(|replica| replica.heartbeat).map(|(at, _)| at);
        Status {
            id: self.config.id,
            role,
            epoch: self.epoch(),
            promised: self.promise.epoch,
            primary: self.primary(),
            last: self.log.last,
            durable: self.log.durable,
            commit: self.commit,
            lag: self.lag(),
            heard_ms: heard_at.map(|at| millis(now.saturating_sub(at))),
            stale: replica.is_some_and(|replica| replica.stale),
            disk_full: self.disk_full,
            resync: self.install.as_ref().map(|install| (install.bytes, install.bytes_total)),
            peers,
            quirks: self.config.quirks,
        }
    }

    fn peers(&self, primary: &Primary, now: Time) -> Vec<PeerStatus> {
        let status = |(&id, peer): (&NodeId, &Progress)| PeerStatus {
            id,
            acked: peer.acked,
            lag: self.log.last.seq.saturating_sub(peer.acked),
            heard_ms: self.heard.get(&id).map(|&at| millis(now.saturating_sub(at))),
            connected: self.links.get(&id).copied().unwrap_or(false),
            resyncing: matches!(peer.stream, Stream::Snapshot(_)),
        };
        primary.peers.iter().map(status).collect()
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    duration.as_millis() as u64
}
