//! What breaks in a simulation, and when it is mended.

use std::time::Duration;

use crate::replication::{Command, NodeId, Role};

use super::network::{Link, Weather};
use super::oracle::Broken;
use super::run::{Simulation, Task};

/// What may be done to a cluster.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Cut,
    CutBothWays,
    Partition,
    Isolate,
    HealAll,
    HealOne,
    Weather,
    Crash,
    Restart,
    Pause,
    Resume,
    Promote,
    Force,
    Follow,
    Wipe,
    Cleanup,
    /// A respite: everything is mended, the weather apart.
    Mend,
}

const WEIGHTS: [(Fault, u32); 17] = [
    (Fault::Cut, 7),
    (Fault::CutBothWays, 4),
    (Fault::Partition, 5),
    (Fault::Isolate, 5),
    (Fault::HealAll, 12),
    (Fault::HealOne, 6),
    (Fault::Weather, 4),
    (Fault::Crash, 9),
    (Fault::Restart, 20),
    (Fault::Pause, 4),
    (Fault::Resume, 10),
    (Fault::Promote, 24),
    (Fault::Force, 6),
    (Fault::Follow, 4),
    (Fault::Wipe, 3),
    (Fault::Cleanup, 2),
    (Fault::Mend, 4),
];

impl Simulation {
    /// One fault, and another one later.
    pub(super) fn fault(&mut self) -> Result<(), Broken> {
        if self.healed {
            return Ok(());
        }
        let every = self.temper.fault_every.as_micros() as u64;
        let pause = Duration::from_micros(self.dice.between(every / 10, every * 2));
        self.later(pause, Task::Fault);
        let fault = self.dice.weighted(&WEIGHTS);
        if self.inject(fault)? {
            self.counts.faults += 1;
        }
        self.look()
    }

