//! What a node says of itself, in words that every engine has.
//!
//! The rest of the lab decides and draws by this and never by an engine's own status. What only one engine has is an
//! extension ([`NodeState::kvlab`]), for whoever wants to show it where it is there.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use kvlab::replication::PRIMARY_ALIVE_FOR;
use kvlab::types::{BacklogStatus, Epoch, NodeId, NodeStatus, Position, Quirks, Resyncs, Role};
use serde::{Deserialize, Serialize};

/// Who has not been heard for longer than this is no longer taken to be there.
pub const HEARD_WITHIN: Duration = PRIMARY_ALIVE_FOR;

/// A node's state at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// The node.
    pub node: NodeId,
    /// Its process.
    pub pid: u32,
    /// Its part.
    pub role: Role,
    /// The term that it leads or follows.
    pub term: Term,
    /// The primary that it follows, or itself; `None`: it knows none.
    pub primary: Option<NodeId>,
    /// Where its log ends, durable or not.
    pub last: Place,
    /// The index up to which its log is durable.
    pub durable: u64,
    /// The index up to which it knows its log to be committed; `None`: the engine does not say.
    pub commit: Option<u64>,
    /// Operations behind the primary; `None` at a primary, and where it is not known.
    pub lag: Option<u64>,
    /// Milliseconds since the primary was last heard; `None` at a primary, and where none was heard.
    pub heard_ms: Option<u64>,
    /// Whether it refuses eventual reads because it is behind.
    pub stale: bool,
    /// Whether its disk has no room.
    pub disk_full: bool,
    /// Values on its disk that are damaged and not repaired yet.
    pub damaged: u64,
    /// Progress of a full resync that it receives: bytes so far and in all.
    pub resync: Option<(u64, u64)>,
    /// At a primary: each other member.
    pub peers: Vec<Peer>,
    /// Keys that it holds.
    pub keys: u64,
    /// Bytes of its log.
    pub log_bytes: u64,
    /// Client connections open.
    pub connections: u32,
    /// Entries made durable in the last second.
    pub applied_per_s: u64,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// What only kvlab's own node says.
    pub kvlab: Option<Kvlab>,
}

/// What a primary says of another member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The member.
    pub node: NodeId,
    /// Whether the connection to it stands.
    pub connected: bool,
    /// Milliseconds since anything was heard from it; `None` if nothing ever was.
    pub heard_ms: Option<u64>,
}

impl NodeState {
    /// Entries in its log that it does not know to be committed; 0 if the engine does not say.
    pub fn uncommitted(&self) -> u64 {
        self.commit.map_or(0, |commit| self.last.index.saturating_sub(commit))
    }

    /// Whether it has heard from its primary lately.
    pub fn hears_primary(&self) -> bool {
        heard_lately(self.heard_ms)
    }
}

impl Peer {
    /// Whether it is connected and was heard lately.
    pub fn is_heard(&self) -> bool {
        self.connected && heard_lately(self.heard_ms)
    }
}

fn heard_lately(ms: Option<u64>) -> bool {
    ms.is_some_and(|ms| u128::from(ms) <= HEARD_WITHIN.as_millis())
}

/// What only kvlab's own node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kvlab {
    /// The highest term that it has promised, by a vote or by following.
    pub promised: Term,
    /// How often it has brought others up to date, or was, since it started.
    pub resyncs: Resyncs,
    /// How far back its backlog reaches.
    pub backlog: BacklogStatus,
    /// The mistakes that it makes on purpose.
    pub quirks: Quirks,
}

/// A leadership as an engine counts it: an epoch, a term, a configuration. Ordered; prints as the engine prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Its place among all terms of the run.
    pub order: u128,
    /// As the engine writes it.
    pub text: String,
    /// The member that leads it, where the engine's own words say so.
    pub leader: Option<NodeId>,
}

/// A place in a log. Ordered by term first. Prints as `1@n1/412`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The term in which the entry was written.
    pub term: Term,
    /// The entry's number in its log.
    pub index: u64,
}

impl From<&NodeStatus> for NodeState {
    fn from(status: &NodeStatus) -> Self {
        let own = &status.replication;
        let peer = |peer: &kvlab::types::PeerStatus| Peer {
            node: peer.id,
            connected: peer.connected,
            heard_ms: peer.heard_ms,
        };
        Self {
            node: own.id,
            pid: status.pid,
            role: own.role,
            term: own.epoch.into(),
            primary: own.primary,
            last: own.last.into(),
            durable: own.durable,
            commit: Some(own.commit),
            lag: own.lag,
            heard_ms: own.heard_ms,
            stale: own.stale,
            disk_full: own.disk_full,
            damaged: status.disk.damage.now,
            resync: own.resync,
            peers: own.peers.iter().map(peer).collect(),
            keys: status.keys,
            log_bytes: status.log_bytes,
            connections: status.connections,
            applied_per_s: status.applied_per_s,
            uptime_ms: status.uptime_ms,
            kvlab: Some(Kvlab {
                promised: own.promised.into(),
                resyncs: own.resyncs,
                backlog: own.backlog,
                quirks: own.quirks,
            }),
        }
    }
}

impl From<Epoch> for Term {
    fn from(epoch: Epoch) -> Self {
        let leader = (epoch.number > 0 && epoch.node != NodeId::NONE).then_some(epoch.node);
        let order = (u128::from(epoch.number) << 8) | u128::from(epoch.node.0);
        Self { order, text: epoch.to_string(), leader }
    }
}

impl From<Position> for Place {
    fn from(at: Position) -> Self {
        Self { term: at.epoch.into(), index: at.seq }
    }
}

impl Ord for Term {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order)
    }
}

impl PartialOrd for Term {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.term, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_and_places_are_ordered_and_printed_as_epochs_and_positions_are() {
        let epochs = [
            Epoch::ZERO,
            Epoch::new(1, NodeId(1)),
            Epoch::new(1, NodeId(2)),
            Epoch::new(u64::MAX, NodeId(1)),
        ];
        let places: Vec<Position> =
            epochs.iter().flat_map(|epoch| [1, 2].map(|seq| Position::new(*epoch, seq))).collect();
        for a in &places {
            assert_eq!(Place::from(*a).to_string(), a.to_string());
            for b in &places {
                assert_eq!(Place::from(*a).cmp(&Place::from(*b)), a.cmp(b), "{a} against {b}");
            }
        }
        assert_eq!(Term::from(Epoch::ZERO).leader, None);
    }
}
