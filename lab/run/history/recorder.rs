//! One order for all clients: each event is stamped, judged and written under one lock.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kvlab::judge::{Consistency, HistoryEvent, OpKind, Phase, Violation};
use kvlab::types::{Epoch, NodeId, ReadLevel, WriteLevel};

use super::file::HistoryFile;
use super::judging::{Findings, Judging};
use crate::run::event::LabEvent;
use crate::run::journal::Journal;

/// Records the history of a run. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    journal: Journal,
    order: Mutex<Order>,
}

/// One order of events, which whoever holds it gives out: judge and file see one and the same.
#[derive(Debug)]
pub(crate) struct Order {
    next_i: u64,
    next_client: u32,
    file: Option<HistoryFile>,
    judging: Judging,
    /// Broken promises that have been found and not been told.
    found: Vec<Violation>,
    refused_stale: u64,
}

/// What a client is about to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) op: OpKind,
    pub(crate) key: String,
    /// What a put puts: `None` until its client has chosen a fresh value. `None` for the others.
    pub(crate) value: Option<String>,
    pub(crate) consistency: Consistency,
}

/// How an operation ended, for the history.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// Anything but an invoke.
    pub(crate) phase: Phase,
    /// Who answered last.
    pub(crate) node: Option<NodeId>,
    /// Reads: what was seen.
    pub(crate) seen: Option<String>,
    /// The entry written or read.
    pub(crate) epoch: Option<Epoch>,
    /// The entry written or read.
    pub(crate) seq: Option<u64>,
    /// An eventual read that was refused as too stale.
    pub(crate) refused_stale: bool,
}

impl Recorder {
    /// Creates `history.jsonl` in `dir` (`None`: nothing is written, all is judged).
    pub(crate) fn start(journal: Journal, dir: Option<&Path>) -> anyhow::Result<Self> {
        let file = dir.map(HistoryFile::create).transpose()?;
        let order = Order { file, ..Order::new() };
        Ok(Self(Arc::new(Inner { journal, order: Mutex::new(order) })))
    }

    /// See [`Order::new_client`].
    pub(crate) fn new_client(&self) -> u32 {
        self.order().new_client()
    }

    /// See [`Order::invoke`].
    pub(crate) fn invoke(&self, client: u32, node: NodeId, intent: &Intent) -> u64 {
        let mut order = self.order();
        let now = self.0.journal.now();
        order.invoke(now, client, node, intent)
    }

    /// See [`Order::complete`].
    pub(crate) fn complete(&self, client: u32, intent: &Intent, reply: &Reply) -> Option<u64> {
        let mut order = self.order();
        let now = self.0.journal.now();
        let stale_ms = order.complete(now, client, intent, reply);
        // Under the lock, so that no verdict counts what has not been told.
        for violation in order.take_found() {
            self.0.journal.emit(LabEvent::Violation(Box::new(violation)));
        }
        stale_ms
    }

    /// What has been found so far.
    pub(crate) fn findings(&self) -> Findings {
        self.order().findings()
    }

    /// Eventual reads that were refused as too stale.
    pub(crate) fn refused_stale(&self) -> u64 {
        self.order().refused_stale()
    }

    /// Lets the file catch up with what has been recorded.
    pub(crate) fn hand_over(&self) {
        if let Some(file) = &mut self.order().file {
            file.hand_over();
        }
    }

