//! A simulation: a cluster, its weather, its faults and its clients, all from one seed.
//!
//! First anything may happen, and after every step the [`Oracle`] looks. Then everything is healed, and the cluster
//! must come to rest: one primary, all members equal, every acknowledged write accounted for, every key readable
//! from every member, and the whole history linearizable.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::replication::{Command, Config, Event, NodeId, Reply, RequestId, Role, Time};

use super::agenda::Agenda;
use super::clients::{Client, Clients};
use super::cluster::{Cluster, Happening, StartDraw};
use super::dice::Dice;
use super::disk::{MemoryDisk, SimDisk};
use super::network::{EnvelopeId, Link, Weather};
use super::options::{Counts, Options, Outcome, Violation};
use super::oracle::{Broken, Oracle};
use super::text;

/// Once healed, a cluster must have come to rest within this.
const REST_WITHIN: Duration = Duration::from_secs(60);
/// How often an operator looks at a healed cluster that has no primary.
const OPERATOR_EVERY: Duration = Duration::from_millis(700);
/// A simulation that takes more steps than this runs in circles.
const STEPS_MAX: u64 = 3_000_000;

/// Something to come.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// A message arrives.
    Deliver { link: Link, envelope: EnvelopeId },
    /// A member's disk finishes what it is at.
    Disk { node: NodeId, start: u64 },
    /// A client's request arrives.
    Ask { node: NodeId, client: u64, command: Command },
    /// An answer arrives at its client.
    Answer { client: u64, reply: Reply },
    /// A client's patience ends.
    GiveUp { client: u64 },
    /// A client does something new.
    Think,
    /// Something breaks, or is mended.
    Fault,
}

/// Everything that one seed decides.
#[derive(Debug)]
pub(super) struct Simulation {
    pub(super) options: Options,
    pub(super) cluster: Cluster,
    pub(super) oracle: Oracle,
    pub(super) dice: Dice,
    pub(super) agenda: Agenda<Task>,
    pub(super) weather: Weather,
    pub(super) clients: Clients,
    pub(super) counts: Counts,
    pub(super) temper: Temper,
    /// What arrives at a stopped process waits in its sockets.
    pub(super) held: BTreeMap<NodeId, Vec<Task>>,
    pub(super) operator: BTreeSet<RequestId>,
    pub(super) healed: bool,
    requests: BTreeMap<RequestId, u64>,
    disk_busy: BTreeMap<NodeId, u64>,
    last_arrival: BTreeMap<Link, Time>,
    trace: Vec<String>,
}

/// What a seed's world is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Temper {
    /// Mean time between faults.
    pub(super) fault_every: Duration,
    /// The slowest sync.
    pub(super) disk_max: Duration,
    /// Mean time between a client's operations.
    pub(super) think: Duration,
    /// Messages of one link keep their order and come once, as on one connection.
    pub(super) ordered: bool,
    /// Contended keys of each kind.
    pub(super) keys: u64,
}

/// Runs one seed.
pub fn simulate(seed: u64, options: &Options) -> Outcome {
    let mut simulation = Simulation::new(seed, options.clone());
    let broken = simulation.play().err();
    let violation = broken.map(|what| Violation { at: simulation.cluster.now(), what });
    if let Some(violation) = &violation {
        simulation.note(|| format!("BROKEN: {}", violation.what));
    }
    let mut counts = simulation.counts;
    counts.epochs = simulation.oracle.epochs_opened() as u64;
    counts.committed = simulation.oracle.committed().seq;
    Outcome { seed, violation, counts, trace: simulation.trace }
}

