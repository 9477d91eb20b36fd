//! The beginning and the end of a run, the same for `up` and `run`.
#![expect(clippy::disallowed_methods, reason = "a run begins at a wall-clock time, with a seed from outside")]

use std::future::Future;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use kvlab::types::{NodeId, Quirks};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

use super::exit::{Ended, Exit};
use super::output;
use super::signals::Signals;
use crate::cli::RunOptions;
use crate::cluster::ClusterOptions;
use crate::run::directory::{self, RunDir};
use crate::run::event::{EVENTS_VERSION, Header, LabEvent, ScenarioHeader, Stamped};
use crate::run::journal::Journal;
use crate::session::{Session, WorkloadOptions};

/// A run that has a place, a seed and a journal, and no process yet.
#[derive(Debug)]
pub struct Prepared {
    /// Held as long as the run lives.
    pub dir: RunDir,
    pub seed: u64,
    pub journal: Journal,
    /// Every event from the first.
    pub events: broadcast::Receiver<Stamped>,
}

/// Makes the run directory, starts the journal and writes its header.
pub fn prepare(
    name: &str,
    options: &RunOptions,
    nodes: u8,
    quirks: Quirks,
    scenario: Option<ScenarioHeader>,
) -> Result<Prepared, Ended> {
    let seed = options.seed.unwrap_or_else(fresh_seed);
    let dir = directory::create(name, options.keep.as_deref())?;
    let journal = Journal::start(Some(dir.path()))?;
    let events = journal.subscribe();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    journal.emit(LabEvent::Header(Header {
        version: EVENTS_VERSION,
        kvlab: env!("CARGO_PKG_VERSION").to_owned(),
        seed,
        nodes: (1..=nodes).map(NodeId).collect(),
        started_unix_s: started.as_secs(),
        run_dir: dir.path().display().to_string(),
        quirks,
        scenario,
    }));
    Ok(Prepared { dir, seed, journal, events })
}

/// Starts the session, unless a signal comes first.
pub async fn session(
    prepared: &Prepared,
    cluster: ClusterOptions,
    workload: WorkloadOptions,
    signals: &mut Signals,
) -> Result<Session, Ended> {
    tokio::select! {
        started = Session::start(cluster, workload, prepared.journal.clone()) => {
            Ok(started.context("the cluster could not be started")?)
        }
        signal = signals.next() => Err(Exit::Unknown.because(format!("{signal} came before the cluster stood"))),
    }
}

/// Stops the session in order. A second signal does not wait for it: nodes are killed when the lab ends.
pub async fn stop(session: &Session, signals: &mut Signals) -> anyhow::Result<()> {
    tokio::select! {
        stopped = session.stop() => stopped.context("the run did not end in order"),
        signal = signals.next() => {
            output::tell(format_args!("{signal} again: ending at once"));
            Ok(())
        }
    }
}

/// Hands every event to `each` while `work` is done, and then those that are still there. `Err` is a number of
/// events that were missed.
pub async fn while_telling<T>(
    events: &mut broadcast::Receiver<Stamped>,
    work: impl Future<Output = T>,
    mut each: impl FnMut(Result<Stamped, u64>),
) -> T {
    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            event = events.recv() => match event {
                Ok(event) => each(Ok(event)),
                Err(RecvError::Lagged(missed)) => each(Err(missed)),
                Err(RecvError::Closed) => break work.await,
            },
        }
    };
    loop {
        match events.try_recv() {
            Ok(event) => each(Ok(event)),
            Err(TryRecvError::Lagged(missed)) => each(Err(missed)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return done,
        }
    }
}

/// Short enough to be typed again.
pub(crate) fn fresh_seed() -> u64 {
    u64::from(SmallRng::from_os_rng().random::<u32>())
}
