//! A cluster that moves by itself in simulated time: its messages, its disks and its timers, all from one seed.
//!
//! Whoever drives a world decides what is done to it and what its clients ask; [`World::step`] does the one thing
//! that is due next, lets the [`Oracle`] look at it, and says what it means for the driver. Two drive one:
//! [`simulate`](super::simulate) by chance, and the lab's scenarios step by step.
//!
//! What is under way is bounded by the steps that a driver takes: every step is one message, one disk batch, one
//! timer or one thing of the driver's own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::replication::{Config, RequestId};
use crate::storage;
use crate::types::{Command, Event, NodeId, Position, Reply, Status, Time};

use super::agenda::Agenda;
use super::cluster::{Cluster, ClusterEvent};
use super::dice::Dice;
use super::disk::{SimDisk, StoredDisk};
use super::environment::{Environment, LinkQuality};
use super::member_event::{MemberEvent, MemberEventKind};
use super::network::{EnvelopeId, Link};
use super::node::StartDraw;
use super::oracle::{BrokenPromise, Oracle};
use super::outcome::Counts;
use super::text;

/// Something to come. What is large is boxed: most of what comes is a message.
#[derive(Debug)]
pub(super) enum Due<T> {
    /// A message arrives.
    Deliver { link: Link, envelope: EnvelopeId },
    /// A member's disk finishes what it is at.
    Disk { node: NodeId, start: u64 },
    /// A client's request arrives.
    Request(Box<ClientRequest>),
    /// An answer arrives at its client, over a link if that is not at home with who answers.
    Answer { client: u64, link: Option<Link>, reply: Box<Reply> },
    /// A client's connection breaks.
    Break { client: u64 },
    /// What the driver has planned.
    Own(T),
}

/// A request of a client.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    /// Who asks: names the answer.
    pub client: u64,
    /// Whose zone the client is in: another member is reached over the links between the two. `None`: no fault of
    /// the links touches it.
    pub home: Option<NodeId>,
    /// Whom it asks.
    pub node: NodeId,
    /// What it asks.
    pub command: Command,
}

/// What a step means for whoever drives the world.
#[derive(Debug)]
pub enum StepOutcome<T> {
    /// Nothing that concerns the driver.
    Nothing,
    /// What the driver has planned is due.
    Own(T),
    /// A client is answered.
    Answered {
        /// Who asked.
        client: u64,
        /// What it is told.
        reply: Reply,
    },
    /// A client's connection breaks; whether what it asked has happened, nobody can say.
    Lost {
        /// Who asked.
        client: u64,
    },
    /// Nobody listens where the client asks: it certainly has not happened.
    Refused {
        /// Who asked.
        client: u64,
    },
}

/// A cluster that moves by itself. `T` is what its driver plans.
#[derive(Debug)]
pub struct World<T> {
    pub(super) cluster: Cluster,
    pub(super) oracle: Oracle,
    pub(super) dice: Dice,
    pub(super) environment: Environment,
    pub(super) counts: Counts,
    pub(super) agenda: Agenda<Due<T>>,
    /// What arrives at a stopped process waits in its sockets.
    held: BTreeMap<NodeId, Vec<Due<T>>>,
    /// Who has asked what is not answered yet, and from where.
    asked: BTreeMap<RequestId, (u64, Option<NodeId>)>,
    /// What these links do to what is sent on them.
    pub(super) slow: BTreeMap<Link, LinkQuality>,
    /// Members whose processes are just ending because a sync has failed.
    pub(super) sync_failed: BTreeSet<NodeId>,
    /// The disks that are at a batch, and which start of their process gave it to them.
    pub(super) disk_busy: BTreeMap<NodeId, u64>,
    /// When the last message of each link arrives.
    pub(super) last_arrival: BTreeMap<Link, Time>,
    /// Versions that have rotted somewhere.
    pub(super) rotten: BTreeSet<Position>,
    events: Vec<ClusterEvent>,
    trace: Option<Vec<String>>,
    member_events: Option<Vec<MemberEvent>>,
    /// The oracle goes on looking, but what it finds breaks nothing: mistakes are made on purpose.
    pub(super) oracle_off: bool,
}