impl Simulation {
    fn new(seed: u64, options: Options) -> Self {
        let mut dice = Dice::new(seed);
        let count = options.nodes.unwrap_or_else(|| dice.weighted(&[(3, 60), (5, 30), (2, 5), (4, 5)]));
        let members: Vec<NodeId> = (1..=count).map(NodeId).collect();
        let temper = Temper {
            fault_every: Duration::from_millis(dice.pick(&[40, 150, 400, 1500])),
            disk_max: Duration::from_micros(dice.pick(&[500, 5_000, 50_000, 200_000])),
            think: Duration::from_millis(dice.pick(&[10, 50, 200])),
            ordered: dice.chance(500),
            keys: dice.between(1, 3),
        };
        let (backlog, window) = (dice.pick(&[200, 1000, 1 << 20]), dice.pick(&[100, 500, 1 << 20]));
        let configs: Vec<Config> = members
            .iter()
            .map(|&id| Config {
                backlog_bytes: backlog,
                window_bytes: window,
                ..Config::new(id, members.clone())
            })
            .collect();
        let quorum = configs[0].quorum();
        let weather = Weather::random(&mut dice);
        Self {
            options,
            cluster: Cluster::new(configs, || -> Box<dyn SimDisk> { Box::new(MemoryDisk::new()) }),
            oracle: Oracle::new(quorum),
            dice,
            agenda: Agenda::new(),
            weather,
            clients: Clients::new(),
            counts: Counts::default(),
            temper,
            held: BTreeMap::new(),
            operator: BTreeSet::new(),
            healed: false,
            requests: BTreeMap::new(),
            disk_busy: BTreeMap::new(),
            last_arrival: BTreeMap::new(),
            trace: Vec::new(),
        }
    }

    fn play(&mut self) -> Result<(), Broken> {
        let (temper, weather) = (self.temper, self.weather);
        self.note(|| format!("{temper:?} {weather:?}"));
        for id in self.cluster.ids() {
            self.start(id)?;
        }
        const CLIENTS: usize = 5;
        (0..CLIENTS).for_each(|_| self.later(Duration::from_millis(300), Task::Think));
        self.later(Duration::from_millis(500), Task::Fault);
        let end = self.options.chaos;
        self.until(end, |_| false)?;
        self.heal_everything()?;
        self.rest()?;
        self.read_back()?;
        // A campaign that was still under way may have opened one more epoch.
        self.rest()?;
        self.oracle.settled(&self.cluster)?;
        let report = self.clients.finish();
        self.counts.undecided = report.keys.undecided;
        self.judged()
    }

    /// Lets everything take its course until `end`, or until `enough`. Returns whether it was enough.
    fn until(&mut self, end: Time, enough: impl Fn(&Self) -> bool) -> Result<bool, Broken> {
        loop {
            if enough(self) {
                return Ok(true);
            }
            let due = self.agenda.next_due().unwrap_or(Time::MAX);
            let timer = self.cluster.next_deadline().filter(|&(at, _)| at <= due);
            let at = timer.map_or(due, |(at, _)| at);
            if at > end {
                self.cluster.set_now(end.max(self.cluster.now()));
                return Ok(false);
            }
            self.cluster.set_now(at.max(self.cluster.now()));
            match timer {
                Some((_, id)) => self.cluster.tick(id),
                None => {
                    let task = self.agenda.take().expect("something is due").1;
                    self.carry_out(task)?;
                }
            }
            self.look()?;
            self.judged()?;
            self.counts.steps += 1;
            if self.counts.steps > STEPS_MAX {
                return Err(format!("no end in sight after {STEPS_MAX} steps"));
            }
        }
    }

    /// Takes in what has happened: lets the oracle see it, and plans what follows from it.
    pub(super) fn look(&mut self) -> Result<(), Broken> {
        let happenings = self.cluster.take_happenings();
        let seen = self.oracle.observe(&self.cluster, &happenings);
        for happening in &happenings {
            self.note_happening(happening);
            self.follow_up(happening);
        }
        seen
    }

    /// What the clients saw must be explicable. By force, linearizability may break; values from nowhere may not.
    fn judged(&mut self) -> Result<(), Broken> {
        let forced = self.oracle.is_forced();
        let found = self.clients.take_violations();
        self.counts.harm += found.len() as u64;
        match found.into_iter().find(|violation| !(forced && violation.linearizability)) {
            Some(violation) => Err(format!("{:?}: {}", violation.key, violation.explanation())),
            None => Ok(()),
        }
    }

