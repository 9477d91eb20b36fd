//! How a node starts and ends.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use kvlab::types::{Failure, NodeId, ReadLevel, Reply, Report, Role, WriteLevel};
use kvlab::wire::{NodeFrame, Request, Response};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{Node, alone, bytes, kvlab, run, until, write};

#[test]
fn a_node_says_where_it_is_and_takes_writes_and_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(alone(dir.path()));
    assert_eq!(node.ready.node, NodeId(1));
    assert_eq!(node.ready.version, env!("CARGO_PKG_VERSION"));
    let mut client = node.client();
    assert_eq!(client.node, NodeId(1));
    assert_eq!(client.members, [(NodeId(1), Some(node.ready.client.clone()))]);
    let at = client.put_patiently("k", "v", WriteLevel::Quorum);
    for level in [ReadLevel::Eventual, ReadLevel::Quorum] {
        let found = client.get_patiently("k", level);
        assert_eq!((found.value, found.version), (Some(bytes("v")), at));
    }
    let status = client.status();
    assert_eq!((status.pid, status.keys, status.connections), (node.ready.pid, 1, 1));
    assert_eq!(status.replication.role, Role::Primary);
    assert!(status.log_bytes > 0);
    node.stop();
}

#[test]
fn a_node_ends_with_its_standard_input() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::start(alone(dir.path()));
    drop(node.stdin.take());
    assert_eq!(node.exit().code(), Some(0));
    node.logs("standard input ended");
}

#[test]
fn without_a_standard_input_it_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start_with(alone(dir.path()), Stdio::null());
    let mut client = node.client();
    client.put_patiently("k", "v", WriteLevel::Async);
    // It has gone round its loop, timers and all; an end of input would have been seen.
    for _ in 0..20 {
        client.status();
    }
    node.stop();
}

#[test]
fn a_stopping_node_tells_everyone_the_truth() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::start(alone(dir.path()));
    let mut client = node.client();
    client.put_patiently("first", "v", WriteLevel::Async);
    let mut asked = BTreeMap::new();
    for i in 0..100 {
        let key = format!("k{i}");
        asked.insert(client.send(Request::Do(write(&key, "v", WriteLevel::Async))), key);
        if i == 50 {
            node.signal(Signal::TERM);
        }
    }
    let mut written = vec![String::from("first")];
    loop {
        match client.hear() {
            Some(NodeFrame::Response { id, response: Response::Reply { reply, .. } }) => {
                let key = asked.remove(&id).expect("asked once, answered once");
                match reply {
                    Reply::Written { .. } => written.push(key),
                    Reply::Failed(Failure::Stopping) => {}
                    other => panic!("unexpected {other:?}"),
                }
            }
            Some(NodeFrame::Goodbye { reason }) => assert_eq!(reason, "the node is stopping"),
            None => break,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(node.exit().code(), Some(0), "{}", node.log());

    let node = Node::start(alone(dir.path()));
    let mut client = node.client();
    for key in written {
        assert_eq!(client.get_patiently(&key, ReadLevel::Eventual).value, Some(bytes("v")), "{key}");
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        let node = Node::start(alone(dir.path()));
        let mut client = node.client();
        client.put_patiently(&format!("start{round}"), "v", WriteLevel::Async);
        let ids: BTreeMap<u64, String> = (0..100)
            .map(|i| {
                let key = format!("k{round}-{i}");
                (client.send(Request::Do(write(&key, &key, WriteLevel::Async))), key)
            })
            .collect();
        // Killed in the midst of it.
        for _ in 0..50 {
            let Some(NodeFrame::Response { id, response: Response::Reply { reply, .. } }) = client.hear()
            else {
                panic!("the node is gone");
            };
            assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
            acknowledged.push(ids[&id].clone());
        }
        node.kill();
    }
    let node = Node::start(alone(dir.path()));
    let mut client = node.client();
    assert_eq!(acknowledged.len(), 250);
    for key in acknowledged {
        assert_eq!(client.get_patiently(&key, ReadLevel::Eventual).value, Some(bytes(&key)), "{key}");
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = alone(dir.path());
    command.args(["--drain-timeout", "1h"]);
    let mut node = Node::start(command);
    node.client().put_patiently("k", "v", WriteLevel::Async);
    node.signal(Signal::TERM);
    // Nothing waits, so the first ends it already, or the second does.
    let pid = Pid::from_raw(node.ready.pid.cast_signed()).expect("a process");
    let _ = kill_process(pid, Signal::INT);
    assert_eq!(node.exit().code(), Some(0), "{}", node.log());
}

#[test]
fn watchers_hear_statuses_and_every_event() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(alone(dir.path()));
    let mut watcher = node.client();
    let mut client = node.client();
    client.put_patiently("k", "v", WriteLevel::Async);
    let watch = watcher.send(Request::Watch { interval_ms: 20 });
    let mut statuses = Vec::new();
    while statuses.len() < 3 {
        match watcher.report() {
            (id, Report::Status(status)) if id == watch => statuses.push(status),
            // What a watcher is told first of a node without a token.
            (id, Report::Notice { text, .. }) if id == watch && text.contains("no cluster token") => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(statuses.windows(2).all(|two| two[0].uptime_ms < two[1].uptime_ms), "{statuses:?}");
    let (reply, _) = client.ask(kvlab::types::Command::Promote { force: true });
    assert!(matches!(reply, Reply::Promoted { .. }), "{reply:?}");
    until("the event", || match watcher.report() {
        (_, Report::Event { event: kvlab::types::Event::EpochOpened { forced, .. }, .. }) => Some(forced),
        _ => None,
    });
    assert!(client.status().applied_per_s >= 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_node_ends_with_its_parent() {
    let dir = tempfile::tempdir().expect("a directory");
    let line = format!(
        "{} node --id n1 --members n1 --bootstrap --data {} --parent-death $$ & echo $!; wait",
        env!("CARGO_BIN_EXE_kvlab"),
        dir.path().display()
    );
    // A job in the background has no standard input: only the signal can end it.
    let mut shell = Command::new("sh")
        .args(["-c", &line])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let mut out = std::io::BufReader::new(shell.stdout.take().expect("piped"));
    let mut first = String::new();
    let mut second = String::new();
    std::io::BufRead::read_line(&mut out, &mut first).expect("the process id");
    std::io::BufRead::read_line(&mut out, &mut second).expect("the ready line");
    assert!(second.contains("\"ready\":true"), "{second}");
    let pid = Pid::from_raw(first.trim().parse().expect("a number")).expect("a process");
    shell.kill().expect("killed");
    shell.wait().expect("waited");
    until("the node's end", || test_kill_process(pid).is_err().then_some(()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_node_whose_parent_is_gone_already_does_not_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = kvlab();
    command.args(["node", "--id", "n1", "--members", "n1", "--parent-death", "1", "--data"]).arg(dir.path());
    let (code, out, log) = run(command);
    assert_eq!(code, Some(1), "{log}");
    assert!(out.is_empty() && log.contains("is not (or no longer) the parent"), "{log}");
}
