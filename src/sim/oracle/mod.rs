//! What must hold after every step, whatever happens: the promises, seen from inside.
//!
//! The oracle sees everything at once, as no member can: all disks, all logs, every message as it is sent. It keeps
//! what was true once and must stay so, and compares. Each check below has a test that doctors the state and sees it
//! fail; `docs/guarantees.md` says what each promise means.
//!
//! *Epochs* ([`epochs`])
//! * One primary per epoch: an epoch is opened once, by the member that it names, and nobody else leads it. A
//!   restart ends primacy: whoever leads has opened its epoch since its process started.
//! * A safe epoch opens by the votes of a quorum, each of them on disk.
//! * No committed entry ever leaves the lineage of a higher epoch's primary.
//! * What is committed is on the disks of a quorum, on one lineage, and a commit index never goes back.
//!
//! *Members* ([`members`])
//! * Logs of equal position are equal: one entry under each, with one before it; so is what a full resync installs.
//! * A vote, an acknowledgement and a read's answer name promises that are on disk and never go back. A member
//!   votes once per epoch number. A learner neither votes nor answers.
//! * An acknowledgement covers only what is on the disk of who acknowledges, on the lineage of the epoch it names.
//!
//! *Clients* ([`clients`])
//! * Acknowledged as durable is durable: an async write on the disk of its primary, a quorum write on those of a
//!   quorum, by as many votes.
//! * A quorum operation never returns an older version than one that had been returned before it began.
//! * An eventual read is served within both bounds of staleness, and returns what was written.
//! * In the end all members are equal, every acknowledged write is there or in a rollback file, and what was refused
//!   is nowhere.

mod clients;
mod epochs;
mod members;
#[cfg(test)]
#[path = "../tests/oracle.rs"]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::replication::{DiskJob as Job, RequestId};
use crate::types::{Command, Epoch, Lineage, NodeId, Op, Position, Time, WriteLevel};

use super::cluster::{Cluster, ClusterEvent};
use super::node::SimNode;

/// A promise broken, in words.
pub(crate) type BrokenPromise = String;

/// An acknowledged write.
#[derive(Clone, Debug)]
struct Acknowledged {
    at: Position,
    level: WriteLevel,
    key: Bytes,
}

/// What a request asked, until it is answered.
#[derive(Clone, Debug)]
struct Asked {
    command: Command,
    /// The highest version of the key that any quorum operation had returned before this one began.
    floor: Position,
}

/// What a member last heard of a primary.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    at: Time,
    epoch: Epoch,
    /// The last seq that the last heartbeat named.
    last: u64,
}

/// What was true once and must stay so.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    quorum: usize,
    /// A forced promotion voids what is promised of committed writes.
    forced: bool,
    /// Who opened each epoch, and the lineage of its log.
    epochs: BTreeMap<Epoch, Lineage>,
    opened: BTreeMap<Epoch, NodeId>,
    /// What stands under each position, and what stands before it.
    entries: BTreeMap<Position, (Op, Position)>,
    /// The last position known to be committed, and the lineage up to it.
    committed: (Position, Lineage),
    /// The last position known to be committed in each epoch. A candidate that learns late of its majority opens an
    /// epoch below the present one: it need hold only what was committed in epochs below its own.
    committed_in: BTreeMap<Epoch, Position>,
    /// Whom each member voted for under each number.
    granted: BTreeMap<(NodeId, u64), Epoch>,
    /// The highest epoch that each member has let others know that it promised.
    shown: BTreeMap<NodeId, Epoch>,
    /// Each member's commit index since its last start.
    commits: BTreeMap<NodeId, u64>,
    /// When each member last heard a primary.
    heard: BTreeMap<NodeId, Heard>,
    /// The epoch that each member leads, opened by its present process.
    leads: BTreeMap<NodeId, Epoch>,
    asked: BTreeMap<RequestId, Asked>,
    /// For each key, the highest version that a quorum operation has returned.
    returned: BTreeMap<Bytes, Position>,
    acknowledged: Vec<Acknowledged>,
    /// Values whose writes were refused.
    refused: Vec<(Bytes, RequestId)>,
    wiped: bool,
    /// What wiped and torn disks held: an acknowledgement of it may have been under way.
    ghosts: Vec<(NodeId, Lineage, u64)>,
    /// The last entries of logs that were torn: on that disk they are gone.
    torn_off: Vec<Position>,
}

impl Oracle {
    /// Nothing has happened.
    pub(crate) fn new(quorum: usize) -> Self {
        Self { quorum, ..Self::default() }
    }

