//! Three real nodes, linked directly.
#![expect(clippy::disallowed_methods, reason = "files in the directories of real nodes")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use kvlab::types::Command as Ask;
use kvlab::types::{Failure, NodeId, Op, ReadLevel, Reply, Role, Status, WriteLevel};
use kvlab::wire::{CleanupReply, NodeFrame, Request, Response};
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

    pub(crate) fn data(&self, n: u8) -> PathBuf {
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

/// It must not forget that it has forgotten, however soon it dies.
#[test]
fn a_wiped_member_killed_as_soon_as_it_has_a_store_is_a_learner_still() {
    let dir = tempfile::tempdir().expect("a directory");
    let command = || {
        let mut command = kvlab();
        command.args(["node", "--id", "n1", "--members", "n1,n2", "--link", "n2=127.0.0.1:1", "--data"]);
        command.arg(dir.path()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut child = command().spawn().expect("spawned");
    until("its store", || dir.path().join("meta").exists().then_some(()));
    child.kill().expect("killed");
    child.wait().expect("dead");
    let node = Node::start(command());
    assert_eq!(node.client().status().replication.role, Role::Learner);
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

/// The state has gaps then, and no tombstones: what was deleted must stay deleted.
#[test]
fn the_state_of_a_primary_that_has_cleaned_up_reaches_a_replica_that_is_far_behind() {
    let mut trio = Trio::start();
    trio.client(1).put_patiently("gone", "v", WriteLevel::Quorum);
    trio.converges_on(1);
    trio.take(3).kill();
    trio.take(1).stop();
    trio.start_node(1, &["--backlog-bytes", "1024"]);
    let mut client = trio.client(1);
    client.put_patiently("stays", "v", WriteLevel::Quorum);
    let op = Op::Del { key: bytes("gone") };
    let del = Ask::Write { op, level: WriteLevel::Quorum, timeout: Duration::from_secs(5) };
    assert!(matches!(client.ask(del).0, Reply::Written { .. }));
    for i in 0..50 {
        client.put_patiently("often", &format!("{i:0500}"), WriteLevel::Quorum);
    }
    client.send(Request::Cleanup);
    assert!(matches!(
        client.hear(),
        Some(NodeFrame::Response { response: Response::Cleanup(CleanupReply::Begun { .. }), .. })
    ));
    let cleaned =
        until("the end of the cleanup", || Some(client.status()).filter(|status| status.disk.cleanups == 1));
    assert!(cleaned.log_bytes < 2000, "{cleaned:?}");

    trio.start_node(3, &[]);
    trio.converges_on(1);
    trio.node(1).logs("full-resync-sent");
    for _ in 0..2 {
        let mut client = trio.client(3);
        assert_eq!(client.get_patiently("gone", ReadLevel::Eventual).value, None);
        assert_eq!(
            client.get_patiently("often", ReadLevel::Eventual).value,
            Some(bytes(&format!("{:0500}", 49)))
        );
        for n in 1..=3 {
            let found = trio.client(n).get_patiently("gone", ReadLevel::Quorum);
            assert_eq!(found.value, None, "at n{n}");
        }
        trio.take(3).kill();
        trio.start_node(3, &[]);
        trio.converges_on(1);
    }
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
    let Some(NodeFrame::Response { response: Response::Reply { reply, .. }, .. }) = answer else {
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

/// Three members, of which one has `room` bytes of room left, and the ballast whose removal makes more.
fn trio_with_little_room(n: u8, room: u64) -> (Trio, PathBuf) {
    const BALLAST: u64 = 1 << 20;
    let mut trio = Trio::start();
    trio.converges_on(1);
    trio.take(n).stop();
    let ballast = trio.data(n).join("ballast");
    std::fs::write(&ballast, vec![0; usize::try_from(BALLAST).expect("small")]).expect("written");
    trio.start_node(n, &["--disk-max", &(BALLAST + room).to_string()]);
    (trio, ballast)
}

/// Writes until this member says that its disk is full. What was acknowledged.
fn fill(trio: &Trio, at: u8, full: u8) -> Vec<String> {
    let (mut client, mut watcher) = (trio.client(at), trio.client(full));
    let value = "v".repeat(4096);
    let mut acknowledged = Vec::new();
    for i in 0.. {
        let key = format!("fill{i}");
        client.send(Request::Do(write(&key, &value, WriteLevel::Quorum)));
        let is_full = until("an answer, or a full disk", || {
            if client.is_readable() {
                let (_, reply) = client.reply();
                match reply {
                    Reply::Written { .. } => acknowledged.push(key.clone()),
                    // The two others had acknowledged the write before, which found no room.
                    Reply::Failed(Failure::DiskFull) => return Some(true),
                    other => panic!("unexpected {other:?}"),
                }
                return Some(false);
            }
            watcher.status().replication.disk_full.then_some(true)
        });
        if is_full || watcher.status().replication.disk_full {
            return acknowledged;
        }
        assert!(i < 1000, "it never fills");
    }
    unreachable!("returns")
}

#[test]
fn a_replica_with_a_full_disk_holds_nobody_up_and_catches_up() {
    let (trio, ballast) = trio_with_little_room(3, 40 << 10);
    until("n3 follows", || (trio.client(3).status().replication.primary == Some(NodeId(1))).then_some(()));
    let mut acknowledged = fill(&trio, 1, 3);
    let mut client = trio.client(1);
    for i in 0..50 {
        let key = format!("more{i}");
        client.put_patiently(&key, &"v".repeat(4096), WriteLevel::Quorum);
        acknowledged.push(key);
    }
    let status = trio.client(3).status().replication;
    assert!(status.disk_full && status.durable < client.status().replication.commit, "{status:?}");
    assert!(status.last.seq - status.durable < 50, "it takes no more than it must: {status:?}");
    std::fs::remove_file(ballast).expect("removed");
    trio.converges_on(1);
    for key in acknowledged {
        let found = trio.client(3).get_patiently(&key, ReadLevel::Eventual).value;
        assert_eq!(found, Some(bytes(&"v".repeat(4096))), "{key}");
    }
}

#[test]
fn a_primary_with_a_full_disk_can_be_deposed_and_comes_back() {
    let (trio, ballast) = trio_with_little_room(1, 40 << 10);
    trio.client(1).put_patiently("again", "v", WriteLevel::Quorum);
    let acknowledged = fill(&trio, 1, 1);
    let reply = trio.client(1).put("refused", "v", WriteLevel::Quorum);
    assert_eq!(reply, Reply::Failed(Failure::DiskFull));
    // Its own promise waits for room; two others are a majority.
    until("n2's promotion", || match trio.client(2).ask(Ask::Promote { force: false }).0 {
        Reply::Promoted { epoch, .. } => Some(epoch),
        Reply::Failed(_) => None,
        other => panic!("unexpected {other:?}"),
    });
    trio.client(2).put_patiently("after", "v", WriteLevel::Quorum);
    let (reply, _) = trio.client(1).ask(write("refused", "v", WriteLevel::Async));
    assert_eq!(reply, Reply::Failed(Failure::ReadOnly { primary: Some(NodeId(2)) }));
    std::fs::remove_file(ballast).expect("removed");
    trio.converges_on(2);
    for key in acknowledged {
        let found = trio.client(1).get_patiently(&key, ReadLevel::Quorum).value;
        assert_eq!(found, Some(bytes(&"v".repeat(4096))), "{key}");
    }
    assert_eq!(trio.client(1).get_patiently("refused", ReadLevel::Quorum).value, None);
}
