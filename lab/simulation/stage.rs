//! The stage of a simulated cluster on simulated time: the same core and storage, the same clients' routine, the same
//! judge, all from one seed. Nothing waits: a run of fifteen seconds takes some tens of milliseconds.
//!
//! Beside the judge, the simulator's oracle checks every step, as no lab of real processes can. A violation found by
//! the oracle stops the run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use kvlab::sim::{ClientRequest, CrashKind, LinkQuality, World};
use kvlab::storage::{self, Durability};
use kvlab::types::{ClockCondition, Command, DiskCondition, NodeCondition, NodeId, NodeStatus, Reply};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::action::{Action, SlowLink, all_links};
use crate::cluster::View;
use crate::engine::NodeState;
use crate::run::event::{
    Actor, LabEvent, Level, LinkState, Operation, ProcessState, ScenarioEvent, Stamped, Verdict,
};
use crate::run::history::Intent;
use crate::scenario::language::model::Scenario;
use crate::scenario::play::stage::Stage;
use crate::session::doubt::Doubt;
use crate::session::recovery::Recovery;
use crate::session::{Performed, Settled, WorkloadOptions, why_not_done};
use crate::workload::{Way, request};

use super::clients::{ClientSet, Meaning, OPERATOR, Task};
use super::plan::{configs, durability, environment};
use super::readers::{LOOK_EVERY, Rolling};

/// How often a member reports.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// How long a member may take to answer a promotion.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long the last operations of a load may take to end; they are bounded themselves.
pub(super) const QUIET_WITHIN: Duration = Duration::from_secs(10);
/// A segment of the log is closed soon, so that there are some.
const SEGMENT_BYTES: u64 = 64 << 10;

/// See the module.
#[derive(Debug)]
pub struct Simulated {
    pub(super) world: World<Task>,
    pub(super) clients: ClientSet,
    pub(super) view: View,
    pub(super) recovery: Recovery,
    pub(super) doubt: Doubt,
    pub(super) rolling: Rolling,
    pub(super) operator: Option<Reply>,
    /// The clients of steps, by their home.
    pub(super) guests: BTreeMap<NodeId, usize>,
    /// When its disks say that something is durable.
    pub(super) durability: Durability,
    /// Keys that steps have touched.
    pub(super) touched: BTreeSet<String>,
    pub(super) read_back: bool,
    pub(super) members_equal: Option<bool>,
    /// The violation that the oracle has found, in words. Nothing happens any more from then on.
    pub(super) broken: Option<String>,
    /// How long that is ago.
    pub(super) past: Duration,
    pub(super) events: Vec<Stamped>,
}

/// What one step of the world has led to.
pub(super) enum Advanced {
    /// Something happened.
    Something,
    /// Somebody reported: the view has changed.
    Reported,
    /// It is as late as it may be.
    Arrived,
}

impl Simulated {
    /// A cluster as the scenario wants it, under its load. The seed decides everything, also how good the disks and
    /// the network are.
    pub fn new(scenario: &Scenario, load: WorkloadOptions, seed: u64) -> Self {
        let plan = &scenario.cluster;
        let mut chance = SmallRng::seed_from_u64(seed);
        let disks = storage::Options {
            durability: durability(plan),
            segment_bytes: plan.settings.segment_bytes.unwrap_or(SEGMENT_BYTES),
            ..storage::Options::new(NodeId(1))
        };
        let mut world = World::new(configs(plan), disks, environment(&mut chance), chance.random());
        let members = world.members();
        let links = all_links(&members).map(|link| (link, LinkState::Up)).collect();
        let mut view = View { links, ..View::default() };
        let mut broken = None;
        for &node in &members {
            broken = broken.or(world.start(node).err());
            view.processes.insert(node, running(&world, node));
            world.later(Duration::from_millis(chance.random_range(1..100)), Task::Report(node));
        }
        world.record_member_events();
        world.later(LOOK_EVERY, Task::ReadBack);
        let clients = ClientSet::new(load, &mut world);
        Self {
            durability: disks.durability,
            world,
            clients,
            view,
            recovery: Recovery::default(),
            doubt: Doubt::default(),
            rolling: Rolling::default(),
            operator: None,
            guests: BTreeMap::new(),
            touched: BTreeSet::new(),
            read_back: false,
            members_equal: None,
            broken,
            past: Duration::ZERO,
            events: Vec::new(),
        }
    }

