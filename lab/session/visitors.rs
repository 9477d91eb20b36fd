//! The clients of persons and of scenario steps: they come, ask one thing in some node's zone, and go.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kvlab::types::NodeId;
use tokio::sync::Semaphore;

use crate::run::event::{Actor, Operation};
use crate::run::history::{Intent, Recorder};
use crate::workload::{Hand, Way, Zones};

/// Visitors at once; further ones wait.
const VISITORS_MAX: usize = 16;
/// Keys of visitors that are remembered, to be compared at the end.
const KEYS_MAX: usize = 10_000;

/// A small pool of clients. Each has its own number in the history and does one thing at a time.
#[derive(Debug)]
pub(super) struct Visitors {
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
    idle: Vec<Hand>,
    count: usize,
}

impl Visitors {
    pub(super) fn new(recorder: Recorder, zones: Arc<dyn Zones>, seed: u64) -> Self {
        let places = Semaphore::new(VISITORS_MAX);
        Self { recorder, zones, seed, places, clients: Mutex::default(), keys: Mutex::default() }
    }

    /// Asks something in the zone of the node that is asked first.
    pub(super) async fn ask(&self, by: Actor, way: Way, intent: Intent) -> Operation {
        let _place = self.places.acquire().await.expect("the places are never closed");
        let mut hand = self.come(way.first());
        self.remember(&intent.key);
        let operation = hand.carry_out(&self.recorder, way, intent, None).await;
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).idle.push(hand);
        Operation { by: Some(by), ..operation }
    }

    /// Every key that a visitor has touched.
    pub(super) fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Somebody idle who is at home there; or else somebody new, while there is room; or else anybody idle. There
    /// is somebody: whoever has a place and is not the caller accounts for one client less than there can be.
    fn come(&self, home: NodeId) -> Hand {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = clients.idle.iter().position(|hand| hand.home() == Some(home)) {
            return clients.idle.swap_remove(index);
        }
        if clients.count >= VISITORS_MAX
            && let Some(mut hand) = clients.idle.pop()
        {
            hand.move_to(Some(home));
            return hand;
        }
        clients.count += 1;
        Hand::new(&self.recorder, Arc::clone(&self.zones), Some(home), self.seed)
    }

    fn remember(&self, key: &str) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < KEYS_MAX && !keys.contains(key) {
            keys.insert(key.to_owned());
        }
    }
}
