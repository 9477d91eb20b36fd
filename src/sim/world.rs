//! A cluster that moves by itself in simulated time: its messages, its disks and its timers, all from one seed.
//!
//! Whoever drives a world decides what is done to it and what its clients ask; [`World::step`] does the one thing
//! that is due next, lets the [`Oracle`] look at it, and says what it means for the driver. Two drive one:
//! [`simulate`](super::simulate) by chance, and the lab's scenarios step by step.
//!
//! What is under way is bounded by the steps that a driver takes: every step is one message, one disk batch, one
//! timer or one thing of the driver's own.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::replication::{Config, RequestId};
use crate::storage;
use crate::types::{Command, Event, NodeId, Reply, Status, Time};

use super::agenda::Agenda;
use super::cluster::{Cluster, Happening, StartDraw};
use super::dice::Dice;
use super::disk::{SimDisk, StoredDisk};
use super::network::{EnvelopeId, Link, Weather};
use super::options::Counts;
use super::oracle::{Broken, Oracle};
use super::text;
use super::told::{Telling, Told};

/// Something to come. What is large is boxed: most of what comes is a message.
#[derive(Debug)]
pub(super) enum Due<T> {
    /// A message arrives.
    Deliver { link: Link, envelope: EnvelopeId },
    /// A member's disk finishes what it is at.
    Disk { node: NodeId, start: u64 },
    /// A client's request arrives.
    Ask(Box<Ask>),
    /// An answer arrives at its client, over a link if that is not at home with who answers.
    Answer { client: u64, link: Option<Link>, reply: Box<Reply> },
    /// A client's connection breaks.
    Break { client: u64 },
    /// What the driver has planned.
    Own(T),
}

/// A request of a client.
#[derive(Clone, Debug)]
pub struct Ask {
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
pub enum Happened<T> {
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

/// What a world is like.
#[derive(Clone, Copy, Debug)]
pub struct Climate {
    /// How messages fare.
    pub weather: Weather,
    /// The slowest sync. One in some hundred takes up to twenty times as long.
    pub disk_max: Duration,
    /// Messages of one link keep their order and come once, as on one connection.
    pub ordered: bool,
    /// The longest way of a client's request or answer.
    pub client_delay_max: Duration,
}

impl Climate {
    /// A quiet local network and good disks.
    pub const CALM: Self = Self {
        weather: Weather::CALM,
        disk_max: Duration::from_millis(2),
        ordered: true,
        client_delay_max: Duration::from_millis(1),
    };
}

/// See the module. `T` is what its driver plans.
#[derive(Debug)]
pub struct World<T> {
    pub(super) cluster: Cluster,
    pub(super) oracle: Oracle,
    pub(super) dice: Dice,
    pub(super) climate: Climate,
    pub(super) counts: Counts,
    agenda: Agenda<Due<T>>,
    /// What arrives at a stopped process waits in its sockets.
    held: BTreeMap<NodeId, Vec<Due<T>>>,
    /// Who has asked what is not answered yet, and from where.
    asked: BTreeMap<RequestId, (u64, Option<NodeId>)>,
    /// Added to the way of what is sent on these links: always, and at random up to.
    pub(super) slow: BTreeMap<Link, (Duration, Duration)>,
    disk_busy: BTreeMap<NodeId, u64>,
    last_arrival: BTreeMap<Link, Time>,
    happenings: Vec<Happening>,
    trace: Option<Vec<String>>,
    pub(super) told: Option<Vec<Told>>,
    /// What is seen from inside is kept, and breaks nothing: mistakes are made on purpose.
    pub(super) oracle_rests: bool,
}

impl<T> World<T> {
    /// Members that have not started yet, on empty disks. Where any makes a mistake on purpose, it is not held against it
    /// from inside: what the clients see decides.
    pub fn new(configs: Vec<Config>, disks: storage::Options, climate: Climate, seed: u64) -> Self {
        let oracle_rests = configs.iter().any(|config| !config.quirks.is_empty());
        let world = Self::on_disks(configs, climate, Dice::new(seed), |id, dice| {
            Box::new(StoredDisk::new(storage::Options { node: id, ..disks }, dice.number()))
        });
        Self { oracle_rests, ..world }
    }

