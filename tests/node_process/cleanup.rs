//! Cleanup of a running node: disk use falls, nothing acknowledged is lost, and a kill -9 changes nothing about that.
#![expect(clippy::disallowed_methods, reason = "real threads beside real processes")]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kvlab::types::{NodeId, NodeStatus, ReadLevel, Reply, WriteLevel};
use kvlab::wire::{CleanupReply, NodeFrame, Request, Response};

use crate::support::{Client, Node, alone, bytes, kvlab, run, until, write};

const KEYS: u64 = 50;
const VALUE_BYTES: usize = 900;

/// A node with small segments, which cleans up only when it is told to.
fn small_segments(dir: &Path) -> Command {
    let mut command = alone(dir);
    command.args(["--segment-bytes", "16384", "--cleanup-ratio", "off"]);
    command
}

fn value(n: u64) -> String {
    format!("{n:0VALUE_BYTES$}")
}

/// Overwrites all keys so often. The last value of each is `value(rounds - 1)`.
fn overwrite(client: &mut Client, rounds: u64) {
    for round in 0..rounds {
        for key in 0..KEYS {
            client.send(Request::Do(write(&format!("k{key}"), &value(round), WriteLevel::Async)));
        }
        for _ in 0..KEYS {
            written(client.hear());
        }
    }
}

fn written(frame: Option<NodeFrame>) {
    match frame {
        Some(NodeFrame::Response {
            response: Response::Reply { reply: Reply::Written { .. }, .. }, ..
        }) => {}
        other => panic!("not written: {other:?}"),
    }
}

pub(crate) fn ask(client: &mut Client) -> CleanupReply {
    client.send(Request::Cleanup);
    match client.hear() {
        Some(NodeFrame::Response { response: Response::Cleanup(reply), .. }) => reply,
        other => panic!("expected an answer about the cleanup, not {other:?}"),
    }
}

/// The status once so many cleanups have ended.
fn ended(client: &mut Client, cleanups: u64) -> NodeStatus {
    until("the end of the cleanup", || {
        Some(client.status()).filter(|status| status.disk.cleanups >= cleanups)
    })
}

#[test]
fn overwritten_values_go_while_writes_go_on_and_every_last_value_reads_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(small_segments(dir.path()));
    let mut client = node.client();
    client.put_patiently("first", "v", WriteLevel::Quorum);
    overwrite(&mut client, 20);
    let before = client.status();
    assert!(before.disk.garbage_percent > 80, "{before:?}");

    // Somebody writes all the time, and knows what was acknowledged last.
    let going = AtomicBool::new(true);
    let address = node.ready.client.clone();
    let (last, output) = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut client = Client::connect(&address);
            let mut n = 0;
            while going.load(Ordering::Relaxed) {
                n += 1;
                client.put_patiently("busy", &n.to_string(), WriteLevel::Quorum);
            }
            n
        });
        let mut command = kvlab();
        command.args(["cleanup", "n1", "--addr", &node.ready.client]);
        let outcome = run(command);
        going.store(false, Ordering::Relaxed);
        (writer.join().expect("writes"), outcome)
    });
    let (code, said, log) = output;
    assert_eq!(code, Some(0), "{said}{log}");
    assert!(said.starts_with("n1: freed ") && said.contains("KiB"), "{said}");

    let after = ended(&mut client, 1);
    assert!(after.log_bytes < before.log_bytes / 4, "{} of {}", after.log_bytes, before.log_bytes);
    assert_eq!((after.keys, after.disk.cleanup), (KEYS + 2, None));
    let check = |client: &mut Client| {
        for key in 0..KEYS {
            let found = client.get_patiently(&format!("k{key}"), ReadLevel::Quorum);
            assert_eq!(found.value, Some(bytes(&value(19))), "k{key}");
        }
        let found = client.get_patiently("busy", ReadLevel::Quorum);
        assert_eq!(found.value, Some(bytes(&last.to_string())));
    };
    check(&mut client);
    let on_disk = files(dir.path());
    assert!(on_disk.iter().any(|name| name.ends_with("-1.hint")), "{on_disk:?}");
    node.kill();
    let node = Node::start(small_segments(dir.path()));
    check(&mut node.client());
}

