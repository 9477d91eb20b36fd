//! The supervisor of one node: starts its process, ends it, and damages its data while it is dead.
//!
//! Which state the process is in, and what that allows, is the matter of its [`Lifecycle`].
#![expect(clippy::disallowed_methods, reason = "deadlines for processes, and their logs")]

use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use kvlab::types::{ClockCondition, DiskCondition, NodeCondition, NodeId, Ready};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::lifecycle::{Lifecycle, ProcessEnding};
use super::process::{Spawned, Spawner, first_line, tail};
use super::tasks::Tasks;
use super::view::Shared;
use crate::engine::{DiskFault, Engine, Launch, NodeOrder};
use crate::run::event::{Damage, ProcessState};

/// How long a process that has closed its output, or said nonsense, may take to end by itself.
const GRACE: Duration = Duration::from_millis(100);
/// How many lines of a log an error quotes.
const QUOTED_LINES: usize = 6;
/// Orders that wait to be written to a process.
const ORDERS_MAX: usize = 16;

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
    /// To take a line on its standard input; a pipe holds thousands of them, so only a process that never reads is late.
    pub(super) order: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let [ready, watched, terminate, kill, order] = [5, 5, 3, 3, 1].map(Duration::from_secs);
        Self { ready, watched, terminate, kill, order }
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
    pub(super) life: Lifecycle,
    /// Held while the state is Spawning, and while something is done to the data of a dead process.
    spawning: tokio::sync::Mutex<()>,
    /// The latest start that has been watched.
    watched: watch::Sender<u64>,
    /// What the latest process is told on its standard input.
    orders: Mutex<Option<mpsc::Sender<StdinLine>>>,
}

/// A line for the standard input of a process, with its newline, and whom to tell that it was written.
#[derive(Debug)]
struct StdinLine {
    line: String,
    done: oneshot::Sender<io::Result<()>>,
}

/// What is done to the data of a dead process.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ruin {
    /// A fault of its disk, as the engine knows it.
    DiskFault(DiskFault),
    /// Nothing of it is left.
    Wipe,
}

impl Supervisor {
    /// A node that has not been started.
    pub(super) fn new(launch: Launch, log: PathBuf, deadlines: Deadlines, context: Context) -> Self {
        let life = Lifecycle::new(&launch, &log, Arc::clone(&context.shared));
        let (spawning, watched) = (tokio::sync::Mutex::default(), watch::Sender::new(0));
        let orders = Mutex::default();
        Self { launch, log, deadlines, context, life, spawning, watched, orders }
    }

    pub(super) fn node(&self) -> NodeId {
        self.launch.node
    }

    pub(super) fn launch(&self) -> &Launch {
        &self.launch
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

    /// SIGKILL; returns when the process is gone.
    ///
    /// # Errors
    /// If there is no process.
    pub(super) async fn kill(&self) -> anyhow::Result<()> {
        let start = self.life.end_by(ProcessEnding::Kill)?;
        let ended = self.end_of(start, self.deadlines.kill).await;
        ended.with_context(|| format!("{} survives SIGKILL", self.node()))
    }

    /// SIGTERM, resumed first if it is paused: a stopped process would not hear it. Returns when it is gone.
    ///
    /// # Errors
    /// If there is no process, or it does not end in time; it is then left alone.
    pub(super) async fn terminate(&self) -> anyhow::Result<()> {
        let start = self.life.end_by(ProcessEnding::Terminate)?;
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
        // It may end by itself just now: then there is nothing to kill.
        if !self.life.is_down()
            && let Err(error) = self.kill().await
            && !self.life.is_down()
        {
            return Err(error);
        }
        let (node, data, engine) = (self.node(), self.launch.data.clone(), Arc::clone(&self.context.engine));
        let work = tokio::task::spawn_blocking(move || match ruin {
            Ruin::DiskFault(fault) => engine.damage(&data, fault).map(|cut| match fault {
                DiskFault::PowerLoss => Damage::PowerLost { cut },
                DiskFault::TornTail { .. } => Damage::TailTorn { cut },
            }),
            Ruin::Wipe => wipe(&data).map(|()| Damage::Wiped),
        });
        let damage = work.await?.with_context(|| format!("cannot do that to the data of {node}"))?;
        if damage == Damage::Wiped {
            self.life.set_has_run();
        }
        Ok(damage)
    }

    /// Sets a condition of the node's disk or clock: at once if it has a process, else when it is started.
    ///
    /// # Errors
    /// If nodes of this engine take no such order, or the process does not take it.
    pub(super) async fn set_condition(&self, condition: NodeCondition) -> anyhow::Result<()> {
        let node = self.node();
        let line = self.context.engine.order(&NodeOrder::Condition(condition));
        let line = line.with_context(|| format!("{node}: nodes of this engine take no conditions"))?;
        // A clock that stands still cannot jump.
        let jumps = matches!(condition, NodeCondition::Clock(ClockCondition::Jump { .. }));
        ensure!(!jumps || !self.life.is_down(), "the clock of {node} cannot jump: it is down");
        // From here on a process that is being spawned is told at its start.
        self.context.shared.set_condition(node, condition);
        if self.life.is_down() {
            return Ok(());
        }
        let told = self.tell(line).await;
        // It may have ended meanwhile.
        if self.life.is_down() {
            Ok(())
        } else {
            told.with_context(|| format!("{node} does not take {condition}"))
        }
    }

    /// Writes a line to the standard input of the process.
    async fn tell(&self, line: String) -> anyhow::Result<()> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let orders = orders.context("it has no process")?;
        let (done, written) = oneshot::channel();
        let told = async {
            orders.send(StdinLine { line, done }).await.ok()?;
            written.await.ok()
        };
        let written = timeout(self.deadlines.order, told).await.context("its standard input is full")?;
        Ok(written.context("it has ended")??)
    }

