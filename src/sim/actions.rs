//! What can be done to a [`World`]: each fault, and what undoes it.
//!
//! An error is a promise that was broken by what was done, in words. The world is of no use then.

use std::time::Duration;

use crate::storage::{Durability, Loss};
use crate::types::{NodeId, Role};

use super::disk::Crash;
use super::member_event::MemberEventKind;
use super::node::SimNode;
use super::world::{ClientRequest, World};

/// Disk operations of a batch that a crash may cut off: a full resync has some dozens, an append two.
const OPERATIONS_MAX: u64 = 30;

/// How a member's process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashKind {
    /// It is killed; what it has written stays written.
    Kill,
    /// The power goes: whatever was not synced is lost.
    Power,
    /// The power goes, and of what was not synced some survives, torn at any byte.
    Torn,
}

impl<T> World<T> {
    /// A member's process dies in the midst of what its disk is at.
    pub fn kill(&mut self, node: NodeId, death: CrashKind) -> Result<(), String> {
        let jobs = self.cluster.node(node).jobs().len() as u64;
        let crash = Crash {
            survivors: if self.dice.chance(500) { 0 } else { self.dice.between(0, jobs) as usize },
            torn: self.operations() as usize,
            loss: match death {
                CrashKind::Kill => Loss::Nothing,
                CrashKind::Power => Loss::Whole,
                CrashKind::Torn => Loss::Torn,
            },
            cleaning: self.status(node).map(|status| status.commit).filter(|_| self.dice.chance(100)),
            again: self.dice.chance(100).then(|| self.operations() as usize),
        };
        self.note(|| format!("{node} dies: {death:?}"));
        self.cluster.crash(node, crash);
        self.look()
    }

    /// The power of a member's machine goes, whether its process runs or not: exactly what was not synced is lost. In
    /// the modes that do not sync each batch that takes what was acknowledged, as `docs/guarantees.md` says: then only
    /// what the clients see is judged.
    pub fn lose_power(&mut self, node: NodeId, durability: Durability) -> Result<(), String> {
        self.oracle_off |= durability != Durability::Always;
        if !self.is_running(node) {
            return Ok(());
        }
        self.note(|| format!("the power of {node} goes"));
        self.cluster.crash(node, Crash::CLEAN);
        self.look()
    }

    /// A member's process dies, if it runs, and the last record of its log is torn, synced or not: its disk breaks its
    /// word, so only what the clients see is judged from here on.
    pub fn tear_tail(&mut self, node: NodeId) -> Result<(), String> {
        if self.is_running(node) {
            self.kill(node, CrashKind::Kill)?;
        }
        self.oracle_off = true;
        self.note(|| format!("the log of {node} is torn"));
        let seed = self.dice.number();
        self.cluster.node_mut(node).disk.tear_tail(seed);
        Ok(())
    }

    /// A member's process ends in order.
    pub fn stop(&mut self, node: NodeId) -> Result<(), String> {
        self.note(|| format!("{node} is told to end"));
        self.cluster.stop(node);
        self.look()
    }

    /// A member's process is stopped for a while.
    pub fn pause(&mut self, node: NodeId) {
        self.note(|| format!("pause {node}"));
        self.cluster.node_mut(node).paused = true;
    }

    /// A member's process dies, and its disk is lost with it.
    pub fn wipe(&mut self, node: NodeId) -> Result<(), String> {
        if self.is_running(node) {
            // What it had written counts as its own until the disk is gone: an acknowledgement may be under way.
            self.cluster.crash(node, Crash { loss: Loss::Nothing, ..Crash::CLEAN });
            self.look()?;
        }
        self.note(|| format!("wipe {node}"));
        self.oracle.wiped(self.cluster.node(node));
        self.cluster.node_mut(node).wipe();
        self.record(node, MemberEventKind::Wiped);
        self.counts.wipes += 1;
        Ok(())
    }

