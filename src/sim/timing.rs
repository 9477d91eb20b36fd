//! How long things take in a [`World`]: messages and requests on their way, and batches on a disk.

use std::time::Duration;

use crate::types::{DiskCondition, NodeId};

use super::environment::{Environment, LinkQuality};
use super::network::{EnvelopeId, Link};
use super::oracle::BrokenPromise;
use super::world::{Due, World};

impl<T> World<T> {
    /// Decides the fate of a message that has just been sent.
    pub(super) fn dispatch(&mut self, link: Link, envelope: EnvelopeId) {
        let Environment { network, ordered, .. } = self.environment;
        let quality = self.slow.get(&link).copied().unwrap_or_default();
        let twice = !ordered && self.dice.chance(network.duplicate);
        let copy = if twice || self.dice.chance(quality.duplicate.into()) {
            self.cluster.network.duplicate(link, envelope)
        } else {
            None
        };
        self.send_on_its_way(link, envelope);
        if let Some(copy) = copy {
            self.send_on_its_way(link, copy);
        }
    }

    fn send_on_its_way(&mut self, link: Link, envelope: EnvelopeId) {
        let arrival = self.environment.network.arrival(self.cluster.now(), &mut self.dice);
        let Some(arrival) = arrival.filter(|_| !self.loses(link)) else {
            self.cluster.network.take(link, envelope);
            return;
        };
        let mut at = arrival + self.slowness(link);
        if self.environment.ordered {
            let last = self.last_arrival.entry(link).or_default();
            at = at.max(*last);
            *last = at;
        }
        self.agenda.note(at, Due::Deliver { link, envelope });
    }

    /// What is added to the way over a link now.
    pub(super) fn slowness(&mut self, link: Link) -> Duration {
        let Some(&LinkQuality { delay, jitter, .. }) = self.slow.get(&link) else { return Duration::ZERO };
        delay + Duration::from_micros(self.dice.between(0, jitter.as_micros() as u64))
    }

    /// Whether a link loses what is sent now.
    pub(super) fn loses(&mut self, link: Link) -> bool {
        let loss = self.slow.get(&link).map_or(0, |quality| quality.loss);
        self.dice.chance(loss.into())
    }

    /// How long a client's request or answer is on its way.
    pub(super) fn client_way(&mut self) -> Duration {
        Duration::from_micros(self.dice.between(50, self.environment.client_delay_max.as_micros() as u64))
    }

    /// The disk takes up what waits for it, unless it is at it already.
    pub(super) fn start_disk(&mut self, node: NodeId) {
        let start = self.cluster.node(node).starts;
        if self.disk_busy.insert(node, start) != Some(start) {
            let slowest = self.environment.disk_max.as_micros() as u64;
            let stall = if self.dice.chance(3) { 20 } else { 1 };
            let takes = Duration::from_micros(self.dice.between(20, slowest) * stall);
            let slow = match self.cluster.node(node).condition {
                DiskCondition::Slow { by } => by,
                _ => Duration::ZERO,
            };
            self.plan(takes + slow, Due::Disk { node, start });
        }
    }

    /// The disk finishes a batch: some of what it was given, at least one job.
    pub(super) fn disk_done(&mut self, node: NodeId, start: u64) -> Result<(), BrokenPromise> {
        let member = self.cluster.node(node);
        if !member.is_running() || member.starts != start {
            return Ok(());
        }
        if !member.can_persist() {
            self.disk_busy.remove(&node); // begun again when there is room
            return Ok(());
        }
        if member.condition == DiskCondition::SyncFails {
            self.disk_busy.remove(&node);
            return self.fail_sync(node);
        }
        let batch = self.dice.between(1, member.jobs().len() as u64);
        self.cluster.node_mut(node).write(batch as usize);
        for _ in 0..batch {
            self.cluster.persist(node);
            self.look()?;
        }
        self.disk_busy.remove(&node);
        if !self.cluster.node(node).jobs().is_empty() {
            self.start_disk(node);
        }
        Ok(())
    }
}
