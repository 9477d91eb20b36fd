//! What breaks in a simulation, and when it is mended.

use std::time::Duration;

use crate::storage::Durability;
use crate::types::{
    CLOCK_PERMILLE_MAX, CLOCK_PERMILLE_MIN, ClockCondition, Command, DiskCondition, NodeId, Role,
};

use super::actions::CrashKind;
use super::chaos::{ChaosTask, Simulation};
use super::environment::{LinkQuality, NetworkQuality};
use super::network::Link;
use super::options::FaultMix;
use super::oracle::BrokenPromise;

/// How much a slow disk is slower, in microseconds at most.
const DISK_SLOW_US_MAX: u64 = 200_000;
/// How far a clock jumps, in milliseconds at most.
const CLOCK_JUMP_MS_MAX: u64 = 10_000;

/// What may be done to a cluster.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Cut,
    CutBothWays,
    Partition,
    Isolate,
    HealAll,
    HealOne,
    Network,
    Crash,
    /// All processes die at once.
    Blackout,
    Stop,
    Restart,
    Pause,
    Resume,
    Promote,
    /// The member that is furthest ahead of the others is promoted, and reaches everyone but the primary.
    Rival,
    /// A replica's process dies and comes back at once.
    Bounce,
    Force,
    Follow,
    Wipe,
    /// A disk loses the last record of a log, synced or not.
    Tear,
    Cleanup,
    /// A byte of a value on a disk changes by itself.
    Rot,
    DiskFull,
    DiskSlow,
    /// The next sync fails, and its process ends.
    SyncFails,
    DiskOk,
    /// A clock runs at another rate.
    ClockRate,
    ClockJump,
    ClockOk,
    /// A link delays, loses and repeats.
    BadLink,
    /// Everything is mended but the quality of the network.
    Mend,
}

const WEIGHTS: [(Fault, u32); 29] = [
    (Fault::Cut, 7),
    (Fault::CutBothWays, 4),
    (Fault::Partition, 5),
    (Fault::Isolate, 5),
    (Fault::HealAll, 12),
    (Fault::HealOne, 6),
    (Fault::Network, 4),
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
    (Fault::Tear, 4),
    (Fault::DiskFull, 3),
    (Fault::DiskSlow, 3),
    (Fault::SyncFails, 3),
    (Fault::DiskOk, 10),
    (Fault::ClockRate, 4),
    (Fault::ClockJump, 2),
    (Fault::ClockOk, 3),
    (Fault::BadLink, 4),
    (Fault::Cleanup, 2),
    (Fault::Rot, 4),
    (Fault::Mend, 4),
];

/// See [`FaultMix::Contest`].
const CONTEST: [(Fault, u32); 7] = [
    (Fault::Rival, 20),
    (Fault::Promote, 5),
    (Fault::Bounce, 20),
    (Fault::Cut, 5),
    (Fault::HealOne, 5),
    (Fault::HealAll, 10),
    (Fault::Restart, 5),
];

/// See [`FaultMix::Relapse`].
const RELAPSE: [(Fault, u32); 3] = [(Fault::Rival, 30), (Fault::HealAll, 4), (Fault::Restart, 1)];

impl Simulation {
    /// One fault, and another one later.
    pub(super) fn fault(&mut self) -> Result<(), BrokenPromise> {
        if self.healed {
            return Ok(());
        }
        let every = self.profile.fault_every.as_micros() as u64;
        let pause = Duration::from_micros(self.world.dice.between(every / 10, every * 2));
        self.world.later(pause, ChaosTask::Fault);
        let weights: &[(Fault, u32)] = match self.options.mix {
            FaultMix::Everything => &WEIGHTS,
            FaultMix::Contest => &CONTEST,
            FaultMix::Relapse => &RELAPSE,
        };
        let fault = self.world.dice.weighted(weights);
        if self.inject(fault)? {
            self.world.counts.faults += 1;
        }
        Ok(())
    }

