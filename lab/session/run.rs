//! The session itself: what it is made of, how it begins and ends, and the verdict at any moment.
#![expect(clippy::disallowed_methods, reason = "the tasks of a session, and their timers")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::asking::{ByHand, DoubtWatch};
use super::client_pool::ClientPool;
use super::read_back::Readers;
use super::recovery::Recovery;
use crate::cluster::{Cluster, ClusterOptions};
use crate::explain::Evidence;
use crate::run::event::{LabEvent, Stamped, Verdict};
use crate::run::history::Recorder;
use crate::run::journal::Journal;
use crate::workload::{SAMPLE_EVERY, Workload, WorkloadOptions, Zones};

/// One run. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Session(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) cluster: Cluster,
    pub(super) zones: Arc<dyn Zones>,
    pub(super) journal: Journal,
    pub(super) recorder: Recorder,
    pub(super) workload: Workload,
    pub(super) pool: ClientPool,
    pub(super) readers: Readers,
    pub(super) recovery: Mutex<Recovery>,
    /// Everything has been read back, as far as it could be.
    pub(super) read_back: AtomicBool,
    /// Everything is being read back, or settles for it: nothing else reads.
    pub(super) settling: AtomicBool,
    /// What tells that everything must be asked for again.
    pub(super) doubt: Mutex<DoubtWatch>,
    /// Keys that a person has written, to be read back like the ledger.
    pub(super) by_hand: Mutex<ByHand>,
    /// What comparing the members has found, if they have been compared.
    pub(super) members_equal: Mutex<Option<bool>>,
    /// What explains the violations, and the events that it has not taken in yet.
    collector: Mutex<EvidenceCollector>,
    /// The verdict that was journaled last.
    last_verdict: Mutex<Option<Verdict>>,
    stop: CancellationToken,
    tasks: tokio::sync::Mutex<tokio::task::JoinSet<()>>,
}

/// Evidence that grows with the journal.
#[derive(Debug)]
struct EvidenceCollector {
    events: broadcast::Receiver<Stamped>,
    evidence: Evidence,
}

impl EvidenceCollector {
    /// Takes in everything that was journaled since. Called several times a second, so that nothing is dropped before.
    fn catch_up(&mut self) -> &Evidence {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.evidence.observe(&event),
                // What is missing explains nothing; the violations themselves are counted all the same.
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return &self.evidence,
            }
        }
    }
}

/// What settling found.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// From the moment in which nothing was broken any more to the moment in which one primary led and every
    /// member held all that it held by then; `None`: the members did not come to agree within the limit.
    pub(crate) converged_after: Option<Duration>,
    /// The verdict with everything read back.
    pub(crate) verdict: Verdict,
}

impl Session {
    /// Starts the cluster, then the workload. `history.jsonl` goes to the cluster's run directory.
    pub(crate) async fn start(
        cluster: ClusterOptions,
        workload: WorkloadOptions,
        journal: Journal,
    ) -> anyhow::Result<Self> {
        workload.check()?;
        let collector = EvidenceCollector { events: journal.subscribe(), evidence: Evidence::default() };
        let doubt = DoubtWatch::new(journal.subscribe());
        let recorder = Recorder::start(journal.clone(), Some(&cluster.dir))?;
        let cluster = Cluster::start(cluster, journal.clone()).await?;
        let zones: Arc<dyn Zones> = Arc::new(cluster.clone());
        let seed = workload.seed;
        let workload = Workload::start(workload, &zones, journal.clone(), recorder.clone());
        let session = Self(Arc::new(Inner {
            pool: ClientPool::new(recorder.clone(), Arc::clone(&zones), seed),
            readers: Readers::default(),
            cluster,
            zones,
            journal,
            recorder,
            workload,
            recovery: Mutex::default(),
            read_back: AtomicBool::new(false),
            settling: AtomicBool::new(false),
            doubt: Mutex::new(doubt),
            by_hand: Mutex::default(),
            members_equal: Mutex::default(),
            collector: Mutex::new(collector),
            last_verdict: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: tokio::sync::Mutex::default(),
        }));
        let mut tasks = session.0.tasks.lock().await;
        tasks.spawn(session.clone().until_stopped(session.clone().sample()));
        tasks.spawn(session.clone().until_stopped(session.clone().watch_recovery()));
        tasks.spawn(session.clone().until_stopped(session.clone().read_back_always()));
        drop(tasks);
        Ok(session)
    }

    /// The cluster that it runs on.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.0.cluster
    }

    /// Where everything is told.
    pub(crate) fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// The verdict so far.
    pub(crate) fn verdict(&self) -> Verdict {
        self.catch_up_with_doubt();
        let members_equal = *self.0.members_equal.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.recorder.verdict(self.0.read_back.load(Ordering::Relaxed), members_equal)
    }

    /// The broken promises so far, with their proofs and what explains them.
    pub(crate) fn evidence(&self) -> Evidence {
        self.collector().catch_up().clone()
    }

    fn collector(&self) -> MutexGuard<'_, EvidenceCollector> {
        self.0.collector.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the load and the nodes; everything is on disk when this returns.
    ///
    /// # Errors
    /// If the history or the journal is not complete. The nodes are stopped all the same.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        self.0.workload.stop().await;
        self.0.stop.cancel();
        let mut tasks = self.0.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
        self.tell_verdict();
        self.0.cluster.stop().await;
        let history = self.0.recorder.flush().await;
        let journal = self.0.journal.flush().await;
        history.and(journal)
    }

    /// Journals the verdict if it is another than last time.
    pub(super) fn tell_verdict(&self) {
        let verdict = self.verdict();
        let mut last = self.0.last_verdict.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&verdict) {
            *last = Some(verdict.clone());
            self.0.journal.emit(LabEvent::Verdict(verdict));
        }
    }

    async fn until_stopped(self, task: impl Future<Output = ()>) {
        tokio::select! {
            () = self.0.stop.cancelled() => {}
            () = task => {}
        }
    }

    async fn sample(self) {
        let mut ticks = tokio::time::interval(SAMPLE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            if self.0.workload.options().clients > 0 {
                self.0.journal.emit(LabEvent::Load(self.0.workload.sample()));
            }
            self.tell_verdict();
            self.collector().catch_up();
            self.0.recorder.hand_over();
        }
    }

    async fn watch_recovery(self) {
        let mut changes = self.0.cluster.changes();
        loop {
            let (now, view) = (self.0.journal.now(), self.0.cluster.view());
            self.0.recovery.lock().unwrap_or_else(PoisonError::into_inner).observe(now, &view);
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}