    fn follow_up(&mut self, happening: &Happening) {
        match happening {
            Happening::Sent { link, envelope, .. } => {
                self.counts.messages += 1;
                if let Some(envelope) = *envelope {
                    self.dispatch(*link, envelope);
                }
            }
            Happening::Submitted { node, .. } => self.start_disk(*node),
            Happening::Crashed { node, .. } => {
                self.disk_busy.remove(node);
                self.held.remove(node);
            }
            Happening::Replied { request, reply, .. } => {
                self.operator.remove(request);
                if let Some(client) = self.requests.remove(request) {
                    let delay = self.dice.between(50, 20_000);
                    let reply = reply.clone();
                    self.later(Duration::from_micros(delay), Task::Answer { client, reply });
                }
            }
            Happening::Lost { request, .. } => {
                self.operator.remove(request);
                if let Some(client) = self.requests.remove(request) {
                    self.later(Duration::from_millis(1), Task::GiveUp { client });
                }
            }
            Happening::Told { event: Event::FullResyncInstalled { discarded, .. }, .. } => {
                self.counts.installs += 1;
                self.counts.rollbacks += u64::from(*discarded > 0);
            }
            Happening::Told { event: Event::LearnerGraduated, .. } => self.counts.graduations += 1,
            _ => {}
        }
    }

    /// Decides the fate of a message that has just been sent.
    fn dispatch(&mut self, link: Link, envelope: EnvelopeId) {
        let weather = self.weather;
        let mut copies = vec![envelope];
        if !self.temper.ordered && self.dice.chance(weather.duplicate) {
            copies.extend(self.cluster.network_mut().duplicate(link, envelope));
        }
        for envelope in copies {
            let Some(mut at) = weather.arrival(self.cluster.now(), &mut self.dice) else {
                self.cluster.network_mut().take(link, envelope);
                continue;
            };
            if self.temper.ordered {
                let last = self.last_arrival.entry(link).or_default();
                at = at.max(*last);
                *last = at;
            }
            self.agenda.note(at, Task::Deliver { link, envelope });
        }
    }

    fn start_disk(&mut self, node: NodeId) {
        let start = self.cluster.node(node).starts();
        if self.disk_busy.insert(node, start) != Some(start) {
            let slowest = self.temper.disk_max.as_micros() as u64;
            let stall = if self.dice.chance(3) { 20 } else { 1 };
            let takes = Duration::from_micros(self.dice.between(20, slowest) * stall);
            self.later(takes, Task::Disk { node, start });
        }
    }

    /// Plans something.
    pub(super) fn later(&mut self, after: Duration, task: Task) {
        self.agenda.note(self.cluster.now() + after, task);
    }

    fn carry_out(&mut self, task: Task) -> Result<(), Broken> {
        if let Some(node) = self.target(&task)
            && self.cluster.node(node).is_paused()
        {
            self.held.entry(node).or_default().push(task);
            return Ok(());
        }
        match task {
            Task::Deliver { link, envelope } if self.cluster.network().is_cut(link) => {
                self.cluster.network_mut().take(link, envelope);
            }
            Task::Deliver { link, envelope } => self.cluster.deliver(link, envelope),
            Task::Disk { node, start } => return self.disk_done(node, start),
            Task::Ask { node, client, command } => self.ask(node, client, command),
            Task::Answer { client, reply } => {
                self.clients.answered(self.cluster.now(), client, &reply, &mut self.counts);
            }
            Task::GiveUp { client } => {
                self.clients.gave_up(self.cluster.now(), client, &mut self.counts);
            }
            Task::Think => self.think(),
            Task::Fault => self.fault()?,
        }
        Ok(())
    }

    /// The member whose process must be running for this to happen.
    fn target(&self, task: &Task) -> Option<NodeId> {
        match task {
            Task::Deliver { link, .. } => Some(link.1),
            Task::Disk { node, start } if *start == self.cluster.node(*node).starts() => Some(*node),
            Task::Ask { node, .. } => Some(*node),
            _ => None,
        }
    }