    /// Members on disks of any kind.
    pub(super) fn on_disks(
        configs: Vec<Config>,
        climate: Climate,
        mut dice: Dice,
        mut disk: impl FnMut(NodeId, &mut Dice) -> Box<dyn SimDisk>,
    ) -> Self {
        let quorum = configs[0].quorum();
        Self {
            cluster: Cluster::new(configs, |id| disk(id, &mut dice)),
            oracle: Oracle::new(quorum),
            dice,
            climate,
            counts: Counts::default(),
            agenda: Agenda::new(),
            held: BTreeMap::new(),
            asked: BTreeMap::new(),
            slow: BTreeMap::new(),
            disk_busy: BTreeMap::new(),
            last_arrival: BTreeMap::new(),
            happenings: Vec::new(),
            trace: None,
            told: None,
            oracle_rests: false,
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
    pub fn step(&mut self, end: Time) -> Result<Option<Happened<T>>, String> {
        let due = self.agenda.next_due().unwrap_or(Time::MAX);
        let timer = self.cluster.next_deadline().filter(|&(at, _)| at <= due);
        let at = timer.map_or(due, |(at, _)| at);
        if at > end {
            self.cluster.set_now(end.max(self.now()));
            return Ok(None);
        }
        self.cluster.set_now(at.max(self.now()));
        self.counts.steps += 1;
        let happened = match timer {
            Some((_, id)) => {
                self.cluster.tick(id);
                Happened::Nothing
            }
            None => {
                let (_, due) = self.agenda.take().expect("something is due");
                self.carry_out(due)?
            }
        };
        self.look()?;
        Ok(Some(happened))
    }

    /// What must hold when all is healed and at rest.
    ///
    /// # Errors
    /// If members differ, or an acknowledged write is gone without a trace; in words.
    pub fn settled(&self) -> Result<(), String> {
        self.oracle.settled(&self.cluster).or_else(|what| self.unless_it_rests(what))
    }

    /// Plans something of the driver's own.
    pub fn later(&mut self, after: Duration, what: T) {
        self.plan(after, Due::Own(what));
    }

    /// A client's request sets out.
    pub fn ask(&mut self, ask: Ask) {
        let mut way = self.client_way();
        if let Some(link) = over(ask.home, ask.node) {
            way += self.slowness(link);
        }
        self.plan(way, Due::Ask(Box::new(ask)));
    }

    /// Writes a line into the trace.
    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>10.6} {}", self.cluster.now().as_secs_f64(), line()));
        }
    }

    /// Takes in what has happened: lets the oracle see it, and plans what follows from it.
    pub(super) fn look(&mut self) -> Result<(), Broken> {
        let mut happenings = std::mem::take(&mut self.happenings);
        self.cluster.swap_happenings(&mut happenings);
        let seen = self.oracle.observe(&self.cluster, &happenings).or_else(|what| self.unless_it_rests(what));
        for happening in happenings.drain(..) {
            self.note_happening(&happening);
            self.follow_up(happening);
        }
        self.happenings = happenings;
        seen
    }

    /// What the oracle says, unless it rests.
    pub(super) fn unless_it_rests(&self, what: Broken) -> Result<(), Broken> {
        if self.oracle_rests { Ok(()) } else { Err(what) }
    }

    /// A request reaches a member at once. The answer sets out when it is ready.
    pub(super) fn request(&mut self, ask: Ask) {
        let Ask { client, home, node, command } = ask;
        let request = self.cluster.request(node, command);
        self.asked.insert(request, (client, home));
    }

