//! Kill -9, again and again, in the middle of writes: what was acknowledged is there, each time.
#![expect(clippy::disallowed_methods, reason = "clients on threads of their own")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kvlab::types::{ReadLevel, Reply, WriteLevel};
use kvlab::wire::{NodeFrame, Request, Response};

use crate::support::{Client, Node, alone, bytes, until, write};

/// How often the node is killed in each durability mode.
const ROUNDS: usize = 5;
const WRITERS: usize = 4;
/// The node is killed once this many writes of a round are acknowledged, with more under way.
const ACKNOWLEDGED: usize = 200;
/// Keys of each writer: overwritten many times, so that the newest version is what counts.
const KEYS: usize = 25;

/// Each key with the number that was acknowledged last, and the highest that was tried.
type Written = BTreeMap<String, (usize, usize)>;

/// Writes numbers under its own keys until the connection breaks.
fn write_until_killed(
    mut client: Client,
    writer: usize,
    first: usize,
    acknowledged: &AtomicUsize,
) -> Written {
    let mut written = Written::new();
    for number in first.. {
        let key = format!("w{writer}-{}", number % KEYS);
        let value = number.to_string();
        written.entry(key.clone()).or_insert((0, 0)).1 = number;
        if !client.try_send(Request::Do(write(&key, &value, WriteLevel::Async))) {
            break;
        }
        match client.hear() {
            Some(NodeFrame::Response {
                response: Response::Reply { reply: Reply::Written { .. }, .. },
                ..
            }) => {
                written.get_mut(&key).expect("tried").0 = number;
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            None => break,
            other => panic!("unexpected {other:?}"),
        }
    }
    written
}

/// One life: writers at work, and SIGKILL in the midst of it.
fn live_and_die(node: Node, first: usize) -> Written {
    let acknowledged = AtomicUsize::new(0);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, acknowledged) = (node.client(), &acknowledged);
                scope.spawn(move || write_until_killed(client, writer, first, acknowledged))
            })
            .collect();
        until("enough writes", || (acknowledged.load(Ordering::Relaxed) >= ACKNOWLEDGED).then_some(()));
        node.kill();
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect()
    })
}

fn kill_and_read_back(durability: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let start = || {
        let mut command = alone(dir.path());
        command.args(["--durability", durability]);
        let node = Node::start(command);
        node.client().put_patiently("awake", "v", WriteLevel::Async);
        node
    };
    let mut all = Written::new();
    for round in 0..ROUNDS {
        let first = 1 + all.values().map(|&(_, tried)| tried).max().unwrap_or(0);
        for (key, (acked, tried)) in live_and_die(start(), first) {
            let before = all.entry(key).or_insert((0, 0));
            *before = (before.0.max(acked), tried);
        }
        let node = start();
        let mut client = node.client();
        for (key, &(acked, tried)) in &all {
            let found = client.get_patiently(key, ReadLevel::Eventual).value;
            let number: usize = found.map_or(0, |v| String::from_utf8_lossy(&v).parse().expect("a number"));
            // At least what was acknowledged; at most what was tried, which may have happened without an answer.
            assert!(
                (acked..=tried).contains(&number),
                "round {round}, {key}: {number}, not {acked}..={tried}"
            );
        }
        assert_eq!(client.get_patiently("awake", ReadLevel::Eventual).value, Some(bytes("v")));
        node.kill();
    }
}

#[test]
fn what_is_acknowledged_survives_every_kill() {
    kill_and_read_back("always");
}

/// The process dies, the system does not: what it has been given is written, synced or not.
#[test]
fn a_kill_alone_loses_nothing_in_any_durability_mode() {
    kill_and_read_back("interval=10ms");
    kill_and_read_back("os");
}
