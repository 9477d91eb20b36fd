//! A whole node: starts it, runs its loop, ends it.
//!
//! Everything happens on one thread and in one loop, except the disk's work. The loop wakes up, takes all that is
//! there (up to a bound), steps the core for each, and only then hands the collected appends to the disk: the more
//! there is to do, the larger the batches.
#![expect(clippy::disallowed_methods, reason = "binds the ports and sleeps until the core's deadline")]
#![expect(
    clippy::disallowed_types,
    reason = "a node's name for this run, and its seed, come from the system"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::process;
use std::rc::Rc;
use std::time::Duration;

use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{sleep_until, timeout};
use tracing::{info, warn};

use super::book::AddressBook;
use super::clock::{Clock, millis};
use super::driver::Driver;
use super::error::NodeError;
use super::housekeeping::{Asker, Housekeeping};
use super::hub::Hub;
use super::options::{NodeOptions, Token};
use super::peer::{Dial, FromPeer, Link, PeerServer, SETTLED_AFTER};
use super::routes::{Route, Routes};
use super::server::{Ask, FromClient, Server};
use super::watch::{Watchers, json};
use crate::replication::{Input, Promise};
use crate::storage::{self, DiskNews, DiskThread, Keeper, KeeperNews, Opened, StorageError, Store, Writer};
use crate::types::{Failure, MemberStatus, NodeId, NodeStatus, Ready, Reply, Report, Time};
use crate::wire::{PROTOCOL_VERSION, PeerFrame, Response, Topology, TopologyMember};

/// Requests that wait for the loop; connections that have more wait with them.
const REQUESTS_QUEUED_MAX: usize = 1024;
/// Messages of members that wait for the loop; connections that have more wait with them.
const MESSAGES_QUEUED_MAX: usize = 256;
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

/// Runs a node until it is told to stop; calls `ready` once its ports are bound and its log is recovered.
///
/// All of it runs on the calling thread (inside the future) and one disk thread. A node that drains answers everyone:
/// what it has begun within the drain timeout, then what is true of the rest (a quorum write: unknown); what it has
/// not begun fails as [`Failure::Stopping`].
///
/// # Errors
/// [`NodeError::is_setup`] tells a node that could not start from one whose disk failed. After a disk error nothing
/// more is acknowledged.
pub async fn serve(
    options: NodeOptions,
    stop: watch::Receiver<Stop>,
    ready: impl FnOnce(&Ready),
) -> Result<(), NodeError> {
    options.validate()?;
    LocalSet::new()
        .run_until(async move {
            let (mut node, mut inbox, line) = Node::start(options, stop).await?;
            ready(&line);
            node.run(&mut inbox).await?;
            node.end(inbox).await
        })
        .await
}

/// What the loop waits for.
struct Inbox {
    disk: mpsc::UnboundedReceiver<Result<DiskNews, StorageError>>,
    keeper: mpsc::UnboundedReceiver<KeeperNews>,
    peers: mpsc::Receiver<FromPeer>,
    clients: mpsc::Receiver<FromClient>,
    stop: watch::Receiver<Stop>,
}

/// A running node.
struct Node {
    clock: Clock,
    driver: Driver,
    hub: Hub,
    disk: DiskThread,
    housekeeping: Housekeeping,
    server: Rc<Server>,
    /// The listeners' and links' tasks; connections end by themselves.
    tasks: Tasks,
    /// Where each other member is reached, and where this one takes members.
    peer_addrs: BTreeMap<NodeId, String>,
    drain_timeout: Duration,
    /// When a draining node stops waiting for answers.
    drain_until: Option<Time>,
    /// When a draining node was last asked something, or began to drain.
    asked_at: Time,
}

struct Tasks {
    listeners: Vec<JoinHandle<()>>,
    links: Vec<JoinHandle<()>>,
}

