//! The lab's clients on a simulated cluster: the same routine, the same course of an operation and the same history as
//! in a live run, in simulated time.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use kvlab::client::{Answer, ClientError, Course, Setback, Turn};
use kvlab::judge::Violation;
use kvlab::sim::{ClientRequest, StepOutcome, World};
use kvlab::types::{NodeId, Reply};

use super::client::{Background, Pending, Reach, SimulatedClient, reach};
use crate::run::event::Operation;
use crate::run::history::{Intent, Sequencer};
use crate::workload::client::{
    ATTEMPTS_MAX, CONNECT_TIMEOUT, DEADLINE, Measured, REQUEST_TIMEOUT, Way, command, completion,
};
use crate::workload::ledger::{Ledger, LedgerKey, ReadingBack, Written};
use crate::workload::options::{WorkloadOptions, check_rate};
use crate::workload::pace::{Schedule, interval};
use crate::workload::routine::Routine;

/// The operator asks as this client, on the spot.
pub(crate) const OPERATOR: u64 = 0;

/// Something that is planned in a lab's world.
#[derive(Debug)]
pub(crate) enum Task {
    /// A member tells its watcher how it is.
    Report(NodeId),
    /// The ledger is read back, if anything is due.
    ReadBack,
    /// A background client means to ask something, at the pace of this number.
    Due { client: usize, pace: u64 },
    /// A client asks this node, now that it has waited.
    Attempt { client: usize, node: NodeId },
    /// Whatever becomes of this attempt, its client waits no longer.
    Patience { attempt: u64 },
    /// Nobody could be reached for this attempt.
    Unreachable { attempt: u64, reason: &'static str },
}

/// What a step of the world means for the stage.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// Nothing, or something that only clients care for.
    Nothing,
    /// A member is to tell how it is.
    Report(NodeId),
    /// The ledger is to be read back, if anything is due.
    ReadBack,
    /// The operator is answered.
    Operator(Reply),
}

/// All clients: those of the background load, and guests.
#[derive(Debug)]
pub(crate) struct ClientSet {
    options: WorkloadOptions,
    clients: Vec<SimulatedClient>,
    /// Attempts under way, and whose they are.
    attempts: BTreeMap<u64, usize>,
    attempts_begun: u64,
    order: Sequencer,
    ledger: Ledger,
    on: bool,
    rate: u32,
    /// Background operations that succeeded without a quorum, since this was last asked.
    without_quorum: Vec<Operation>,
    /// Counts changes of the pace.
    pace: u64,
    background_busy: usize,
}

impl ClientSet {
    /// The clients of a background load, which begin at once if it is on. The options have been checked.
    pub(crate) fn new(options: WorkloadOptions, world: &mut World<Task>) -> Self {
        let mut set = Self {
            clients: Vec::new(),
            attempts: BTreeMap::new(),
            attempts_begun: 0,
            order: Sequencer::new(),
            ledger: Ledger::default(),
            on: options.on,
            rate: options.rate,
            without_quorum: Vec::new(),
            pace: 0,
            background_busy: 0,
            options,
        };
        let members = world.members();
        for n in 0..set.options.clients {
            let mut from = None;
            let options = set.options.clone();
            let routine = Routine::new(n, &options, &members, |home, seed| {
                let number = set.order.new_client();
                from = Some((home, seed, number));
                number
            });
            if let (Some(routine), Some((home, seed, number))) = (routine, from) {
                let phase = f64::from(n) / f64::from(options.clients);
                let schedule = Schedule::new(Duration::from_secs(1), Duration::ZERO);
                let background = Some(Background { routine, schedule, phase });
                set.clients.push(SimulatedClient::new(number, Some(home), seed, background));
            }
        }
        set.set_pace(world, set.on, set.rate);
        set
    }

    /// A client of the lab itself or of a step, at home with `home`, or one whom no fault touches.
    pub(crate) fn guest(&mut self, home: Option<NodeId>) -> usize {
        let number = self.order.new_client();
        self.clients.push(SimulatedClient::new(number, home, self.options.seed ^ u64::from(number), None));
        self.clients.len() - 1
    }

    /// A guest asks something. It has nothing else under way.
    pub(crate) fn begin(&mut self, world: &mut World<Task>, guest: usize, way: Way, intent: Intent) {
        let now = world.now();
        self.operate(world, guest, way, intent, now, None);
    }

    /// How a guest's operation ended, if it has.
    pub(crate) fn take_ended(&mut self, guest: usize) -> Option<Operation> {
        self.clients[guest].ended.take()
    }

