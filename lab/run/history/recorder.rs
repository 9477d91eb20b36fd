//! One order for all clients: each event is stamped, judged and written under one lock.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kvlab::judge::{HistoryEvent, OpKind, Phase, Violation};
use kvlab::types::NodeId;

use super::file::HistoryFile;
use super::judging::Judging;
use super::operation::{Completion, Intent};
use crate::run::event::{LabEvent, Verdict};
use crate::run::journal::Journal;

/// Records the history of a run. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    journal: Journal,
    sequencer: Mutex<Sequencer>,
}

/// Puts all events in one order: judge and file see one and the same.
#[derive(Debug)]
pub(crate) struct Sequencer {
    next_i: u64,
    next_client: u32,
    file: Option<HistoryFile>,
    judging: Judging,
    /// Violations that have been found and not been taken.
    found: Vec<Violation>,
    refused_stale: u64,
}

impl Recorder {
    /// Creates `history.jsonl` in `dir` (`None`: nothing is written, all is judged).
    pub(crate) fn start(journal: Journal, dir: Option<&Path>) -> anyhow::Result<Self> {
        let file = dir.map(HistoryFile::create).transpose()?;
        let sequencer = Mutex::new(Sequencer { file, ..Sequencer::new() });
        Ok(Self(Arc::new(Inner { journal, sequencer })))
    }

    /// See [`Sequencer::new_client`].
    pub(crate) fn new_client(&self) -> u32 {
        self.lock().new_client()
    }

    /// See [`Sequencer::invoke`].
    pub(crate) fn invoke(&self, client: u32, node: NodeId, intent: &Intent) -> u64 {
        let mut sequencer = self.lock();
        let now = self.0.journal.now();
        sequencer.invoke(now, client, node, intent)
    }

    /// See [`Sequencer::complete`].
    pub(crate) fn complete(&self, client: u32, intent: &Intent, completion: &Completion) -> Option<u64> {
        let mut sequencer = self.lock();
        let now = self.0.journal.now();
        let stale_ms = sequencer.complete(now, client, intent, completion);
        // Under the lock, so that no verdict counts what is not in the journal.
        for violation in sequencer.take_violations() {
            self.0.journal.emit(LabEvent::Violation(Box::new(violation)));
        }
        stale_ms
    }

    /// See [`Sequencer::verdict`].
    pub(crate) fn verdict(&self, read_back: bool, members_equal: Option<bool>) -> Verdict {
        self.lock().verdict(read_back, members_equal)
    }

    /// See [`Sequencer::ask_again`].
    pub(crate) fn ask_again(&self) {
        self.lock().ask_again();
    }

    /// Lets the file catch up with what has been recorded.
    pub(crate) fn hand_over(&self) {
        if let Some(file) = &mut self.lock().file {
            file.hand_over();
        }
    }

    /// Everything recorded so far is in the file when this returns.
    ///
    /// # Errors
    /// If any of it could not be written.
    pub(crate) async fn flush(&self) -> anyhow::Result<()> {
        let flushed = self.lock().file.as_mut().map(HistoryFile::flush);
        match flushed {
            Some(flushed) => flushed.await,
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sequencer> {
        // A panic under the lock leaves at worst an event that was stamped and not written: still an order.
        self.0.sequencer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sequencer {
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
        completion: &Completion,
    ) -> Option<u64> {
        let event = |i, t_ns| HistoryEvent {
            i,
            t_ns,
            client,
            node: completion.node,
            phase: completion.phase(),
            op: intent.op,
            key: intent.key.clone(),
            value: if intent.op == OpKind::Get { completion.seen.clone() } else { intent.value.clone() },
            consistency: intent.consistency,
            epoch: completion.at.map(|at| at.epoch),
            seq: completion.at.map(|at| at.seq),
        };
        self.refused_stale += u64::from(completion.refused_stale);
        self.record(event, now).1
    }

    /// Something has happened since which acknowledged writes that were found may be gone: they count as unread until they
    /// are found again.
    pub(crate) fn ask_again(&mut self) {
        self.judging.ask_again();
    }

    /// The verdict so far. `read_back`: everything has been, as far as it could be. `members_equal`: what comparing
    /// them has found, if they have been compared.
    pub(crate) fn verdict(&self, read_back: bool, members_equal: Option<bool>) -> Verdict {
        let mut verdict = self.judging.verdict(read_back);
        verdict.promise.members_equal = members_equal;
        verdict.harm.refused_stale = self.refused_stale;
        verdict
    }

    /// The violations that were found since this was last asked: together at most
    /// [`VIOLATIONS_PROVED_MAX`](super::VIOLATIONS_PROVED_MAX).
    pub(crate) fn take_violations(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.found)
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
