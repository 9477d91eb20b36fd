//! Conditions of a node's disk and clock, ordered over its standard input by whoever holds it.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use kvlab::types::{Failure, ReadLevel, Reply, WriteLevel};

use crate::support::{Node, alone, bytes, run, until};

fn start(dir: &Path) -> Node {
    let mut command = alone(dir);
    command.arg("--conditions");
    Node::start(command)
}

/// Orders something, and waits until the node says once more that it has done so.
fn order(node: &mut Node, line: &str) {
    let set = |node: &Node| node.log().matches("a fault was set").count();
    let before = set(node);
    let stdin = node.stdin.as_mut().expect("a pipe");
    writeln!(stdin, "{line}").expect("written");
    until("the condition", || (set(node) > before).then_some(()));
}

#[test]
fn a_disk_that_is_made_full_refuses_writes_and_serves_again_when_it_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = start(&dir.path().join("n1"));
    let (mut client, mut other) = (node.client(), node.client());
    client.put_patiently("before", "v", WriteLevel::Quorum);
    order(&mut node, "disk full");
    // The write that finds no room waits; then it is known.
    let waiting =
        client.send(kvlab::wire::Request::Do(crate::support::write("waits", "v", WriteLevel::Async)));
    until("a full disk", || other.status().replication.disk_full.then_some(()));
    let refused = other.put("refused", "v", WriteLevel::Async);
    assert!(matches!(refused, Reply::Failed(Failure::DiskFull)), "{refused:?}");
    assert_eq!(other.get_patiently("before", ReadLevel::Eventual).value, Some(bytes("v")));

    order(&mut node, "disk ok");
    let (id, reply) = client.reply();
    assert!(id == waiting && matches!(reply, Reply::Written { .. }), "{reply:?}");
    until("room", || (!other.status().replication.disk_full).then_some(()));
    other.put_patiently("after", "v", WriteLevel::Quorum);
}

#[test]
fn a_failing_sync_ends_the_node_and_takes_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("n1");
    let mut node = start(&data);
    let mut client = node.client();
    client.put_patiently("before", "v", WriteLevel::Quorum);
    order(&mut node, "disk sync-fails");
    client.send(kvlab::wire::Request::Do(crate::support::write("lost", "v", WriteLevel::Async)));
    assert!(client.hear().is_none(), "no answer");
    assert_eq!(node.exit().code(), Some(1), "{}", node.log());
    assert!(node.log().contains("the disk failed"), "{}", node.log());

    // It does not outlive the process, and what the failed sync had to make durable is gone.
    let node = start(&data);
    let mut client = node.client();
    assert_eq!(client.get_patiently("before", ReadLevel::Quorum).value, Some(bytes("v")));
    assert_eq!(client.get_patiently("lost", ReadLevel::Quorum).value, None);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a real disk takes")]
fn a_slow_disk_makes_each_write_wait() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = start(&dir.path().join("n1"));
    let mut client = node.client();
    client.put_patiently("before", "v", WriteLevel::Async);
    order(&mut node, "disk slow 150000us");
    let began = Instant::now();
    client.put_patiently("slow", "v", WriteLevel::Async);
    assert!(began.elapsed() >= Duration::from_millis(300), "a write and a sync: {:?}", began.elapsed());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a clock that is wrong is compared with one that is right")]
fn a_clock_that_jumps_or_runs_at_another_rate_is_the_nodes_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = start(&dir.path().join("n1"));
    let mut client = node.client();
    assert!(client.status().uptime_ms < 600_000);
    order(&mut node, "clock jump 3600000000us");
    until("the jump", || (client.status().uptime_ms >= 3_600_000).then_some(()));
    order(&mut node, "clock rate 2000");
    let before = client.status().uptime_ms;
    let began = Instant::now();
    until("a while", || (began.elapsed() >= Duration::from_millis(300)).then_some(()));
    let passed = began.elapsed().as_millis() as u64;
    let its_own = client.status().uptime_ms - before;
    assert!(its_own + 1 >= 2 * passed, "{its_own} ms by its own clock in at least {passed} ms");
    order(&mut node, "clock rate 500");
    // It goes on: nothing waits for an hour.
    client.put_patiently("k", "v", WriteLevel::Quorum);
}

#[test]
fn without_the_flag_orders_are_nothing_and_the_flag_needs_a_pipe() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::start(alone(&dir.path().join("n1")));
    let stdin = node.stdin.as_mut().expect("a pipe");
    writeln!(stdin, "disk full\nclock jump 3600000000us").expect("written");
    let mut client = node.client();
    client.put_patiently("k", "v", WriteLevel::Quorum);
    assert!(client.status().uptime_ms < 3_600_000);

    let mut command = alone(&dir.path().join("n2"));
    command.arg("--conditions");
    let (code, _, log) = run(command);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("--conditions needs a pipe or a socket as standard input"), "{log}");
}