    /// Starts a member's process on what its disk holds.
    pub(super) fn start_process(&mut self, id: NodeId) -> Result<(), Broken> {
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

    /// A stopped process goes on: what waited in its sockets arrives now.
    pub(super) fn resume_process(&mut self, id: NodeId) {
        self.cluster.node_mut(id).set_paused(false);
        for (i, due) in (0..).zip(self.held.remove(&id).unwrap_or_default()) {
            let delay = if self.climate.ordered { i } else { self.dice.between(0, 2000) };
            self.plan(Duration::from_micros(delay), due);
        }
    }

    fn plan(&mut self, after: Duration, due: Due<T>) {
        self.agenda.note(self.cluster.now() + after, due);
    }

    fn carry_out(&mut self, due: Due<T>) -> Result<Happened<T>, Broken> {
        if let Some(node) = self.target(&due)
            && self.cluster.node(node).is_paused()
        {
            self.held.entry(node).or_default().push(due);
            return Ok(Happened::Nothing);
        }
        match due {
            Due::Deliver { link, envelope } if self.cluster.network().is_cut(link) => {
                self.cluster.network_mut().take(link, envelope);
            }
            Due::Deliver { link, envelope } => self.cluster.deliver(link, envelope),
            Due::Disk { node, start } => self.disk_done(node, start)?,
            Due::Ask(ask) if self.is_cut_off(over(ask.home, ask.node)) => {}
            Due::Ask(ask) if !self.cluster.node(ask.node).is_running() => {
                return Ok(Happened::Refused { client: ask.client });
            }
            Due::Ask(ask) => self.request(*ask),
            Due::Answer { link, .. } if self.is_cut_off(link) => {}
            Due::Answer { client, reply, .. } => return Ok(Happened::Answered { client, reply: *reply }),
            Due::Break { client } => return Ok(Happened::Lost { client }),
            Due::Own(what) => return Ok(Happened::Own(what)),
        }
        Ok(Happened::Nothing)
    }

    /// The member whose process must be running for this to happen.
    fn target(&self, due: &Due<T>) -> Option<NodeId> {
        match due {
            Due::Deliver { link, .. } => Some(link.1),
            Due::Disk { node, start } if *start == self.cluster.node(*node).starts() => Some(*node),
            Due::Ask(ask) => Some(ask.node),
            _ => None,
        }
    }

    fn is_cut_off(&self, link: Option<Link>) -> bool {
        link.is_some_and(|link| self.cluster.network().is_cut(link))
    }

    fn follow_up(&mut self, happening: Happening) {
        match happening {
            Happening::Sent { link, envelope, .. } => {
                self.counts.messages += 1;
                if let Some(envelope) = envelope {
                    self.dispatch(link, envelope);
                }
            }
            Happening::Submitted { node, .. } => self.start_disk(node),
            Happening::Crashed { node, .. } => {
                self.disk_busy.remove(&node);
                self.held.remove(&node);
                self.tell(node, Telling::Stopped);
            }
            Happening::Replied { node, request, reply } => {
                if let Some((client, home)) = self.asked.remove(&request) {
                    let link = over(home, node).map(|(home, node)| (node, home));
                    let way = self.client_way() + link.map_or(Duration::ZERO, |link| self.slowness(link));
                    self.plan(way, Due::Answer { client, link, reply: Box::new(reply) });
                }
            }
            Happening::Lost { request } => {
                if let Some((client, _)) = self.asked.remove(&request) {
                    self.plan(Duration::from_millis(1), Due::Break { client });
                }
            }
            Happening::Told { node, event } => {
                match event {
                    Event::FullResyncInstalled { discarded, .. } => {
                        self.counts.installs += 1;
                        self.counts.rollbacks += u64::from(discarded > 0);
                    }
                    Event::LearnerGraduated => self.counts.graduations += 1,
                    _ => {}
                }
                self.tell(node, Telling::Event(event));
            }
            _ => {}
        }
    }

    /// Decides the fate of a message that has just been sent.
    fn dispatch(&mut self, link: Link, envelope: EnvelopeId) {
        let Climate { weather, ordered, .. } = self.climate;
        let copy = if !ordered && self.dice.chance(weather.duplicate) {
            self.cluster.network_mut().duplicate(link, envelope)
        } else {
            None
        };
        self.send_on_its_way(link, envelope);
        if let Some(copy) = copy {
            self.send_on_its_way(link, copy);
        }
    }

    fn send_on_its_way(&mut self, link: Link, envelope: EnvelopeId) {
        let Some(arrival) = self.climate.weather.arrival(self.cluster.now(), &mut self.dice) else {
            self.cluster.network_mut().take(link, envelope);
            return;
        };
        let mut at = arrival + self.slowness(link);
        if self.climate.ordered {
            let last = self.last_arrival.entry(link).or_default();
            at = at.max(*last);
            *last = at;
        }
        self.agenda.note(at, Due::Deliver { link, envelope });
    }

    /// What is added to the way over a link now.
    fn slowness(&mut self, link: Link) -> Duration {
        let Some(&(delay, jitter)) = self.slow.get(&link) else { return Duration::ZERO };
        delay + Duration::from_micros(self.dice.between(0, jitter.as_micros() as u64))
    }

    fn client_way(&mut self) -> Duration {
        Duration::from_micros(self.dice.between(50, self.climate.client_delay_max.as_micros() as u64))
    }

    /// The disk takes up what waits for it, unless it is at it already.
    pub(super) fn start_disk(&mut self, node: NodeId) {
        let start = self.cluster.node(node).starts();
        if self.disk_busy.insert(node, start) != Some(start) {
            let slowest = self.climate.disk_max.as_micros() as u64;
            let stall = if self.dice.chance(3) { 20 } else { 1 };
            let takes = Duration::from_micros(self.dice.between(20, slowest) * stall);
            self.plan(takes, Due::Disk { node, start });
        }
    }

    /// The disk finishes a batch: some of what it was given, at least one job.
    fn disk_done(&mut self, node: NodeId, start: u64) -> Result<(), Broken> {
        let member = self.cluster.node(node);
        if !member.is_running() || member.starts() != start {
            return Ok(());
        }
        if !member.can_persist() {
            self.disk_busy.remove(&node); // begun again when there is room
            return Ok(());
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

    fn note_happening(&mut self, happening: &Happening) {
        if self.trace.is_some() && !matches!(happening, Happening::Ticked { .. }) {
            let label = |request: RequestId| match self.asked.get(&request) {
                Some((client, _)) => format!("#{} (c{client})", request.0),
                None => format!("#{}", request.0),
            };
            let line = text::happening(happening, label);
            self.note(|| line);
        }
    }
}

/// The link between a client's zone and another member.
fn over(home: Option<NodeId>, node: NodeId) -> Option<Link> {
    home.filter(|home| *home != node).map(|home| (home, node))
}
