//! The driver on a real store in a directory of its own, with the disk's work done when the test says so.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::storage::{self, Writer};
use crate::types::{Command, Found, Op, ReadLevel, Role, WriteLevel};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);

/// Everything that left the core.
#[derive(Default)]
struct Recorded {
    sent: Vec<(NodeId, Message)>,
    replies: BTreeMap<RequestId, Reply>,
    events: Vec<Event>,
}

impl Outlet for Recorded {
    fn send(&mut self, to: NodeId, message: Message) {
        self.sent.push((to, message));
    }

    fn dial(&mut self, _: NodeId) {}

    fn reject(&mut self, _: NodeId, _: &str) {}

    fn reply(&mut self, request: RequestId, reply: Reply) {
        let before = self.replies.insert(request, reply);
        assert!(before.is_none(), "{request:?} was answered twice");
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// One member.
struct Member {
    driver: Driver,
    writer: Writer,
    out: Recorded,
    now: Time,
    requests: u64,
    dir: TempDir,
}

impl Member {
    fn start(id: NodeId, members: &[NodeId], change: impl FnOnce(&mut Config)) -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), id, members, change)
    }

    fn start_in(dir: TempDir, id: NodeId, members: &[NodeId], change: impl FnOnce(&mut Config)) -> Self {
        let (store, writer, opened) =
            storage::open(storage::real_disk(), dir.path(), storage::Options::new(id)).expect("opened");
        let mut config =
            Config { incarnation: u64::from(id.0), seed: 7, ..Config::new(id, members.to_vec()) };
        change(&mut config);
        let mut out = Recorded::default();
        let driver = Driver::start(config, opened.recovered, store, Time::ZERO, &mut out).expect("started");
        Self { driver, writer, out, now: Time::ZERO, requests: 0, dir }
    }

    fn restart(self, id: NodeId, members: &[NodeId]) -> Self {
        let Self { driver, writer, dir, .. } = self;
        drop((driver, writer));
        Self::start_in(dir, id, members, |_| {})
    }

    fn ask(&mut self, command: Command) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.driver.handle(self.now, Input::Request { request, command }, &mut self.out).expect("handled");
        request
    }

    fn put(&mut self, key: &str, value: &str, level: WriteLevel) -> RequestId {
        let op = Op::Put { key: bytes(key), value: bytes(value) };
        self.ask(Command::Write { op, level, timeout: Duration::from_millis(500) })
    }

    /// An eventual read: answered before [`Driver::handle`] returns.
    fn get(&mut self, key: &str) -> Found {
        let timeout = Duration::from_millis(500);
        let request = self.ask(Command::Read { key: bytes(key), level: ReadLevel::Eventual, timeout });
        match self.out.replies.get(&request) {
            Some(Reply::Value { found, .. }) => found.clone(),
            other => panic!("expected a value at once, not {other:?}"),
        }
    }

    /// The disk does what it was given, and what follows from that, until there is nothing left. How many jobs.
    fn disk_works(&mut self) -> usize {
        let mut jobs_done = 0;
        loop {
            let jobs: Vec<Job> = self.driver.take_jobs().collect();
            if jobs.is_empty() {
                return jobs_done;
            }
            jobs_done += jobs.len();
            let dones = self.writer.execute(jobs).expect("the disk works");
            self.driver.complete(self.now, dones, &mut self.out).expect("completed");
        }
    }

    fn tick_at(&mut self, now: Time) {
        self.now = now;
        self.driver.handle(now, Input::Tick, &mut self.out).expect("handled");
    }

    fn becomes_primary(&mut self) {
        self.disk_works();
        for ms in (0..2_000).step_by(10) {
            if self.role() == Role::Primary {
                return;
            }
            self.tick_at(Duration::from_millis(ms));
            self.disk_works();
        }
        panic!("no primary after two seconds: {:?}", self.driver.status(self.now));
    }

    fn role(&self) -> Role {
        self.driver.status(self.now).role
    }
}

/// Members whose messages all arrive, at once and in order.
struct Cluster(BTreeMap<NodeId, Member>);

