//! A node that runs: its loop, and its end.
//!
//! The loop wakes up, takes all that is there (up to a bound), steps the core for each, and only then hands the
//! collected appends to the disk: the more there is to do, the larger the batches.
#![expect(clippy::disallowed_methods, reason = "sleeps until the core's deadline")]

use std::collections::BTreeMap;
use std::pin::pin;
use std::process;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep_until, timeout};
use tracing::{info, warn};

use super::clock::millis;
use super::driver::Driver;
use super::error::NodeError;
use super::housekeeping::{Asker, Housekeeping};
use super::hub::Hub;
use super::peer::FromPeer;
use super::routes::Route;
use super::server::{Ask, FromClient, Server};
use super::watch::json;
use crate::replication::Input;
use crate::storage::{DiskNews, DiskThread, KeeperNews, StorageError};
use crate::types::{Failure, MemberStatus, NodeId, NodeStatus, Reply, Report, Time, WarpedClock};
use crate::wire::{Response, Topology, TopologyMember};

/// Inputs of each kind taken before timers and the disk get their turn.
const BURST_MAX: usize = 256;
/// A draining node ends when nothing waits and nobody has asked anything for this long: what had been sent before
/// anybody could know is told that it was not begun, instead of being left in doubt.
const DRAIN_QUIET: Duration = Duration::from_millis(20);
/// How long clients get to read their last answers when the node stops.
const FAREWELL: Duration = Duration::from_millis(300);

/// Whether, and how, a node is to stop. Only ever goes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Run.
    #[default]
    NotYet,
    /// Take nothing new, answer what was begun (within the drain timeout), flush the disk, end.
    Drain,
    /// Flush the disk and end; whoever waits gets no answer.
    AtOnce,
}

/// What the loop waits for.
pub(super) struct Inbox {
    pub(super) disk: mpsc::UnboundedReceiver<Result<DiskNews, StorageError>>,
    pub(super) keeper: mpsc::UnboundedReceiver<KeeperNews>,
    pub(super) peers: mpsc::Receiver<FromPeer>,
    pub(super) clients: mpsc::Receiver<FromClient>,
    /// Changes when a lab has changed the clock's condition; `None`: no lab can.
    pub(super) clock_changes: Option<watch::Receiver<WarpedClock>>,
    pub(super) stop: watch::Receiver<Stop>,
}

/// A running node.
pub(super) struct RunningNode {
    pub(super) driver: Driver,
    pub(super) hub: Hub,
    pub(super) disk: DiskThread,
    pub(super) housekeeping: Housekeeping,
    pub(super) server: Rc<Server>,
    /// The listeners' and links' tasks; connections end by themselves.
    pub(super) tasks: JoinSet<()>,
    /// The task among them that takes clients.
    pub(super) client_listener: AbortHandle,
    /// Where each other member is reached, and where this one takes members.
    pub(super) peer_addrs: BTreeMap<NodeId, String>,
    /// When a draining node stops waiting for answers.
    pub(super) drain_until: Option<Time>,
    /// When a draining node was last asked something, or began to drain.
    pub(super) asked_at: Time,
}

impl RunningNode {
    /// The loop.
    pub(super) async fn run(&mut self, inbox: &mut Inbox) -> Result<(), NodeError> {
        let mut timer_at = Time::ZERO;
        let mut timer = pin!(sleep_until(self.hub.local.clock.instant(timer_at)));
        loop {
            self.submit();
            if self.is_over(inbox) {
                return Ok(());
            }
            let deadline = self.next_deadline();
            if deadline != timer_at {
                timer_at = deadline;
                timer.as_mut().reset(self.hub.local.clock.instant(deadline));
            }
            tokio::select! {
                biased;
                Ok(()) = inbox.stop.changed() => {}
                news = inbox.disk.recv() => self.take_disk_news(news.ok_or(NodeError::DiskThread)?)?,
                Some(news) = inbox.keeper.recv() => self.take_keeper_news(news)?,
                Some(heard) = inbox.peers.recv() => self.take_heard(heard)?,
                Some(asked) = inbox.clients.recv() => self.take_asked(asked)?,
                // What the timer was set to means another instant now.
                () = changed(&mut inbox.clock_changes) => timer_at = Time::ZERO,
                () = &mut timer => {
                    // Fired timers stay fired; the next round arms it again.
                    timer_at = Time::ZERO;
                }
            }
            self.burst(inbox)?;
            self.keep_time()?;
        }
    }

