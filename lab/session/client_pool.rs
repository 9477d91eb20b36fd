//! The clients of persons and of scenario steps: each operation takes one from a small pool and gives it back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kvlab::types::NodeId;
use tokio::sync::Semaphore;

use crate::run::event::{Actor, Operation};
use crate::run::history::{Intent, Recorder};
use crate::workload::{LabClient, Way, Zones};

/// Operations at once; further ones wait.
const CLIENTS_MAX: usize = 16;
/// Keys that are remembered, to be read back at the end.
const KEYS_MAX: usize = 10_000;

/// A small pool of clients. Each has its own number in the history and does one thing at a time.
#[derive(Debug)]
pub(super) struct ClientPool {
    recorder: Recorder,
    zones: Arc<dyn Zones>,
    seed: u64,
    places: Semaphore,
    clients: Mutex<Clients>,
    keys: Mutex<BTreeSet<String>>,
}

/// At most as many as there are places, idle or not.
#[derive(Debug, Default)]
struct Clients {
    idle: Vec<LabClient>,
    count: usize,
}

impl ClientPool {
    pub(super) fn new(recorder: Recorder, zones: Arc<dyn Zones>, seed: u64) -> Self {
        let places = Semaphore::new(CLIENTS_MAX);
        Self { recorder, zones, seed, places, clients: Mutex::default(), keys: Mutex::default() }
    }

    /// Asks something in the zone of the node that is asked first.
    pub(super) async fn ask(&self, by: Actor, way: Way, intent: Intent) -> Operation {
        let _place = self.places.acquire().await.expect("the places are never closed");
        let mut client = self.take(way.first());
        self.remember(&intent.key);
        let operation = client.carry_out(&self.recorder, way, intent, None).await;
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).idle.push(client);
        Operation { by: Some(by), ..operation }
    }

    /// Every key that was asked for.
    pub(super) fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// An idle client that is at home there; or else a new one, while there is room; or else any idle one. There is
    /// one: whoever has a place accounts for one client, and there are as many clients as places.
    fn take(&self, home: NodeId) -> LabClient {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = clients.idle.iter().position(|client| client.home() == Some(home)) {
            return clients.idle.swap_remove(index);
        }
        if clients.count >= CLIENTS_MAX
            && let Some(mut client) = clients.idle.pop()
        {
            client.move_to(Some(home));
            return client;
        }
        clients.count += 1;
        LabClient::new(&self.recorder, Arc::clone(&self.zones), Some(home), self.seed)
    }

    fn remember(&self, key: &str) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < KEYS_MAX && !keys.contains(key) {
            keys.insert(key.to_owned());
        }
    }
}