#[test]
fn a_hint_that_is_damaged_is_named_and_written_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(small_segments(dir.path()));
    let mut client = node.client();
    client.put_patiently("first", "v", WriteLevel::Quorum);
    overwrite(&mut client, 3);
    let hint = dir.path().join("log-00000001/00000001.hint");
    let whole = until("the first hint", || std::fs::read(&hint).ok());
    node.kill();
    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    std::fs::write(&hint, &damaged).expect("written");

    let node = Node::start(small_segments(dir.path()));
    node.logs("00000001.hint does not count: its checksum does not match");
    until("the hint again", || std::fs::read(&hint).ok().filter(|bytes| *bytes == whole));
    let found = node.client().get_patiently("k7", ReadLevel::Quorum);
    assert_eq!(found.value, Some(bytes(&value(2))));
}

/// Names in the log's directory.
fn files(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir.join("log-00000001")).expect("the log");
    names.map(|entry| entry.expect("a name").file_name().into_string().expect("UTF-8")).collect()
}

#[test]
fn killed_in_the_midst_of_a_cleanup_it_reads_everything_back() {
    for patience in [0, 1, 2, 4, 8, 16] {
        let dir = tempfile::tempdir().expect("a directory");
        let node = Node::start(small_segments(dir.path()));
        let mut client = node.client();
        client.put_patiently("first", "v", WriteLevel::Quorum);
        overwrite(&mut client, 15);
        client.send(Request::Do(write("gone", "v", WriteLevel::Async)));
        written(client.hear());
        let begun = until("a cleanup", || match ask(&mut client) {
            CleanupReply::Begun { bytes_total } => Some(bytes_total),
            _ => None,
        });
        assert!(begun > 0);
        // Some statuses later it is somewhere, or over.
        for _ in 0..patience {
            client.status();
        }
        node.kill();

        let node = Node::start(small_segments(dir.path()));
        let mut client = node.client();
        for key in 0..KEYS {
            let found = client.get_patiently(&format!("k{key}"), ReadLevel::Eventual);
            assert_eq!(found.value, Some(bytes(&value(14))), "k{key} after {patience}");
        }
        assert_eq!(client.status().keys, KEYS + 2);
        let left = files(dir.path());
        assert!(!left.iter().any(|name| name.ends_with(".part") && name.contains("-")), "{left:?}");
    }
}

#[test]
fn a_node_cleans_up_by_itself_when_the_policy_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = alone(dir.path());
    command.args(["--segment-bytes", "16384", "--cleanup-ratio", "0.5", "--cleanup-bytes", "100000"]);
    let node = Node::start(command);
    let mut client = node.client();
    client.put_patiently("first", "v", WriteLevel::Quorum);
    overwrite(&mut client, 15);
    let status = ended(&mut client, 1);
    let last = status.disk.last_cleanup.expect("one has ended");
    assert!(last.before - last.after >= 100_000 && last.given_up.is_none(), "{last:?}");
    node.logs("cleanup done");
}

#[test]
fn a_node_says_when_there_is_nothing_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(small_segments(dir.path()));
    let mut client = node.client();
    client.put_patiently("k", "v", WriteLevel::Quorum);
    // The opening no-op goes.
    until("a cleanup", || matches!(ask(&mut client), CleanupReply::Begun { .. }).then_some(()));
    ended(&mut client, 1);
    assert_eq!(ask(&mut client), CleanupReply::Nothing);
    let mut command = kvlab();
    command.args(["cleanup", "--addr", &node.ready.client]);
    let (code, said, log) = run(command);
    assert_eq!((code, said.as_str()), (Some(0), "n1: there is nothing to clean up\n"), "{log}");
    node.stop();
}

/// A member that has never heard a primary knows nothing to be committed.
#[test]
fn a_member_that_knows_nothing_to_be_committed_refuses_with_the_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(small_segments(dir.path()));
    node.client().put_patiently("k", "v", WriteLevel::Quorum);
    node.kill();
    let mut command = kvlab();
    command.args(["node", "--id", "n1", "--members", "n1,n2", "--link", "n2=127.0.0.1:1", "--data"]);
    command.arg(dir.path());
    let node = Node::start(command);
    match ask(&mut node.client()) {
        CleanupReply::Refused { reason } => assert!(reason.contains("known to be committed"), "{reason}"),
        other => panic!("expected a refusal, not {other:?}"),
    }
    assert_eq!(node.ready.node, NodeId(1));
}
