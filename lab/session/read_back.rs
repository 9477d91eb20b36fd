//! Reading everything back with quorum reads, once the cluster is at rest.
#![expect(clippy::disallowed_methods, reason = "tasks and deadlines of the read-back live here")]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kvlab::types::{NodeId, ReadLevel};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::run::event::Outcome;
use crate::run::history::{Intent, Recorder};
use crate::workload::{LabClient, Way, Zones};

/// Clients that read back at once.
const READERS: usize = 16;
/// How often one key is asked for before it counts as unread.
const TRIES: u32 = 3;
/// How long all of it may take. What has not been read by then counts as unread.
const READ_BACK_WITHIN: Duration = Duration::from_secs(30);
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Clients of the read-back, kept between two of them: each number in the history is one client.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<Vec<LabClient>>);

/// What is shared by the readers.
struct Reading {
    keys: Vec<String>,
    next: AtomicUsize,
    done: AtomicU64,
    unread: AtomicU64,
    deadline: Instant,
    recorder: Recorder,
    members: Vec<NodeId>,
}

impl Readers {
    /// Reads every key with a quorum; what is seen goes to the judge. `progress` is told how far it has come and
    /// how far it has to go, from the beginning to the end. Returns how many could not be read.
    pub(super) async fn read(
        &self,
        keys: Vec<String>,
        recorder: &Recorder,
        zones: &Arc<dyn Zones>,
        progress: impl Fn(u64, u64),
    ) -> u64 {
        let total = keys.len() as u64;
        progress(0, total);
        let reading = Arc::new(Reading {
            keys,
            next: AtomicUsize::new(0),
            done: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            deadline: Instant::now() + READ_BACK_WITHIN,
            recorder: recorder.clone(),
            members: zones.members().to_vec(),
        });
        let mut readers = JoinSet::new();
        for (index, client) in self.take(recorder, zones).into_iter().enumerate() {
            let reading = Arc::clone(&reading);
            readers.spawn(async move { reading.work(index, client).await });
        }
        let mut ticks = tokio::time::interval(PROGRESS_EVERY);
        loop {
            tokio::select! {
                client = readers.join_next() => match client {
                    Some(Ok(client)) => self.put_back(client),
                    Some(Err(_)) => {} // Its number in the history is spent: what it asked last has no answer.
                    None => break,
                },
                _ = ticks.tick() => progress(reading.done.load(Ordering::Relaxed), total),
            }
        }
        progress(reading.done.load(Ordering::Relaxed), total);
        reading.unread.load(Ordering::Relaxed)
    }

    fn take(&self, recorder: &Recorder, zones: &Arc<dyn Zones>) -> Vec<LabClient> {
        let mut clients = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while clients.len() < READERS {
            clients.push(LabClient::new(recorder, Arc::clone(zones), None, 0));
        }
        clients
    }

    fn put_back(&self, client: LabClient) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(client);
    }
}

impl Reading {
    async fn work(&self, index: usize, mut client: LabClient) -> LabClient {
        while let Some(key) = self.keys.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let read = self.read(index, &mut client, key).await;
            self.unread.fetch_add(u64::from(!read), Ordering::Relaxed);
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        client
    }

    /// Whether it could be read.
    async fn read(&self, index: usize, client: &mut LabClient, key: &str) -> bool {
        for attempt in 0..TRIES {
            if Instant::now() >= self.deadline {
                return false;
            }
            // Readers begin at different members, and go to another when one fails them.
            let first = self.members[(index + attempt as usize) % self.members.len()];
            let intent = Intent::get(key.to_owned(), ReadLevel::Quorum);
            let operation = client.carry_out(&self.recorder, Way::From(first), intent, None).await;
            if operation.outcome == Outcome::Ok {
                return true;
            }
        }
        false
    }
}