    fn inject(&mut self, fault: Fault) -> Result<bool, BrokenPromise> {
        let ids = self.world.members();
        let id = self.world.dice.pick(&ids);
        let (running, paused) = (self.world.is_running(id), self.world.is_paused(id));
        match fault {
            Fault::Cut | Fault::CutBothWays => {
                let Some((a, b)) = self.random_link(&ids) else { return Ok(false) };
                self.world.cut(a, b);
                if matches!(fault, Fault::CutBothWays) {
                    self.world.cut(b, a);
                }
            }
            Fault::Partition => {
                let side = self.world.dice.some(&ids);
                return Ok(self.cut(|from, to| side.contains(&from) != side.contains(&to)));
            }
            Fault::Isolate => return Ok(self.cut(|from, to| from == id || to == id)),
            Fault::HealAll => self.world.heal_all(),
            Fault::HealOne => {
                let Some((from, to)) = self.random_link(&ids) else { return Ok(false) };
                self.world.heal(from, to);
            }
            Fault::Network => {
                let network_quality = NetworkQuality::random(&mut self.world.dice);
                self.world.environment.network = network_quality;
                self.world.note(|| format!("{network_quality:?}"));
            }
            Fault::Crash => return self.crash_someone(id),
            Fault::Blackout => {
                for id in ids.into_iter().filter(|&id| self.world.is_running(id)).collect::<Vec<_>>() {
                    self.crash(id)?;
                }
            }
            Fault::Stop if running && !paused => self.world.stop(id)?,
            Fault::Restart => return self.restart_someone(),
            Fault::Pause if running && !paused => self.world.pause(id),
            Fault::Resume if paused => self.world.resume(id),
            Fault::Promote if running && !paused => self.order(id, Command::Promote { force: false })?,
            Fault::Rival => return self.promote_rival(),
            Fault::Bounce => return self.bounce(),
            Fault::Force if self.options.force && running && !paused => {
                self.order(id, Command::Promote { force: true })?;
            }
            Fault::Wipe if self.options.wipes && running && self.world.may_fail() => self.world.wipe(id)?,
            Fault::Tear if self.options.wipes && self.world.may_fail() => self.world.tear_tail(id)?,
            Fault::Follow if running && !paused => {
                let primary = self.world.dice.pick(&ids);
                self.order(id, Command::Follow { primary })?;
            }
            Fault::Mend => self.mend()?,
            Fault::DiskFull => self.world.set_disk(id, DiskCondition::Full)?,
            Fault::DiskSlow => {
                let by = Duration::from_micros(self.world.dice.between(1, DISK_SLOW_US_MAX));
                self.world.set_disk(id, DiskCondition::Slow { by })?;
            }
            // Where not each batch is synced, that takes what was acknowledged, as `docs/guarantees.md` says.
            Fault::SyncFails if self.options.durability == Durability::Always => {
                self.world.set_disk(id, DiskCondition::SyncFails)?;
            }
            Fault::DiskOk => return self.disk_ok(&ids),
            Fault::ClockRate => {
                let permille = self.world.dice.between(CLOCK_PERMILLE_MIN.into(), CLOCK_PERMILLE_MAX.into());
                self.world.set_clock(id, ClockCondition::Rate { permille: permille as u16 });
            }
            Fault::ClockJump => {
                let by = Duration::from_millis(self.world.dice.between(1, CLOCK_JUMP_MS_MAX));
                self.world.set_clock(id, ClockCondition::Jump { by });
            }
            Fault::ClockOk => self.world.set_clock(id, ClockCondition::Ok),
            Fault::BadLink => {
                let Some((from, to)) = self.random_link(&ids) else { return Ok(false) };
                let quality = LinkQuality::random(&mut self.world.dice);
                self.world.slow(from, to, quality);
            }
            Fault::Cleanup => return Ok(self.world.cleanup(id)),
            Fault::Rot => return Ok(self.world.rot(id)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn promote_rival(&mut self) -> Result<bool, BrokenPromise> {
        let Some(primary) = self.newest_primary() else { return Ok(false) };
        let mut others = self.world.members();
        others.retain(|&id| id != primary && self.world.is_running(id) && !self.world.is_paused(id));
        let ahead = |id: &NodeId| (self.world.status(*id).map(|status| status.last), *id);
        let Some(rival) = others.into_iter().max_by_key(ahead) else { return Ok(false) };
        for (from, to) in pairs(&self.world.members()) {
            if from == rival || to == rival {
                self.world.heal(from, to);
            }
        }
        // The primary may still hear the others, or nobody.
        let alone = self.options.mix == FaultMix::Relapse || self.world.dice.chance(500);
        self.cut(|from, to| match alone {
            true => from == primary || to == primary,
            false => (from, to) == (rival, primary),
        });
        self.order(rival, Command::Promote { force: false })?;
        Ok(true)
    }

    /// A promotion has succeeded. In a contest, every other time nobody hears of it; in a relapse, never.
    pub(super) fn promoted(&mut self) {
        let heard = self.healed
            || match self.options.mix {
                FaultMix::Everything => true,
                FaultMix::Contest => self.world.dice.chance(500),
                FaultMix::Relapse => false,
            };
        if heard {
            return;
        }
        if let Some(newest) = self.newest_primary() {
            self.cut(|from, _| from == newest);
        }
    }

    /// One disk, of those that are not, is as it should be again.
    fn disk_ok(&mut self, ids: &[NodeId]) -> Result<bool, BrokenPromise> {
        let mut ids = ids.to_vec();
        ids.retain(|&id| self.world.disk_condition(id) != DiskCondition::Ok);
        if ids.is_empty() {
            return Ok(false);
        }
        let id = self.world.dice.pick(&ids);
        self.world.set_disk(id, DiskCondition::Ok)?;
        Ok(true)
    }

    /// A crash is worth most where the disk is at work; where none is, `id` crashes.
    fn crash_someone(&mut self, id: NodeId) -> Result<bool, BrokenPromise> {
        let busy = self.world.busy();
        let id = if busy.is_empty() { id } else { self.world.dice.pick(&busy) };
        let runs = self.world.is_running(id);
        if runs {
            self.crash(id)?;
        }
        Ok(runs)
    }

    fn bounce(&mut self) -> Result<bool, BrokenPromise> {
        // Those whose processes are at work and do not say that they are primary.
        let mut replicas = self.world.members();
        replicas.retain(|&id| self.world.status(id).is_some_and(|s| s.role != Role::Primary));
        replicas.retain(|&id| !self.world.is_paused(id));
        if replicas.is_empty() {
            return Ok(false);
        }
        let id = self.world.dice.pick(&replicas);
        self.crash(id)?;
        self.world.start(id)?;
        Ok(true)
    }

    /// Of those who say that they are primary, the one of the highest epoch.
    fn newest_primary(&self) -> Option<NodeId> {
        let states = self.world.members().into_iter().filter_map(|id| self.world.status(id));
        states.filter(|s| s.role == Role::Primary).map(|s| (s.epoch, s.id)).max().map(|(_, id)| id)
    }

    /// Cuts the links that are meant. Returns whether there are any.
    fn cut(&mut self, which: impl Fn(NodeId, NodeId) -> bool) -> bool {
        let mut links = pairs(&self.world.members());
        links.retain(|&(from, to)| which(from, to));
        links.iter().for_each(|&(from, to)| self.world.cut(from, to));
        !links.is_empty()
    }

    /// A process dies. Where writing counts as durable, the machine does not die with it: that may take what was
    /// acknowledged, as `docs/guarantees.md` says.
    fn crash(&mut self, id: NodeId) -> Result<(), BrokenPromise> {
        let death = match self.options.durability {
            Durability::Always => {
                self.world.dice.pick(&[CrashKind::Kill, CrashKind::Power, CrashKind::Torn, CrashKind::Torn])
            }
            Durability::Interval(_) | Durability::Os => CrashKind::Kill,
        };
        self.world.kill(id, death)
    }

    fn restart_someone(&mut self) -> Result<bool, BrokenPromise> {
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

    /// The end of all faults: a fast network without loss, no cuts, every process running.
    pub(super) fn heal_everything(&mut self) -> Result<(), BrokenPromise> {
        self.world.note(|| "everything is healed".to_owned());
        self.healed = true;
        self.world.environment.network = NetworkQuality::CALM;
        self.world.environment.disk_max = Duration::from_millis(1);
        self.mend()?;
        self.world.scrub();
        Ok(())
    }

    /// No cuts, every process running, disks and clocks as they should be.
    fn mend(&mut self) -> Result<(), BrokenPromise> {
        self.world.heal_all();
        for id in self.world.members() {
            if self.world.is_paused(id) {
                self.world.resume(id);
            } else if !self.world.is_running(id) {
                self.world.start(id)?;
            }
            if self.world.disk_condition(id) != DiskCondition::Ok {
                self.world.set_disk(id, DiskCondition::Ok)?;
            }
            self.world.set_clock(id, ClockCondition::Ok);
        }
        Ok(())
    }
}

fn pairs(ids: &[NodeId]) -> Vec<Link> {
    let all = ids.iter().flat_map(|&a| ids.iter().map(move |&b| (a, b)));
    all.filter(|(a, b)| a != b).collect()
}