    /// A member's disk is about to be wiped: what it has shown to others no longer binds it.
    pub(crate) fn wiped(&mut self, node: &SimNode) {
        let id = node.id();
        self.wiped = true;
        self.ghosts.push((id, node.disk.lineage().clone(), node.disk.last().seq));
        self.shown.remove(&id);
        self.granted.retain(|(voter, _), _| *voter != id);
    }

    /// The last record of a member's log is about to be torn: it forgets an acknowledgement, and no promise.
    pub(crate) fn torn(&mut self, node: &SimNode) {
        let (lineage, last) = (node.disk.lineage().clone(), node.disk.last());
        self.torn_off.push(last);
        self.ghosts.push((node.id(), lineage, last.seq));
    }

    /// Takes in what one step made happen.
    pub(crate) fn observe(
        &mut self,
        cluster: &Cluster,
        events: &[ClusterEvent],
    ) -> Result<(), BrokenPromise> {
        // What was appended first: an epoch is told of before its no-op is written.
        let appends = |event: &&ClusterEvent| matches!(event, ClusterEvent::Submitted { .. });
        events.iter().filter(appends).try_for_each(|event| self.one(cluster, event))?;
        events.iter().filter(|event| !appends(event)).try_for_each(|event| self.one(cluster, event))?;
        let touched = events.iter().filter_map(stepped).fold(0_u16, |all, id| all | 1 << id.0);
        (1..=9).map(NodeId).filter(|id| touched >> id.0 & 1 == 1).try_for_each(|id| self.state(cluster, id))
    }

    fn one(&mut self, cluster: &Cluster, event: &ClusterEvent) -> Result<(), BrokenPromise> {
        match event {
            ClusterEvent::ContractBroken { node, what } => Err(format!("{node} {what}")),
            ClusterEvent::Started { node } => {
                self.commits.remove(node);
                self.heard.remove(node);
                self.leads.remove(node);
                Ok(())
            }
            ClusterEvent::Crashed { .. } | ClusterEvent::Ticked { .. } => Ok(()),
            ClusterEvent::Sent { link, message, .. } => self.sent(cluster, *link, message),
            ClusterEvent::Received { link, message } => {
                self.received(cluster, *link, message);
                Ok(())
            }
            ClusterEvent::Submitted { node, job } => match &**job {
                Job::Append { entries, .. } => self.appended(cluster.node(*node), entries),
                _ => Ok(()),
            },
            ClusterEvent::Durable { node, job } => match &**job {
                Job::InstallCommit { .. } => self.installed(cluster.node(*node)),
                _ => Ok(()),
            },
            ClusterEvent::Requested { request, command, .. } => {
                self.ask(*request, command);
                Ok(())
            }
            ClusterEvent::Lost { request, .. } => {
                self.asked.remove(request);
                Ok(())
            }
            ClusterEvent::Replied { node, request, reply } => self.replied(cluster, *node, *request, reply),
            ClusterEvent::StateChanged { node, event } => self.state_changed(cluster, *node, event),
        }
    }

    /// Whether anybody was promoted by force.
    pub(crate) fn is_forced(&self) -> bool {
        self.forced
    }

    /// The last position known to be committed.
    pub(crate) fn committed(&self) -> Position {
        self.committed.0
    }

    /// How many epochs were opened.
    pub(crate) fn epochs_opened(&self) -> usize {
        self.opened.len()
    }
}

/// Whether the log on a member's disk has a position.
fn holds(node: &SimNode, at: Position) -> bool {
    node.disk.lineage().contains(at, node.disk.last().seq)
}

/// The member whose core an event moved.
fn stepped(event: &ClusterEvent) -> Option<NodeId> {
    match event {
        ClusterEvent::Started { node }
        | ClusterEvent::Submitted { node, .. }
        | ClusterEvent::Durable { node, .. }
        | ClusterEvent::Requested { node, .. }
        | ClusterEvent::Replied { node, .. }
        | ClusterEvent::Ticked { node }
        | ClusterEvent::StateChanged { node, .. } => Some(*node),
        ClusterEvent::Sent { link, .. } => Some(link.0),
        ClusterEvent::Received { link, .. } => Some(link.1),
        ClusterEvent::Crashed { .. } | ClusterEvent::Lost { .. } | ClusterEvent::ContractBroken { .. } => {
            None
        }
    }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> BrokenPromise) -> Result<(), BrokenPromise> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
