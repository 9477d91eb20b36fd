//! What can be done to a [`World`]: each fault, and what undoes it, as a verb.

use std::time::Duration;

use crate::replication::{NodeId, Role};
use crate::storage::Loss;

use super::disk::Crash;
use super::node::SimNode;
use super::world::{Ask, World};

/// Disk operations of a batch that a crash may cut off: a full resync has some dozens, an append two.
const OPERATIONS_MAX: u64 = 30;

/// How a member's process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It is killed; what it has written stays written.
    Kill,
    /// The power goes: whatever was not synced is lost.
    Power,
    /// The power goes, and of what was not synced some survives, torn at any byte.
    Torn,
}

impl<T> World<T> {
    /// Starts a member's process on what its disk holds.
    ///
    /// # Errors
    /// If it breaks a promise at once.
    ///
    /// # Panics
    /// If it is running, or its disk holds what storage cannot read.
    pub fn start(&mut self, node: NodeId) -> Result<(), String> {
        self.start_process(node)
    }

    /// A member's process dies in the midst of what its disk is at.
    ///
    /// # Errors
    /// If that breaks a promise.
    pub fn kill(&mut self, node: NodeId, death: Death) -> Result<(), String> {
        let jobs = self.cluster.node(node).jobs().len() as u64;
        let crash = Crash {
            survivors: if self.dice.chance(500) { 0 } else { self.dice.between(0, jobs) as usize },
            torn: self.operations() as usize,
            loss: match death {
                Death::Kill => Loss::Nothing,
                Death::Power => Loss::Whole,
                Death::Torn => Loss::Torn,
            },
            again: self.dice.chance(100).then(|| self.operations() as usize),
        };
        self.note(|| format!("{node} dies: {death:?}"));
        self.cluster.crash(node, crash);
        self.look()
    }

    /// A member's process ends in order.
    ///
    /// # Errors
    /// If that breaks a promise.
    pub fn stop(&mut self, node: NodeId) -> Result<(), String> {
        self.note(|| format!("{node} is told to end"));
        self.cluster.stop(node);
        self.look()
    }

    /// A member's process is stopped for a while.
    pub fn pause(&mut self, node: NodeId) {
        self.note(|| format!("pause {node}"));
        self.cluster.node_mut(node).set_paused(true);
    }

    /// It goes on.
    pub fn resume(&mut self, node: NodeId) {
        self.note(|| format!("resume {node}"));
        self.resume_process(node);
    }

    /// A member's process dies, and its disk is lost with it.
    ///
    /// # Errors
    /// If that breaks a promise.
    pub fn wipe(&mut self, node: NodeId) -> Result<(), String> {
        if self.is_running(node) {
            self.cluster.crash(node, Crash::CLEAN);
            self.look()?;
        }
        self.note(|| format!("wipe {node}"));
        self.oracle.wiped(self.cluster.node(node));
        self.cluster.node_mut(node).wipe();
        self.counts.wipes += 1;
        Ok(())
    }

    /// A member drops its tombstones. Returns whether its storage can.
    pub fn cleanup(&mut self, node: NodeId) -> bool {
        let cleaned = self.cluster.node_mut(node).disk_mut().cleanup();
        if cleaned {
            self.note(|| format!("{node} drops tombstones"));
        }
        cleaned
    }

    /// Silence on a link, until it is healed.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.note(|| format!("cut {from} → {to}"));
        self.cluster.network_mut().cut((from, to));
    }

    /// Everything on a link takes longer, until it is healed.
    pub fn slow(&mut self, from: NodeId, to: NodeId, delay: Duration, jitter: Duration) {
        self.note(|| format!("slow {from} → {to} by {delay:?} to {:?}", delay + jitter));
        self.cluster.network_mut().heal((from, to));
        self.slow.insert((from, to), (delay, jitter));
    }

    /// A link is as it was.
    pub fn heal(&mut self, from: NodeId, to: NodeId) {
        self.note(|| format!("heal {from} → {to}"));
        self.cluster.network_mut().heal((from, to));
        self.slow.remove(&(from, to));
    }

    /// All links are as they were.
    pub fn heal_all(&mut self) {
        self.note(|| "heal all".to_owned());
        self.cluster.network_mut().heal_all();
        self.slow.clear();
    }

    /// Somebody on the spot asks a member whose process runs; no network is between.
    ///
    /// # Errors
    /// If what comes of it breaks a promise.
    pub fn ask_on_the_spot(&mut self, ask: Ask) -> Result<(), String> {
        self.request(ask);
        self.look()
    }

    /// Whether a member's process exists.
    pub fn is_running(&self, node: NodeId) -> bool {
        self.cluster.node(node).is_running()
    }

    /// Whether it is stopped for a while.
    pub fn is_paused(&self, node: NodeId) -> bool {
        self.cluster.node(node).is_paused()
    }

    /// How often it has been started: names its process.
    pub fn starts(&self, node: NodeId) -> u64 {
        self.cluster.node(node).starts()
    }

    /// Whether a link is cut.
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cluster.network().is_cut((from, to))
    }

    /// Every live key of a member and its value, as its disk has it.
    pub fn contents(&self, node: NodeId) -> std::collections::BTreeMap<bytes::Bytes, bytes::Bytes> {
        self.cluster.node(node).disk().contents()
    }

    /// Whether one more disk may be wiped: never those of more than a minority at a time.
    pub(super) fn may_wipe(&self) -> bool {
        let lost = |node: &&SimNode| {
            let learner = self.cluster.status(node.id()).is_some_and(|s| s.role == Role::Learner);
            (node.is_wiped() && !node.is_running()) || learner || node.disk().promise().learner
        };
        self.cluster.nodes().filter(lost).count() < (self.cluster.ids().len() - 1) / 2
    }

    /// How far a batch comes: often not far.
    fn operations(&mut self) -> u64 {
        let most = self.dice.pick(&[2, 8, OPERATIONS_MAX]);
        self.dice.between(0, most)
    }
}