    /// A member that runs drops from its disk what nobody needs. Returns whether there was anything.
    pub fn cleanup(&mut self, node: NodeId) -> bool {
        let Some(through) = self.status(node).map(|status| status.commit) else { return false };
        let cleaned = self.cluster.node_mut(node).disk.cleanup(through);
        if cleaned {
            self.note(|| format!("{node} cleans up what is committed through {through}"));
        }
        cleaned
    }

    /// A member's disk has no room from now on, so that what it is given waits; or it has room again.
    pub fn set_disk_full(&mut self, node: NodeId, full: bool) -> Result<(), String> {
        self.note(|| format!("{node}'s disk {}", if full { "is full" } else { "has room" }));
        self.cluster.disk(node, full);
        self.look()?;
        if self.cluster.node(node).can_persist() {
            self.start_disk(node);
        }
        Ok(())
    }

    /// Silence on a link, until it is healed.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.note(|| format!("cut {from} → {to}"));
        self.cluster.network.cut((from, to));
    }

    /// What is under way on a link is lost: its connections break, and are made anew.
    pub fn reset(&mut self, from: NodeId, to: NodeId) {
        let lost = self.cluster.network.clear((from, to));
        self.note(|| format!("reset {from} → {to}: {lost} messages lost"));
    }

    /// Everything on a link takes longer, until it is healed.
    pub fn slow(&mut self, from: NodeId, to: NodeId, delay: Duration, jitter: Duration) {
        self.note(|| format!("slow {from} → {to} by {delay:?} to {:?}", delay + jitter));
        self.cluster.network.heal((from, to));
        self.slow.insert((from, to), (delay, jitter));
    }

    /// A link is as it was.
    pub fn heal(&mut self, from: NodeId, to: NodeId) {
        self.note(|| format!("heal {from} → {to}"));
        self.cluster.network.heal((from, to));
        self.slow.remove(&(from, to));
    }

    /// All links are as they were.
    pub fn heal_all(&mut self) {
        self.note(|| "heal all".to_owned());
        self.cluster.network.heal_all();
        self.slow.clear();
    }

    /// Somebody on the spot asks a member whose process runs; no network is between.
    pub fn ask_on_the_spot(&mut self, ask: ClientRequest) -> Result<(), String> {
        self.request(ask);
        self.look()
    }

    /// Whether a member's process exists.
    pub fn is_running(&self, node: NodeId) -> bool {
        self.cluster.node(node).is_running()
    }

    /// Whether it is stopped for a while.
    pub fn is_paused(&self, node: NodeId) -> bool {
        self.cluster.node(node).paused
    }

    /// Whether its disk has no room.
    pub fn is_disk_full(&self, node: NodeId) -> bool {
        self.cluster.node(node).disk_full
    }

    /// How often it has been started: names its process.
    pub fn starts(&self, node: NodeId) -> u64 {
        self.cluster.node(node).starts
    }

    /// Whether a link is cut.
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cluster.network.is_cut((from, to))
    }

    /// Every live key of a member and its value, as its disk has it.
    pub fn contents(&self, node: NodeId) -> std::collections::BTreeMap<bytes::Bytes, bytes::Bytes> {
        self.cluster.node(node).disk.contents()
    }

    /// The running members whose disks have something to do.
    pub(super) fn busy(&self) -> Vec<NodeId> {
        let busy = |node: &&SimNode| node.is_running() && !node.jobs().is_empty();
        self.cluster.nodes().filter(busy).map(SimNode::id).collect()
    }

    /// Whether one more disk may be wiped: never those of more than a minority at a time.
    pub(super) fn may_wipe(&self) -> bool {
        let lost = |node: &&SimNode| {
            let learner = self.cluster.status(node.id()).is_some_and(|s| s.role == Role::Learner);
            (node.wiped && !node.is_running()) || learner || node.disk.promise().learner
        };
        self.cluster.nodes().filter(lost).count() < (self.cluster.ids().len() - 1) / 2
    }

    /// How far a batch comes: often not far.
    fn operations(&mut self) -> u64 {
        let most = self.dice.pick(&[1, 1, 2, 8, OPERATIONS_MAX]);
        self.dice.between(0, most)
    }
}
