//! Who may speak: what a node takes from whom, with a token and without.
#![expect(clippy::disallowed_methods, reason = "token files, and strangers on real sockets")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

use kvlab::types::{Command as Ask, Epoch, Failure, Message, NodeId, ReadLevel, Reply, Role, WriteLevel};
use kvlab::wire::{CleanupReply, NodeFrame, PROTOCOL_VERSION, PeerFrame, Request, Response, encode};

use crate::cluster::Trio;
use crate::support::{Client, Node, alone, raw, run, until};

const TOKEN: &str = "0123456789abcdef";

/// A cluster of three that has the token from a file.
fn trio_with_token() -> (Trio, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("written");
    let mut trio = Trio::absent();
    trio.settings().args = vec!["--token-file".to_owned(), file.display().to_string()];
    (trio, dir)
}

/// What n2 would say to n1, with this token.
fn hello(token: Option<&str>, version: u16) -> PeerFrame {
    PeerFrame::Hello {
        version,
        token: token.map(str::to_owned),
        from: NodeId(2),
        to: NodeId(1),
        members: [1, 2, 3].map(NodeId).to_vec(),
        client_addr: "127.0.0.1:1".to_owned(),
    }
}

fn say(stream: &mut TcpStream, frame: &PeerFrame) {
    // The node may have closed it already.
    let _ = stream.write_all(&encode(frame).expect("encodes"));
}

/// The node closes it.
fn is_closed(stream: &mut TcpStream) {
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
        other => panic!("still open: {other:?}"),
    }
}

/// Starts a node that is told something on its standard input.
fn told(dir: &Path, more: &[&str], lines: &str) -> Node {
    let mut command = alone(dir);
    command.args(more);
    Node::start_telling(command, Stdio::piped(), lines)
}

/// One heartbeat of a peer that only says it is n2 once made a cluster useless for good.
#[test]
fn nobody_without_the_token_speaks_as_a_member_and_whoever_has_it_says_nothing_beyond_bounds() {
    let (mut trio, _file) = trio_with_token();
    trio.start_all();
    trio.converges_on(1);
    let before = trio.status(1).epoch;
    let beat = |number| {
        let epoch = Epoch::new(number, NodeId(2));
        PeerFrame::Message(Message::Heartbeat { epoch, last: 1, commit: 1, sent: 1, counts: None })
    };
    let tries = [
        (hello(None, PROTOCOL_VERSION), 50, "cluster token is missing or wrong"),
        (hello(Some("guess"), PROTOCOL_VERSION), u64::MAX, "cluster token is missing or wrong"),
        (hello(Some(TOKEN), 1), 50, "it speaks protocol version 1; this node speaks version 2"),
        (hello(Some(TOKEN), PROTOCOL_VERSION), u64::MAX, "out of its bounds"),
        (hello(Some(TOKEN), PROTOCOL_VERSION), (1 << 48) + 1, "out of its bounds"),
    ];
    for (hello, number, why) in tries {
        let mut stream = raw(&trio.peer(1));
        say(&mut stream, &hello);
        say(&mut stream, &beat(number));
        is_closed(&mut stream);
        trio.node(1).logs(why);
    }
    let log = trio.node(1).log();
    assert!(!log.contains(TOKEN) && !log.contains("guess"), "{log}");
    assert_eq!(trio.status(1).epoch, before, "nothing of it was believed");
    trio.client(1).put_patiently("k", "v", WriteLevel::Quorum);

    let mut operator = Client::connect_with(&trio.node(3).ready.client, Some(TOKEN));
    let promoted = until("n3's promotion", || match operator.ask(Ask::Promote { force: false }).0 {
        Reply::Promoted { epoch, .. } => Some(epoch),
        Reply::Failed(failure) if failure.is_definite() => None,
        other => panic!("unexpected {other:?}"),
    });
    assert!(promoted > before && promoted.number < 50, "{promoted}");
    assert_eq!(trio.client(2).get_patiently("k", ReadLevel::Quorum).value.as_deref(), Some(&b"v"[..]));
}

