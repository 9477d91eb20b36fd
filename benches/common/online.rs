//! Histories for the benchmarks of the online judge: endless, made event by event, every value unique.

use kvlab::judge::{Consistency, HistoryEvent, OpKind, Phase};
use kvlab::types::{Epoch, NodeId};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Clients, each with one operation at a time.
const CLIENTS: usize = 32;

/// A working register for each key, and clients that overlap at random. Half the operations are writes.
pub(crate) struct Source {
    rng: SmallRng,
    keys: Vec<(String, Option<String>)>,
    running: Vec<Option<HistoryEvent>>,
    unknown: f64,
    i: u64,
}

impl Source {
    /// A history of so many keys, with this part of the outcomes unknown; always the same.
    pub(crate) fn new(keys: usize, unknown: f64) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(1),
            keys: (0..keys).map(|key| (format!("r{key}"), None)).collect(),
            running: vec![None; CLIENTS],
            unknown,
            i: 0,
        }
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> HistoryEvent {
        let client = self.rng.random_range(0..CLIENTS);
        let mut event = match self.running[client].take() {
            None => self.invoke(client),
            Some(invoked) => self.reply(invoked),
        };
        event.i = self.i;
        event.t_ns = self.i * 10_000;
        self.i += 1;
        event
    }

    fn invoke(&mut self, client: usize) -> HistoryEvent {
        let key = self.rng.random_range(0..self.keys.len());
        let writes = self.rng.random_bool(0.5);
        let event = HistoryEvent {
            i: 0,
            t_ns: 0,
            client: client as u32,
            node: Some(NodeId(1 + (client % 3) as u8)),
            phase: Phase::Invoke,
            op: if writes { OpKind::Put } else { OpKind::Get },
            key: self.keys[key].0.clone(),
            value: writes.then(|| format!("c{client}-{}", self.i)),
            consistency: Consistency::Quorum,
            epoch: None,
            seq: None,
        };
        self.running[client] = Some(event.clone());
        event
    }

    /// Operations take effect when they end.
    fn reply(&mut self, mut event: HistoryEvent) -> HistoryEvent {
        let unknown = self.rng.random_bool(self.unknown);
        event.phase = if unknown { Phase::Info } else { Phase::Ok };
        if !unknown {
            event.epoch = Some(Epoch { number: 1, node: NodeId(1) });
            event.seq = Some(self.i);
        }
        let state = self.keys.iter_mut().find(|(key, _)| *key == event.key).expect("one of ours");
        if event.op == OpKind::Get {
            event.value = state.1.clone().filter(|_| !unknown);
        } else if !unknown || self.rng.random() {
            state.1 = event.value.clone();
        }
        event
    }
}
