//! What can be done to a [`World`]: each fault, and what undoes it.
//!
//! An error is a promise that was broken by what was done, in words. The world is of no use then.

use std::collections::{BTreeMap, BTreeSet};

use crate::storage::{Durability, Loss};
use crate::types::{ClockCondition, DiskCondition, Entry, NodeId, Op, Position, Role};

use super::disk::Crash;
use super::environment::LinkQuality;
use super::member_event::MemberEventKind;
use super::node::SimNode;
use super::world::{ClientRequest, World};

/// Disk operations of a batch that a crash may cut off: a full resync has some dozens, an append two.
const OPERATIONS_MAX: u64 = 30;
/// Syncs of a batch that go well before one fails, at most.
const SYNCS_MAX: u64 = 3;
/// What becomes of what a failed sync has dropped. With [`Loss::Nothing`] it is still read after the restart, and lost by
/// the next loss of power: a start that does not write it again breaks a promise (rule 13 of the design).
const FAILED_SYNC_LEAVES: [Loss; 2] = [Loss::Nothing, Loss::Whole];

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
            sync_fails: None,
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

    /// A member's process dies, if it runs, and the last record of its log is torn, synced or not. While no more than a
    /// minority has failed like that, every promise holds; beyond that, only what the clients see is judged.
    pub fn tear_tail(&mut self, node: NodeId) -> Result<(), String> {
        self.oracle_off |= !self.has_failed(node) && !self.may_fail();
        if self.is_running(node) {
            self.kill(node, CrashKind::Kill)?;
        }
        self.note(|| format!("the log of {node} is torn"));
        self.oracle.torn(self.cluster.node(node));
        let seed = self.dice.number();
        self.cluster.node_mut(node).disk.tear_tail(seed);
        self.counts.torn += 1;
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

    /// A byte of some value on a member's disk rots, in a segment that is closed. Each version rots once, at one member,
    /// and only if all others hold it: so it never rots wherever it is. Returns whether there was one.
    pub(super) fn rot(&mut self, node: NodeId) -> bool {
        let held = |node: &SimNode| -> BTreeSet<Position> {
            let puts = |entry: &Entry| matches!(&entry.op, Op::Put { value, .. } if !value.is_empty());
            node.disk.records().iter().filter(|entry| puts(entry)).map(|entry| entry.at).collect()
        };
        let mut everywhere = held(self.cluster.node(node));
        for other in self.cluster.nodes().filter(|other| other.id() != node) {
            let theirs = held(other);
            everywhere.retain(|at| theirs.contains(at));
        }
        let sound: Vec<Position> = everywhere.difference(&self.rotten).copied().collect();
        if sound.is_empty() {
            return false;
        }
        // Mostly one that somebody may ask for.
        let records = self.cluster.node(node).disk.records();
        let newest: BTreeMap<_, _> = records.iter().filter_map(|it| Some((it.op.key()?, it.at))).collect();
        let live: BTreeSet<Position> = newest.into_values().collect();
        let needed: Vec<Position> = sound.iter().copied().filter(|at| live.contains(at)).collect();
        let among = if needed.is_empty() || self.dice.chance(250) { &sound } else { &needed };
        let (at, seed) = (self.dice.pick(among), self.dice.number());
        let is_rotten = self.cluster.ids().len() > 1 && self.cluster.node_mut(node).disk.rot(at, seed);
        if is_rotten {
            self.note(|| format!("the value of {at} rots on {node}'s disk"));
            self.rotten.insert(at);
            self.counts.rots += 1;
        }
        is_rotten
    }

    /// All members that run look for damage on their disks.
    pub(super) fn scrub(&mut self) {
        for id in self.cluster.ids() {
            if self.is_running(id) {
                self.cluster.node_mut(id).disk.scrub();
            }
        }
    }

    /// Sets the condition of a member's disk. While it is full, what it is given waits; where its syncs fail, the next one
    /// ends the process, as it ends a real node.
    pub fn set_disk(&mut self, node: NodeId, condition: DiskCondition) -> Result<(), String> {
        self.note(|| format!("{node}: {condition}"));
        self.cluster.node_mut(node).condition = condition;
        self.heed_disk(node)
    }

    /// Sets the condition of a member's clock, whether its process runs or not.
    pub fn set_clock(&mut self, node: NodeId, condition: ClockCondition) {
        self.note(|| format!("{node}: {condition}"));
        let now = self.now();
        self.cluster.node_mut(node).set_clock(now, condition);
    }

    /// Tells a member of the room on its disk, and lets the disk work if it can.
    pub(super) fn heed_disk(&mut self, node: NodeId) -> Result<(), String> {
        self.cluster.tell_room(node);
        self.look()?;
        let member = self.cluster.node(node);
        if member.is_running() && member.can_persist() {
            self.start_disk(node);
        }
        Ok(())
    }

    /// A sync fails: the process ends at once, and what the sync should have made durable is dropped.
    pub(super) fn fail_sync(&mut self, node: NodeId) -> Result<(), String> {
        let syncs = self.dice.between(0, SYNCS_MAX) as usize;
        let crash =
            Crash { sync_fails: Some(syncs), loss: self.dice.pick(&FAILED_SYNC_LEAVES), ..Crash::CLEAN };
        self.note(|| format!("{node} dies: a sync has failed"));
        self.counts.failed_syncs += 1;
        self.sync_failed.insert(node);
        self.cluster.crash(node, crash);
        self.look()
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

    /// A link is of this quality until it is healed.
    pub fn slow(&mut self, from: NodeId, to: NodeId, quality: LinkQuality) {
        self.note(|| format!("slow {from} → {to}: {quality:?}"));
        self.cluster.network.heal((from, to));
        self.slow.insert((from, to), quality);
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

    /// The condition of its disk.
    pub fn disk_condition(&self, node: NodeId) -> DiskCondition {
        self.cluster.node(node).condition
    }

    /// The rate of its clock, in thousandths of the true one.
    pub fn clock_permille(&self, node: NodeId) -> u16 {
        self.cluster.node(node).clock().permille()
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
    pub fn contents(&self, node: NodeId) -> BTreeMap<bytes::Bytes, bytes::Bytes> {
        self.cluster.node(node).disk.contents()
    }

    /// The running members whose disks have something to do.
    pub(super) fn busy(&self) -> Vec<NodeId> {
        let busy = |node: &&SimNode| node.is_running() && !node.jobs().is_empty();
        self.cluster.nodes().filter(busy).map(SimNode::id).collect()
    }

    /// Whether one more disk may be wiped or torn: never those of more than a minority at a time.
    pub(super) fn may_fail(&self) -> bool {
        let failed = self.cluster.ids().into_iter().filter(|&id| self.has_failed(id)).count();
        failed < (self.cluster.ids().len() - 1) / 2
    }

    /// Whether a member has lost what it had durable, and does not count again.
    fn has_failed(&self, id: NodeId) -> bool {
        let node = self.cluster.node(id);
        let learner = self.cluster.status(id).is_some_and(|status| status.role == Role::Learner);
        (node.wiped && !node.is_running()) || learner || node.disk.promise().learner
    }

    /// How far a batch comes: often not far.
    fn operations(&mut self) -> u64 {
        let most = self.dice.pick(&[1, 1, 2, 8, OPERATIONS_MAX]);
        self.dice.between(0, most)
    }
}