    /// Takes what else is there, without waiting.
    fn burst(&mut self, inbox: &mut Inbox) -> Result<(), NodeError> {
        for _ in 0..BURST_MAX {
            let news = inbox.disk.try_recv().ok();
            let heard = inbox.peers.try_recv().ok();
            let asked = inbox.clients.try_recv().ok();
            if news.is_none() && heard.is_none() && asked.is_none() {
                break;
            }
            news.map_or(Ok(()), |news| self.take_disk_news(news))?;
            heard.map_or(Ok(()), |heard| self.take_heard(heard))?;
            asked.map_or(Ok(()), |asked| self.take_asked(asked))?;
        }
        Ok(())
    }

    /// Hands what was collected to the disk.
    fn submit(&mut self) {
        for job in self.driver.take_jobs() {
            self.disk.submit(job);
        }
    }

    fn next_deadline(&self) -> Time {
        let core = self.driver.deadline();
        let watchers = self.hub.watchers.next_due();
        let quiet = self.drain_until.map(|_| self.asked_at + DRAIN_QUIET);
        let quiet = quiet.filter(|_| self.hub.routes.len() == 0);
        [watchers, self.drain_until, quiet].into_iter().flatten().fold(core, Time::min)
    }

    /// The core's tick and the watchers' statuses, if they are due.
    fn keep_time(&mut self) -> Result<(), NodeError> {
        let now = self.hub.local.clock.now();
        if self.driver.deadline() <= now {
            self.driver.handle(now, Input::Tick, &mut self.hub).map_err(NodeError::Disk)?;
        }
        self.housekeeping.look(now, &mut self.driver);
        if self.hub.watchers.next_due().is_some_and(|due| due <= now) {
            let status = Report::Status(self.status(now));
            self.hub.watchers.tell_status(now, || status);
        }
        Ok(())
    }

    fn take_disk_news(&mut self, news: Result<DiskNews, StorageError>) -> Result<(), NodeError> {
        let now = self.hub.local.clock.now();
        let full = match news.map_err(NodeError::Disk)? {
            DiskNews::Done(dones) => {
                self.driver.complete(now, dones, &mut self.hub).map_err(NodeError::Disk)?;
                self.housekeeping.after_disk(now, &mut self.driver);
                return Ok(());
            }
            DiskNews::Full(path) => {
                let path = path.display();
                warn!(%path, "disk full: writes wait and new ones are refused until there is room; reads go on");
                true
            }
            DiskNews::RoomAgain => {
                info!("there is room on the disk again");
                false
            }
        };
        self.driver.handle(now, Input::Disk { full }, &mut self.hub).map_err(NodeError::Disk)
    }

    fn take_keeper_news(&mut self, news: KeeperNews) -> Result<(), NodeError> {
        let now = self.hub.local.clock.now();
        let told = self.housekeeping.hear(now, news, &mut self.driver).map_err(NodeError::Disk)?;
        self.driver.tell_core(now, &mut self.hub).map_err(NodeError::Disk)?;
        if let Some(text) = told {
            self.hub.watchers.tell_news(now, text);
        }
        Ok(())
    }

    fn take_heard(&mut self, heard: FromPeer) -> Result<(), NodeError> {
        let input = match heard {
            // Rule 6 of the driver's contract: nothing of a member's older process after its newer one was heard.
            FromPeer::Message { from, connection, .. } if !self.hub.peers.is_current(from, connection) => {
                return Ok(());
            }
            FromPeer::Message { from, message, .. } => Input::Peer { from, message },
            FromPeer::Link { to, up } => Input::Link { to, up },
        };
        self.driver.handle(self.hub.local.clock.now(), input, &mut self.hub).map_err(NodeError::Disk)
    }