    /// The disk finishes a batch: some of what it was given, at least one job.
    fn disk_done(&mut self, node: NodeId, start: u64) -> Result<(), Broken> {
        let member = self.cluster.node(node);
        if !member.is_running() || member.starts() != start {
            return Ok(());
        }
        let batch = self.dice.between(1, member.jobs().len() as u64);
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

    fn ask(&mut self, node: NodeId, client: u64, command: Command) {
        if !self.cluster.node(node).is_running() {
            return self.clients.refused(self.cluster.now(), client);
        }
        let request = self.cluster.request(node, command);
        self.requests.insert(request, client);
    }

    /// A client begins an operation, and another one later.
    fn think(&mut self) {
        if self.healed {
            return;
        }
        let nodes = self.cluster.ids();
        let Client { client, node, command, patience } =
            self.clients.begin(self.cluster.now(), &nodes, self.temper.keys, &mut self.dice);
        let delay = Duration::from_micros(self.dice.between(50, 20_000));
        self.later(delay, Task::Ask { node, client, command });
        self.later(patience, Task::GiveUp { client });
        let think = self.temper.think.as_micros() as u64;
        let pause = Duration::from_micros(self.dice.between(think / 2, think * 3 / 2));
        self.later(pause, Task::Think);
    }

    /// Starts a member's process.
    pub(super) fn start(&mut self, id: NodeId) -> Result<(), Broken> {
        let draw = StartDraw {
            incarnation: self.dice.number(),
            seed: self.dice.number(),
            clock_offset: Duration::from_millis(self.dice.between(0, 1_000_000)),
        };
        // A member that has forgotten everything must not meet its own past: its connections are new ones.
        if self.cluster.node(id).is_wiped() {
            for other in self.cluster.ids() {
                self.cluster.network_mut().clear((id, other));
                self.cluster.network_mut().clear((other, id));
            }
        }
        self.cluster.start(id, draw);
        self.look()
    }

    /// Waits until a healed cluster has come to rest. Where nobody is primary, an operator promotes.
    fn rest(&mut self) -> Result<(), Broken> {
        let deadline = self.cluster.now() + REST_WITHIN;
        while self.cluster.now() < deadline {
            let look_again = self.cluster.now() + OPERATOR_EVERY;
            if self.until(look_again, Self::is_at_rest)? {
                return Ok(());
            }
            self.promote_someone()?;
        }
        let states: Vec<_> = self
            .cluster
            .ids()
            .iter()
            .filter_map(|&id| self.cluster.status(id))
            .map(|s| text::status(&s))
            .collect();
        Err(format!("not at rest {REST_WITHIN:?} after everything was healed: {states:#?}"))
    }

    fn is_at_rest(&self) -> bool {
        let ids = self.cluster.ids();
        let states: Vec<_> = ids.iter().filter_map(|&id| self.cluster.status(id)).collect();
        let Some(primary) = states.iter().find(|s| s.role == Role::Primary) else { return false };
        let durable = |id: &NodeId| self.cluster.node(*id).jobs().is_empty();
        let equal = states.iter().all(|s| {
            s.last == primary.last && s.commit == primary.last.seq && s.epoch == primary.epoch && !s.stale
        });
        let settled = states.iter().all(|s| matches!(s.role, Role::Primary | Role::Replica));
        let quiet = self.clients.all_done() && ids.iter().all(durable);
        states.len() == ids.len() && equal && settled && quiet
    }

    /// An operator sees no primary that gets anywhere, and promotes the member that is furthest ahead.
    fn promote_someone(&mut self) -> Result<(), Broken> {
        let states: Vec<_> = self.cluster.ids().iter().filter_map(|&id| self.cluster.status(id)).collect();
        if states.iter().any(|s| s.role == Role::Primary) {
            return Ok(());
        }
        let voices = states.iter().filter(|s| s.role != Role::Learner);
        if let Some(ahead) = voices.max_by_key(|s| (s.last, s.id)) {
            let request = self.cluster.request(ahead.id, Command::Promote { force: false });
            self.operator.insert(request);
            self.look()?;
        }
        Ok(())
    }

    /// Every key must be readable from every member.
    fn read_back(&mut self) -> Result<(), Broken> {
        let within = Duration::from_secs(5);
        for node in self.cluster.ids() {
            for key in self.clients.keys() {
                let (client, command) = self.clients.read_back(self.cluster.now(), node, &key);
                self.later(Duration::ZERO, Task::Ask { node, client, command });
                let end = self.cluster.now() + within;
                self.until(end, |simulation| simulation.clients.all_done())?;
                self.clients.must_have_been_served(client)?;
            }
        }
        Ok(())
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.options.trace {
            self.trace.push(format!("{:>10.6} {}", self.cluster.now().as_secs_f64(), line()));
        }
    }

    fn note_happening(&mut self, happening: &Happening) {
        if self.options.trace && !matches!(happening, Happening::Ticked { .. }) {
            let label = |request: RequestId| match self.requests.get(&request) {
                Some(client) => format!("#{} (c{client})", request.0),
                None => format!("#{}", request.0),
            };
            let line = text::happening(happening, label);
            self.note(|| line);
        }
    }
}
