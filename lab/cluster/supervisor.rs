//! The supervisor of one node: which state its process is in, and who may change that.
//!
//! ```text
//!            start                ready line            pause
//!   Down ──► Spawning ──► Starting ─────────► Running ◄────────► Paused
//!    ▲          │            │                   │      resume     │
//!    └──────────┴────────────┴───────────────────┴─────────────────┘
//!              the process has ended: Stopped if the lab ended it, else Died
//! ```
//!
//! Every transition names the state that it leaves and is journalled under the same lock, so the journal is
//! the history of the states. Only the task that waits for the process declares it ended.
#![expect(clippy::disallowed_methods, reason = "deadlines for processes, and their logs")]

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use kvlab::types::{NodeId, Ready};
use rustix::process::Signal;
use tokio::io::BufReader;
use tokio::process::ChildStdout;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::process::{Process, Spawned, Spawner, describe, first_line, tail};
use super::tasks::Tasks;
use super::view::Shared;
use crate::engine::{Engine, Harm, Launch};
use crate::run::event::{Damage, ProcessState};

/// How long a process that has closed its output, or said nonsense, may take to end by itself.
const GRACE: Duration = Duration::from_millis(100);
/// How many lines of a log an error quotes.
const QUOTED_LINES: usize = 6;

/// How long a process may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// From its start to its ready line.
    pub(super) ready: Duration,
    /// From its ready line to its first status.
    pub(super) watched: Duration,
    /// To drain and end after SIGTERM.
    pub(super) terminate: Duration,
    /// To be gone after SIGKILL.
    pub(super) kill: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let [ready, watched, terminate, kill] = [5, 5, 3, 3].map(Duration::from_secs);
        Self { ready, watched, terminate, kill }
    }
}

/// What all supervisors of a cluster share.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) spawner: Spawner,
    pub(super) shared: Arc<Shared>,
    pub(super) tasks: Tasks,
}

/// One node's supervisor.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// What the node is started with, but for `bootstrap`.
    launch: Launch,
    log: PathBuf,
    deadlines: Deadlines,
    context: Context,
    cell: Mutex<Cell>,
    /// Held while the state is Spawning, and while something is done to the data of a dead process.
    spawning: tokio::sync::Mutex<()>,
    /// Which start of the process can be talked to; `None` while none can.
    up: watch::Sender<Option<u64>>,
    /// The latest start that has been watched.
    watched: watch::Sender<u64>,
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

/// What is done to the data of a dead process.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ruin {
    /// A fault of its disk, as the engine knows it.
    Harm(Harm),
    /// Nothing of it is left.
    Wipe,
}

#[derive(Debug)]
enum State {
    Down,
    Spawning,
    Starting(Alive),
    Running(Alive),
    Paused(Alive),
}

#[derive(Debug)]
struct Alive {
    process: Process,
    /// What the lab has told it to do: makes its end a stop and not a death.
    order: Option<Order>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Kill,
    Terminate,
    /// It was not ready in time.
    GiveUp,
}

impl Supervisor {
    /// A node that has not been started.
    pub(super) fn new(launch: Launch, log: PathBuf, deadlines: Deadlines, context: Context) -> Self {
        let cell = Mutex::new(Cell { state: State::Down, starts: 0, has_run: false, closing: false });
        let (up, watched, ended) = (watch::Sender::new(None), watch::Sender::new(0), watch::Sender::new(0));
        let spawning = tokio::sync::Mutex::default();
        Self { launch, log, deadlines, context, cell, spawning, up, watched, ended }
    }

    pub(super) fn node(&self) -> NodeId {
        self.launch.node
    }

    pub(super) fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Which start of the process can be talked to.
    pub(super) fn up(&self) -> watch::Receiver<Option<u64>> {
        self.up.subscribe()
    }

    /// The watcher has heard from this start of the process.
    pub(super) fn set_watched(&self, start: u64) {
        self.watched.send_replace(start);
    }