#[test]
fn strangers_on_the_port_of_members_keep_no_member_out() {
    let (mut trio, _file) = trio_with_token();
    trio.start_node(1, &["--bootstrap"]);
    let mut strangers = Vec::new();
    for _ in 0..200 {
        strangers.push(raw(&trio.peer(1)));
        let mut wrong = raw(&trio.peer(1));
        say(&mut wrong, &hello(Some("guess"), PROTOCOL_VERSION));
        strangers.push(wrong);
    }
    trio.start_node(2, &["--bootstrap"]);
    trio.start_node(3, &["--bootstrap"]);
    trio.client(1).put_patiently("k", "v", WriteLevel::Quorum);
    trio.converges_on(1);
}

#[test]
fn an_operator_without_the_token_is_refused_and_reads_and_writes_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = told(dir.path(), &["--token-stdin"], &format!("token {TOKEN}\n"));
    let mut client = node.client();
    client.put_patiently("k", "v", WriteLevel::Quorum);
    let (reply, _) = client.ask(Ask::Promote { force: true });
    assert_eq!(reply, Reply::Failed(Failure::TokenNeeded));
    client.send(Request::Cleanup);
    match client.hear() {
        Some(NodeFrame::Response {
            response: Response::Cleanup(CleanupReply::Refused { reason }), ..
        }) => {
            assert_eq!(reason, Failure::TokenNeeded.to_string());
        }
        other => panic!("unexpected {other:?}"),
    }
    assert_eq!(client.get_patiently("k", ReadLevel::Quorum).value.as_deref(), Some(&b"v"[..]));
    assert_eq!(client.status().replication.role, Role::Primary);

    let mut operator = Client::connect_with(&node.ready.client, Some(TOKEN));
    let (reply, _) = operator.ask(Ask::Promote { force: true });
    assert!(matches!(reply, Reply::Promoted { .. }), "{reply:?}");
    assert!(!node.log().contains(TOKEN), "{}", node.log());
    assert!(!node.log().contains("no cluster token"), "{}", node.log());
}

#[test]
fn a_node_by_hand_says_what_it_means_to_have_no_token() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(alone(dir.path()));
    node.logs("no cluster token: every program on this machine may speak as a member, promote and clean up");
    let mut client = node.client();
    client.send(Request::Watch { interval_ms: 10 });
    until("the notice", || match client.report().1 {
        kvlab::types::Report::Notice { text, .. } => text.contains("no cluster token").then_some(()),
        _ => None,
    });
    let (reply, _) = node.client().ask(Ask::Promote { force: true });
    assert!(matches!(reply, Reply::Promoted { .. }), "{reply:?}");
}

#[test]
fn lines_that_are_no_orders_are_noticed_and_change_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::start(alone(dir.path()));
    let stdin = node.stdin.as_mut().expect("a pipe");
    stdin.write_all(b"make tea\n\xff\xfe\n\ntoken late\n").expect("written");
    stdin.write_all(&[b'x'; 1 << 20]).expect("written");
    stdin.write_all(b"\nlast\n").expect("written");
    for words in [
        "standard input: a line of 8 bytes that is no order known here",
        "a line of 2 bytes that is no text",
        "a token, which is taken at the start only",
        "a line longer than",
        "a line of 4 bytes that is no order",
    ] {
        node.logs(words);
    }
    node.client().put_patiently("k", "v", WriteLevel::Async);
    drop(node.stdin.take());
    assert_eq!(node.exit().code(), Some(0));
}

#[test]
fn a_node_that_waits_for_its_token_and_gets_none_says_what_it_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut command = alone(&data);
    command.arg("--token-stdin");
    let (code, out, log) = run(command);
    assert_eq!(code, Some(2), "{log}");
    assert!(
        out.is_empty() && log.contains("a first line `token TOKEN`") && log.contains("has ended"),
        "{log}"
    );

    for line in ["s3cret\n", "token \n"] {
        let mut command = alone(&data);
        command.arg("--token-stdin").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child: Child = command.spawn().expect("spawned");
        let _ = child.stdin.take().expect("a pipe").write_all(line.as_bytes());
        let output = child.wait_with_output().expect("ended");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{log}");
        assert!(log.contains("a first line `token TOKEN`") && !log.contains("s3cret"), "{log}");
    }
    assert!(!data.exists(), "nothing was touched");
}
