//! Simulated clients: each operation is one client, which asks one member once and notes what it was told.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::replication::{Command, NodeId, Op, ReadLevel, Reply, WriteLevel};

use super::dice::Dice;
use super::history::{End, Operation};
use super::options::Counts;
use super::oracle::Broken;

/// An operation that begins.
#[derive(Debug)]
pub(super) struct Client {
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
#[derive(Debug, Default)]
pub(super) struct Clients {
    operations: BTreeMap<u64, Noted>,
    began: u64,
    clock: u64,
}

#[derive(Debug)]
struct Noted {
    operation: Operation,
    /// Judged for linearizability: a quorum operation on a key that is never deleted.
    judged: bool,
    open: bool,
}

/// Keys of three kinds: quorum registers, quorum keys that are also deleted, and async ones.
const KINDS: [&str; 3] = ["q", "d", "a"];

impl Clients {
    /// Begins an operation at a random member on a random key.
    pub(super) fn begin(&mut self, nodes: &[NodeId], keys: u64, dice: &mut Dice) -> Client {
        let kind = dice.weighted(&[(0, 70), (1, 15), (2, 15)]);
        let key = Bytes::from(format!("{}{}", KINDS[kind], dice.between(1, keys)));
        let node = dice.pick(nodes);
        let timeout = Duration::from_millis(dice.pick(&[50, 500, 500, 2000]));
        let reads = dice.chance(500);
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
        let client = self.note(key, &command, kind == 0);
        Client { client, node, command, patience: timeout + Duration::from_secs(1) }
    }

    /// Begins a read of the last phase.
    pub(super) fn read_back(&mut self, _node: NodeId, key: Bytes) -> (u64, Command) {
        let level = if key.starts_with(b"a") { ReadLevel::Eventual } else { ReadLevel::Quorum };
        let command = Command::Read { key: key.clone(), level, timeout: Duration::from_secs(2) };
        let judged = key.starts_with(b"q");
        (self.note(key, &command, judged), command)
    }

    fn note(&mut self, key: Bytes, command: &Command, judged: bool) -> u64 {
        self.began += 1;
        let start = self.tick();
        let writes = match command {
            Command::Write { op: Op::Put { value, .. }, .. } => Some(value.clone()),
            _ => None,
        };
        let operation = Operation { key, writes, start, finish: None, end: End::Unknown };
        self.operations.insert(self.began, Noted { operation, judged, open: true });
        self.began
    }

    /// An answer arrives.
    pub(super) fn answered(&mut self, client: u64, reply: &Reply, counts: &mut Counts) {
        let finish = self.tick();
        let Some(noted) = self.operations.get_mut(&client).filter(|noted| noted.open) else { return };
        noted.open = false;
        noted.operation.finish = Some(finish);
        noted.operation.end = match reply {
            Reply::Written { .. } => {
                counts.writes += 1;
                End::Done
            }
            Reply::Value { found, .. } => {
                counts.reads += u64::from(noted.judged);
                End::Saw(found.value.clone())
            }
            Reply::Failed(failure) if failure.is_definite() => End::Failed,
            Reply::Failed(_) | Reply::Promoted { .. } => {
                counts.unknown += 1;
                End::Unknown
            }
        };
    }

    /// The client stops waiting, or its connection breaks.
    pub(super) fn gave_up(&mut self, client: u64, counts: &mut Counts) {
        if let Some(noted) = self.operations.get_mut(&client).filter(|noted| noted.open) {
            noted.open = false;
            counts.unknown += 1;
        }
    }

    /// Nobody listens where the client asks.
    pub(super) fn refused(&mut self, client: u64) {
        if let Some(noted) = self.operations.get_mut(&client).filter(|noted| noted.open) {
            noted.open = false;
            noted.operation.end = End::Failed;
        }
    }

    /// Whether nobody waits for an answer.
    pub(super) fn all_done(&self) -> bool {
        self.operations.values().rev().take(1000).all(|noted| !noted.open)
    }

    /// Every key that was asked for.
    pub(super) fn keys(&self) -> Vec<Bytes> {
        let mut keys: Vec<_> = self.operations.values().map(|noted| noted.operation.key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Fails unless a read was answered.
    pub(super) fn must_have_read(&self, client: u64) -> Result<(), Broken> {
        let operation = &self.operations[&client].operation;
        match operation.end {
            End::Saw(_) => Ok(()),
            _ => {
                Err(format!("all is healed, but a read of {:?} ended as {:?}", operation.key, operation.end))
            }
        }
    }

    /// The operations that are judged.
    pub(super) fn history(&self) -> Vec<Operation> {
        self.operations.values().filter(|noted| noted.judged).map(|noted| noted.operation.clone()).collect()
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}