    /// The violation that the oracle has found, if any.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// What was told since this was last asked.
    pub fn take_events(&mut self) -> Vec<Stamped> {
        std::mem::take(&mut self.events)
    }

    /// Does the next thing that is due by `until`.
    pub(super) fn advance(&mut self, until: Duration) -> Advanced {
        if self.broken.is_none() {
            match self.world.step(until) {
                Ok(None) => return Advanced::Arrived,
                Ok(Some(outcome)) => {
                    let meaning = self.clients.take(&mut self.world, outcome);
                    self.take_member_events();
                    let without_quorum =
                        self.clients.take_without_quorum().into_iter().map(LabEvent::Operation);
                    let found = self
                        .clients
                        .take_found()
                        .into_iter()
                        .map(|found| LabEvent::Violation(Box::new(found)));
                    without_quorum.chain(found).for_each(|event| self.emit(event));
                    return match meaning {
                        Meaning::Nothing => Advanced::Something,
                        Meaning::Operator(reply) => {
                            self.operator = Some(reply);
                            Advanced::Something
                        }
                        Meaning::Report(node) => self.report(node),
                        Meaning::ReadBack => self.read_back_some(),
                    };
                }
                Err(broken) => self.violated(broken),
            }
        }
        self.past += until.saturating_sub(self.now());
        Advanced::Arrived
    }

    /// Takes what has happened to members since this was last done.
    fn take_member_events(&mut self) {
        for event in self.world.take_member_events() {
            let stamped = Stamped::from(event);
            if let LabEvent::Process { node, state: died @ ProcessState::Died { .. } } = &stamped.event {
                self.view.processes.insert(*node, died.clone());
            }
            if Doubt::is_raised_by(&stamped.event) {
                self.clients.ask_again();
            }
            self.events.push(stamped);
        }
    }

    /// Goes on until `enough` is true, or it is `until`. Returns whether it was.
    pub(super) fn until(&mut self, until: Duration, mut enough: impl FnMut(&mut Self) -> bool) -> bool {
        loop {
            if enough(self) {
                return true;
            }
            if matches!(self.advance(until), Advanced::Arrived) {
                return enough(self);
            }
        }
    }

    fn report(&mut self, node: NodeId) -> Advanced {
        self.world.later(REPORT_EVERY, Task::Report(node));
        let now = self.now();
        let status = self.world.status(node).filter(|_| !self.world.is_paused(node));
        let Some(replication) = status else { return Advanced::Something };
        let pid = pid(&self.world, node);
        // What else a real node tells is about its process, and there is none.
        let status = NodeStatus { pid, ..NodeStatus::new(replication) };
        self.view.statuses.insert(node, (now, NodeState::from(&status)));
        self.recovery.observe(now, &self.view);
        if self.doubt.look(&self.view) {
            self.clients.ask_again();
        }
        Advanced::Reported
    }

