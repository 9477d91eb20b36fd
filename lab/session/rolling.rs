//! The ledger, read back all the time while the run goes on.
#![expect(clippy::disallowed_methods, reason = "tasks and timers of the rolling read-back live here")]

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use kvlab::types::{NodeId, ReadLevel};
use tokio::task::JoinSet;

use super::asking::ByHand;
use super::doubt::whom_to_ask;
use super::run::Session;
use crate::run::event::Outcome;
use crate::run::history::Intent;
use crate::workload::ledger::ReadingBack;
use crate::workload::{LabClient, Way};

/// Clients that read back at once.
const READERS: usize = 8;
/// Whether there is something to read is looked at this often at least.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A key that is read back.
#[derive(Clone, Debug)]
enum Wanted {
    OfLedger(ReadingBack),
    ByHand(String),
}

impl Session {
    /// Takes in what has happened: nothing that was found before a change counts as found after it. To be called before
    /// anything is said of losses.
    pub(super) fn catch_up_with_doubt(&self) {
        let mut watch = self.0.doubt.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.is_raised(&self.0.cluster.view()) {
            self.ask_again();
        }
    }

    /// Everything must be asked for again.
    pub(super) fn ask_again(&self) {
        // In this order: what is read in between is read again, and not the other way round.
        self.0.recorder.ask_again();
        self.0.workload.ask_again();
        self.by_hand().ask_again();
    }

    /// A person has written this key.
    pub(super) fn written_by_hand(&self, key: &str) {
        self.by_hand().written(key);
    }

    fn by_hand(&self) -> MutexGuard<'_, ByHand> {
        self.0.by_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the ledger back for as long as the session lives, except while it settles.
    pub(super) async fn read_back_always(self) {
        let mut idle: Vec<LabClient> = Vec::new();
        let mut reading: JoinSet<(LabClient, Wanted, Option<Option<String>>)> = JoinSet::new();
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
                    if let Ok((client, read, answer)) = done {
                        idle.push(client);
                        self.was_read(read, answer);
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
        let by_hand = self.by_hand().is_due(now);
        let ledger_at = self.0.workload.next_read_at();
        if !by_hand && ledger_at > now {
            return Err((ledger_at - now).min(LOOK_EVERY));
        }
        let node = whom_to_ask(&self.0.cluster.view(), now).ok_or(LOOK_EVERY)?;
        let of_ledger = || self.0.workload.next_read(now).map(Wanted::OfLedger);
        let by_hand = self.by_hand().next_read(now).map(Wanted::ByHand);
        by_hand.or_else(of_ledger).map(|wanted| (wanted, node)).ok_or(LOOK_EVERY)
    }

    fn was_read(&self, wanted: Wanted, answer: Option<Option<String>>) {
        match wanted {
            Wanted::OfLedger(read) => self.0.workload.was_read(read, answer),
            Wanted::ByHand(key) if answer.is_none() => self.by_hand().was_not_read(key, self.0.journal.now()),
            Wanted::ByHand(_) => {}
        }
    }

    async fn read(
        &self,
        mut client: LabClient,
        read: Wanted,
        node: NodeId,
    ) -> (LabClient, Wanted, Option<Option<String>>) {
        let key = match &read {
            Wanted::OfLedger(read) => read.key.name(),
            Wanted::ByHand(key) => key.clone(),
        };
        let intent = Intent::get(key, ReadLevel::Quorum);
        let operation = client.carry_out(&self.0.recorder, Way::Only(node), intent, None).await;
        (client, read, (operation.outcome == Outcome::Ok).then_some(operation.value))
    }
}
