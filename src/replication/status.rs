//! The core's state as a watcher sees it.

use super::core::{Core, RoleState};
use super::primary::Primary;
use super::progress::{Progress, Stream};
use crate::types::{MemberStatus, NodeId, PeerStatus, Role, Status, Time};

impl Core {
    /// Every member as this node knows it, ascending.
    pub fn members(&self, now: Time) -> Vec<MemberStatus> {
        let (own, primary) = (self.status(now).role, self.primary());
        let learner = |id: NodeId| match &self.role {
            RoleState::Primary(primary) => primary.peers.get(&id).is_some_and(|peer| peer.learner.is_some()),
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
            backlog: self.log.backlog.status(now),
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
