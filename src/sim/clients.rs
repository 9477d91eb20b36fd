//! Simulated clients: each operation is one client, which asks one member once. What they were told is judged as it
//! comes, by the judge of the lab.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use crate::judge::{Consistency, HistoryEvent, Judge, JudgeOptions, Judgement, OpKind, Phase, Violation};
use crate::types::{Command, NodeId, Op, Position, ReadLevel, Reply, Time, WriteLevel};

use super::dice::Dice;
use super::oracle::BrokenPromise;
use super::outcome::Counts;
use super::profile::Profile;

/// An operation that begins.
#[derive(Debug)]
pub(super) struct Invocation {
    /// Names the operation.
    pub(super) client: u64,
    /// Whom it asks.
    pub(super) node: NodeId,
    /// What it asks.
    pub(super) command: Command,
    /// How long the client waits for an answer.
    pub(super) patience: Duration,
}

/// All operations so far.
#[derive(Debug)]
pub(super) struct Clients {
    judge: Judge,
    open: BTreeMap<u64, HistoryEvent>,
    keys: BTreeSet<Bytes>,
    /// Clients of the last phase that got a value.
    served: BTreeSet<u64>,
    began: u64,
    events: u64,
    violations: Vec<Violation>,
}

/// Keys of three kinds: quorum registers, quorum keys that are also deleted, and async ones.
const KINDS: [&str; 3] = ["q", "d", "a"];

impl Clients {
    /// Nobody has asked for anything.
    pub(super) fn new() -> Self {
        Self {
            judge: Judge::new(JudgeOptions::default()),
            open: BTreeMap::new(),
            keys: BTreeSet::new(),
            served: BTreeSet::new(),
            began: 0,
            events: 0,
            violations: Vec::new(),
        }
    }

    /// Begins an operation at a random member on a random key.
    pub(super) fn begin(
        &mut self,
        now: Time,
        nodes: &[NodeId],
        profile: &Profile,
        dice: &mut Dice,
    ) -> Invocation {
        let kind = dice.weighted(&[(0, 70), (1, 15), (2, 15)]);
        let key = Bytes::from(format!("{}{}", KINDS[kind], dice.between(1, profile.keys)));
        let node = dice.pick(nodes);
        let reads = dice.chance(400);
        // A read that finds no quorum asks again and again until its end: long ones are many messages and few faults.
        let timeouts = if reads && !profile.patient { [30, 100, 300] } else { [50, 500, 1500] };
        let timeout = Duration::from_millis(dice.pick(&timeouts));
        let command = if reads {
            let level = if kind == 2 { ReadLevel::Eventual } else { ReadLevel::Quorum };
            Command::Read { key: key.clone(), level, timeout }
        } else {
            let level = if kind == 2 { WriteLevel::Async } else { WriteLevel::Quorum };
            let op = if kind == 1 && dice.chance(300) {
                Op::Del { key: key.clone() }
            } else {
                let padding = dice.pick(&[0, 0, 100]);
                let value = format!("v{}{}", self.began + 1, "-".repeat(padding));
                Op::Put { key: key.clone(), value: value.into() }
            };
            Command::Write { op, level, timeout }
        };
        let client = self.invoke(now, node, &command);
        Invocation { client, node, command, patience: timeout + Duration::from_secs(1) }
    }

    /// Begins a read of the last phase.
    pub(super) fn read_back(&mut self, now: Time, node: NodeId, key: &Bytes) -> (u64, Command) {
        let level = if key.starts_with(b"a") { ReadLevel::Eventual } else { ReadLevel::Quorum };
        let command = Command::Read { key: key.clone(), level, timeout: Duration::from_secs(2) };
        (self.invoke(now, node, &command), command)
    }

    /// Begins a write of the last phase.
    pub(super) fn write_again(&mut self, now: Time, node: NodeId, key: &Bytes) -> (u64, Command) {
        let level = if key.starts_with(b"a") { WriteLevel::Async } else { WriteLevel::Quorum };
        let op = Op::Put { key: key.clone(), value: format!("v{}", self.began + 1).into() };
        let command = Command::Write { op, level, timeout: Duration::from_secs(2) };
        (self.invoke(now, node, &command), command)
    }