    fn inject(&mut self, fault: Fault) -> Result<bool, Broken> {
        let ids = self.cluster.ids();
        let id = self.dice.pick(&ids);
        let (running, paused) = (self.cluster.node(id).is_running(), self.cluster.node(id).is_paused());
        match fault {
            Fault::Cut => {
                let link = self.random_link(&ids);
                return Ok(self.cut(&[link]));
            }
            Fault::CutBothWays => {
                let (a, b) = self.random_link(&ids);
                return Ok(self.cut(&[(a, b), (b, a)]));
            }
            Fault::Partition => {
                let side = self.dice.some(&ids);
                let across: Vec<Link> =
                    pairs(&ids).into_iter().filter(|(a, b)| side.contains(a) != side.contains(b)).collect();
                return Ok(self.cut(&across));
            }
            Fault::Isolate => {
                let around: Vec<Link> =
                    pairs(&ids).into_iter().filter(|&(a, b)| a == id || b == id).collect();
                return Ok(self.cut(&around));
            }
            Fault::HealAll => {
                self.note(|| "heal all".to_owned());
                self.cluster.network_mut().heal_all();
            }
            Fault::HealOne => {
                let link = self.random_link(&ids);
                self.cluster.network_mut().heal(link);
                self.note(|| format!("heal {} → {}", link.0, link.1));
            }
            Fault::Weather => {
                self.weather = Weather::random(&mut self.dice);
                let weather = self.weather;
                self.note(|| format!("{weather:?}"));
            }
            Fault::Crash if running => self.crash(id),
            Fault::Restart => return self.restart_someone(),
            Fault::Pause if running && !paused => {
                self.note(|| format!("pause {id}"));
                self.cluster.node_mut(id).set_paused(true);
            }
            Fault::Resume if paused => self.resume(id),
            Fault::Promote if running && !paused => self.promote(id, false),
            Fault::Force if self.options.force && running && !paused => self.promote(id, true),
            Fault::Follow if running && !paused => {
                let primary = self.dice.pick(&ids);
                let request = self.cluster.request(id, Command::Follow { primary });
                self.operator.insert(request);
            }
            Fault::Wipe if self.options.wipes && self.temper.ordered && running => return self.wipe(id),
            Fault::Mend => self.mend()?,
            Fault::Cleanup => {
                self.note(|| format!("{id} drops tombstones"));
                self.cluster.node_mut(id).disk_mut().cleanup();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn cut(&mut self, links: &[Link]) -> bool {
        for &link in links {
            self.cluster.network_mut().cut(link);
            self.note(|| format!("cut {} → {}", link.0, link.1));
        }
        !links.is_empty()
    }

    /// A process dies; of what its disk was at, some survives.
    fn crash(&mut self, id: NodeId) {
        let jobs = self.cluster.node(id).jobs().len() as u64;
        let survivors = if self.dice.chance(500) { 0 } else { self.dice.between(0, jobs) };
        let torn = self.dice.between(0, 2);
        self.cluster.crash(id, survivors as usize, torn as usize);
    }

    fn restart_someone(&mut self) -> Result<bool, Broken> {
        let down: Vec<NodeId> =
            self.cluster.nodes().filter(|n| !n.is_running()).map(super::node::SimNode::id).collect();
        if down.is_empty() {
            return Ok(false);
        }
        let id = self.dice.pick(&down);
        self.start(id)?;
        Ok(true)
    }

    /// A stopped process goes on: what waited in its sockets arrives now.
    fn resume(&mut self, id: NodeId) {
        self.note(|| format!("resume {id}"));
        self.cluster.node_mut(id).set_paused(false);
        for (i, task) in self.held.remove(&id).unwrap_or_default().into_iter().enumerate() {
            let delay = if self.temper.ordered { i as u64 } else { self.dice.between(0, 2000) };
            self.later(Duration::from_micros(delay), task);
        }
    }

    fn promote(&mut self, id: NodeId, force: bool) {
        let request = self.cluster.request(id, Command::Promote { force });
        self.operator.insert(request);
    }

    /// A process dies and its disk is lost with it, unless that would be more than a minority.
    fn wipe(&mut self, id: NodeId) -> Result<bool, Broken> {
        let lost = |node: &&super::node::SimNode| {
            let learner = self.cluster.status(node.id()).is_some_and(|s| s.role == Role::Learner);
            (node.is_wiped() && !node.is_running()) || learner || node.disk().promise().learner
        };
        let (lost, minority) =
            (self.cluster.nodes().filter(lost).count(), (self.cluster.ids().len() - 1) / 2);
        if lost >= minority {
            return Ok(false);
        }
        self.cluster.crash(id, 0, 0);
        self.look()?;
        self.note(|| format!("wipe {id}"));
        self.oracle.wiped(self.cluster.node(id));
        self.cluster.node_mut(id).wipe();
        self.counts.wipes += 1;
        Ok(true)
    }

    fn random_link(&mut self, ids: &[NodeId]) -> Link {
        self.dice.pick(&pairs(ids))
    }

    /// The end of all faults: calm weather, no cuts, every process running.
    pub(super) fn heal_everything(&mut self) -> Result<(), Broken> {
        self.note(|| "everything is healed".to_owned());
        self.healed = true;
        self.weather = Weather::CALM;
        self.temper.disk_max = Duration::from_millis(1);
        self.mend()
    }

    /// No cuts, every process running.
    fn mend(&mut self) -> Result<(), Broken> {
        self.note(|| "heal all".to_owned());
        self.cluster.network_mut().heal_all();
        for id in self.cluster.ids() {
            if self.cluster.node(id).is_paused() {
                self.resume(id);
            } else if !self.cluster.node(id).is_running() {
                self.start(id)?;
            }
        }
        Ok(())
    }
}

fn pairs(ids: &[NodeId]) -> Vec<Link> {
    let all = ids.iter().flat_map(|&a| ids.iter().map(move |&b| (a, b)));
    all.filter(|(a, b)| a != b).collect()
}
