//! What breaks in a simulation, and when it is mended.

use std::time::Duration;

use crate::storage::Durability;
use crate::types::{NodeId, Role};

use super::actions::Death;
use super::chaos::{Simulation, Task};
use super::network::{Link, Weather};
use super::options::Mix;
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
    /// The member that is furthest ahead of the others is promoted, and reaches everyone but the primary.
    Usurp,
    /// A replica's process dies and comes back at once.
    Bounce,
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

/// See [`Mix::Contest`].
const CONTEST: [(Fault, u32); 7] = [
    (Fault::Usurp, 20),
    (Fault::Promote, 5),
    (Fault::Bounce, 20),
    (Fault::Cut, 5),
    (Fault::HealOne, 5),
    (Fault::HealAll, 10),
    (Fault::Restart, 5),
];

/// See [`Mix::Relapse`].
const RELAPSE: [(Fault, u32); 3] = [(Fault::Usurp, 30), (Fault::HealAll, 4), (Fault::Restart, 1)];

impl Simulation {
    /// One fault, and another one later.
    pub(super) fn fault(&mut self) -> Result<(), Broken> {
        if self.healed {
            return Ok(());
        }
        let every = self.temper.fault_every.as_micros() as u64;
        let pause = Duration::from_micros(self.world.dice.between(every / 10, every * 2));
        self.world.later(pause, Task::Fault);
        let weights: &[(Fault, u32)] = match self.options.mix {
            Mix::Everything => &WEIGHTS,
            Mix::Contest => &CONTEST,
            Mix::Relapse => &RELAPSE,
        };
        let fault = self.world.dice.weighted(weights);
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
            Fault::Usurp => return self.usurp(),
            Fault::Bounce => return self.bounce(),
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

    fn usurp(&mut self) -> Result<bool, Broken> {
        let Some(&primary) = self.primaries().last() else { return Ok(false) };
        let mut others = self.world.members();
        others.retain(|&id| id != primary && self.world.is_running(id) && !self.world.is_paused(id));
        let ahead = |id: &NodeId| (self.world.status(*id).map(|status| status.last), *id);
        let Some(usurper) = others.into_iter().max_by_key(ahead) else { return Ok(false) };
        let links = pairs(&self.world.members());
        for &(from, to) in links.iter().filter(|link| link.0 == usurper || link.1 == usurper) {
            self.world.heal(from, to);
        }
        // The primary may still hear the others, or nobody.
        let alone = self.options.mix == Mix::Relapse || self.world.dice.chance(500);
        let mut unheard = links;
        unheard.retain(|&(from, to)| match alone {
            true => from == primary || to == primary,
            false => (from, to) == (usurper, primary),
        });
        self.cut(&unheard);
        self.promote(usurper, false)?;
        Ok(true)
    }

    /// A promotion has succeeded. In a contest, every other time nobody hears of it; in a relapse, never.
    pub(super) fn promoted(&mut self) {
        let heard = match self.options.mix {
            _ if self.healed => true,
            Mix::Everything => true,
            Mix::Contest => self.world.dice.chance(500),
            Mix::Relapse => false,
        };
        if heard {
            return;
        }
        let Some(&newest) = self.primaries().last() else { return };
        let others = self.world.members().into_iter().filter(|&other| other != newest);
        let links: Vec<Link> = others.map(|other| (newest, other)).collect();
        self.cut(&links);
    }

    fn bounce(&mut self) -> Result<bool, Broken> {
        let replicas = self.replicas();
        if replicas.is_empty() {
            return Ok(false);
        }
        let id = self.world.dice.pick(&replicas);
        self.crash(id)?;
        self.world.start(id)?;
        Ok(true)
    }

    /// Those whose processes are at work and do not say that they are primary.
    fn replicas(&self) -> Vec<NodeId> {
        let mut replicas = self.world.members();
        replicas.retain(|&id| self.world.status(id).is_some_and(|s| s.role != Role::Primary));
        replicas.retain(|&id| !self.world.is_paused(id));
        replicas
    }

    /// Those who say that they are primary, by epoch.
    fn primaries(&self) -> Vec<NodeId> {
        let members = self.world.members();
        let states = members.iter().filter_map(|&id| self.world.status(id));
        let mut primaries: Vec<_> =
            states.filter(|s| s.role == Role::Primary).map(|s| (s.epoch, s.id)).collect();
        primaries.sort_unstable();
        primaries.into_iter().map(|(_, id)| id).collect()
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
