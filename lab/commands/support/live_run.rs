//! A live run, from its directory to its report: the same for `up` and `run`.
#![expect(
    clippy::disallowed_methods,
    reason = "a run begins at a wall-clock time, with a seed from outside, and keeps files"
)]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use kvlab::types::NodeId;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

use super::exit::{CommandError, Exit};
use super::signals::Signals;
use super::{logging, output, recordings};
use crate::cli::{DisplayOptions, RunOptions};
use crate::cluster::ClusterOptions;
use crate::record::{Outputs, Source};
use crate::report::source;
use crate::run::bounds::{RECORD_BYTES_DEFAULT, RunBounds};
use crate::run::directory::{self, RunDir};
use crate::run::event::{EVENTS_VERSION, Header, LabEvent, ScenarioHeader, Stamped};
use crate::run::journal::Journal;
use crate::scenario::Scenario;
use crate::screen::ViewState;
use crate::session::{Session, WorkloadOptions};

/// A run whose cluster stands.
#[derive(Debug)]
pub struct LiveRun {
    /// Held as long as the run lives.
    pub dir: RunDir,
    pub seed: u64,
    pub session: Session,
    /// Every event from the first.
    pub events: broadcast::Receiver<Stamped>,
    pub signals: Signals,
}

impl LiveRun {
    /// Makes the run directory, starts the journal and writes its header, and starts the session unless a signal comes
    /// first. The lab's own log goes to a file if there is a dashboard. `settings` is given directory and seed.
    pub async fn start(
        name: &str,
        options: &RunOptions,
        scenario: Option<&Scenario>,
        dashboard: bool,
        settings: impl FnOnce(&Path, u64) -> (ClusterOptions, WorkloadOptions),
    ) -> Result<Self, CommandError> {
        let mut signals = Signals::listen()?;
        let seed = options.seed.unwrap_or_else(fresh_seed);
        let dir = directory::create(name, options.keep.as_deref())?;
        let (mut cluster, workload) = settings(dir.path(), seed);
        // A scenario comes to its end, and all of it can be shown again; a lab may stay up for days.
        let usual = scenario.map_or(RunBounds::of(RECORD_BYTES_DEFAULT), |_| RunBounds::ALL);
        cluster.bounds = options.record_max.unwrap_or(usual);
        let bounds = cluster.bounds;
        let journal = Journal::start(dir.path(), bounds.record(), Box::<ViewState>::default())?;
        let events = journal.subscribe();
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        journal.emit(LabEvent::Header(Header {
            version: EVENTS_VERSION,
            kvlab: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
            nodes: (1..=cluster.nodes).map(NodeId).collect(),
            started_unix_s: started.as_secs(),
            run_dir: dir.path().display().to_string(),
            quirks: cluster.settings.quirks,
            scenario: scenario.map(header),
        }));
        if dashboard {
            logging::to_file(dir.path(), bounds.log())?;
        } else {
            logging::to_stderr();
        }
        if let Some(scenario) = scenario {
            write(dir.path(), source::SCENARIO_FILE, &scenario.source)?;
        }
        let session = tokio::select! {
            started = Session::start(cluster, workload, journal) => {
                started.context("the cluster could not be started")?
            }
            signal = signals.next() => {
                return Err(Exit::Unknown.because(format!("{signal} came before the cluster stood")));
            }
        };
        Ok(Self { dir, seed, session, events, signals })
    }

    /// The receiver that has the run's first events. Whoever asks later gets only what comes after.
    pub fn take_events(&mut self) -> broadcast::Receiver<Stamped> {
        let later = self.events.resubscribe();
        std::mem::replace(&mut self.events, later)
    }

    /// Leaves the report of the run, which has just ended, in its directory; returns where. What cannot be written is a
    /// warning and no failure of the run; a signal does not wait for it.
    pub async fn leave_report(&mut self) -> Option<PathBuf> {
        let run_dir = self.dir.path().to_owned();
        let writing = tokio::task::spawn_blocking(move || source::write(&run_dir, false, None));
        let written = tokio::select! {
            written = writing => written.map_err(anyhow::Error::from).flatten(),
            signal = self.signals.next() => {
                output::tell(format_args!("{signal}: no report is written; `kvlab report` makes it"));
                return None;
            }
        };
        written.inspect_err(|error| output::tell(format_args!("warning: there is no report: {error:#}"))).ok()
    }

    /// Makes the recordings that were asked for of the run, which has just ended, and whose cluster has stopped. A signal
    /// does not wait for them.
    pub async fn record(
        &mut self,
        outputs: Option<Outputs>,
        display: DisplayOptions,
    ) -> anyhow::Result<Vec<PathBuf>> {
        let Some(outputs) = outputs else { return Ok(Vec::new()) };
        let (run_dir, recording) = (self.dir.path().to_owned(), recordings::of_run(display));
        let making =
            tokio::task::spawn_blocking(move || recordings::make(&recording, Source::Run(&run_dir), outputs));
        tokio::select! {
            made = making => made.map_err(anyhow::Error::from).flatten().context("there is no recording"),
            signal = self.signals.next() => {
                output::tell(format_args!("{signal}: nothing is recorded; `kvlab record` makes it"));
                Ok(Vec::new())
            }
        }
    }
}

/// Writes a file of the run's directory.
pub fn write(run_dir: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = run_dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
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
pub fn fresh_seed() -> u64 {
    u64::from(SmallRng::from_os_rng().random::<u32>())
}

fn header(scenario: &Scenario) -> ScenarioHeader {
    ScenarioHeader {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        episode: scenario.episode.clone(),
        story: scenario.story.clone(),
        crc32: scenario.crc32(),
        steps: scenario.outline(),
    }
}
