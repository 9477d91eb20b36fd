//! The background load: its clients, its switch and its throttle.
#![expect(clippy::disallowed_methods, reason = "tasks, timers and clocks of the lab's clients live here")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use kvlab::judge::Consistency;
use tokio::sync::{RwLock, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::LabClient;
use super::ledger::{Ledger, LedgerKey, ReadingBack, Written};
use super::mix::Family;
use super::options::{WorkloadOptions, check_rate};
use super::pace::{Schedule, interval};
use super::routine::Routine;
use super::samples::{Budget, Samples};
use super::zones::Zones;
use crate::run::event::{LabEvent, LoadSample, Operation, Outcome};
use crate::run::history::Recorder;
use crate::run::journal::Journal;

/// Events a second for quorum operations that did not end well.
const BAD_EVENTS_PER_S: u32 = 50;
/// Events a second for all other operations.
const OTHER_EVENTS_PER_S: u32 = 20;
/// A timer that fires this much late is the lab's own doing, and not counted as the store's latency.
const TIMER_GRAIN: Duration = Duration::from_millis(2);
/// How long operations in flight may take to end when the load is stopped for good.
const STOP_WITHIN: Duration = Duration::from_millis(500);

/// The running load. Cheap to clone; [`stop`](Self::stop) ends it.
#[derive(Clone, Debug)]
pub(crate) struct Workload(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: WorkloadOptions,
    families: Vec<Family>,
    journal: Journal,
    recorder: Recorder,
    pace: watch::Sender<Pace>,
    /// Held for reading by each operation under way; taken for writing by whoever waits for quiet.
    under_way: RwLock<()>,
    measured: Mutex<Measurements>,
    stop: CancellationToken,
    clients: tokio::sync::Mutex<JoinSet<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    on: bool,
    rate: u32,
}

/// What the clients measure.
#[derive(Debug)]
struct Measurements {
    samples: Samples,
    bad_events: Budget,
    other_events: Budget,
    ledger: Ledger,
}

impl Workload {
    /// Starts the clients. The options have been [checked](WorkloadOptions::check).
    pub(crate) fn start(
        options: WorkloadOptions,
        zones: &Arc<dyn Zones>,
        journal: Journal,
        recorder: Recorder,
    ) -> Self {
        let now = journal.now();
        let measured = Measurements {
            samples: Samples::new(now),
            bad_events: Budget::new(BAD_EVENTS_PER_S, now),
            other_events: Budget::new(OTHER_EVENTS_PER_S, now),
            ledger: Ledger::default(),
        };
        let shared = Arc::new(Shared {
            families: options.families(),
            pace: watch::Sender::new(Pace { on: options.on, rate: options.rate }),
            journal,
            recorder,
            under_way: RwLock::new(()),
            measured: Mutex::new(measured),
            stop: CancellationToken::new(),
            clients: tokio::sync::Mutex::new(JoinSet::new()),
            options,
        });
        let mut clients = JoinSet::new();
        for client in (0..shared.options.clients).filter_map(|n| BackgroundClient::new(n, zones, &shared)) {
            clients.spawn(client.run());
        }
        // Nobody else has the handle yet.
        *shared.clients.try_lock().expect("nobody waits for the clients yet") = clients;
        Self(shared)
    }

    /// What it was started with.
    pub(crate) fn options(&self) -> &WorkloadOptions {
        &self.0.options
    }

    /// On or off. Operations under way end as they may.
    pub(crate) fn set_on(&self, on: bool) -> anyhow::Result<()> {
        ensure!(!on || self.0.options.clients > 0, "there are no clients to put the cluster under load");
        self.0.pace.send_if_modified(|pace| std::mem::replace(&mut pace.on, on) != on);
        Ok(())
    }

    /// Operations a second, all clients together.
    pub(crate) fn set_rate(&self, rate: u32) -> anyhow::Result<()> {
        check_rate(rate)?;
        self.0.pace.send_if_modified(|pace| std::mem::replace(&mut pace.rate, rate) != rate);
        Ok(())
    }

    /// Turns it off and waits until nothing is under way. Bounded by what one operation may take.
    pub(crate) async fn quiet(&self) {
        self.0.pace.send_if_modified(|pace| std::mem::replace(&mut pace.on, false));
        drop(self.0.under_way.write().await);
    }

    /// Throughput and latency since the last call.
    pub(crate) fn sample(&self) -> LoadSample {
        let Pace { on, rate } = *self.0.pace.borrow();
        let now = self.0.journal.now();
        self.0.measured().samples.sample(now, on, rate)
    }

    /// Every key that there is to read back: of acknowledged writes to the ledger, and all registers.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys = self.0.measured().ledger.keys();
        if self.0.options.clients > 0 {
            for family in &self.0.families {
                keys.extend((0..self.0.options.registers).map(|register| family.register_key(register)));
            }
        }
        keys
    }

    /// The key of the ledger to read back now, if one is due.
    pub(crate) fn next_read(&self, now: Duration) -> Option<ReadingBack> {
        self.0.measured().ledger.next_read(now)
    }

    /// When the next read may begin, if there is anything to read then.
    pub(crate) fn next_read_at(&self) -> Duration {
        self.0.measured().ledger.next_read_at()
    }

    /// It was read, and held this value or nothing; or (`answer` is `None`) it could not be.
    pub(crate) fn was_read(&self, read: ReadingBack, answer: Option<Option<String>>) {
        let now = self.0.journal.now();
        self.0.measured().ledger.was_read(read, answer, now);
    }

    /// Something has happened since which what was found may be gone.
    pub(crate) fn ask_again(&self) {
        self.0.measured().ledger.ask_again();
    }

    /// Ends every client. What is still under way after a moment is given up: its outcome stays unknown.
    pub(crate) async fn stop(&self) {
        self.0.stop.cancel();
        let mut clients = self.0.clients.lock().await;
        let all = async { while clients.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, all).await.is_err() {
            clients.shutdown().await;
        }
    }
}