    /// Everything recorded so far is in the file when this returns.
    ///
    /// # Errors
    /// If any of it could not be written.
    pub(crate) async fn flush(&self) -> anyhow::Result<()> {
        let flushed = self.order().file.as_mut().map(HistoryFile::flush);
        match flushed {
            Some(flushed) => flushed.wait().await,
            None => Ok(()),
        }
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        // A panic under the lock leaves at worst an event that was stamped and not written: still an order.
        self.0.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// Nothing has happened, and nothing is written.
    pub(crate) fn new() -> Self {
        Self {
            next_i: 1,
            next_client: 1,
            file: None,
            judging: Judging::default(),
            found: Vec::new(),
            refused_stale: 0,
        }
    }

    /// A number for a new client. Clients count from 1; each has one operation at a time.
    pub(crate) fn new_client(&mut self) -> u32 {
        let number = self.next_client;
        self.next_client += 1;
        number
    }

    /// An operation is about to be sent to `node`. Returns its place in the order.
    pub(crate) fn invoke(&mut self, now: Duration, client: u32, node: NodeId, intent: &Intent) -> u64 {
        let event = |i, t_ns| HistoryEvent {
            i,
            t_ns,
            client,
            node: Some(node),
            phase: Phase::Invoke,
            op: intent.op,
            key: intent.key.clone(),
            value: intent.value.clone(),
            consistency: intent.consistency,
            epoch: None,
            seq: None,
        };
        self.record(event, now).0
    }

    /// Its outcome has arrived. Returns how stale the read was, in milliseconds, if it was.
    pub(crate) fn complete(
        &mut self,
        now: Duration,
        client: u32,
        intent: &Intent,
        reply: &Reply,
    ) -> Option<u64> {
        let event = |i, t_ns| HistoryEvent {
            i,
            t_ns,
            client,
            node: reply.node,
            phase: reply.phase,
            op: intent.op,
            key: intent.key.clone(),
            value: if intent.op == OpKind::Get { reply.seen.clone() } else { intent.value.clone() },
            consistency: intent.consistency,
            epoch: reply.epoch,
            seq: reply.seq,
        };
        self.refused_stale += u64::from(reply.refused_stale);
        self.record(event, now).1
    }

    /// What has been found so far.
    pub(crate) fn findings(&self) -> Findings {
        self.judging.findings()
    }

    /// The broken promises that were found since this was last asked: together at most
    /// [`VIOLATIONS_PROVED_MAX`](super::VIOLATIONS_PROVED_MAX).
    pub(crate) fn take_found(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.found)
    }

    /// Eventual reads that were refused as too stale.
    pub(crate) fn refused_stale(&self) -> u64 {
        self.refused_stale
    }

    /// Returns the event's place in the order, and how stale the read was that it ends, if it was.
    fn record(&mut self, event: impl FnOnce(u64, u64) -> HistoryEvent, now: Duration) -> (u64, Option<u64>) {
        let i = self.next_i;
        self.next_i += 1;
        let event = event(i, u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        if let Some(file) = &mut self.file {
            file.append(|line| {
                serde_json::to_writer(&mut *line, &event).expect("a history event is JSON");
                line.push(b'\n');
            });
        }
        let finding = self.judging.observe(&event);
        self.found.extend(finding.violation);
        (i, finding.stale_ms)
    }
}

impl Intent {
    /// To set a key, to a fresh value if none is named.
    pub(crate) fn put(key: String, value: Option<String>, level: WriteLevel) -> Self {
        Self { op: OpKind::Put, key, value, consistency: of_write(level) }
    }

    /// To remove a key.
    pub(crate) fn del(key: String, level: WriteLevel) -> Self {
        Self { op: OpKind::Del, key, value: None, consistency: of_write(level) }
    }

    /// To read a key.
    pub(crate) fn get(key: String, level: ReadLevel) -> Self {
        let consistency = match level {
            ReadLevel::Eventual => Consistency::Eventual,
            ReadLevel::Quorum => Consistency::Quorum,
        };
        Self { op: OpKind::Get, key, value: None, consistency }
    }

    /// With a fresh value, if it is a put without one.
    pub(crate) fn with_value(mut self, fresh: impl FnOnce() -> String) -> Self {
        if self.op == OpKind::Put {
            self.value.get_or_insert_with(fresh);
        }
        self
    }
}

fn of_write(level: WriteLevel) -> Consistency {
    match level {
        WriteLevel::Async => Consistency::Async,
        WriteLevel::Quorum => Consistency::Quorum,
    }
}
