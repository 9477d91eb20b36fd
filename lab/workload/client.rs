//! A client of the lab. It is the only way in which the lab asks the store anything on somebody's behalf, so that
//! everything that was asked is in the history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kvlab::client::{Answer, Client, ClientError, ClientOptions};
use kvlab::judge::{Consistency, OpKind};
use kvlab::types::{Command, Failure, NodeId, Op, ReadLevel, Reply, WriteLevel};
use tokio::sync::watch;

use super::zones::Zones;
use crate::action::Action;
use crate::run::event::{Operation, Outcome, micros};
use crate::run::history::{Completion, Intent, Recorder};

/// How long a node may wait for a quorum on behalf of the lab's clients.
pub(crate) const QUORUM_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a client waits for an answer: a little longer, so that it hears what the node knows.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_millis(750);
/// How long a client waits for a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// No attempt begins later than this after the first.
pub(crate) const DEADLINE: Duration = Duration::from_millis(500);
/// A redirect, a second one if the primary has just changed, and two more.
pub(crate) const ATTEMPTS_MAX: u32 = 4;

/// One client of the lab, with its number in the history.
#[derive(Debug)]
pub(crate) struct LabClient {
    number: u32,
    home: Option<NodeId>,
    client: Client,
    zones: Arc<dyn Zones>,
    changes: watch::Receiver<u64>,
    values: u64,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// This one first, then whomever it names.
    From(NodeId),
    /// This one and nobody else.
    Only(NodeId),
}

impl Way {
    /// Who is asked first.
    pub(crate) fn first(self) -> NodeId {
        match self {
            Self::From(node) | Self::Only(node) => node,
        }
    }
}

/// What an action asks of whom, if it is a client's operation.
pub(crate) fn request(action: &Action) -> Option<(Way, Intent)> {
    Some(match action.clone() {
        Action::Put { node, key, value, level } => (Way::From(node), Intent::put(key, value, level)),
        Action::Del { node, key, level } => (Way::From(node), Intent::del(key, level)),
        // A read is about what this node says, a quorum read about what it can find out.
        Action::Get { node, key, level } => (Way::Only(node), Intent::get(key, level)),
        _ => return None,
    })
}

impl LabClient {
    /// A client at home with `home`, or one whom no fault touches.
    pub(crate) fn new(recorder: &Recorder, zones: Arc<dyn Zones>, home: Option<NodeId>, seed: u64) -> Self {
        let number = recorder.new_client();
        let changes = zones.changes();
        let client = new_client(zones.as_ref(), home, seed ^ u64::from(number));
        Self { number, home, client, zones, changes, values: 0 }
    }

    /// Its number in the history.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Whose zone it is in.
    pub(crate) fn home(&self) -> Option<NodeId> {
        self.home
    }

    /// Moves to another zone; its connections end.
    pub(crate) fn move_to(&mut self, home: Option<NodeId>) {
        if self.home != home {
            self.home = home;
            self.client = new_client(self.zones.as_ref(), home, u64::from(self.number));
        }
    }

    /// A value that nobody else writes in this run.
    fn fresh_value(&mut self) -> String {
        self.values += 1;
        format!("c{}-{}", self.number, self.values)
    }

    /// Asks, and records what was asked and what came of it. `intended`: when it was meant to be sent, by the run's
    /// clock, if that was before now.
    pub(crate) async fn carry_out(
        &mut self,
        recorder: &Recorder,
        way: Way,
        intent: Intent,
        intended: Option<Duration>,
    ) -> Operation {
        self.refresh();
        let first = way.first();
        let intent = intent.with_value(|| self.fresh_value());
        let command = command(&intent);
        let i = recorder.invoke(self.number, first, &intent);
        let since = intended.unwrap_or_else(|| recorder.now());
        let outcome = match way {
            Way::From(node) => self.client.perform(node, command).await,
            Way::Only(node) => self.client.perform_at(node, command).await,
        };
        let took_us = micros(recorder.now().saturating_sub(since));
        let completion = completion(&intent, outcome);
        let stale_ms = recorder.complete(self.number, &intent, &completion);
        let home = self.home.unwrap_or(first);
        Measured { i, home, took_us, stale_ms }.operation(intent, completion)
    }

    /// Addresses change when a node starts again.
    fn refresh(&mut self) {
        // Whatever happens to the sender, the addresses are there.
        if self.changes.has_changed().unwrap_or(false) {
            self.changes.mark_unchanged();
            for &node in self.zones.members() {
                self.client.set_address(node, self.zones.address(self.home, node));
            }
        }
    }
}

