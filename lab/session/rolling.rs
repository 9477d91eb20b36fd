//! The ledger, read back all the time while the run goes on.
#![expect(clippy::disallowed_methods, reason = "tasks and timers of the rolling read-back live here")]

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use kvlab::types::{NodeId, ReadLevel};
use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::task::JoinSet;

use super::doubt::{Doubt, whom_to_ask};
use super::run::Session;
use crate::run::event::{Outcome, Stamped};
use crate::run::history::Intent;
use crate::workload::ledger::ReadingBack;
use crate::workload::{LabClient, Way};

/// Clients that read back at once.
const READERS: usize = 8;
/// Whether there is something to read is looked at this often at least.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Keys written by hand that are read back all the time; of more, the first ones.
const BY_HAND_MAX: usize = 1000;
/// A key written by hand that could not be read is asked for again after this.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(250);

/// What a person has written. It is read back once after each write, and again when everything is.
#[derive(Debug, Default)]
pub(super) struct ByHand {
    keys: BTreeSet<String>,
    /// Those to be read.
    due: BTreeSet<String>,
    not_before: Duration,
}

/// A key that is read back.
#[derive(Clone, Debug)]
enum Wanted {
    OfLedger(ReadingBack),
    ByHand(String),
}

/// What tells that everything must be asked for again.
#[derive(Debug)]
pub(super) struct DoubtWatch {
    doubt: Doubt,
    events: broadcast::Receiver<Stamped>,
}

impl DoubtWatch {
    /// `events` were subscribed before the first of them.
    pub(super) fn new(events: broadcast::Receiver<Stamped>) -> Self {
        Self { doubt: Doubt::default(), events }
    }

    /// Whether any event since the last call raises doubt.
    fn raised(&mut self) -> bool {
        let mut raised = false;
        loop {
            match self.events.try_recv() {
                Ok(event) => raised |= Doubt::is_raised_by(&event.event),
                // Nobody knows what was missed.
                Err(TryRecvError::Lagged(_)) => raised = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return raised,
            }
        }
    }
}

impl Session {
    /// Takes in what has happened: nothing that was found before a change counts as found after it. To be called before
    /// anything is said of losses.
    pub(super) fn catch_up_with_doubt(&self) {
        let mut watch = self.0.doubt.lock().unwrap_or_else(PoisonError::into_inner);
        let raised = watch.raised();
        if watch.doubt.look(&self.0.cluster.view()) || raised {
            self.ask_again();
        }
    }

    /// Everything must be asked for again.
    pub(super) fn ask_again(&self) {
        self.0.workload.ask_again();
        self.0.recorder.ask_again();
        let mut by_hand = self.by_hand();
        by_hand.due = by_hand.keys.clone();
    }

    /// A person has written this key.
    pub(super) fn written_by_hand(&self, key: &str) {
        let mut by_hand = self.by_hand();
        if by_hand.keys.len() < BY_HAND_MAX || by_hand.keys.contains(key) {
            by_hand.keys.insert(key.to_owned());
            by_hand.due.insert(key.to_owned());
        }
    }

    fn by_hand(&self) -> MutexGuard<'_, ByHand> {
        self.0.by_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the ledger back for as long as the session lives, except while it settles.
    pub(super) async fn read_back_always(self) {
        let mut idle: Vec<LabClient> = Vec::new();
        let mut reading: JoinSet<(LabClient, Wanted, bool)> = JoinSet::new();
        loop {
            let wait = match self.next_to_read(reading.len()) {
                Ok((read, node)) => {
                    let client = idle.pop().unwrap_or_else(|| {
                        LabClient::new(&self.0.recorder, Arc::clone(&self.0.zones), None, 0)
                    });
                    let session = self.clone();
                    reading.spawn(async move { session.read(client, read, node).await });
                    continue;
                }
                Err(wait) => wait,
            };
            tokio::select! {
                Some(done) = reading.join_next(), if !reading.is_empty() => {
                    // If it panicked, its number in the history is spent: what it asked last has no answer.
                    if let Ok((client, read, answered)) = done {
                        idle.push(client);
                        self.was_read(read, answered);
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// What to read now, and where; or how long to wait before looking again.
    fn next_to_read(&self, reading: usize) -> Result<(Wanted, NodeId), Duration> {
        if reading >= READERS || self.0.settling.load(Ordering::Relaxed) {
            return Err(LOOK_EVERY);
        }
        let now = self.0.journal.now();
        let by_hand = {
            let by_hand = self.by_hand();
            !by_hand.due.is_empty() && by_hand.not_before <= now
        };
        let ledger_at = self.0.workload.next_read_at();
        if !by_hand && ledger_at > now {
            return Err((ledger_at - now).min(LOOK_EVERY));
        }
        let node = whom_to_ask(&self.0.cluster.view(), now).ok_or(LOOK_EVERY)?;
        let of_ledger = || self.0.workload.next_read(now).map(Wanted::OfLedger);
        let by_hand = if by_hand { self.by_hand().due.pop_first().map(Wanted::ByHand) } else { None };
        by_hand.or_else(of_ledger).map(|wanted| (wanted, node)).ok_or(LOOK_EVERY)
    }

    fn was_read(&self, wanted: Wanted, answered: bool) {
        match wanted {
            Wanted::OfLedger(read) => self.0.workload.was_read(read, answered),
            Wanted::ByHand(key) if !answered => {
                let mut by_hand = self.by_hand();
                by_hand.not_before = self.0.journal.now() + PAUSE_AFTER_FAILURE;
                by_hand.due.insert(key);
            }
            Wanted::ByHand(_) => {}
        }
    }

    async fn read(&self, mut client: LabClient, read: Wanted, node: NodeId) -> (LabClient, Wanted, bool) {
        let key = match &read {
            Wanted::OfLedger(read) => read.key.name(),
            Wanted::ByHand(key) => key.clone(),
        };
        let intent = Intent::get(key, ReadLevel::Quorum);
        let operation = client.carry_out(&self.0.recorder, Way::Only(node), intent, None).await;
        (client, read, operation.outcome == Outcome::Ok)
    }
}
