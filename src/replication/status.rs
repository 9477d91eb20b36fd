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
    /// How often this node has brought others up to date, or was, since it started.
    #[serde(default)]
    pub resyncs: Resyncs,
    /// At a primary: each other member.
    pub peers: Vec<PeerStatus>,
    /// The mistakes that it makes on purpose.
    #[serde(default, skip_serializing_if = "Quirks::is_empty")]
    pub quirks: Quirks,
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

impl Core {
    /// Every member as this node knows it, ascending.
    pub fn members(&self, now: Time) -> Vec<MemberStatus> {
        let (own, primary) = (self.status(now).role, self.primary());
        let learner = |id: NodeId| match &self.role {
            RoleState::Primary(primary) => primary.peers.get(&id).is_some_and(|peer| peer.learner),
            RoleState::Replica(_) | RoleState::Candidate(_) => false,
        };
        let role = |id: NodeId| match primary {
            _ if id == self.config.id => Some(own),
            Some(primary) if primary == id => Some(Role::Primary),
            Some(_) if learner(id) => Some(Role::Learner),
            Some(_) => Some(Role::Replica),
            None => None,
        };
        let status = |&id: &NodeId| MemberStatus {
            id,
            role: role(id),
            connected: id == self.config.id || self.links.get(&id).copied().unwrap_or(false),
            heard_ms: self.heard.get(&id).map(|&at| millis(now.saturating_sub(at))),
        };
        self.config.members.iter().map(status).collect()
    }

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
            resyncs: self.resyncs,
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
