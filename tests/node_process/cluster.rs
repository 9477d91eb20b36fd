//! Three real nodes, linked directly.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use kvlab::replication::{Command as Ask, Failure, NodeId, Op, ReadLevel, Reply, Role, Status, WriteLevel};
use kvlab::wire::Request;
use rustix::process::Signal;

use crate::line::Line;
use crate::support::{Client, Node, PATIENCE, bytes, free_port, kvlab, read, until, until_after, write};

/// Three members that find each other; any of them may be missing.
pub(crate) struct Trio {
    dir: tempfile::TempDir,
    /// Where each takes the others, and where it takes clients: the same after a restart.
    ports: [(u16, u16); 3],
    nodes: [Option<Node>; 3],
    settings: Settings,
}

/// What a trio may be started with.
#[derive(Default)]
pub(crate) struct Settings {
    /// More options for every node.
    pub(crate) args: Vec<String>,
    /// Links that pass through a line: from, to.
    pub(crate) lines: BTreeMap<(u8, u8), Line>,
    /// What each process may allocate, in KiB, as `ulimit -d` takes it: heap, stacks, everything that is private and writable.
    pub(crate) memory_kib: Option<u64>,
}

impl Trio {
    /// All three, and n1 the primary.
    pub(crate) fn start() -> Self {
        let mut trio = Self::absent();
        trio.start_all();
        trio
    }

    /// None of them yet: for settings that need to know where they will be.
    pub(crate) fn absent() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ports = [0; 3].map(|_| (free_port(), free_port()));
        Self { dir, ports, nodes: [None, None, None], settings: Settings::default() }
    }

    /// Puts a line between two members, before they start.
    pub(crate) fn line(&mut self, from: u8, to: u8) -> Line {
        let line = Line::to(self.peer(to));
        self.settings.lines.insert((from, to), line.clone());
        line
    }

    pub(crate) fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    pub(crate) fn start_all(&mut self) {
        for n in 1..=3 {
            self.start_node(n, &["--bootstrap"]);
        }
        self.client(1).put_patiently("warm-up", "v", WriteLevel::Quorum);
    }

    fn data(&self, n: u8) -> PathBuf {
        self.dir.path().join(format!("n{n}"))
    }

    pub(crate) fn start_node(&mut self, n: u8, more: &[&str]) {
        let node = Node::start(self.command(n, more));
        self.nodes[usize::from(n) - 1] = Some(node);
    }

    /// Where a member takes the others.
    pub(crate) fn peer(&self, n: u8) -> String {
        format!("127.0.0.1:{}", self.ports[usize::from(n) - 1].0)
    }

    fn command(&self, n: u8, more: &[&str]) -> Command {
        let mut command = match self.settings.memory_kib {
            None => kvlab(),
            Some(kib) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -d {kib} && exec \"$@\""), "sh"]);
                shell.arg(kvlab().get_program());
                shell
            }
        };
        command.args(["node", "--members", "n1,n2,n3", "--id", &format!("n{n}"), "--peer", &self.peer(n)]);
        command.args(["--client", &format!("127.0.0.1:{}", self.ports[usize::from(n) - 1].1)]);
        command.arg("--data").arg(self.data(n)).args(more).args(&self.settings.args);
        for other in (1..=3).filter(|&other| other != n) {
            let line = self.settings.lines.get(&(n, other)).map(|line| line.addr().to_owned());
            let addr = line.unwrap_or_else(|| self.peer(other));
            command.args(["--link", &format!("n{other}={addr}")]);
        }
        command
    }

    pub(crate) fn node(&self, n: u8) -> &Node {
        self.nodes[usize::from(n) - 1].as_ref().expect("running")
    }

    pub(crate) fn take(&mut self, n: u8) -> Node {
        self.nodes[usize::from(n) - 1].take().expect("running")
    }

    pub(crate) fn client(&self, n: u8) -> Client {
        self.node(n).client()
    }

    pub(crate) fn status(&self, n: u8) -> Status {
        self.client(n).status().replication
    }

    /// Until one of these is promoted by vote: whoever has most. Returns who.
    pub(crate) fn promote(&self, members: &[u8]) -> u8 {
        let wins = |n: &u8| match self.client(*n).ask(Ask::Promote { force: false }).0 {
            Reply::Promoted { .. } => true,
            Reply::Failed(_) => false,
            other => panic!("unexpected {other:?}"),
        };
        until("a promotion", || members.iter().copied().find(wins))
    }

    /// Until everyone that runs follows `primary` and ends where it ends.
    pub(crate) fn converges_on(&self, primary: u8) {
        self.converges_after(PATIENCE, primary);
    }

    /// The same, with other patience.
    pub(crate) fn converges_after(&self, patience: Duration, primary: u8) {
        until_after(patience, "convergence", || {
            let running = (1..=3).filter(|n| self.nodes[usize::from(*n) - 1].is_some());
            let statuses: Vec<_> = running.map(|n| self.status(n)).collect();
            let last = self.status(primary).last;
            let agreed = |status: &Status| {
                status.primary == Some(NodeId(primary)) && status.last == last && status.durable == last.seq
            };
            statuses.iter().all(agreed).then_some(())
        });
    }
}

