//! The states of one node's process, and the ways between them.
//!
//! ```text
//!            start                ready line            pause
//!   Down ──► Spawning ──► Starting ─────────► Running ◄────────► Paused
//!    ▲          │            │                   │      resume     │
//!    └──────────┴────────────┴───────────────────┴─────────────────┘
//!              the process has ended: Stopped if the lab ended it, else Died
//! ```
//!
//! Every way names the state that it leaves and is journalled under the same lock, so the journal is the history of
//! the states. Only the task that waits for the process declares it ended.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, bail};
use kvlab::types::NodeId;
use rustix::process::Signal;
use tokio::sync::watch;

use super::process::{Process, describe, tail};
use super::view::Shared;
use crate::engine::Launch;
use crate::run::event::ProcessState;

/// The life of one node's process, from start to start.
#[derive(Debug)]
pub(super) struct Lifecycle {
    node: NodeId,
    /// Where it takes clients and members.
    addresses: [String; 2],
    log: PathBuf,
    shared: Arc<Shared>,
    cell: Mutex<Cell>,
    /// Which start of the process can be talked to; `None` while none can.
    up: watch::Sender<Option<u64>>,
    /// The latest start that has ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug)]
struct Cell {
    state: State,
    /// Counts starts, from 1.
    starts: u64,
    /// Whether it has ever been ready: then its data must be there.
    has_run: bool,
    /// The cluster is being stopped: no more starts.
    closing: bool,
}

#[derive(Debug)]
enum State {
    Down,
    Spawning,
    Alive(Alive),
}

#[derive(Debug)]
struct Alive {
    process: Process,
    phase: Phase,
    /// What the lab has told it to do: makes its end a stop and not a death.
    ending: Option<ProcessEnding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Paused,
}

/// How the lab ends a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessEnding {
    Kill,
    Terminate,
    /// It was not ready in time.
    GiveUp,
}

impl Lifecycle {
    /// A process that has not been started.
    pub(super) fn new(launch: &Launch, log: &Path, shared: Arc<Shared>) -> Self {
        Self {
            node: launch.node,
            addresses: [launch.client, launch.peer].map(|address| address.to_string()),
            log: log.to_owned(),
            shared,
            cell: Mutex::new(Cell { state: State::Down, starts: 0, has_run: false, closing: false }),
            up: watch::Sender::new(None),
            ended: watch::Sender::new(0),
        }
    }

    /// Which start of the process can be talked to.
    pub(super) fn up(&self) -> watch::Receiver<Option<u64>> {
        self.up.subscribe()
    }

    /// Returns when this start of the process has ended.
    pub(super) async fn has_ended(&self, start: u64) {
        // The sender is ours, so this does not fail.
        let _ = self.ended.subscribe().wait_for(|&ended| ended >= start).await;
    }