    /// A violation found by the oracle stops the run.
    pub(super) fn violated(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    pub(super) fn perform_and_record(&mut self, by: Actor, action: Action) -> anyhow::Result<Performed> {
        let performed = self.carry_out(&action);
        self.emit(LabEvent::Action { by, action, error: why_not_done(&performed) });
        performed
    }

    pub(super) fn carry_out(&mut self, action: &Action) -> anyhow::Result<Performed> {
        let mut performed = Performed::Done;
        for primitive in action.primitives(&self.members())? {
            performed = self.carry_out_primitive(&primitive)?;
        }
        Ok(performed)
    }

    fn carry_out_primitive(&mut self, action: &Action) -> anyhow::Result<Performed> {
        match *action {
            Action::Cut { from, to } => self.link(from, to, LinkState::Cut),
            Action::HealLink { from, to } => self.link(from, to, LinkState::Up),
            Action::Slow { from, to, how } => self.link(from, to, LinkState::Slow(how)),
            Action::Reset { from, to } => self.world.reset(from, to),
            Action::Pause { node } => self.pause(node)?,
            Action::Resume { node } => self.resume(node)?,
            Action::Kill { node } => {
                ensure!(self.world.is_running(node), "{node} is down");
                let died = self.world.kill(node, CrashKind::Kill);
                self.stopped(node, "SIGKILL", died);
            }
            Action::PowerLoss { node } => {
                let lost = self.world.lose_power(node, self.durability);
                self.stopped(node, "SIGKILL, and the power went", lost);
            }
            Action::TearTail { node } => {
                let torn = self.world.tear_tail(node);
                self.stopped(node, "SIGKILL, and its log was torn", torn);
            }
            Action::Wipe { node } => {
                let wiped = self.world.wipe(node);
                self.stopped(node, "SIGKILL, and its disk was wiped", wiped);
            }
            Action::Disk { node, condition } => {
                if let Err(broken) = self.world.set_disk(node, condition) {
                    self.violated(broken);
                }
                self.set_condition(node, NodeCondition::Disk(condition));
            }
            Action::Clock { node, condition } => {
                let jumps = matches!(condition, ClockCondition::Jump { .. });
                ensure!(!jumps || self.world.is_running(node), "the clock of {node} cannot jump: it is down");
                self.world.set_clock(node, condition);
                self.set_condition(node, NodeCondition::Clock(condition));
            }
            Action::Cleanup { node } => {
                ensure!(self.world.is_running(node), "cannot clean up the disk of {node}: it is down");
                self.world.cleanup(node);
            }
            Action::Follow { node, primary } => {
                return self.order(node, "tell", Command::Follow { primary }).map(Performed::Follow);
            }
            Action::Terminate { node } => {
                ensure!(self.world.is_running(node), "{node} is down");
                if self.world.is_paused(node) {
                    self.resume(node)?;
                }
                let ended = self.world.stop(node);
                self.stopped(node, "SIGTERM", ended);
            }
            Action::Restart { node } => self.restart(node)?,
            Action::Promote { node, force } => {
                return self.order(node, "promote", Command::Promote { force }).map(Performed::Promotion);
            }
            Action::Put { .. } | Action::Get { .. } | Action::Del { .. } => {
                let (way, intent) = request(action).expect("an operation");
                return self.operate(way, intent);
            }
            Action::Load { on } => self.clients.set_on(&mut self.world, on)?,
            Action::Rate { per_second } => self.clients.set_rate(&mut self.world, per_second)?,
            Action::Partition { .. } | Action::Isolate { .. } | Action::Heal { .. } | Action::HealAll => {
                unreachable!("{action:?} is not primitive")
            }
        }
        Ok(Performed::Done)
    }

    fn link(&mut self, from: NodeId, to: NodeId, state: LinkState) {
        match state {
            LinkState::Up => self.world.heal(from, to),
            LinkState::Cut => self.world.cut(from, to),
            LinkState::Slow(SlowLink { delay, jitter, loss, duplicate }) => {
                self.world.slow(from, to, LinkQuality { delay, jitter, loss, duplicate });
            }
        }
        self.view.links.insert((from, to), state);
    }

    fn set_condition(&mut self, node: NodeId, condition: NodeCondition) {
        self.view.set_condition(node, condition);
        self.emit(LabEvent::Condition { node, condition });
    }

    fn pause(&mut self, node: NodeId) -> anyhow::Result<()> {
        ensure!(self.world.is_running(node) && !self.world.is_paused(node), "{node} does not run");
        self.world.pause(node);
        self.view.processes.insert(node, ProcessState::Paused { pid: pid(&self.world, node) });
        Ok(())
    }

    pub(super) fn resume(&mut self, node: NodeId) -> anyhow::Result<()> {
        ensure!(self.world.is_paused(node), "{node} is not paused");
        self.world.resume(node);
        self.view.processes.insert(node, running(&self.world, node));
        Ok(())
    }

    pub(super) fn restart(&mut self, node: NodeId) -> anyhow::Result<()> {
        ensure!(!self.world.is_running(node), "{node} is not down");
        if let Err(broken) = self.world.start(node) {
            self.violated(broken);
        }
        self.view.processes.insert(node, running(&self.world, node));
        if self.view.disks.get(&node).is_some_and(|disk| disk.after_restart() == DiskCondition::Ok) {
            // What stood has ended with the process before.
            self.set_condition(node, NodeCondition::Disk(DiskCondition::Ok));
        }
        Ok(())
    }

    fn stopped(&mut self, node: NodeId, how: &str, ended: Result<(), String>) {
        if let Err(broken) = ended {
            self.violated(broken);
        }
        self.view.processes.insert(node, ProcessState::Stopped { how: how.to_owned() });
    }

    /// An operator's order to a member, in a word.
    fn order(&mut self, node: NodeId, word: &str, command: Command) -> anyhow::Result<Reply> {
        ensure!(self.world.is_running(node), "cannot {word} {node}: it is down");
        self.operator = None;
        self.world.ask(ClientRequest { client: OPERATOR, home: None, node, command });
        self.until(self.now() + ANSWER_WITHIN, |stage| stage.operator.is_some());
        self.operator.take().with_context(|| {
            format!("cannot {word} {node}: it did not answer within {} s", ANSWER_WITHIN.as_secs())
        })
    }

    /// A client's operation, in the zone of the node that is asked first.
    fn operate(&mut self, way: Way, intent: Intent) -> anyhow::Result<Performed> {
        let (home, clients) = (way.first(), &mut self.clients);
        let guest = *self.guests.entry(home).or_insert_with(|| clients.guest(Some(home)));
        self.touched.insert(intent.key.clone());
        clients.begin(&mut self.world, guest, way, intent);
        let mut ended = None;
        self.until(self.now() + QUIET_WITHIN, |stage| {
            ended = stage.clients.take_ended(guest);
            ended.is_some()
        });
        let operation = ended.context("it did not end")?;
        Ok(Performed::Operation(Box::new(operation)))
    }

    fn emit(&mut self, event: LabEvent) {
        if Doubt::is_raised_by(&event) {
            self.clients.ask_again();
        }
        self.events.push(Stamped::at(self.now(), event));
    }

    pub(super) fn warn(&mut self, text: String) {
        self.emit(LabEvent::Notice { level: Level::Warn, text });
    }
}

impl Stage for Simulated {
    fn members(&self) -> Vec<NodeId> {
        self.world.members()
    }

