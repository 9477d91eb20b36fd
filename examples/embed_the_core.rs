//! Embeds the replication core in a program of one's own: three members in memory, without sockets, disks or a clock.
//! A write is committed by a quorum; then another member is promoted, and reads it.
//!
//!     cargo run --example embed_the_core

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use kvlab::replication::{Config, Core, DiskJob, Effect, Input, Recovered, RequestId};
use kvlab::types::{Command, Found, NodeId, Op, ReadLevel, Reply, Time, Vote, WriteLevel};

const TIMEOUT: Duration = Duration::from_millis(500);

/// One member: its core, and its "disk", which is what the core has appended.
struct Member {
    core: Core,
    disk: BTreeMap<Bytes, Found>,
}

/// Three members, and what is on its way to them.
struct Cluster {
    members: BTreeMap<NodeId, Member>,
    inputs: VecDeque<(NodeId, Input)>,
    now: Time,
    requests: u64,
    replies: BTreeMap<RequestId, Reply>,
}

fn main() {
    let mut cluster = Cluster::start(&[NodeId(1), NodeId(2), NodeId(3)]);
    let (key, value) = (Bytes::from("greeting"), Bytes::from("hello"));

    // The first primary asks for votes by itself; until it has them, it refuses writes.
    let op = Op::Put { key: key.clone(), value: value.clone() };
    let write = Command::Write { op, level: WriteLevel::Quorum, timeout: TIMEOUT };
    let (at, votes) = loop {
        if let Reply::Written { at, votes } = cluster.ask(NodeId(1), write.clone()) {
            break (at, votes);
        }
    };
    let acknowledged = votes.iter().filter(|vote| vote.vote == Vote::Ack).count();
    println!("the write is committed as {at}, {acknowledged} of 3 members have acknowledged it");

    let Reply::Promoted { epoch, .. } = cluster.ask(NodeId(2), Command::Promote { force: false }) else {
        panic!("nothing stands in the way of n2");
    };
    println!("n2 is primary, in epoch {epoch}");
    assert!(epoch > at.epoch, "a higher epoch always wins");

    let read = Command::Read { key, level: ReadLevel::Quorum, timeout: TIMEOUT };
    let Reply::Value { found, .. } = cluster.ask(NodeId(3), read) else {
        panic!("a quorum is there");
    };
    println!("n3 reads {:?}, written as {}", found.value, found.version);
    assert_eq!(found, Found { value: Some(value), version: at });
}

impl Cluster {
    fn start(ids: &[NodeId]) -> Self {
        let (members, inputs) = (BTreeMap::new(), VecDeque::new());
        let mut cluster = Self { members, inputs, now: Time::ZERO, requests: 0, replies: BTreeMap::new() };
        for &id in ids {
            let config = Config { seed: id.0.into(), ..Config::new(id, ids.to_vec()) };
            let (core, effects) = Core::new(config, Recovered::default(), cluster.now);
            cluster.members.insert(id, Member { core, disk: BTreeMap::new() });
            cluster.carry_out(id, effects);
        }
        cluster
    }

    /// Asks a member, and lets the cluster run until it has answered.
    fn ask(&mut self, node: NodeId, command: Command) -> Reply {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.inputs.push_back((node, Input::Request { request, command }));
        loop {
            if let Some(reply) = self.replies.remove(&request) {
                return reply;
            }
            let (node, input) = self.inputs.pop_front().unwrap_or_else(|| self.next_tick());
            let core = &mut self.members.get_mut(&node).expect("a member").core;
            let effects = core.step(self.now, input);
            self.carry_out(node, effects);
        }
    }

    /// Nothing is on its way: time passes until a member has something to do.
    fn next_tick(&mut self) -> (NodeId, Input) {
        let deadlines = self.members.iter().map(|(&id, member)| (member.core.deadline(), id));
        let (deadline, node) = deadlines.min().expect("has members");
        self.now = self.now.max(deadline);
        (node, Input::Tick)
    }

    /// Does what a member's core wants done, in order. The contract is in the docs of `kvlab::replication::Effect`.
    fn carry_out(&mut self, node: NodeId, effects: Vec<Effect>) {
        for effect in effects {
            let disk = &mut self.members.get_mut(&node).expect("a member").disk;
            match effect {
                Effect::Send { to, message } => {
                    self.inputs.push_back((to, Input::Peer { from: node, message }));
                }
                Effect::Disk(DiskJob::Append { log, entries }) => {
                    let through = entries.last().expect("has entries").at.seq;
                    for entry in entries {
                        if let Op::Put { key, value } = entry.op {
                            disk.insert(key, Found { value: Some(value), version: entry.at });
                        }
                    }
                    self.inputs.push_back((node, Input::Persisted { log, through }));
                }
                Effect::Disk(DiskJob::Save { promise }) => {
                    self.inputs.push_back((node, Input::Saved { promise }));
                }
                // A read is answered before any other input.
                Effect::Read { token, key } => {
                    let found = disk.get(&key).cloned().unwrap_or_default();
                    self.inputs.push_front((node, Input::ReadDone { token, found: found.into() }));
                }
                Effect::Reply { request, reply } => {
                    self.replies.insert(request, reply);
                }
                Effect::Event(event) => println!("  {node}: {event:?}"),
                Effect::Dial { .. } => {}
                other => panic!("nobody falls far enough behind for {other:?}"),
            }
        }
    }
}
