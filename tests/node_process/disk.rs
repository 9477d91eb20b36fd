//! A disk that fails while the node runs.
#![cfg(unix)]

use std::process::Command;

use kvlab::replication::{ReadLevel, Reply, WriteLevel};
use kvlab::wire::{NodeFrame, Request, Response};

use crate::support::{Node, alone, bytes, write};

/// A node whose files may not grow beyond 256 KiB: writing more fails, as on a full disk.
fn with_little_room(dir: &std::path::Path) -> Command {
    let mut command = Command::new("sh");
    let line = "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\"";
    command.args(["-c", line]).arg(env!("CARGO_BIN_EXE_kvlab"));
    let node = alone(dir);
    command.args(node.get_args());
    command
}

#[test]
fn a_failed_write_ends_the_node_and_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::start(with_little_room(dir.path()));
    let mut client = node.client();
    client.put_patiently("k0", "v", WriteLevel::Async);
    let value = "v".repeat(4096);
    let mut acknowledged = Vec::new();
    for i in 1..1_000 {
        let key = format!("k{i}");
        client.send(Request::Do(write(&key, &value, WriteLevel::Async)));
        match client.hear() {
            Some(NodeFrame::Response { response: Response::Reply { reply, .. }, .. }) => {
                assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
                acknowledged.push(key);
            }
            None => break,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!((10..100).contains(&acknowledged.len()), "{} were acknowledged", acknowledged.len());
    assert_eq!(node.exit().code(), Some(1), "{}", node.log());
    let log = node.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert!(matches!(&errors[..], [one] if one.contains("the disk failed") && one.contains(".log")), "{log}");

    let node = Node::start(alone(dir.path()));
    let mut client = node.client();
    for key in acknowledged {
        assert_eq!(client.get_patiently(&key, ReadLevel::Eventual).value, Some(bytes(&value)), "{key}");
    }
}