    fn take_asked(&mut self, asked: FromClient) -> Result<(), NodeError> {
        let FromClient { conn, id, ask } = asked;
        let now = self.hub.local.clock.now();
        match ask {
            Ask::Do(..) if self.drain_until.is_some() => {
                self.asked_at = now;
                conn.answer(id, failed(Failure::Stopping));
            }
            Ask::Do(command, held) => {
                let request = self.hub.routes.insert(Route { conn, id, held });
                let input = Input::Request { request, command };
                self.driver.handle(now, input, &mut self.hub).map_err(NodeError::Disk)?;
            }
            Ask::Status => {
                let status = Report::Status(self.status(now));
                conn.answer(id, Response::Report(json(&status)));
            }
            Ask::Topology => conn.answer(id, Response::Topology(self.topology(now))),
            Ask::Cleanup => self.housekeeping.ask(Asker::new(conn, id), &mut self.driver),
            Ask::Watch(every) => {
                if !self.hub.watchers.add(conn.clone(), id, every, now) {
                    conn.respond(id, failed(Failure::Busy(String::from("this node has too many watchers"))));
                }
            }
        }
        Ok(())
    }

    fn status(&mut self, now: Time) -> NodeStatus {
        NodeStatus {
            replication: self.driver.status(now),
            applied_per_s: self.driver.applied_per_s(now),
            connections: self.server.connections(),
            keys: self.driver.store().keys(),
            log_bytes: self.driver.store().log_bytes(),
            disk: Box::new(self.housekeeping.status(now, &self.driver)),
            uptime_ms: millis(now),
            pid: process::id(),
        }
    }

    fn topology(&self, now: Time) -> Topology {
        let status = self.driver.status(now);
        let member = |member: MemberStatus| TopologyMember {
            node: member.id,
            role: member.role,
            client: self.hub.local.book.get(member.id),
            peer: self.peer_addrs.get(&member.id).cloned().unwrap_or_default(),
            connected: member.connected,
            heard_ms: member.heard_ms,
        };
        Topology {
            node: status.id,
            epoch: status.epoch,
            primary: status.primary,
            members: self.driver.members(now).into_iter().map(member).collect(),
        }
    }

    /// Whether the loop has to end; begins to drain when that is asked for.
    fn is_over(&mut self, inbox: &Inbox) -> bool {
        let now = self.hub.local.clock.now();
        match *inbox.stop.borrow() {
            Stop::NotYet => return false,
            Stop::AtOnce => return true,
            Stop::Drain => {}
        }
        let until = *self.drain_until.get_or_insert_with(|| {
            info!(waiting = self.hub.routes.len(), "draining");
            self.client_listener.abort();
            self.asked_at = now;
            now + self.hub.local.limits.drain_timeout
        });
        let quiet = now.saturating_sub(self.asked_at) >= DRAIN_QUIET;
        (self.hub.routes.len() == 0 && quiet) || now >= until
    }

    /// Answers what waits, says goodbye and flushes the disk.
    pub(super) async fn end(mut self, mut inbox: Inbox) -> Result<(), NodeError> {
        let waiting = self.hub.routes.len();
        self.housekeeping.stop();
        if *inbox.stop.borrow() == Stop::Drain {
            self.driver.stop(self.hub.local.clock.now(), &mut self.hub).map_err(NodeError::Disk)?;
            self.submit();
            // Handed over and not begun: told so, before the goodbye ends their connections.
            while let Ok(asked) = inbox.clients.try_recv() {
                self.take_asked(asked)?;
            }
            let _ = timeout(FAREWELL, self.server.say_goodbye()).await;
        }
        self.tasks.abort_all();
        self.disk.finish();
        while let Ok(outcome) = inbox.disk.try_recv() {
            outcome.map_err(NodeError::Disk)?;
        }
        info!(cut_short = waiting, unanswered = self.hub.routes.len(), "stopped");
        Ok(())
    }
}

/// Returns when there is a change.
async fn changed(changes: &mut Option<watch::Receiver<WarpedClock>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

fn failed(failure: Failure) -> Response {
    Response::Reply { reply: Reply::Failed(failure), primary: None }
}