fn new_client(zones: &dyn Zones, home: Option<NodeId>, seed: u64) -> Client {
    let members: BTreeMap<_, _> =
        zones.members().iter().map(|&node| (node, zones.address(home, node))).collect();
    Client::new(ClientOptions {
        request_timeout: REQUEST_TIMEOUT,
        connect_timeout: CONNECT_TIMEOUT,
        attempts_max: ATTEMPTS_MAX,
        deadline: DEADLINE,
        seed,
        ..ClientOptions::new(members)
    })
}

/// What to ask a node for it.
pub(crate) fn command(intent: &Intent) -> Command {
    let key = Bytes::from(intent.key.clone().into_bytes());
    let quorum = intent.consistency == Consistency::Quorum;
    let write = |op| {
        let level = if quorum { WriteLevel::Quorum } else { WriteLevel::Async };
        Command::Write { op, level, timeout: QUORUM_TIMEOUT }
    };
    match intent.op {
        OpKind::Put => {
            let value = Bytes::from(intent.value.clone().unwrap_or_default().into_bytes());
            write(Op::Put { key, value })
        }
        OpKind::Del => write(Op::Del { key }),
        OpKind::Get => {
            let level = if quorum { ReadLevel::Quorum } else { ReadLevel::Eventual };
            Command::Read { key, level, timeout: QUORUM_TIMEOUT }
        }
    }
}

/// What came of an operation.
pub(crate) fn completion(intent: &Intent, outcome: Result<Answer, ClientError>) -> Completion {
    match outcome {
        Ok(answer) => answered(answer),
        Err(error) => failed(intent, &error),
    }
}

fn answered(answer: Answer) -> Completion {
    let (outcome, seen, at, votes) = match answer.reply {
        Reply::Written { at, votes } => (Outcome::Ok, None, Some(at), votes),
        Reply::Value { found, votes, .. } => {
            // The version of an absent key says only how far its member has looked.
            let at = found.value.is_some().then_some(found.version);
            let seen = found.value.map(|value| String::from_utf8_lossy(&value).into_owned());
            (Outcome::Ok, seen, at, votes)
        }
        Reply::Promoted { .. } | Reply::Following { .. } | Reply::Failed(_) => {
            let why = "the node answered something else".to_owned();
            (Outcome::Unknown(why), None, None, Vec::new())
        }
    };
    Completion { node: Some(answer.node), outcome, seen, at, votes, refused_stale: false }
}

fn failed(intent: &Intent, error: &ClientError) -> Completion {
    // A read changes nothing: whatever became of it, it did not happen.
    let certain = error.is_definite() || intent.op == OpKind::Get;
    let why = error.to_string();
    let outcome = if certain { Outcome::Failed(why) } else { Outcome::Unknown(why) };
    let (at, votes) = match error.failure() {
        Some(Failure::WriteTimeout { at, votes } | Failure::Deposed { at, votes, .. }) => {
            (Some(*at), votes.clone())
        }
        Some(Failure::NoQuorum { votes }) => (None, votes.clone()),
        _ => (None, Vec::new()),
    };
    let refused_stale = matches!(error.failure(), Some(Failure::TooStale { .. }));
    let reached = !matches!(error, ClientError::Unreachable { .. });
    Completion { node: error.node().filter(|_| reached), outcome, seen: None, at, votes, refused_stale }
}

/// What the lab measures of an operation by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Its place in the history.
    pub(crate) i: u64,
    /// Where its client is at home.
    pub(crate) home: NodeId,
    /// From intended send to answer, in microseconds.
    pub(crate) took_us: u64,
    /// How stale what it read was, if it was.
    pub(crate) stale_ms: Option<u64>,
}

impl Measured {
    /// The whole operation.
    pub(crate) fn operation(self, intent: Intent, completion: Completion) -> Operation {
        let Self { i, home, took_us, stale_ms } = self;
        let Completion { node, outcome, seen, at, votes, .. } = completion;
        Operation {
            i,
            by: None,
            home,
            node,
            op: intent.op,
            consistency: intent.consistency,
            key: intent.key,
            value: if intent.op == OpKind::Get { seen } else { intent.value },
            outcome,
            epoch: at.map(|at| at.epoch),
            seq: at.map(|at| at.seq),
            votes,
            took_us,
            stale_ms,
        }
    }
}

#[cfg(test)]
#[path = "tests/client.rs"]
mod tests;