impl Node {
    async fn start(
        options: NodeOptions,
        stop: watch::Receiver<Stop>,
    ) -> Result<(Self, Inbox, Ready), NodeError> {
        let clock = Clock::start();
        let clients = bind("clients", options.client_addr, "--client").await?;
        let peers = bind("members", options.peer_addr, "--peer").await?;
        let line = ready_line(&options, &clients, &peers);
        let (store, writer, opened) = open(&options)?;

        let (to_peers, peers_in) = mpsc::channel(MESSAGES_QUEUED_MAX);
        let (to_clients, clients_in) = mpsc::channel(REQUESTS_QUEUED_MAX);
        // Not bounded itself: there is at most one answer for each batch that was submitted, and the core bounds those;
        // and a few words a second on a full disk.
        let (from_disk, disk_in) = mpsc::unbounded_channel();
        let disk = DiskThread::spawn(writer, move |outcome| {
            // Nobody listens any more once the node has ended; nothing is acknowledged then.
            let _ = from_disk.send(outcome);
        });

        // Not bounded itself: the keeper waits for an answer whenever it has asked something.
        let (from_keeper, keeper_in) = mpsc::unbounded_channel();
        let keeper = Keeper::spawn(move |news| {
            let _ = from_keeper.send(news);
        });
        let mut housekeeping = Housekeeping::new(keeper, options.cleanup);

        let members = options.members_sorted();
        let own = options.advertise.clone().unwrap_or_else(|| line.client.clone());
        let book = Rc::new(AddressBook::new(&members, options.id, own.clone()));
        let limits = &options.limits;
        let server = Rc::new(Server::new(
            options.id,
            options.token.clone(),
            limits.clone(),
            book.clone(),
            clock,
            to_clients,
        ));
        let links: BTreeMap<_, _> = options.others().map(|id| (id, Rc::new(Link::new(id)))).collect();
        let peer_server = PeerServer::new(
            options.id,
            members.clone(),
            options.token.clone(),
            limits.clone(),
            book.clone(),
            clock,
            to_peers.clone(),
        );
        let peer_server = Rc::new(peer_server.with_links(links.clone()));
        let mut hub = Hub { clock, book, links, routes: Routes::default(), watchers: Watchers::default() };
        announce(&opened, &options, &mut hub);

        let config = options.core_config(random()?, random()?);
        let mut driver =
            Driver::start(config, opened.recovered, store, clock.now(), &mut hub).map_err(NodeError::Open)?;
        // Hints that were missing when the log was read.
        housekeeping.after_disk(clock.now(), &mut driver);

        let mut tasks = Tasks { listeners: Vec::new(), links: Vec::new() };
        tasks.listeners.push(spawn_local(server.clone().listen(clients)));
        tasks.listeners.push(spawn_local(peer_server.listen(peers)));
        for (&to, link) in &hub.links {
            let dial = Dial {
                link: link.clone(),
                addr: options.links[&to].clone(),
                hello: hello(&options, to, &members, &own),
                inputs: to_peers.clone(),
                write_timeout: limits.write_timeout,
                settled_after: SETTLED_AFTER,
                clock,
            };
            tasks.links.push(spawn_local(dial.run(random()?)));
        }
        let inbox = Inbox { keeper: keeper_in, disk: disk_in, peers: peers_in, clients: clients_in, stop };
        let drain_timeout = limits.drain_timeout;
        let (drain_until, asked_at) = (None, Time::ZERO);
        let mut peer_addrs = options.links.clone();
        peer_addrs.insert(options.id, line.peer.clone());
        let node = Self {
            clock,
            driver,
            hub,
            disk,
            housekeeping,
            server,
            tasks,
            peer_addrs,
            drain_timeout,
            drain_until,
            asked_at,
        };
        Ok((node, inbox, line))
    }

