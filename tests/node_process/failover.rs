//! A client that is told one address, and works on through whatever happens to the cluster.
#![expect(clippy::disallowed_methods, reason = "a client on a thread of its own")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use kvlab::client::{Client, ClientOptions};
use kvlab::types::Command as Ask;
use kvlab::types::{NodeId, Op, ReadLevel, Reply, Role, WriteLevel};
use kvlab::wire::{NodeFrame, Request, Response, Topology};
use rustix::process::Signal;

use crate::cluster::Trio;
use crate::support::{bytes, until};

/// What a write's client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Written,
    Failed,
    Unknown,
}

/// A client on its own thread that writes fresh keys with a quorum, one after the other.
struct Writer {
    outcomes: Arc<Mutex<BTreeMap<String, Outcome>>>,
    written: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    fn start(addr: &str) -> Self {
        let writer =
            Self { outcomes: Arc::default(), written: Arc::default(), stop: Arc::default(), thread: None };
        let (addr, outcomes) = (addr.to_owned(), writer.outcomes.clone());
        let (written, stop) = (writer.written.clone(), writer.stop.clone());
        let run = move || {
            with_client(&addr, async |client| {
                for i in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("w{i}");
                    let op = Op::Put { key: bytes(&key), value: bytes(&key) };
                    let timeout = Duration::from_millis(300);
                    let outcome =
                        match client.ask(Ask::Write { op, level: WriteLevel::Quorum, timeout }).await {
                            Ok(_) => Outcome::Written,
                            Err(error) if error.is_definite() => Outcome::Failed,
                            Err(_) => Outcome::Unknown,
                        };
                    outcomes.lock().expect("outcomes").insert(key, outcome);
                    written.fetch_add(usize::from(outcome == Outcome::Written), Ordering::Relaxed);
                }
            });
        };
        Self { thread: Some(thread::spawn(run)), ..writer }
    }

    /// Until so many more writes are acknowledged.
    fn goes_on(&self, what: &str) {
        let goal = self.written.load(Ordering::Relaxed) + 20;
        until(what, || (self.written.load(Ordering::Relaxed) >= goal).then_some(()));
    }

    /// Until one more is reported failed.
    fn fails(&self, what: &str) {
        let failed = || {
            let outcomes = self.outcomes.lock().expect("outcomes");
            outcomes.values().filter(|outcome| **outcome == Outcome::Failed).count()
        };
        let goal = failed() + 1;
        until(what, || (failed() >= goal).then_some(()));
    }

    fn stop(mut self) -> BTreeMap<String, Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("running").join().expect("the writer");
        std::mem::take(&mut self.outcomes.lock().expect("outcomes"))
    }
}

/// Runs something with a client that knows `addr` and nothing else.
fn with_client<T>(addr: &str, work: impl AsyncFnOnce(&mut Client) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = ClientOptions {
            request_timeout: Duration::from_millis(600),
            connect_timeout: Duration::from_millis(300),
            // While nobody leads, it soon says that nothing has happened.
            deadline: Duration::from_millis(500),
            ..ClientOptions::new(BTreeMap::new())
        };
        let mut client = Client::discover(addr, options).await.expect("a node");
        work(&mut client).await
    })
}