    fn now(&self) -> Duration {
        self.world.now() + self.past
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn verdict(&self) -> Verdict {
        self.clients.order().verdict(self.read_back, self.members_equal)
    }

    fn tell(&mut self, event: ScenarioEvent) {
        self.emit(LabEvent::Scenario(event));
    }

    async fn next(&mut self, until: Duration) {
        while let Advanced::Something = self.advance(until) {}
    }

    async fn perform(&mut self, step: usize, action: Action) -> anyhow::Result<Performed> {
        if let Some(broken) = &self.broken {
            bail!("the cluster has broken a promise before: {broken}");
        }
        let by = Actor::Step(step);
        match self.perform_and_record(by, action)? {
            Performed::Operation(operation) => {
                let operation = Operation { by: Some(by), ..*operation };
                self.emit(LabEvent::Operation(operation.clone()));
                Ok(Performed::Operation(Box::new(operation)))
            }
            performed => Ok(performed),
        }
    }

    async fn settle(&mut self, within: Duration) -> anyhow::Result<Settled> {
        self.settled(within)
    }
}

fn running(world: &World<Task>, node: NodeId) -> ProcessState {
    ProcessState::Running { pid: pid(world, node), client: String::new(), peer: String::new() }
}

/// Names a process as the system would.
fn pid(world: &World<Task>, node: NodeId) -> u32 {
    u32::from(node.0) * 1000 + world.starts(node) as u32
}