    /// On or off. Operations under way end as they may.
    pub(crate) fn set_on(&mut self, world: &mut World<Task>, on: bool) -> anyhow::Result<()> {
        ensure!(!on || self.options.clients > 0, "there are no clients to put the cluster under load");
        if on != self.on {
            self.set_pace(world, on, self.rate);
        }
        Ok(())
    }

    /// Operations a second, all clients together.
    pub(crate) fn set_rate(&mut self, world: &mut World<Task>, rate: u32) -> anyhow::Result<()> {
        check_rate(rate)?;
        if rate != self.rate {
            self.set_pace(world, self.on, rate);
        }
        Ok(())
    }

    /// Whether nothing of the background load is under way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.background_busy == 0
    }

    /// The key of the ledger to read back now, if one is due.
    pub(crate) fn next_read(&mut self, now: Duration) -> Option<ReadingBack> {
        self.ledger.next_read(now)
    }

    /// It was read, and held this value or nothing; or (`answer` is `None`) it could not be.
    pub(crate) fn was_read(&mut self, read: ReadingBack, answer: Option<Option<String>>, now: Duration) {
        self.ledger.was_read(read, answer, now);
    }

    /// Something has happened since which what was found may be gone.
    pub(crate) fn ask_again(&mut self) {
        self.ledger.ask_again();
        self.order.ask_again();
    }

    /// Every key that there is to read back: of acknowledged writes to the ledger, and all registers.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys = self.ledger.keys();
        if self.options.clients > 0 {
            for family in self.options.families() {
                keys.extend((0..self.options.registers).map(|register| family.register_key(register)));
            }
        }
        keys
    }

    /// Background operations that succeeded without a quorum, since this was last asked: what may explain a violation.
    pub(crate) fn take_without_quorum(&mut self) -> Vec<Operation> {
        std::mem::take(&mut self.without_quorum)
    }

    /// The broken promises that were found since this was last asked.
    pub(crate) fn take_found(&mut self) -> Vec<Violation> {
        self.order.take_violations()
    }

    /// The history so far, judged.
    pub(crate) fn order(&self) -> &Sequencer {
        &self.order
    }

    /// Takes a step of the world: clients go on, and what is not theirs is handed on.
    pub(crate) fn take(&mut self, world: &mut World<Task>, outcome: StepOutcome<Task>) -> Meaning {
        match outcome {
            StepOutcome::Nothing => {}
            StepOutcome::Answered { client: OPERATOR, reply } => return Meaning::Operator(reply),
            StepOutcome::Answered { client, reply } => match reply {
                Reply::Failed(failure) => self.set_back(world, client, Setback::Failed(failure), false),
                reply => self.answered(world, client, reply),
            },
            StepOutcome::Lost { client } => {
                self.set_back(world, client, Setback::NoAnswer("the connection was lost".to_owned()), true);
            }
            StepOutcome::Refused { client } => {
                self.set_back(world, client, Setback::Unsent("the connection has ended".to_owned()), true);
            }
            StepOutcome::Own(Task::Report(node)) => return Meaning::Report(node),
            StepOutcome::Own(Task::ReadBack) => return Meaning::ReadBack,
            StepOutcome::Own(Task::Due { client, pace }) => {
                if pace == self.pace && self.on {
                    self.background(world, client);
                }
            }
            StepOutcome::Own(Task::Attempt { client, node }) => self.attempt(world, client, node),
            StepOutcome::Own(Task::Patience { attempt }) => {
                let reason = format!("nothing came within {} ms", REQUEST_TIMEOUT.as_millis());
                self.set_back(world, attempt, Setback::NoAnswer(reason), true);
            }
            StepOutcome::Own(Task::Unreachable { attempt, reason }) => {
                self.set_back(world, attempt, Setback::Unsent(reason.to_owned()), true);
            }
        }
        Meaning::Nothing
    }

    /// Every client of the load has a new schedule; those under way take it up when they have ended.
    fn set_pace(&mut self, world: &mut World<Task>, on: bool, rate: u32) {
        (self.on, self.rate) = (on, rate);
        self.pace += 1;
        let (every, now) = (interval(self.options.clients.max(1), rate), world.now());
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            let Some(background) = &mut client.background else { continue };
            background.schedule = Schedule::new(every, now + every.mul_f64(background.phase));
            if on && client.pending.is_none() {
                self.plan_next(world, index);
            }
        }
    }

    fn plan_next(&mut self, world: &mut World<Task>, client: usize) {
        let Some(background) = &mut self.clients[client].background else { return };
        let due = background.schedule.next(world.now());
        world.later(due.saturating_sub(world.now()), Task::Due { client, pace: self.pace });
    }

    fn background(&mut self, world: &mut World<Task>, index: usize) {
        let Self { clients, ledger, .. } = self;
        let Some(Background { routine, .. }) = &mut clients[index].background else { return };
        let (way, intent, ledger_key) = routine.next(|family| ledger.begin(family));
        self.background_busy += 1;
        let now = world.now();
        self.operate(world, index, way, intent, now, ledger_key);
    }

    fn operate(
        &mut self,
        world: &mut World<Task>,
        index: usize,
        way: Way,
        intent: Intent,
        intended: Duration,
        ledger_key: Option<LedgerKey>,
    ) {
        let first = way.first();
        let now = world.now();
        let client = &mut self.clients[index];
        let intent = intent.with_value(|| client.fresh_value());
        assert!(client.pending.is_none(), "client {} does one thing at a time", client.number);
        let i = self.order.invoke(now, client.number, first, &intent);
        client.waits.reset();
        client.pending = Some(Pending {
            command: command(&intent),
            intent,
            way,
            course: Course::new(ATTEMPTS_MAX, DEADLINE),
            node: first,
            began: now,
            intended,
            i,
            attempt: 0,
            tries: 0,
            ledger_key,
        });
        self.attempt(world, index, first);
    }

    fn attempt(&mut self, world: &mut World<Task>, index: usize, node: NodeId) {
        self.attempts_begun += 1;
        let attempt = self.attempts_begun;
        self.attempts.insert(attempt, index);
        let client = &mut self.clients[index];
        let pending = client.pending.as_mut().expect("an attempt belongs to an operation");
        (pending.attempt, pending.node, pending.tries) = (attempt, node, pending.course.begin(node));
        let process = world.starts(node);
        if client.connections.get(&node) != Some(&process) {
            match reach(world, client.home, node) {
                Reach::Open => client.connections.insert(node, process),
                Reach::Nobody => {
                    let task = Task::Unreachable { attempt, reason: "nobody listens there" };
                    return world.later(Duration::from_micros(200), task);
                }
                Reach::Silence => {
                    let left = (pending.began + DEADLINE).saturating_sub(world.now());
                    let task = Task::Unreachable { attempt, reason: "no connection in time" };
                    return world.later(CONNECT_TIMEOUT.min(left), task);
                }
            };
        }
        world.ask(ClientRequest {
            client: attempt,
            home: client.home,
            node,
            command: pending.command.clone(),
        });
        world.later(REQUEST_TIMEOUT, Task::Patience { attempt });
    }

    fn answered(&mut self, world: &mut World<Task>, attempt: u64, reply: Reply) {
        let Some(index) = self.attempts.remove(&attempt) else { return };
        let pending = self.clients[index].pending.as_ref().expect("its attempt was under way");
        let answer = Answer { node: pending.node, reply, attempts: pending.tries };
        self.end(world, index, Ok(answer));
    }

    fn set_back(&mut self, world: &mut World<Task>, attempt: u64, setback: Setback, disconnected: bool) {
        let Some(index) = self.attempts.remove(&attempt) else { return };
        let members = world.members();
        let client = &mut self.clients[index];
        let pending = client.pending.as_ref().expect("its attempt was under way");
        if disconnected {
            client.connections.remove(&pending.node);
        }
        if let Way::Only(node) = pending.way {
            let error = setback.error(node, 1);
            return self.end(world, index, Err(error));
        }
        let elapsed = world.now() - pending.began;
        match pending.course.turn(&pending.command, setback, elapsed, &mut client.waits, &members) {
            Turn::Stop(error) => self.end(world, index, Err(error)),
            Turn::Ask(node, wait) => world.later(wait, Task::Attempt { client: index, node }),
        }
    }

    fn end(&mut self, world: &mut World<Task>, index: usize, outcome: Result<Answer, ClientError>) {
        let now = world.now();
        let client = &mut self.clients[index];
        let pending = client.pending.take().expect("only what was begun ends");
        let completion = completion(&pending.intent, outcome);
        let stale_ms = self.order.complete(now, client.number, &pending.intent, &completion);
        let took_us = u64::try_from((now - pending.intended).as_micros()).unwrap_or(u64::MAX);
        let home = client.home.unwrap_or(pending.way.first());
        let operation =
            Measured { i: pending.i, home, took_us, stale_ms }.operation(pending.intent, completion);
        let Some(background) = &mut client.background else {
            client.ended = Some(operation);
            return;
        };
        background.routine.ended(&operation);
        if let Some(key) = pending.ledger_key {
            self.ledger.ended(key, Written::from(&operation.outcome));
        }
        if operation.lacks_quorum() {
            self.without_quorum.push(operation);
        }
        self.background_busy -= 1;
        if self.on {
            self.plan_next(world, index);
        }
    }
}