    /// An answer arrives.
    pub(super) fn answered(&mut self, now: Time, client: u64, reply: &Reply, counts: &mut Counts) {
        let (phase, seen, at) = match reply {
            Reply::Written { at, .. } => (Phase::Ok, None, Some(*at)),
            Reply::Value { found, .. } => {
                let at = found.value.is_some().then_some(found.version);
                (Phase::Ok, found.value.as_ref().map(text), at)
            }
            Reply::Failed(failure) if failure.is_definite() => (Phase::Fail, None, None),
            Reply::Failed(_) | Reply::Promoted { .. } | Reply::Following { .. } => (Phase::Info, None, None),
        };
        let Some(op) = self.open.get(&client).map(|invoked| invoked.op) else { return };
        match (phase, op) {
            (Phase::Ok, OpKind::Get) => counts.reads += 1,
            (Phase::Ok, _) => counts.writes += 1,
            (Phase::Info, _) => counts.unknown += 1,
            _ => {}
        }
        if phase == Phase::Ok {
            self.served.insert(client);
        }
        self.end(now, client, phase, seen, at);
    }

    /// The client stops waiting, or its connection breaks.
    pub(super) fn gave_up(&mut self, now: Time, client: u64, counts: &mut Counts) {
        counts.unknown += u64::from(self.open.contains_key(&client));
        self.end(now, client, Phase::Info, None, None);
    }

    /// Nobody listens where the client asks.
    pub(super) fn refused(&mut self, now: Time, client: u64) {
        self.end(now, client, Phase::Fail, None, None);
    }

    /// Whether nobody waits for an answer.
    pub(super) fn all_done(&self) -> bool {
        self.open.is_empty()
    }

    /// Every key that was asked for.
    pub(super) fn keys(&self) -> Vec<Bytes> {
        self.keys.iter().cloned().collect()
    }

    /// Fails unless an operation was answered.
    pub(super) fn must_have_been_served(&self, client: u64) -> Result<(), BrokenPromise> {
        if self.served.contains(&client) {
            return Ok(());
        }
        Err(format!("all is healed, but operation {client}, a read, was not served"))
    }

    /// What the judge has found since this was last asked.
    pub(super) fn take_violations(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.violations)
    }

    /// No operation will follow: the judge's last word.
    pub(super) fn finish(&mut self) -> Judgement {
        self.judge.finish()
    }

    fn invoke(&mut self, now: Time, node: NodeId, command: &Command) -> u64 {
        self.began += 1;
        let quorum = matches!(
            command,
            Command::Write { level: WriteLevel::Quorum, .. } | Command::Read { level: ReadLevel::Quorum, .. }
        );
        let (op, key, value, other) = match command {
            Command::Write { op: Op::Put { key, value }, .. } => {
                (OpKind::Put, key, Some(text(value)), Consistency::Async)
            }
            Command::Write { op: Op::Del { key }, .. } => (OpKind::Del, key, None, Consistency::Async),
            Command::Read { key, .. } => (OpKind::Get, key, None, Consistency::Eventual),
            Command::Write { op: Op::Noop, .. } | Command::Promote { .. } | Command::Follow { .. } => {
                unreachable!("clients read and write")
            }
        };
        self.keys.insert(key.clone());
        let event = HistoryEvent {
            i: 0,
            t_ns: 0,
            client: self.began as u32,
            node: Some(node),
            phase: Phase::Invoke,
            op,
            key: text(key),
            value,
            consistency: if quorum { Consistency::Quorum } else { other },
            epoch: None,
            seq: None,
        };
        self.open.insert(self.began, event.clone());
        self.observe(now, event);
        self.began
    }

    fn end(&mut self, now: Time, client: u64, phase: Phase, seen: Option<String>, at: Option<Position>) {
        let Some(mut event) = self.open.remove(&client) else { return };
        event.phase = phase;
        (event.epoch, event.seq) = (at.map(|at| at.epoch), at.map(|at| at.seq));
        if event.op == OpKind::Get {
            event.value = seen;
        }
        self.observe(now, event);
    }

    fn observe(&mut self, now: Time, event: HistoryEvent) {
        self.events += 1;
        let event = HistoryEvent { i: self.events, t_ns: now.as_nanos() as u64, ..event };
        let found = self.judge.observe(&event).expect("a history in order");
        self.violations.extend(found);
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