#[test]
fn a_cluster_takes_writes_at_its_primary_and_quorum_reads_anywhere() {
    let trio = Trio::start();
    let at = trio.client(1).put_patiently("k", "v", WriteLevel::Quorum);
    for n in 1..=3 {
        let found = trio.client(n).get_patiently("k", ReadLevel::Quorum);
        assert_eq!((found.value, found.version), (Some(bytes("v")), at), "at n{n}");
    }
    trio.converges_on(1);
    let (reply, primary) = trio.client(2).ask(write("k", "w", WriteLevel::Async));
    assert_eq!(reply, Reply::Failed(Failure::ReadOnly { primary: Some(NodeId(1)) }));
    assert_eq!(primary.as_ref(), Some(&trio.node(1).ready.client), "where the client is to go");
    let known: Vec<_> = trio.client(2).members.into_iter().filter_map(|(_, addr)| addr).collect();
    assert_eq!(known, [1, 2, 3].map(|n| trio.node(n).ready.client.clone()));
    let status = trio.client(1).status().replication;
    assert!(status.peers.iter().all(|peer| peer.connected), "{status:?}");
}

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_replica() {
    let mut trio = Trio::start();
    for i in 0..50 {
        trio.client(1).put_patiently(&format!("k{i}"), "v", WriteLevel::Quorum);
    }
    trio.take(1).kill();
    until("n2's promotion", || match trio.client(2).ask(Ask::Promote { force: false }).0 {
        Reply::Promoted { epoch, .. } => Some(epoch),
        Reply::Failed(_) => None,
        other => panic!("unexpected {other:?}"),
    });
    let mut client = trio.client(2);
    client.put_patiently("after", "v", WriteLevel::Quorum);
    for i in 0..50 {
        let found = trio.client(3).get_patiently(&format!("k{i}"), ReadLevel::Quorum);
        assert_eq!(found.value, Some(bytes("v")), "k{i}");
    }
    trio.start_node(1, &[]);
    trio.converges_on(2);
    assert_eq!(trio.client(1).status().replication.role, Role::Replica);
}

#[test]
fn a_wiped_member_is_a_learner_until_it_has_caught_up() {
    let mut trio = Trio::start();
    trio.client(1).put_patiently("k", "v", WriteLevel::Quorum);
    trio.take(3).kill();
    std::fs::remove_dir_all(trio.data(3)).expect("wiped");
    // Alone with it, the primary must not be able to commit: n3 has forgotten what it acknowledged.
    trio.node(2).signal(Signal::STOP);
    trio.take(1).kill();
    trio.start_node(3, &[]);
    assert_eq!(trio.client(3).status().replication.role, Role::Learner);
    trio.node(3).logs("without --bootstrap");
    trio.take(3).kill();
    trio.start_node(3, &[]);
    assert_eq!(trio.client(3).status().replication.role, Role::Learner, "it remembers that it has forgotten");

    trio.node(2).signal(Signal::CONT);
    trio.start_node(1, &[]);
    // n1, or n2 if it is ahead.
    let primary = until("a primary", || {
        (1..=2).find(|&n| match trio.client(n).ask(Ask::Promote { force: false }).0 {
            Reply::Promoted { .. } => true,
            _ => trio.client(n).status().replication.role == Role::Primary,
        })
    });
    trio.converges_on(primary);
    until("n3's voice", || (trio.client(3).status().replication.role == Role::Replica).then_some(()));
    assert_eq!(trio.client(3).get_patiently("k", ReadLevel::Eventual).value, Some(bytes("v")));
}

#[test]
fn a_stopping_primary_says_of_a_write_that_waits_that_it_is_unknown() {
    let mut trio = Trio::start();
    trio.node(2).signal(Signal::STOP);
    trio.node(3).signal(Signal::STOP);
    let mut client = trio.client(1);
    let op = Op::Put { key: bytes("k"), value: bytes("v") };
    let patient = Ask::Write { op, level: WriteLevel::Quorum, timeout: Duration::from_secs(600) };
    client.send(Request::Do(patient));
    until("the write in the log", || {
        let status = trio.client(1).status().replication;
        (status.last.seq > status.commit && status.durable == status.last.seq).then_some(())
    });
    let mut primary = trio.take(1);
    primary.signal(Signal::TERM);
    let answer = client.hear();
    let Some(kvlab::wire::NodeFrame::Response {
        response: kvlab::wire::Response::Reply { reply, .. }, ..
    }) = answer
    else {
        panic!("expected an answer, not {answer:?}");
    };
    match reply {
        Reply::Failed(failure) => assert!(!failure.is_definite(), "{failure}"),
        other => panic!("expected a failure, not {other:?}"),
    }
    assert_eq!(primary.exit().code(), Some(0), "{}", primary.log());
}

#[test]
fn without_a_quorum_there_is_no_quorum_read_and_no_lie() {
    let trio = Trio::start();
    trio.node(2).signal(Signal::STOP);
    trio.node(3).signal(Signal::STOP);
    let mut client = trio.client(1);
    let Ask::Read { key, level, .. } = read("warm-up", ReadLevel::Quorum) else { unreachable!() };
    let (reply, _) = client.ask(Ask::Read { key, level, timeout: Duration::from_millis(300) });
    assert!(matches!(reply, Reply::Failed(Failure::NoQuorum { .. })), "{reply:?}");
    trio.node(2).signal(Signal::CONT);
    assert_eq!(client.get_patiently("warm-up", ReadLevel::Quorum).value, Some(bytes("v")));
}
