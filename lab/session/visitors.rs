//! The clients of persons and of scenario steps: they come, ask one thing in some node's zone, and go.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kvlab::replication::NodeId;
use tokio::sync::Semaphore;

use crate::event::{Actor, Operation};
use crate::history::{Intent, Recorder};
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
    idle: Mutex<Vec<Hand>>,
    keys: Mutex<BTreeSet<String>>,
}

impl Visitors {
    pub(super) fn new(recorder: Recorder, zones: Arc<dyn Zones>, seed: u64) -> Self {
        let places = Semaphore::new(VISITORS_MAX);
        Self { recorder, zones, seed, places, idle: Mutex::default(), keys: Mutex::default() }
    }

    /// Asks something in the zone of `home`. `intent` is given the client, for a fresh value.
    pub(super) async fn ask(
        &self,
        by: Actor,
        home: NodeId,
        way: Way,
        intent: impl FnOnce(&mut Hand) -> Intent,
    ) -> Operation {
        let _place = self.places.acquire().await.expect("the places are never closed");
        let mut hand = self.come(home);
        let intent = intent(&mut hand);
        self.remember(&intent.key);
        let operation = hand.carry_out(&self.recorder, way, intent, None).await;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(hand);
        Operation { by: Some(by), ..operation }
    }

    /// Every key that a visitor has touched.
    pub(super) fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Somebody idle who is at home there, or else anybody idle, or else somebody new.
    fn come(&self, home: NodeId) -> Hand {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at_home = idle.iter().position(|hand| hand.home() == Some(home));
        let found = at_home.map(|index| idle.swap_remove(index)).or_else(|| {
            // A new one for each zone first: connections are kept.
            if idle.len() < VISITORS_MAX / 2 { None } else { idle.pop() }
        });
        match found {
            Some(mut hand) => {
                hand.move_to(Some(home));
                hand
            }
            None => Hand::new(&self.recorder, Arc::clone(&self.zones), Some(home), self.seed),
        }
    }

    fn remember(&self, key: &str) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < KEYS_MAX && !keys.contains(key) {
            keys.insert(key.to_owned());
        }
    }
}