impl<T> World<T> {
    /// Members that have not started yet, on empty disks. Where any makes a mistake on purpose, it is not held against it
    /// from inside: what the clients see decides.
    pub fn new(configs: Vec<Config>, disks: storage::Options, environment: Environment, seed: u64) -> Self {
        let oracle_off = configs.iter().any(|config| !config.quirks.is_empty());
        let alone = configs.len() == 1;
        let world = Self::on_disks(configs, environment, Dice::new(seed), |id, dice| {
            Box::new(StoredDisk::new(storage::Options { node: id, alone, ..disks }, dice.number()))
        });
        Self { oracle_off, ..world }
    }

    /// Members on disks of any kind.
    pub(super) fn on_disks(
        configs: Vec<Config>,
        environment: Environment,
        mut dice: Dice,
        mut disk: impl FnMut(NodeId, &mut Dice) -> Box<dyn SimDisk>,
    ) -> Self {
        let quorum = configs[0].quorum();
        Self {
            cluster: Cluster::new(configs, |id| disk(id, &mut dice)),
            oracle: Oracle::new(quorum),
            dice,
            environment,
            counts: Counts::default(),
            agenda: Agenda::new(),
            held: BTreeMap::new(),
            asked: BTreeMap::new(),
            slow: BTreeMap::new(),
            sync_failed: BTreeSet::new(),
            disk_busy: BTreeMap::new(),
            last_arrival: BTreeMap::new(),
            rotten: BTreeSet::new(),
            events: Vec::new(),
            trace: None,
            member_events: None,
            oracle_off: false,
        }
    }

    /// Writes down what happens from now on, one line each.
    pub fn begin_trace(&mut self) {
        self.trace.get_or_insert_default();
    }

