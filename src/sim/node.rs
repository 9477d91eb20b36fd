//! One simulated member: a core, its disk, and the jobs between them.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::replication::{Config, Core, DiskJob as Job, Effect, Input, Promise};
use crate::types::{ClockCondition, DiskCondition, Lineage, NodeId, Position, Status, Time, WarpedClock};

use super::disk::{Crash, SimDisk};

/// What a process draws anew at each start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartDraw {
    /// Names its quorum-read rounds.
    pub(crate) incarnation: u64,
    /// Seeds its random choices.
    pub(crate) seed: u64,
    /// Where its clock starts.
    pub(crate) clock_offset: Time,
}

/// One simulated member. Lives on while its process is down: the disk does.
#[derive(Debug)]
pub(crate) struct SimNode {
    pub(crate) config: Config,
    core: Option<Core>,
    /// When the core wants to be ticked, by its own clock; it changes only when the core is stepped.
    deadline: Time,
    pub(crate) disk: Box<dyn SimDisk>,
    /// Jobs given to the disk and not yet applied, oldest first.
    jobs: VecDeque<Rc<Job>>,
    /// So many of them are written.
    written: usize,
    /// Its process is stopped for a while.
    pub(crate) paused: bool,
    /// The condition of its disk. While it is full, jobs wait.
    pub(crate) condition: DiskCondition,
    /// Its core was told that the disk is full.
    pub(crate) told_full: bool,
    /// How often it has been started.
    pub(crate) starts: u64,
    /// Its disk lost everything and holds nothing since.
    pub(crate) wiped: bool,
    /// Its own clock: no two members' agree, and its rate may be another one.
    clock: WarpedClock,
}

impl SimNode {
    /// A member that has not started yet.
    pub(crate) fn new(config: Config, disk: Box<dyn SimDisk>) -> Self {
        Self {
            config,
            core: None,
            deadline: Time::ZERO,
            disk,
            jobs: VecDeque::new(),
            written: 0,
            paused: false,
            condition: DiskCondition::Ok,
            told_full: false,
            starts: 0,
            wiped: false,
            clock: WarpedClock::starting_at(Time::ZERO),
        }
    }

    /// Starts the process on what the disk holds.
    pub(crate) fn start(&mut self, now: Time, draw: StartDraw) -> Vec<Effect> {
        assert!(self.core.is_none(), "{} is running", self.config.id);
        self.starts += 1;
        let rate = ClockCondition::Rate { permille: self.clock.permille() };
        self.clock = WarpedClock::starting_at(draw.clock_offset);
        self.clock.set(now, rate);
        let config = Config { incarnation: draw.incarnation, seed: draw.seed, ..self.config.clone() };
        let mut recovered = self.disk.recover();
        // The driver's part of rule 10: a disk that is empty and should not be, however often it is started so.
        self.wiped &= recovered.last == Position::ZERO && recovered.promise == Promise::default();
        recovered.wiped = self.wiped;
        let (core, effects) = Core::new(config, recovered, self.clock.shows(now));
        self.deadline = core.deadline();
        self.core = Some(core);
        effects
    }

    /// The process dies; what its disk keeps of the jobs under way, `crash` says. Returns how many jobs were lost.
    pub(crate) fn crash(&mut self, crash: Crash) -> usize {
        assert!(self.core.take().is_some(), "{} is not running", self.config.id);
        assert_eq!(self.written, 0, "what is written is applied before anything else happens");
        (self.paused, self.told_full) = (false, false);
        self.condition = self.condition.after_restart();
        let jobs: VecDeque<Job> = self.jobs.drain(..).map(Rc::unwrap_or_clone).collect();
        let lost = jobs.len() - crash.survivors.min(jobs.len());
        self.disk.crash(jobs, crash);
        lost
    }

    /// The process is told to end: nothing new is begun. Returns what it still has to say.
    pub(crate) fn stop(&mut self, now: Time) -> Vec<Effect> {
        let now = self.clock.shows(now);
        self.core.as_mut().expect("only a running node is stopped").stop(now)
    }

    /// Replaces the disk of a process that is down by an empty one.
    pub(crate) fn wipe(&mut self) {
        assert!(self.core.is_none(), "{} is running", self.config.id);
        self.disk.wipe();
        self.wiped = true;
    }

    /// One step of the core.
    pub(crate) fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        let now = self.clock.shows(now);
        let core = self.core.as_mut().expect("only a running node takes inputs");
        let effects = core.step(now, input);
        self.deadline = core.deadline();
        effects
    }

    /// When the core wants to be ticked, in the simulation's time. `None`: its process is down or stopped.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let ticks = self.core.is_some() && !self.paused;
        ticks.then(|| self.clock.shows_at(self.deadline))
    }

    /// What a watcher sees. `None`: the process is down.
    pub(crate) fn status(&self, now: Time) -> Option<Status> {
        Some(self.core.as_ref()?.status(self.clock.shows(now)))
    }

    /// Sets the condition of its clock.
    pub(crate) fn set_clock(&mut self, now: Time, condition: ClockCondition) {
        self.clock.set(now, condition);
    }

    /// Its clock.
    pub(crate) fn clock(&self) -> &WarpedClock {
        &self.clock
    }

    /// Gives the disk a job.
    pub(crate) fn submit(&mut self, job: Rc<Job>) {
        self.jobs.push_back(job);
    }

    /// Whether its disk could finish a job now.
    pub(crate) fn can_persist(&self) -> bool {
        self.condition != DiskCondition::Full && !self.jobs.is_empty()
    }

    /// The disk makes the oldest `count` jobs durable, as one batch.
    pub(crate) fn write(&mut self, count: usize) {
        assert_eq!(self.written, 0, "one batch after the other");
        self.disk.write(self.jobs.iter().take(count).map(|job| Job::clone(job)).collect());
        self.written = count;
    }

    /// The disk finishes its oldest job; writes it first, if that has not been done.
    pub(crate) fn persist(&mut self) -> Option<(Rc<Job>, Option<Input>)> {
        if self.written == 0 && !self.jobs.is_empty() {
            self.write(1);
        }
        let job = self.jobs.pop_front()?;
        self.written -= 1;
        Some((job, self.disk.apply()))
    }

    /// The member.
    pub(crate) fn id(&self) -> NodeId {
        self.config.id
    }

    /// Whether its process exists.
    pub(crate) fn is_running(&self) -> bool {
        self.core.is_some()
    }

    /// Jobs that the disk has not finished, oldest first.
    pub(crate) fn jobs(&self) -> &VecDeque<Rc<Job>> {
        &self.jobs
    }

    /// Where the log ends as the core sees it: the durable log and what is under way to it. An installation counts
    /// when it stands.
    pub(crate) fn last(&self) -> Position {
        let appended = self.jobs.iter().rev().find_map(|job| match &**job {
            Job::Append { entries, .. } => entries.last().map(|entry| entry.at),
            _ => None,
        });
        appended.unwrap_or_else(|| self.disk.last())
    }

    /// The lineage of the log that [`Self::last`] ends.
    pub(crate) fn lineage(&self) -> Lineage {
        let mut lineage = self.disk.lineage().clone();
        for job in &self.jobs {
            if let Job::Append { entries, .. } = &**job {
                entries.iter().for_each(|entry| lineage.extend(entry.at));
            }
        }
        lineage
    }
}