#[test]
fn a_client_that_knows_one_address_works_on_through_every_failover() {
    let mut trio = Trio::start();
    until("n3 to know everyone", || {
        trio.client(3).members.iter().all(|(_, addr)| addr.is_some()).then_some(())
    });
    let writer = Writer::start(&trio.node(3).ready.client);
    writer.goes_on("writes at n1, found through n3");

    trio.take(1).kill();
    writer.fails("writes that fail while nobody leads");
    let mut primary = trio.promote(&[2, 3]);
    writer.goes_on("writes at another, after n1 was killed");
    trio.start_node(1, &[]);
    follows(&trio, 1, primary);

    trio.take(3).kill();
    if primary == 3 {
        primary = trio.promote(&[1, 2]);
    }
    writer.goes_on("writes without the node that it began with");
    trio.start_node(3, &[]);
    follows(&trio, 3, primary);

    // A primary that is silent, not gone: what was sent to it is of unknown outcome.
    let silent = primary;
    trio.node(silent).signal(Signal::STOP);
    let others: Vec<u8> = (1..=3).filter(|&n| n != silent).collect();
    primary = trio.promote(&others);
    writer.goes_on("writes elsewhere, while the primary is silent");
    trio.node(silent).signal(Signal::CONT);
    writer.goes_on("writes after it has woken");

    let outcomes = writer.stop();
    trio.converges_on(primary);
    let found = with_client(&trio.node(2).ready.client, async |client| {
        let mut found: BTreeMap<String, Option<Bytes>> = BTreeMap::new();
        for key in outcomes.keys() {
            let read =
                Ask::Read { key: bytes(key), level: ReadLevel::Quorum, timeout: Duration::from_secs(5) };
            match client.ask(read).await.expect("an answer").reply {
                Reply::Value { found: it, .. } => drop(found.insert(key.clone(), it.value)),
                other => panic!("unexpected {other:?}"),
            }
        }
        found
    });
    let count = |wanted| outcomes.values().filter(|outcome| **outcome == wanted).count();
    println!(
        "{} written, {} failed, {} unknown",
        count(Outcome::Written),
        count(Outcome::Failed),
        count(Outcome::Unknown)
    );
    for (key, outcome) in &outcomes {
        let value = found[key].as_ref();
        match outcome {
            Outcome::Written => assert_eq!(value, Some(&bytes(key)), "{key} was acknowledged, and is lost"),
            Outcome::Failed => assert_eq!(value, None, "{key} was reported failed, and has happened"),
            Outcome::Unknown => assert!(value.is_none_or(|value| *value == bytes(key)), "{key}: {value:?}"),
        }
    }
    assert!(count(Outcome::Unknown) >= 1, "a silent primary leaves somebody in doubt");
}

fn follows(trio: &Trio, n: u8, primary: u8) {
    until("a restarted member to follow", || (trio.status(n).primary == Some(NodeId(primary))).then_some(()));
}

fn topology(trio: &Trio, n: u8) -> Topology {
    let mut client = trio.client(n);
    let asked = client.send(Request::Topology);
    match client.hear() {
        Some(NodeFrame::Response { id, response: Response::Topology(topology) }) if id == asked => topology,
        other => panic!("expected a topology, not {other:?}"),
    }
}

#[test]
fn members_and_their_parts_are_found_from_any_node() {
    let mut trio = Trio::start();
    let whole = |n: u8, primary: u8| {
        until("the whole topology", || {
            let it = topology(&trio, n);
            let known = it.members.iter().all(|member| member.client.is_some() && member.connected);
            (known && it.primary == Some(NodeId(primary))).then_some(it)
        })
    };
    for n in 1..=3 {
        let it = whole(n, 1);
        assert_eq!((it.node, it.epoch.node), (NodeId(n), NodeId(1)));
        for (member, id) in it.members.iter().zip(1..=3) {
            assert_eq!(member.node, NodeId(id));
            assert_eq!(member.client.as_ref(), Some(&trio.node(id).ready.client));
            assert_eq!(member.peer, trio.peer(id));
            let role = if id == 1 { Role::Primary } else { Role::Replica };
            assert_eq!(member.role, Some(role), "n{id} as n{n} knows it");
        }
    }
    trio.converges_on(1);
    trio.take(1).kill();
    trio.promote(&[3]);
    until("n2 to say so", || {
        let it = topology(&trio, 2);
        let gone = &it.members[0];
        (it.primary == Some(NodeId(3)) && !gone.connected && gone.role == Some(Role::Replica)).then_some(())
    });
}