    /// Starts the process on its data and returns when it is ready and watched. Goes on if the caller does
    /// not wait for it.
    ///
    /// # Errors
    /// If it is not down, or not ready in time, or ends before.
    pub(super) async fn start(self: &Arc<Self>) -> anyhow::Result<()> {
        let (done, result) = oneshot::channel();
        let this = Arc::clone(self);
        self.context.tasks.spawn(async move {
            let _ = done.send(this.start_to_end().await);
        });
        result.await.unwrap_or_else(|_| Err(anyhow!("the cluster has been stopped")))
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// If it is not running.
    pub(super) fn pause(&self) -> anyhow::Result<()> {
        let mut cell = self.lock();
        let State::Running(alive) = &cell.state else { bail!(self.unfit("paused", &cell.state)) };
        alive.process.signal(Signal::STOP).with_context(|| format!("cannot pause {}", self.node()))?;
        self.to_paused(&mut cell);
        Ok(())
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// If it is not paused.
    pub(super) fn resume(&self) -> anyhow::Result<()> {
        let mut cell = self.lock();
        if !self.wake(&mut cell)? {
            bail!(self.unfit("resumed", &cell.state));
        }
        Ok(())
    }

    /// SIGKILL; returns when the process is gone.
    ///
    /// # Errors
    /// If there is no process.
    pub(super) async fn kill(&self) -> anyhow::Result<()> {
        let start = self.order(Order::Kill)?;
        let ended = self.end_of(start, self.deadlines.kill).await;
        ended.with_context(|| format!("{} survives SIGKILL", self.node()))
    }

    /// SIGTERM, resumed first if it is paused: a stopped process would not hear it. Returns when it is gone.
    ///
    /// # Errors
    /// If there is no process, or it does not end in time; it is then left alone.
    pub(super) async fn terminate(&self) -> anyhow::Result<()> {
        let start = self.order(Order::Terminate)?;
        let within = self.deadlines.terminate;
        let ended = self.end_of(start, within).await;
        ended.with_context(|| format!("{} has not ended {within:?} after SIGTERM; kill it", self.node()))
    }

    /// SIGKILL if there is a process; then `ruin` is done to its data. It cannot be started before that is over.
    ///
    /// # Errors
    /// If the process survives, or it cannot be done.
    pub(super) async fn damage(&self, ruin: Ruin) -> anyhow::Result<Damage> {
        let _nobody_starts_it = self.spawning.lock().await;
        let down = matches!(self.lock().state, State::Down);
        if !down && let Err(error) = self.kill().await {
            // It may have ended by itself just now: then there is nothing to kill.
            if !matches!(self.lock().state, State::Down) {
                return Err(error);
            }
        }
        let (node, data, engine) = (self.node(), self.launch.data.clone(), Arc::clone(&self.context.engine));
        let work = tokio::task::spawn_blocking(move || match ruin {
            Ruin::Harm(harm @ Harm::PowerLoss) => {
                engine.harm(&data, harm).map(|cut| Damage::PowerLost { cut })
            }
            Ruin::Harm(harm @ Harm::TornTail { .. }) => {
                engine.harm(&data, harm).map(|cut| Damage::TailTorn { cut })
            }
            Ruin::Wipe => wipe(&data).map(|()| Damage::Wiped),
        });
        let damage = work.await?.with_context(|| format!("cannot do that to the data of {node}"))?;
        if damage == Damage::Wiped {
            // An empty directory is a loss from now on, even if the node was never ready before.
            self.lock().has_run = true;
        }
        Ok(damage)
    }

    /// Ends the process if there is one, SIGTERM, then SIGKILL, and starts none any more.
    pub(super) async fn stop(&self) {
        self.lock().closing = true;
        // A process that is just being spawned cannot be told anything yet.
        drop(self.spawning.lock().await);
        if self.terminate().await.is_err() {
            // It is gone, or it does not listen; in either case this is the last that we can do.
            let _ = self.kill().await;
        }
    }

    async fn start_to_end(self: &Arc<Self>) -> anyhow::Result<()> {
        let node = self.node();
        let spawning = self.spawning.lock().await;
        let bootstrap = self.to_spawning()?;
        let spawned = match self.spawn(bootstrap).await {
            Ok(spawned) => spawned,
            Err(error) => {
                self.spawning_failed(&format!("could not be started: {error:#}"));
                return Err(error.context(format!("cannot start {node}")));
            }
        };
        let Spawned { process, mut child, stdin, stdout } = spawned;
        let start = self.to_starting(process);
        drop(spawning);
        let this = Arc::clone(self);
        self.context.tasks.spawn(async move {
            // Its end tells the node to end, and so does that of this task.
            let _stdin = stdin;
            if let Ok(status) = child.wait().await {
                this.to_down(start, status);
            }
        });
        self.wait_ready(start, stdout).await?;
        let mut watched = self.watched.subscribe();
        tokio::select! {
            seen = timeout(self.deadlines.watched, watched.wait_for(|&seen| seen >= start)) => {
                let client = self.launch.client;
                seen.with_context(|| format!("{node} is ready but does not tell its status at {client}"))??;
                Ok(())
            }
            () = self.has_ended(start) => bail!(self.failure("ended before it told its status")),
        }
    }

    async fn spawn(&self, bootstrap: bool) -> anyhow::Result<Spawned> {
        let data = &self.launch.data;
        fs::create_dir_all(data).with_context(|| format!("cannot create {}", data.display()))?;
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("cannot open {}", self.log.display()))?;
        let command = self.context.engine.command(&Launch { bootstrap, ..self.launch.clone() });
        let program = command.get_program().to_string_lossy().into_owned();
        self.context.spawner.spawn(command, log).await.with_context(|| format!("cannot run {program}"))
    }

    async fn wait_ready(&self, start: u64, stdout: ChildStdout) -> anyhow::Result<()> {
        let mut stdout = BufReader::new(stdout);
        let within = self.deadlines.ready;
        let Ok(line) = timeout(within, first_line(&mut stdout)).await else {
            self.give_up(start).await;
            bail!(self.failure(&format!("was not ready within {within:?}")));
        };
        let line = line.with_context(|| format!("cannot read what {} prints", self.node()))?;
        let Some(line) = line else {
            // It closes its output as it ends; how it ended is known a moment later.
            self.give_up(start).await;
            let how = match self.context.shared.process_state(self.node()) {
                Some(ProcessState::Died { how } | ProcessState::Stopped { how }) => how,
                _ => "it closed its output".to_owned(),
            };
            bail!(self.failure(&format!("ended before it was ready ({how})")));
        };
        let ready = self.context.engine.ready(&line).and_then(|ready| self.check(ready));
        if let Err(error) = ready.and_then(|ready| self.to_running(start, &ready)) {
            self.give_up(start).await;
            return Err(error.context(format!("{} did not start as it should", self.node())));
        }
        self.context.tasks.spawn(async move {
            let _ = tokio::io::copy_buf(&mut stdout, &mut tokio::io::sink()).await;
        });
        Ok(())
    }

    /// Ends a process that does not start as it should, unless it ends by itself just now.
    async fn give_up(&self, start: u64) {
        if self.end_of(start, GRACE).await.is_err() {
            let _ = self.order(Order::GiveUp);
            let _ = self.end_of(start, self.deadlines.kill).await;
        }
    }

    /// A ready line must be about what was asked for: the proxies rely on the addresses.
    fn check(&self, ready: Ready) -> anyhow::Result<Ready> {
        let Launch { node, client, peer, .. } = &self.launch;
        let asked = (*node, client.to_string(), peer.to_string());
        if (ready.node, &ready.client, &ready.peer) != (asked.0, &asked.1, &asked.2) {
            let Ready { node, client, peer, .. } = ready;
            bail!("asked for {} at {} and {}, got {node} at {client} and {peer}", asked.0, asked.1, asked.2);
        }
        Ok(ready)
    }

    /// Signals the process and notes why it will end. Returns which start of it that was.
    fn order(&self, order: Order) -> anyhow::Result<u64> {
        let mut cell = self.lock();
        let (signal, word) = match order {
            Order::Kill | Order::GiveUp => (Signal::KILL, "killed"),
            Order::Terminate => (Signal::TERM, "terminated"),
        };
        if order == Order::Terminate {
            self.wake(&mut cell)?;
        }
        let start = cell.starts;
        match &mut cell.state {
            State::Starting(alive) | State::Running(alive) | State::Paused(alive) => {
                alive
                    .process
                    .signal(signal)
                    .with_context(|| format!("cannot signal {}", self.launch.node))?;
                alive.order = Some(order);
                Ok(start)
            }
            state @ (State::Down | State::Spawning) => bail!(self.unfit(word, state)),
        }
    }

    /// SIGCONT if it is paused. Returns whether it was.
    fn wake(&self, cell: &mut Cell) -> anyhow::Result<bool> {
        let State::Paused(alive) = &cell.state else { return Ok(false) };
        alive.process.signal(Signal::CONT).with_context(|| format!("cannot resume {}", self.node()))?;
        self.leave_paused(cell);
        Ok(true)
    }

    async fn end_of(&self, start: u64, within: Duration) -> anyhow::Result<()> {
        Ok(timeout(within, self.has_ended(start)).await?)
    }

    async fn has_ended(&self, start: u64) {
        // The sender is ours, so this does not fail.
        let _ = self.ended.subscribe().wait_for(|&ended| ended >= start).await;
    }

    /// What went wrong, with the end of the node's log.
    fn failure(&self, what: &str) -> String {
        let (node, log) = (self.node(), self.log.display());
        let quoted = tail(&self.log, QUOTED_LINES);
        if quoted.is_empty() {
            return format!("{node} {what}; its log, {log}, is empty");
        }
        format!("{node} {what}. Its log, {log}, ends with:\n    {}", quoted.join("\n    "))
    }

    fn unfit(&self, done: &str, state: &State) -> String {
        let is = match state {
            State::Down => "down",
            State::Spawning | State::Starting(_) => "still starting",
            State::Running(_) => "running",
            State::Paused(_) => "paused",
        };
        format!("{} cannot be {done}: it is {is}", self.node())
    }

    fn lock(&self) -> MutexGuard<'_, Cell> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The transitions. Each asserts where it comes from.
impl Supervisor {
    /// From Down. Returns whether this is to be the node's very first start.
    fn to_spawning(&self) -> anyhow::Result<bool> {
        let mut cell = self.lock();
        if cell.closing {
            bail!("{} cannot be started: the cluster is being stopped", self.node());
        }
        let State::Down = cell.state else { bail!(self.unfit("started", &cell.state)) };
        cell.state = State::Spawning;
        cell.starts += 1;
        Ok(!cell.has_run)
    }

    fn spawning_failed(&self, how: &str) {
        let mut cell = self.lock();
        assert!(matches!(cell.state, State::Spawning), "spawning failed from {:?}", cell.state);
        cell.state = State::Down;
        self.ended.send_replace(cell.starts);
        self.context.shared.process(self.node(), ProcessState::Died { how: how.to_owned() });
    }

    fn to_starting(&self, process: Process) -> u64 {
        let mut cell = self.lock();
        assert!(matches!(cell.state, State::Spawning), "starting from {:?}", cell.state);
        let pid = process.pid();
        cell.state = State::Starting(Alive { process, order: None });
        self.context.shared.process(self.node(), ProcessState::Starting { pid });
        cell.starts
    }

    /// From Starting, unless the process has ended meanwhile.
    fn to_running(&self, start: u64, ready: &Ready) -> anyhow::Result<()> {
        let mut cell = self.lock();
        let alive = match std::mem::replace(&mut cell.state, State::Down) {
            State::Starting(alive) if cell.starts == start => alive,
            other => {
                cell.state = other;
                bail!("{} ended as it became ready", self.node());
            }
        };
        assert_eq!(ready.node, self.node(), "checked before");
        let state = ProcessState::Running {
            pid: alive.process.pid(),
            client: ready.client.clone(),
            peer: ready.peer.clone(),
        };
        cell.state = State::Running(alive);
        cell.has_run = true;
        // Journalled before its watcher hears of it: a process has no reports until it runs.
        self.context.shared.process(self.node(), state);
        self.up.send_replace(Some(start));
        Ok(())
    }

    fn to_paused(&self, cell: &mut Cell) {
        let State::Running(alive) = std::mem::replace(&mut cell.state, State::Down) else {
            unreachable!("only what runs is paused");
        };
        let pid = alive.process.pid();
        cell.state = State::Paused(alive);
        self.context.shared.process(self.node(), ProcessState::Paused { pid });
    }

    fn leave_paused(&self, cell: &mut Cell) {
        let State::Paused(alive) = std::mem::replace(&mut cell.state, State::Down) else {
            unreachable!("only what is paused is resumed");
        };
        let (pid, Launch { client, peer, .. }) = (alive.process.pid(), &self.launch);
        cell.state = State::Running(alive);
        let state = ProcessState::Running { pid, client: client.to_string(), peer: peer.to_string() };
        self.context.shared.process(self.node(), state);
    }

    /// From any state with a process. Called by the task that waits for it, once.
    fn to_down(&self, start: u64, status: ExitStatus) {
        let mut cell = self.lock();
        assert_eq!(cell.starts, start, "a process outlived its successor's start");
        let alive = match std::mem::replace(&mut cell.state, State::Down) {
            State::Starting(alive) | State::Running(alive) | State::Paused(alive) => alive,
            state @ (State::Down | State::Spawning) => unreachable!("ended from {state:?}"),
        };
        let how = describe(status);
        let killed = status.code().is_none();
        let state = match alive.order {
            Some(Order::Kill) if killed => ProcessState::Stopped { how: "SIGKILL".to_owned() },
            Some(Order::GiveUp) if killed => ProcessState::Stopped { how: "SIGKILL, not ready".to_owned() },
            Some(Order::Terminate) if status.success() => {
                ProcessState::Stopped { how: "SIGTERM, drained".to_owned() }
            }
            _ => {
                let last = tail(&self.log, 1).pop();
                ProcessState::Died { how: last.map_or(how.clone(), |last| format!("{how}: {last}")) }
            }
        };
        self.up.send_replace(None);
        self.context.shared.process(self.node(), state);
        self.ended.send_replace(start);
    }
}

/// Puts an empty directory in the place of this one.
fn wipe(data: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(data) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", data.display()));
        }
        _ => {}
    }
    fs::create_dir_all(data).with_context(|| format!("cannot create {}", data.display()))
}

#[cfg(test)]
#[path = "tests/supervisor.rs"]
mod tests;