impl Shared {
    fn measured(&self) -> MutexGuard<'_, Measurements> {
        // Counters that a panic left half-changed are still counters.
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation and shows it, if its turn has come.
    fn ended(&self, operation: Operation, ledger_key: Option<LedgerKey>) {
        let now = self.journal.now();
        let mut measured = self.measured();
        measured.samples.record(&operation.outcome, operation.took_us);
        if let Some(key) = ledger_key {
            measured.ledger.ended(key, Written::from(&operation.outcome));
        }
        let failed = operation.outcome != Outcome::Ok && operation.consistency == Consistency::Quorum;
        let bad = failed || operation.lacks_quorum();
        let budget = if bad { &mut measured.bad_events } else { &mut measured.other_events };
        let shown = budget.take(now);
        drop(measured);
        if shown {
            self.journal.emit(LabEvent::Operation(operation));
        }
    }
}

/// One client of the background load.
struct BackgroundClient {
    shared: Arc<Shared>,
    client: LabClient,
    routine: Routine,
    pace: watch::Receiver<Pace>,
    /// Shifts its moments against those of the others: 0 to 1.
    phase: f64,
}

impl BackgroundClient {
    /// The `n`th, from 0; `None` if there is nothing for it to do.
    fn new(n: u32, zones: &Arc<dyn Zones>, shared: &Arc<Shared>) -> Option<Self> {
        let options = &shared.options;
        let mut client = None;
        let routine = Routine::new(n, options, zones.members(), |home, seed| {
            client.insert(LabClient::new(&shared.recorder, Arc::clone(zones), Some(home), seed)).number()
        })?;
        Some(Self {
            client: client?,
            routine,
            pace: shared.pace.subscribe(),
            phase: f64::from(n) / f64::from(options.clients),
            shared: Arc::clone(shared),
        })
    }

    async fn run(mut self) {
        let began = Instant::now();
        let stop = self.shared.stop.clone();
        loop {
            let pace = *self.pace.borrow_and_update();
            let every = interval(self.shared.options.clients, pace.rate);
            let first = began.elapsed() + every.mul_f64(self.phase);
            let mut schedule = Schedule::new(every, first);
            loop {
                let due = began + schedule.next(began.elapsed());
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    changed = self.pace.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    () = tokio::time::sleep_until(due.into()), if pace.on => {}
                }
                self.operate(due).await;
            }
        }
    }

    /// Does the next thing, which was meant to be done at `due`.
    async fn operate(&mut self, due: Instant) {
        let shared = Arc::clone(&self.shared);
        let _under_way = shared.under_way.read().await;
        if !self.pace.borrow().on {
            return; // Turned off while this one waited for its turn.
        }
        let late = due.elapsed();
        let intended = (late > TIMER_GRAIN).then_some(due);
        let ledger_key = |family| shared.measured().ledger.begin(family);
        let (way, intent, ledger_key) = self.routine.next(ledger_key);
        let operation = self.client.carry_out(&shared.recorder, way, intent, intended).await;
        self.routine.ended(&operation);
        shared.ended(operation, ledger_key);
    }
}
