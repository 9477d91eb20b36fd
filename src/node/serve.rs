//! A whole node: what it is put together from, and in which order.
//!
//! Everything happens on one thread and in one loop, except the work of the disk and of the keeper, which have a thread
//! each.
#![expect(clippy::disallowed_methods, reason = "binds the ports")]
#![expect(
    clippy::disallowed_types,
    reason = "a node's name for this run, and its seed, come from the system"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process;
use std::rc::Rc;

use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use tracing::{info, warn};

use super::clock::Clock;
use super::conditions::NodeConditions;
use super::driver::Driver;
use super::error::NodeError;
use super::housekeeping::Housekeeping;
use super::hub::Hub;
use super::local::{AddressBook, Local};
use super::options::NodeOptions;
use super::peer::{Dial, OutgoingLink, PeerServer, SETTLED_AFTER};
use super::running::{Inbox, RunningNode, Stop};
use super::server::Server;
use super::token::Token;
use crate::replication::Promise;
use crate::storage::{self, DiskThread, Keeper, Opened, Store, Writer};
use crate::types::{NodeId, Ready, Time};
use crate::wire::{PROTOCOL_VERSION, PeerFrame};

/// Requests that wait for the loop; connections that have more wait with them.
const REQUESTS_QUEUED_MAX: usize = 1024;
/// Messages of members that wait for the loop; connections that have more wait with them.
const MESSAGES_QUEUED_MAX: usize = 256;

/// Runs a node until it is told to stop; calls `ready` once its ports are bound and its log is recovered.
///
/// All of it runs on the calling thread (inside the future) and one disk thread. A node that drains answers everyone:
/// what it has begun within the drain timeout, then what is true of the rest (a quorum write: unknown); what it has
/// not begun fails as [`Failure::Stopping`](crate::types::Failure::Stopping).
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
            let (mut node, mut inbox, line) = start(options, stop).await?;
            ready(&line);
            node.run(&mut inbox).await?;
            node.end(inbox).await
        })
        .await
}

async fn start(
    options: NodeOptions,
    stop: watch::Receiver<Stop>,
) -> Result<(RunningNode, Inbox, Ready), NodeError> {
    let clock = options.conditions.as_ref().map_or_else(Clock::start, NodeConditions::clock);
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
    let mut housekeeping = Housekeeping::new(keeper, options.cleanup, options.scrub_rate);

    let members = options.members_sorted();
    let own = options.advertise.clone().unwrap_or_else(|| line.client.clone());
    let local = Rc::new(Local {
        id: options.id,
        book: AddressBook::new(&members, options.id, own.clone()),
        members,
        token: options.token.clone(),
        open: options.client_addr.ip().is_loopback(),
        limits: options.limits.clone(),
        clock: clock.clone(),
    });
    let links: BTreeMap<_, _> = options.others().map(|id| (id, Rc::new(OutgoingLink::new(id)))).collect();
    let server = Rc::new(Server::new(local.clone(), to_clients));
    let peer_server = Rc::new(PeerServer::new(local.clone(), links.clone(), to_peers.clone()));
    let (routes, watchers) = Default::default();
    let mut hub = Hub { local, links, peers: peer_server.clone(), routes, watchers };
    announce(&opened, &options, &mut hub);

    let config = options.core_config(random()?, random()?);
    let mut driver =
        Driver::start(config, opened.recovered, store, clock.now(), &mut hub).map_err(NodeError::Open)?;
    // Hints that were missing when the log was read.
    housekeeping.after_disk(clock.now(), &mut driver);

    let mut tasks = JoinSet::new();
    let client_listener = tasks.spawn_local(server.clone().listen(clients));
    tasks.spawn_local(peer_server.listen(peers));
    for (&to, link) in &hub.links {
        let dial = Dial {
            link: link.clone(),
            addr: options.links[&to].clone(),
            hello: hello(&hub.local, to, &own),
            inputs: to_peers.clone(),
            write_timeout: options.limits.write_timeout,
            settled_after: SETTLED_AFTER,
            clock: clock.clone(),
        };
        tasks.spawn_local(dial.run(random()?));
    }
    let clock_changes = options.conditions.as_ref().map(|conditions| conditions.clock_switch().changes());
    let inbox =
        Inbox { keeper: keeper_in, disk: disk_in, peers: peers_in, clients: clients_in, clock_changes, stop };
    let mut peer_addrs = options.links.clone();
    peer_addrs.insert(options.id, line.peer.clone());
    let (drain_until, asked_at) = (None, Time::ZERO);
    let node = RunningNode {
        driver,
        hub,
        disk,
        housekeeping,
        server,
        tasks,
        client_listener,
        peer_addrs,
        drain_until,
        asked_at,
    };
    Ok((node, inbox, line))
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
        alone: options.members.len() == 1,
        ..storage::Options::new(options.id)
    };
    let disk = match options.disk_max {
        Some(bytes_max) => storage::with_quota(storage::real_disk(), &options.data_dir, bytes_max),
        None => storage::real_disk(),
    };
    let disk = match &options.conditions {
        Some(conditions) => storage::with_conditions(disk, conditions.disk()),
        None => disk,
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
        hub.watchers.tell_notice(hub.local.clock.now(), text);
    };
    if options.token.is_none() {
        notice(String::from(
            "no cluster token: every program on this machine may speak as a member, promote and clean up; members are \
             taken on loopback only (a token: --token-file FILE, or KVLAB_TOKEN)",
        ));
    }
    for quirk in options.quirks.iter() {
        notice(format!("quirk {quirk}: {}, on purpose", quirk.mistake()));
    }
    if let Some((file, offset, bytes)) = &opened.torn {
        let file = file.display();
        notice(format!(
            "a torn tail was cut: {bytes} bytes at offset {offset} of {file}; nothing shows that they were synced"
        ));
    }
    if let Some(forgot) = &opened.forgot {
        let (file, (synced_file, synced_to)) = (forgot.file.display(), &forgot.synced_to);
        let (ended_at, bytes, synced_file) = (forgot.ended_at, forgot.bytes, synced_file.display());
        let now = if options.members.len() == 1 {
            "it is the only member and goes on without them; what they held is lost".to_owned()
        } else {
            format!("{id} is a learner until the others have made up for what it has forgotten")
        };
        notice(format!(
            "{bytes} bytes that were synced are gone: the log ends at byte {ended_at} of {file}, and was synced up to \
             byte {synced_to} of {synced_file}; {now}"
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

fn hello(local: &Local, to: NodeId, own: &str) -> PeerFrame {
    PeerFrame::Hello {
        version: PROTOCOL_VERSION,
        token: local.token.as_ref().map(Token::reveal).map(str::to_owned),
        from: local.id,
        to,
        members: local.members.clone(),
        client_addr: own.to_owned(),
    }
}

fn random() -> Result<u64, NodeError> {
    OsRng.try_next_u64().map_err(|error| NodeError::Random(error.to_string()))
}