impl Cluster {
    /// Disks work and messages arrive until nothing is left to do, then time passes; until `done`.
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..200 {
            while self.settle_once() {}
            if done(self) {
                return;
            }
            let now = self.0[&N1].now + Duration::from_millis(20);
            self.0.values_mut().for_each(|member| member.tick_at(now));
        }
        let status: Vec<_> = self.0.values().map(|m| m.driver.status(m.now)).collect();
        panic!("not reached: {what}; {status:#?}");
    }

    fn settle_once(&mut self) -> bool {
        let mut busy = false;
        let mut sent = Vec::new();
        for (&from, member) in &mut self.0 {
            busy |= member.disk_works() > 0;
            sent.extend(member.out.sent.drain(..).map(|(to, message)| (from, to, message)));
        }
        for (from, to, message) in sent {
            if let Some(member) = self.0.get_mut(&to) {
                busy = true;
                let input = Input::Peer { from, message };
                member.driver.handle(member.now, input, &mut member.out).expect("handled");
            }
        }
        busy
    }

    fn at(&mut self, id: NodeId) -> &mut Member {
        self.0.get_mut(&id).expect("a member")
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// The only member of its cluster, and its primary.
fn alone() -> Member {
    let mut member = Member::start(N1, &[N1], |_| {});
    member.becomes_primary();
    member
}

#[test]
fn a_write_is_acknowledged_when_the_disk_has_it_and_not_before() {
    let mut member = alone();
    let write = member.put("k", "v", WriteLevel::Async);
    assert!(!member.out.replies.contains_key(&write));
    assert_eq!(member.get("k"), Found::default(), "what is not durable is not seen");
    member.disk_works();
    let Some(Reply::Written { at, .. }) = member.out.replies.get(&write) else { panic!("written") };
    let at = *at;
    assert_eq!(member.get("k"), Found { value: Some(bytes("v")), version: at });
    assert!(member.driver.applied_per_s(member.now) >= 1);
}

#[test]
fn a_burst_of_writes_is_one_job_for_the_disk() {
    let mut member = alone();
    let writes: Vec<_> = (0..100).map(|i| member.put(&format!("k{i}"), "v", WriteLevel::Async)).collect();
    assert_eq!(member.disk_works(), 1);
    for write in writes {
        assert!(matches!(member.out.replies.get(&write), Some(Reply::Written { .. })));
    }
    assert_eq!(member.driver.store().keys(), 100);
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart_and_the_epoch_is_not_continued() {
    let mut member = alone();
    member.put("k", "v", WriteLevel::Async);
    member.disk_works();
    let before = member.driver.status(member.now);
    let mut member = member.restart(N1, &[N1]);
    member.becomes_primary();
    assert_eq!(member.get("k").value, Some(bytes("v")));
    let after = member.driver.status(member.now);
    assert!(after.promised > before.epoch, "{after:?} after {before:?}");
    assert!(after.last.seq > before.last.seq, "a new epoch opens with an entry of its own");
}

#[test]
fn a_stopping_node_says_of_a_waiting_quorum_write_that_it_is_unknown() {
    let members = [N1, N2, N3];
    let mut cluster = Cluster([N1, N2].map(|id| (id, Member::start(id, &members, |_| {}))).into());
    cluster.until("n1 is the primary", |c| {
        c.0[&N1].role() == Role::Primary && c.0[&N1].driver.status(Time::ZERO).commit > 0
    });
    let alone = cluster.at(N1);
    let write = alone.put("k", "v", WriteLevel::Quorum);
    alone.disk_works();
    assert!(!alone.out.replies.contains_key(&write), "n2 has not heard of it");
    alone.driver.stop(alone.now, &mut alone.out).expect("stopped");
    match alone.out.replies.get(&write) {
        Some(Reply::Failed(failure)) => assert!(!failure.is_definite(), "{failure}"),
        other => panic!("expected a failure, not {other:?}"),
    }
}

#[test]
fn a_replica_beyond_the_backlog_gets_entries_from_the_log() {
    let members = [N1, N2, N3];
    let small = |config: &mut Config| config.backlog_bytes = 1_000;
    let mut cluster = Cluster([N1, N2].map(|id| (id, Member::start(id, &members, small))).into());
    cluster.until("n1 is the primary", |c| c.0[&N1].role() == Role::Primary);
    let value = "v".repeat(10_000);
    for i in 0..100 {
        cluster.at(N1).put(&format!("k{i}"), &value, WriteLevel::Async);
    }
    cluster.until("n2 has it all", |c| c.0[&N2].driver.status(Time::ZERO).last.seq >= 101);
    cluster.0.insert(N3, Member::start(N3, &members, small));
    cluster.at(N3).now = cluster.at(N1).now;
    let last = cluster.at(N1).driver.status(Time::ZERO).last;
    cluster.until("n3 has it all, durably", |c| {
        let status = c.0[&N3].driver.status(Time::ZERO);
        status.last == last && status.durable == last.seq
    });
    let events = &cluster.at(N3).out.events;
    assert!(!events.iter().any(|event| matches!(event, Event::FullResyncInstalled { .. })), "{events:?}");
    assert_eq!(cluster.at(N3).get("k99").value, Some(bytes(&value)));
    assert_eq!(cluster.at(N3).driver.store().keys(), 100);
}

#[test]
fn a_replica_beyond_a_cleanup_gets_the_whole_state() {
    let members = [N1, N2, N3];
    let small = |config: &mut Config| config.backlog_bytes = 1_000;
    let mut cluster = Cluster([N1, N2].map(|id| (id, Member::start(id, &members, small))).into());
    cluster.until("n1 is the primary", |c| c.0[&N1].role() == Role::Primary);
    for i in 0..100 {
        cluster.at(N1).put(&format!("k{}", i % 10), &i.to_string(), WriteLevel::Async);
    }
    cluster.until("all is on n2", |c| c.0[&N2].driver.status(Time::ZERO).durable >= 100);
    let n1 = cluster.at(N1);
    n1.driver.add_job(Job::CloseSegment);
    n1.disk_works();
    let cleaned = storage::clean_at_once(n1.driver.store_mut(), &mut n1.writer, 100, |_, _| Ok(()));
    assert!(cleaned.expect("cleaned").is_some_and(|cleaned| cleaned.dropped > 0));
    let now = n1.now;
    let mut late = Member::start(N3, &members, small);
    late.tick_at(now);
    cluster.0.insert(N3, late);
    cluster.until("n3 has everything", |c| {
        let last = c.0[&N1].driver.status(Time::ZERO).last;
        c.0[&N3].driver.status(Time::ZERO).last == last
    });
    let events = &cluster.at(N3).out.events;
    assert!(events.iter().any(|event| matches!(event, Event::FullResyncInstalled { .. })), "{events:?}");
    assert_eq!(cluster.at(N3).get("k9").value, Some(bytes("99")));
    assert_eq!(cluster.at(N3).driver.store().keys(), 10);
    assert!(cluster.at(N1).driver.snapshots.is_empty(), "the snapshot is closed when it has been sent");
}