    /// What was written down since this was last asked.
    pub fn take_trace(&mut self) -> Vec<String> {
        self.trace.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Keeps what happens to members from now on, until it is taken ([`World::take_member_events`]).
    pub fn record_member_events(&mut self) {
        self.member_events.get_or_insert_default();
    }

    /// What has happened to members since this was last asked.
    pub fn take_member_events(&mut self) -> Vec<MemberEvent> {
        self.member_events.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The members, ascending.
    pub fn members(&self) -> Vec<NodeId> {
        self.cluster.ids()
    }

    /// Time since the world began.
    pub fn now(&self) -> Time {
        self.cluster.now()
    }

    /// What a watcher of a member sees. `None`: its process is down.
    pub fn status(&self, node: NodeId) -> Option<Status> {
        self.cluster.status(node)
    }

    /// Does the next thing that is due by `end`. `None`: there is none, and it is `end` now.
    ///
    /// # Errors
    /// If a promise was broken, in words. The world is of no use then.
    pub fn step(&mut self, end: Time) -> Result<Option<StepOutcome<T>>, String> {
        let due = self.agenda.next_due().unwrap_or(Time::MAX);
        let timer = self.cluster.next_deadline().filter(|&(at, _)| at <= due);
        let at = timer.map_or(due, |(at, _)| at);
        if at > end {
            self.cluster.set_now(end.max(self.now()));
            return Ok(None);
        }
        self.cluster.set_now(at.max(self.now()));
        self.counts.steps += 1;
        let outcome = match timer {
            Some((_, id)) => {
                self.cluster.tick(id);
                StepOutcome::Nothing
            }
            None => {
                let due = self.agenda.take().expect("something is due");
                self.carry_out(due)?
            }
        };
        self.look()?;
        Ok(Some(outcome))
    }

    /// What must hold when all is healed and at rest.
    ///
    /// # Errors
    /// If members differ, or an acknowledged write is gone without a trace; in words.
    pub fn settled(&self) -> Result<(), String> {
        self.oracle.settled(&self.cluster).or_else(|what| self.unless_oracle_off(what))
    }

    /// Plans something of the driver's own.
    pub fn later(&mut self, after: Duration, what: T) {
        self.plan(after, Due::Own(what));
    }

    /// A client's request sets out.
    pub fn ask(&mut self, ask: ClientRequest) {
        let mut way = self.client_way();
        if let Some(link) = over(ask.home, ask.node) {
            if self.loses(link) {
                return; // its client hears nothing
            }
            way += self.slowness(link);
        }
        self.plan(way, Due::Request(Box::new(ask)));
    }

    /// Starts a member's process on what its disk holds.
    ///
    /// # Errors
    /// If it breaks a promise at once.
    ///
    /// # Panics
    /// If it is running, or its disk holds what storage cannot read.
    pub fn start(&mut self, id: NodeId) -> Result<(), String> {
        let draw = StartDraw {
            incarnation: self.dice.number(),
            seed: self.dice.number(),
            clock_offset: Duration::from_millis(self.dice.between(0, 1_000_000)),
        };
        // What was said to the process before was said on its connections, and is gone with them. (Of other members it
        // may arrive: that is harder to bear.)
        if self.cluster.node(id).wiped || self.cluster.node(id).disk.promise().learner {
            for other in self.cluster.ids() {
                self.cluster.network.clear((other, id));
            }
        }
        self.cluster.start(id, draw);
        self.look()?;
        // A full disk is full after a restart.
        self.heed_disk(id)
    }

    /// A paused process goes on: what waited in its sockets arrives now.
    pub fn resume(&mut self, id: NodeId) {
        self.note(|| format!("resume {id}"));
        self.cluster.node_mut(id).paused = false;
        for (i, due) in (0..).zip(self.held.remove(&id).unwrap_or_default()) {
            let delay = if self.environment.ordered { i } else { self.dice.between(0, 2000) };
            self.plan(Duration::from_micros(delay), due);
        }
        self.cluster.tell_room(id);
    }

    pub(super) fn record(&mut self, node: NodeId, kind: MemberEventKind) {
        let at = self.now();
        if let Some(events) = &mut self.member_events {
            events.push(MemberEvent { at, node, kind });
        }
    }

    /// Writes a line into the trace.
    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>10.6} {}", self.cluster.now().as_secs_f64(), line()));
        }
    }

    /// Takes in what has happened: lets the oracle see it, and plans what follows from it.
    pub(super) fn look(&mut self) -> Result<(), BrokenPromise> {
        let mut events = std::mem::take(&mut self.events);
        self.cluster.swap_events(&mut events);
        let seen = self.oracle.observe(&self.cluster, &events).or_else(|what| self.unless_oracle_off(what));
        for event in events.drain(..) {
            self.note_event(&event);
            self.follow_up(event);
        }
        self.events = events;
        seen
    }

    /// What the oracle has found, unless it is off.
    pub(super) fn unless_oracle_off(&self, what: BrokenPromise) -> Result<(), BrokenPromise> {
        if self.oracle_off { Ok(()) } else { Err(what) }
    }

    /// A request reaches a member at once. The answer sets out when it is ready.
    pub(super) fn request(&mut self, ask: ClientRequest) {
        let ClientRequest { client, home, node, command } = ask;
        let request = self.cluster.request(node, command);
        self.asked.insert(request, (client, home));
    }

    pub(super) fn plan(&mut self, after: Duration, due: Due<T>) {
        self.agenda.note(self.cluster.now() + after, due);
    }

    fn carry_out(&mut self, due: Due<T>) -> Result<StepOutcome<T>, BrokenPromise> {
        if let Some(node) = self.target(&due)
            && self.cluster.node(node).paused
        {
            self.held.entry(node).or_default().push(due);
            return Ok(StepOutcome::Nothing);
        }
        match due {
            Due::Deliver { link, envelope } if self.cluster.network.is_cut(link) => {
                self.cluster.network.take(link, envelope);
            }
            Due::Deliver { link, envelope } => self.cluster.deliver(link, envelope),
            Due::Disk { node, start } => self.disk_done(node, start)?,
            Due::Request(ask) if self.is_cut_off(over(ask.home, ask.node)) => {}
            Due::Request(ask) if !self.cluster.node(ask.node).is_running() => {
                return Ok(StepOutcome::Refused { client: ask.client });
            }
            Due::Request(ask) => self.request(*ask),
            Due::Answer { link, .. } if self.is_cut_off(link) => {}
            Due::Answer { client, reply, .. } => return Ok(StepOutcome::Answered { client, reply: *reply }),
            Due::Break { client } => return Ok(StepOutcome::Lost { client }),
            Due::Own(what) => return Ok(StepOutcome::Own(what)),
        }
        Ok(StepOutcome::Nothing)
    }

    /// The member whose process must be running for this to happen.
    fn target(&self, due: &Due<T>) -> Option<NodeId> {
        match due {
            Due::Deliver { link, .. } => Some(link.1),
            Due::Disk { node, start } if *start == self.cluster.node(*node).starts => Some(*node),
            Due::Request(ask) => Some(ask.node),
            _ => None,
        }
    }

    fn is_cut_off(&self, link: Option<Link>) -> bool {
        link.is_some_and(|link| self.cluster.network.is_cut(link))
    }

    fn follow_up(&mut self, event: ClusterEvent) {
        match event {
            ClusterEvent::Sent { link, envelope, .. } => {
                self.counts.messages += 1;
                if let Some(envelope) = envelope {
                    self.dispatch(link, envelope);
                }
            }
            ClusterEvent::Submitted { node, .. } => self.start_disk(node),
            ClusterEvent::Crashed { node, .. } => {
                self.disk_busy.remove(&node);
                self.held.remove(&node);
                let failed = self.sync_failed.remove(&node);
                let kind = if failed { MemberEventKind::DiskFailed } else { MemberEventKind::Stopped };
                self.record(node, kind);
            }
            ClusterEvent::Replied { node, request, reply } => {
                if let Some((client, home)) = self.asked.remove(&request) {
                    let link = over(home, node).map(|(home, node)| (node, home));
                    if link.is_some_and(|link| self.loses(link)) {
                        return; // nor here
                    }
                    let way = self.client_way() + link.map_or(Duration::ZERO, |link| self.slowness(link));
                    self.plan(way, Due::Answer { client, link, reply: Box::new(reply) });
                }
            }
            ClusterEvent::Lost { request } => {
                if let Some((client, _)) = self.asked.remove(&request) {
                    self.plan(Duration::from_millis(1), Due::Break { client });
                }
            }
            ClusterEvent::StateChanged { node, event } => {
                match event {
                    Event::FullResyncInstalled { discarded, .. } => {
                        self.counts.installs += 1;
                        self.counts.rollbacks += u64::from(discarded > 0);
                    }
                    Event::LogCut { discarded, .. } => {
                        self.counts.cuts += 1;
                        self.counts.rollbacks += u64::from(discarded > 0);
                    }
                    Event::LearnerGraduated => self.counts.graduations += 1,
                    Event::ValueRepaired { .. } => self.counts.repairs += 1,
                    _ => {}
                }
                self.record(node, MemberEventKind::Event(event));
            }
            _ => {}
        }
    }

    fn note_event(&mut self, event: &ClusterEvent) {
        if self.trace.is_some() && !matches!(event, ClusterEvent::Ticked { .. }) {
            let label = |request: RequestId| match self.asked.get(&request) {
                Some((client, _)) => format!("#{} (c{client})", request.0),
                None => format!("#{}", request.0),
            };
            let line = text::cluster_event(event, label);
            self.note(|| line);
        }
    }
}

/// The link between a client's zone and another member.
fn over(home: Option<NodeId>, node: NodeId) -> Option<Link> {
    home.filter(|home| *home != node).map(|home| (home, node))
}