    /// The loop.
    async fn run(&mut self, inbox: &mut Inbox) -> Result<(), NodeError> {
        let mut timer_at = Time::ZERO;
        let mut timer = pin!(sleep_until(self.clock.instant(timer_at)));
        loop {
            self.submit();
            if self.is_over(inbox) {
                return Ok(());
            }
            let deadline = self.next_deadline();
            if deadline != timer_at {
                timer_at = deadline;
                timer.as_mut().reset(self.clock.instant(deadline));
            }
            tokio::select! {
                biased;
                Ok(()) = inbox.stop.changed() => {}
                news = inbox.disk.recv() => self.take_disk_news(news.ok_or(NodeError::DiskThread)?)?,
                Some(news) = inbox.keeper.recv() => self.take_keeper_news(news)?,
                Some(heard) = inbox.peers.recv() => self.take_heard(heard)?,
                Some(asked) = inbox.clients.recv() => self.take_asked(asked)?,
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
        let now = self.clock.now();
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
        let now = self.clock.now();
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
        let now = self.clock.now();
        let told = self.housekeeping.hear(now, news, &mut self.driver).map_err(NodeError::Disk)?;
        if let Some(text) = told {
            self.hub.watchers.tell_news(now, text);
        }
        Ok(())
    }

    fn take_heard(&mut self, heard: FromPeer) -> Result<(), NodeError> {
        let input = match heard {
            FromPeer::Message { from, message } => Input::Peer { from, message },
            FromPeer::Link { to, up } => Input::Link { to, up },
        };
        self.driver.handle(self.clock.now(), input, &mut self.hub).map_err(NodeError::Disk)
    }

    fn take_asked(&mut self, asked: FromClient) -> Result<(), NodeError> {
        let FromClient { conn, id, ask } = asked;
        let now = self.clock.now();
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
            disk: Box::new(self.housekeeping.status(&self.driver)),
            uptime_ms: millis(now),
            pid: process::id(),
        }
    }

    fn topology(&self, now: Time) -> Topology {
        let status = self.driver.status(now);
        let member = |member: MemberStatus| TopologyMember {
            node: member.id,
            role: member.role,
            client: self.hub.book.get(member.id),
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
        let now = self.clock.now();
        match *inbox.stop.borrow() {
            Stop::NotYet => return false,
            Stop::AtOnce => return true,
            Stop::Drain => {}
        }
        let until = *self.drain_until.get_or_insert_with(|| {
            info!(waiting = self.hub.routes.len(), "draining");
            self.tasks.listeners.drain(..1).for_each(|clients| clients.abort());
            self.asked_at = now;
            now + self.drain_timeout
        });
        let quiet = now.saturating_sub(self.asked_at) >= DRAIN_QUIET;
        (self.hub.routes.len() == 0 && quiet) || now >= until
    }

    /// Answers what waits, says goodbye and flushes the disk.
    async fn end(mut self, mut inbox: Inbox) -> Result<(), NodeError> {
        let waiting = self.hub.routes.len();
        self.housekeeping.stop();
        if *inbox.stop.borrow() == Stop::Drain {
            self.driver.stop(self.clock.now(), &mut self.hub).map_err(NodeError::Disk)?;
            self.submit();
            // Handed over and not begun: told so, before the goodbye ends their connections.
            while let Ok(asked) = inbox.clients.try_recv() {
                self.take_asked(asked)?;
            }
            let _ = timeout(FAREWELL, self.server.say_goodbye()).await;
        }
        self.tasks.listeners.iter().chain(&self.tasks.links).for_each(JoinHandle::abort);
        self.disk.finish();
        while let Ok(outcome) = inbox.disk.try_recv() {
            outcome.map_err(NodeError::Disk)?;
        }
        info!(cut_short = waiting, unanswered = self.hub.routes.len(), "stopped");
        Ok(())
    }
}

fn failed(failure: Failure) -> Response {
    Response::Reply { reply: Reply::Failed(failure), primary: None }
}

async fn bind(what: &'static str, addr: SocketAddr, option: &'static str) -> Result<TcpListener, NodeError> {
    TcpListener::bind(addr).await.map_err(|source| NodeError::Bind { what, addr, option, source })
}

fn ready_line(options: &NodeOptions, clients: &TcpListener, peers: &TcpListener) -> Ready {
    // A bound listener knows its address; the one asked for is as good as any answer otherwise.
    let addr = |listener: &TcpListener, asked: SocketAddr| listener.local_addr().unwrap_or(asked).to_string();
    Ready {
        ready: true,
        node: options.id,
        pid: process::id(),
        client: addr(clients, options.client_addr),
        peer: addr(peers, options.peer_addr),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        quirks: options.quirks,
    }
}

/// Opens the store. A member that should have a history and has none is a learner from here on, and its store says so
/// from its first moment: a crash right after it was created must not make the member forget that it has forgotten.
fn open(options: &NodeOptions) -> Result<(Store, Writer, Opened), NodeError> {
    let wiped = !options.bootstrap && options.members.len() > 1;
    let settings = storage::Options {
        durability: options.durability(),
        segment_bytes: options.segment_bytes,
        first_promise: Promise { learner: wiped, ..Promise::default() },
        ..storage::Options::new(options.id)
    };
    let disk = match options.disk_max {
        Some(bytes_max) => storage::with_quota(storage::real_disk(), &options.data_dir, bytes_max),
        None => storage::real_disk(),
    };
    let (store, writer, mut opened) =
        storage::open(disk, &options.data_dir, settings).map_err(NodeError::Open)?;
    opened.recovered.wiped = opened.fresh && wiped;
    Ok((store, writer, opened))
}

/// What opening found, for the log and for watchers.
fn announce(opened: &Opened, options: &NodeOptions, hub: &mut Hub) {
    let (id, recovered) = (options.id, &opened.recovered);
    let dir = options.data_dir.display();
    info!(
        node = %id, dir = %dir, last = %recovered.last, promised = %recovered.promise.epoch,
        learner = recovered.promise.learner, fresh = opened.fresh, keys = opened.keys, log_bytes = opened.log_bytes,
        hints_missing = opened.hints_missing,
        "recovered"
    );
    let mut notice = |text: String| {
        warn!("{text}");
        hub.watchers.tell_notice(hub.clock.now(), text);
    };
    for quirk in options.quirks.iter() {
        notice(format!("quirk {quirk}: {}, on purpose", quirk.mistake()));
    }
    if let Some((file, offset, bytes)) = &opened.torn {
        let file = file.display();
        notice(format!(
            "a torn tail was cut: {bytes} bytes at offset {offset} of {file}; nothing shows that they were synced"
        ));
    }
    for (hint, why) in &opened.hints_bad {
        let hint = hint.display();
        notice(format!(
            "{hint} does not count: {why}; its segment was read instead, and it is written again"
        ));
    }
    if opened.fresh && recovered.promise.learner {
        notice(format!(
            "{id} starts on an empty directory without --bootstrap: a learner until it has caught up"
        ));
    }
}

fn hello(options: &NodeOptions, to: NodeId, members: &[NodeId], client_addr: &str) -> PeerFrame {
    PeerFrame::Hello {
        version: PROTOCOL_VERSION,
        token: options.token.as_ref().map(Token::reveal).map(str::to_owned),
        from: options.id,
        to,
        members: members.to_vec(),
        client_addr: client_addr.to_owned(),
    }
}

fn random() -> Result<u64, NodeError> {
    OsRng.try_next_u64().map_err(|error| NodeError::Random(error.to_string()))
}