    /// Whether there is no process.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.lock().state, State::Down)
    }

    /// From now on it is not started any more.
    pub(super) fn close(&self) {
        self.lock().closing = true;
    }

    /// An empty directory is a loss from now on, even if the node was never ready before.
    pub(super) fn set_has_run(&self) {
        self.lock().has_run = true;
    }

    /// From Down. Returns whether this is to be the node's very first start.
    pub(super) fn to_spawning(&self) -> anyhow::Result<bool> {
        let mut cell = self.lock();
        if cell.closing {
            bail!("{} cannot be started: the cluster is being stopped", self.node);
        }
        let State::Down = cell.state else { bail!(self.unfit("started", &cell.state)) };
        cell.state = State::Spawning;
        cell.starts += 1;
        Ok(!cell.has_run)
    }

    /// From Spawning back to Down.
    pub(super) fn spawning_failed(&self, how: String) {
        let mut cell = self.lock();
        assert!(matches!(cell.state, State::Spawning), "spawning failed from {:?}", cell.state);
        cell.state = State::Down;
        self.ended.send_replace(cell.starts);
        self.journal(ProcessState::Died { how });
    }

    /// From Spawning. Returns which start this is.
    pub(super) fn to_starting(&self, process: Process) -> u64 {
        let mut cell = self.lock();
        assert!(matches!(cell.state, State::Spawning), "starting from {:?}", cell.state);
        self.journal(ProcessState::Starting { pid: process.pid() });
        cell.state = State::Alive(Alive { process, phase: Phase::Starting, ending: None });
        cell.starts
    }

    /// From Starting, unless the process has ended meanwhile.
    pub(super) fn to_running(&self, start: u64) -> anyhow::Result<()> {
        let mut cell = self.lock();
        let this_start = cell.starts == start;
        match &mut cell.state {
            State::Alive(alive) if this_start && alive.phase == Phase::Starting => self.run(alive),
            _ => bail!("{} ended as it became ready", self.node),
        }
        cell.has_run = true;
        // Journalled before its watcher hears of it: a process has no reports until it runs.
        self.up.send_replace(Some(start));
        Ok(())
    }

    /// SIGSTOP: from Running to Paused.
    pub(super) fn pause(&self) -> anyhow::Result<()> {
        match &mut self.lock().state {
            State::Alive(alive) if alive.phase == Phase::Running => {
                alive.process.signal(Signal::STOP).with_context(|| format!("cannot pause {}", self.node))?;
                alive.phase = Phase::Paused;
                self.journal(ProcessState::Paused { pid: alive.process.pid() });
                Ok(())
            }
            state => bail!(self.unfit("paused", state)),
        }
    }

    /// SIGCONT: from Paused to Running.
    pub(super) fn resume(&self) -> anyhow::Result<()> {
        match &mut self.lock().state {
            State::Alive(alive) if alive.phase == Phase::Paused => self.wake(alive),
            state => bail!(self.unfit("resumed", state)),
        }
    }

    /// Signals the process and notes why it will end. Returns which start of it that was.
    pub(super) fn end_by(&self, ending: ProcessEnding) -> anyhow::Result<u64> {
        let mut cell = self.lock();
        let (signal, word) = match ending {
            ProcessEnding::Kill | ProcessEnding::GiveUp => (Signal::KILL, "killed"),
            ProcessEnding::Terminate => (Signal::TERM, "terminated"),
        };
        let State::Alive(alive) = &mut cell.state else { bail!(self.unfit(word, &cell.state)) };
        if ending == ProcessEnding::Terminate && alive.phase == Phase::Paused {
            // A stopped process would not hear it.
            self.wake(alive)?;
        }
        alive.process.signal(signal).with_context(|| format!("cannot signal {}", self.node))?;
        alive.ending = Some(ending);
        Ok(cell.starts)
    }

    /// From any state with a process. Called by the task that waits for it, once.
    pub(super) fn to_down(&self, start: u64, status: ExitStatus) {
        let mut cell = self.lock();
        assert_eq!(cell.starts, start, "a process outlived its successor's start");
        let State::Alive(alive) = std::mem::replace(&mut cell.state, State::Down) else {
            unreachable!("a process ended that was not there");
        };
        let killed = status.code().is_none();
        let stopped = match alive.ending {
            Some(ProcessEnding::Kill) if killed => Some("SIGKILL"),
            Some(ProcessEnding::GiveUp) if killed => Some("SIGKILL, not ready"),
            Some(ProcessEnding::Terminate) if status.success() => Some("SIGTERM, drained"),
            _ => None,
        };
        self.up.send_replace(None);
        self.journal(match (stopped, tail(&self.log, 1).pop()) {
            (Some(how), _) => ProcessState::Stopped { how: how.to_owned() },
            (None, Some(last)) => ProcessState::Died { how: format!("{}: {last}", describe(status)) },
            (None, None) => ProcessState::Died { how: describe(status) },
        });
        self.ended.send_replace(start);
    }

    fn wake(&self, alive: &mut Alive) -> anyhow::Result<()> {
        alive.process.signal(Signal::CONT).with_context(|| format!("cannot resume {}", self.node))?;
        self.run(alive);
        Ok(())
    }

    fn run(&self, alive: &mut Alive) {
        alive.phase = Phase::Running;
        let [client, peer] = self.addresses.clone();
        self.journal(ProcessState::Running { pid: alive.process.pid(), client, peer });
    }

    fn journal(&self, state: ProcessState) {
        self.shared.process(self.node, state);
    }

    fn unfit(&self, done: &str, state: &State) -> String {
        let is = match state {
            State::Down => "down",
            State::Spawning | State::Alive(Alive { phase: Phase::Starting, .. }) => "still starting",
            State::Alive(Alive { phase: Phase::Running, .. }) => "running",
            State::Alive(Alive { phase: Phase::Paused, .. }) => "paused",
        };
        format!("{} cannot be {done}: it is {is}", self.node)
    }

    fn lock(&self) -> MutexGuard<'_, Cell> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn pid(&self) -> Option<u32> {
        match &self.lock().state {
            State::Alive(alive) => Some(alive.process.pid()),
            State::Down | State::Spawning => None,
        }
    }
}