    /// Ends the process if there is one, SIGTERM, then SIGKILL, and starts none any more.
    pub(super) async fn stop(&self) {
        self.life.close();
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
        let bootstrap = self.life.to_spawning()?;
        let spawned = match self.spawn(bootstrap).await {
            Ok(spawned) => spawned,
            Err(error) => {
                self.life.spawning_failed(format!("could not be started: {error:#}"));
                return Err(error.context(format!("cannot start {node}")));
            }
        };
        let Spawned { process, mut child, mut stdin, stdout } = spawned;
        let start = self.life.to_starting(process);
        let (orders, told) = mpsc::channel(ORDERS_MAX);
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = Some(orders);
        drop(spawning);
        if let Some(words) = self.context.engine.first_words() {
            // A few bytes into an empty pipe, so nothing is waited for. If nobody reads them, that shows soon enough.
            let _ = stdin.write_all(words.as_bytes()).await;
        }
        let this = Arc::clone(self);
        self.context.tasks.spawn(async move {
            // The end of its standard input tells the node to end, and so does that of this task.
            let status = tokio::select! {
                status = child.wait() => status,
                never = write_orders(stdin, told) => match never {},
            };
            if let Ok(status) = status {
                this.life.to_down(start, status);
            }
        });
        for condition in self.context.shared.standing(node) {
            if condition == NodeCondition::Disk(DiskCondition::Ok) {
                // What stood has ended with the process before.
                self.context.shared.set_condition(node, condition);
            } else if let Some(line) = self.context.engine.order(&NodeOrder::Condition(condition)) {
                // If it has ended, that shows below.
                let _ = self.tell(line).await;
            }
        }
        self.wait_ready(start, stdout).await?;
        let mut watched = self.watched.subscribe();
        tokio::select! {
            seen = timeout(self.deadlines.watched, watched.wait_for(|&seen| seen >= start)) => {
                let client = self.launch.client;
                seen.with_context(|| format!("{node} is ready but does not tell its status at {client}"))??;
                Ok(())
            }
            () = self.life.has_ended(start) => bail!(self.failure("ended before it told its status")),
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
        let ready = self.context.engine.ready(&line).and_then(|ready| self.check(&ready));
        if let Err(error) = ready.and_then(|()| self.life.to_running(start)) {
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
            let _ = self.life.end_by(ProcessEnding::GiveUp);
            let _ = self.end_of(start, self.deadlines.kill).await;
        }
    }

    /// A ready line must be about what was asked for: the proxies rely on the addresses.
    fn check(&self, ready: &Ready) -> anyhow::Result<()> {
        let Launch { node, client, peer, .. } = &self.launch;
        let (asked_client, asked_peer) = (client.to_string(), peer.to_string());
        if (ready.node, &ready.client, &ready.peer) != (*node, &asked_client, &asked_peer) {
            let Ready { node: got, client: got_client, peer: got_peer, .. } = ready;
            bail!("asked for {node} at {client} and {peer}, got {got} at {got_client} and {got_peer}");
        }
        Ok(())
    }

    async fn end_of(&self, start: u64, within: Duration) -> anyhow::Result<()> {
        Ok(timeout(within, self.life.has_ended(start)).await?)
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
}

/// Writes what a process is told, until that is dropped.
async fn write_orders(mut stdin: ChildStdin, mut told: mpsc::Receiver<StdinLine>) -> Infallible {
    while let Some(StdinLine { line, done }) = told.recv().await {
        let written = stdin.write_all(line.as_bytes()).await;
        // Whoever has told it may not wait any more.
        let _ = done.send(written);
    }
    // Nobody tells it anything any more; its standard input stays open.
    std::future::pending().await
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
