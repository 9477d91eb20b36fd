//! What breaks in a simulation, and when it is mended.

use std::time::Duration;

use crate::replication::NodeId;
use crate::storage::Durability;

use super::actions::Death;
use super::chaos::{Simulation, Task};
use super::network::{Link, Weather};
use super::oracle::Broken;

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
    /// All processes die at once.
    Blackout,
    Stop,
    Restart,
    Pause,
    Resume,
    Promote,
    Force,
    Follow,
    Wipe,
    Cleanup,
    DiskFull,
    DiskRoom,
    /// A respite: everything is mended, the weather apart.
    Mend,
}

const WEIGHTS: [(Fault, u32); 21] = [
    (Fault::Cut, 7),
    (Fault::CutBothWays, 4),
    (Fault::Partition, 5),
    (Fault::Isolate, 5),
    (Fault::HealAll, 12),
    (Fault::HealOne, 6),
    (Fault::Weather, 4),
    (Fault::Crash, 10),
    (Fault::Blackout, 1),
    (Fault::Stop, 1),
    (Fault::Restart, 20),
    (Fault::Pause, 4),
    (Fault::Resume, 10),
    (Fault::Promote, 24),
    (Fault::Force, 6),
    (Fault::Follow, 4),
    (Fault::Wipe, 3),
    (Fault::DiskFull, 3),
    (Fault::DiskRoom, 8),
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
        let pause = Duration::from_micros(self.world.dice.between(every / 10, every * 2));
        self.world.later(pause, Task::Fault);
        let fault = self.world.dice.weighted(&WEIGHTS);
        if self.inject(fault)? {
            self.world.counts.faults += 1;
        }
        Ok(())
    }

    fn inject(&mut self, fault: Fault) -> Result<bool, Broken> {
        let ids = self.world.members();
        let id = self.world.dice.pick(&ids);
        let (running, paused) = (self.world.is_running(id), self.world.is_paused(id));
        match fault {
            Fault::Cut => {
                let links: Vec<Link> = self.random_link(&ids).into_iter().collect();
                return Ok(self.cut(&links));
            }
            Fault::CutBothWays => {
                let links: Vec<Link> =
                    self.random_link(&ids).into_iter().flat_map(|(a, b)| [(a, b), (b, a)]).collect();
                return Ok(self.cut(&links));
            }
            Fault::Partition => {
                let side = self.world.dice.some(&ids);
                let across: Vec<Link> =
                    pairs(&ids).into_iter().filter(|(a, b)| side.contains(a) != side.contains(b)).collect();
                return Ok(self.cut(&across));
            }
            Fault::Isolate => {
                let around: Vec<Link> =
                    pairs(&ids).into_iter().filter(|&(a, b)| a == id || b == id).collect();
                return Ok(self.cut(&around));
            }
            Fault::HealAll => self.world.heal_all(),
            Fault::HealOne => {
                let Some((from, to)) = self.random_link(&ids) else { return Ok(false) };
                self.world.heal(from, to);
            }
            Fault::Weather => {
                let weather = Weather::random(&mut self.world.dice);
                self.world.climate.weather = weather;
                self.world.note(|| format!("{weather:?}"));
            }
            Fault::Crash => {
                // A crash is worth most where the disk is at work.
                let busy = self.world.busy();
                let id = if busy.is_empty() { id } else { self.world.dice.pick(&busy) };
                if !self.world.is_running(id) {
                    return Ok(false);
                }
                self.crash(id)?;
            }
            Fault::Blackout => {
                for id in ids.into_iter().filter(|&id| self.world.is_running(id)).collect::<Vec<_>>() {
                    self.crash(id)?;
                }
            }
            Fault::Stop if running && !paused => self.world.stop(id)?,
            Fault::Restart => return self.restart_someone(),
            Fault::Pause if running && !paused => self.world.pause(id),
            Fault::Resume if paused => self.world.resume(id),
            Fault::Promote if running && !paused => self.promote(id, false)?,
            Fault::Force if self.options.force && running && !paused => self.promote(id, true)?,
            // What a wiped member's former process has sent must not arrive after it has come back.
            Fault::Wipe if self.options.wipes && self.world.climate.ordered && running => {
                if !self.world.may_wipe() {
                    return Ok(false);
                }
                self.world.wipe(id)?;
            }
            Fault::Follow if running && !paused => {
                let primary = self.world.dice.pick(&ids);
                self.follow(id, primary)?;
            }
            Fault::Mend => self.mend()?,
            Fault::DiskFull if running && !paused => self.world.set_disk_full(id, true)?,
            Fault::DiskRoom if running && !paused && self.world.is_disk_full(id) => {
                self.world.set_disk_full(id, false)?;
            }
            Fault::Cleanup => return Ok(self.world.cleanup(id)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn cut(&mut self, links: &[Link]) -> bool {
        links.iter().for_each(|&(from, to)| self.world.cut(from, to));
        !links.is_empty()
    }

    /// A process dies. Where writing counts as durable, the machine does not die with it: that may take what was
    /// acknowledged, as `docs/guarantees.md` says.
    fn crash(&mut self, id: NodeId) -> Result<(), Broken> {
        let death = match self.options.durability {
            Durability::Always => {
                self.world.dice.pick(&[Death::Kill, Death::Power, Death::Torn, Death::Torn])
            }
            Durability::Interval(_) | Durability::Os => Death::Kill,
        };
        self.world.kill(id, death)
    }

    fn restart_someone(&mut self) -> Result<bool, Broken> {
        let mut down = self.world.members();
        down.retain(|&id| !self.world.is_running(id));
        if down.is_empty() {
            return Ok(false);
        }
        let id = self.world.dice.pick(&down);
        self.world.start(id)?;
        Ok(true)
    }

    /// `None`: a single member has no links.
    fn random_link(&mut self, ids: &[NodeId]) -> Option<Link> {
        let links = pairs(ids);
        (!links.is_empty()).then(|| self.world.dice.pick(&links))
    }

    /// The end of all faults: calm weather, no cuts, every process running.
    pub(super) fn heal_everything(&mut self) -> Result<(), Broken> {
        self.world.note(|| "everything is healed".to_owned());
        self.healed = true;
        self.world.climate.weather = Weather::CALM;
        self.world.climate.disk_max = Duration::from_millis(1);
        self.mend()
    }

    /// No cuts, every process running.
    fn mend(&mut self) -> Result<(), Broken> {
        self.world.heal_all();
        for id in self.world.members() {
            if self.world.is_paused(id) {
                self.world.resume(id);
            } else if !self.world.is_running(id) {
                self.world.start(id)?;
            }
            if self.world.is_disk_full(id) {
                self.world.set_disk_full(id, false)?;
            }
        }
        Ok(())
    }
}

fn pairs(ids: &[NodeId]) -> Vec<Link> {
    let all = ids.iter().flat_map(|&a| ids.iter().map(move |&b| (a, b)));
    all.filter(|(a, b)| a != b).collect()
}
