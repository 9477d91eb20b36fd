//! Random small histories: of a register that works, and of one that does not.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::super::*;
use crate::types::NodeId;

/// What a random history may have in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kind {
    /// Deletes.
    pub(super) deletes: bool,
    /// Values that are written more than once.
    pub(super) repeats: bool,
    /// Eventual reads among the quorum operations.
    pub(super) eventual: bool,
}

struct Running {
    event: HistoryEvent,
    /// What a read of the working register sees, once it has taken effect.
    effect: Option<Option<String>>,
    /// A write that did not take effect and never will.
    lost: bool,
}

/// A register and its clients. Operations take effect at some moment while they run; then reads are falsified at
/// a rate chosen by the seed.
struct Maker {
    rng: StdRng,
    kind: Kind,
    events: Vec<HistoryEvent>,
    running: Vec<Option<Running>>,
    state: Option<String>,
    /// Unknown writes that may take effect yet.
    late: Vec<Option<String>>,
    written: Vec<String>,
    wrong: f64,
}

/// At most ten operations of at most four clients on one key, `k`.
pub(super) fn history(seed: u64, kind: Kind) -> Vec<HistoryEvent> {
    let mut rng = StdRng::seed_from_u64(seed);
    let clients = rng.random_range(1..=4);
    let operations = rng.random_range(4..=10);
    let wrong = *[0.0, 0.2, 0.5, 1.0].choose(&mut rng).unwrap();
    let mut maker = Maker {
        rng,
        kind,
        events: Vec::new(),
        running: (0..clients).map(|_| None).collect(),
        state: None,
        late: Vec::new(),
        written: Vec::new(),
        wrong,
    };
    maker.run(operations);
    maker.events
}

impl Maker {
    fn run(&mut self, operations: usize) {
        let mut left = operations;
        while left > 0 || self.running.iter().any(Option::is_some) {
            let client = self.rng.random_range(0..self.running.len());
            match &self.running[client] {
                None if left > 0 => {
                    left -= 1;
                    self.invoke(client);
                }
                // Some never end.
                None if self.rng.random_bool(0.03) => return,
                None => {}
                Some(running) if running.effect.is_none() && !running.lost => self.take_effect(client),
                Some(_) if self.rng.random_bool(0.5) => self.reply(client),
                Some(_) => {}
            }
            if !self.late.is_empty() && self.rng.random_bool(0.1) {
                self.state = self.late.remove(0);
            }
        }
    }

    fn invoke(&mut self, client: usize) {
        let op = match self.rng.random_range(0..10) {
            0..=4 => OpKind::Get,
            5 if self.kind.deletes => OpKind::Del,
            _ => OpKind::Put,
        };
        let value = (op == OpKind::Put).then(|| {
            if self.kind.repeats && !self.written.is_empty() && self.rng.random_bool(0.3) {
                return self.written.choose(&mut self.rng).unwrap().clone();
            }
            format!("v{}", self.written.len())
        });
        self.written.extend(value.clone());
        let eventual = op == OpKind::Get && self.kind.eventual && self.rng.random_bool(0.3);
        let consistency = if eventual { Consistency::Eventual } else { Consistency::Quorum };
        let event = self.stamp(client, Phase::Invoke, op, value, consistency);
        self.running[client] = Some(Running { event, effect: None, lost: false });
    }

    fn take_effect(&mut self, client: usize) {
        let running = self.running[client].as_mut().unwrap();
        match running.event.op {
            OpKind::Get => running.effect = Some(self.state.clone()),
            OpKind::Put | OpKind::Del if self.rng.random_bool(0.2) => running.lost = true,
            OpKind::Put | OpKind::Del => {
                self.state = running.event.value.clone();
                running.effect = Some(None);
            }
        }
    }

    fn reply(&mut self, client: usize) {
        let Running { event, effect, lost } = self.running[client].take().unwrap();
        let unknown = self.rng.random_bool(0.15);
        let (phase, value) = match event.op {
            OpKind::Get if unknown => (if self.rng.random() { Phase::Info } else { Phase::Fail }, None),
            OpKind::Get => (Phase::Ok, self.falsify(effect.flatten())),
            // A wrong register also claims that a write failed which did not.
            OpKind::Put | OpKind::Del if lost || self.rng.random_bool(self.wrong / 10.0) => {
                if self.rng.random() {
                    (Phase::Fail, event.value.clone())
                } else {
                    self.late.push(event.value.clone());
                    (Phase::Info, event.value.clone())
                }
            }
            OpKind::Put | OpKind::Del if unknown => (Phase::Info, event.value.clone()),
            OpKind::Put | OpKind::Del => (Phase::Ok, event.value.clone()),
        };
        self.stamp(client, phase, event.op, value, event.consistency);
    }

    fn falsify(&mut self, value: Option<String>) -> Option<String> {
        if !self.rng.random_bool(self.wrong) {
            return value;
        }
        match self.rng.random_range(0..10) {
            0 => Some("phantom".to_owned()),
            1 => None,
            _ => self.written.choose(&mut self.rng).cloned(),
        }
    }

    fn stamp(
        &mut self,
        client: usize,
        phase: Phase,
        op: OpKind,
        value: Option<String>,
        consistency: Consistency,
    ) -> HistoryEvent {
        let i = self.events.len() as u64;
        let event = HistoryEvent {
            i,
            t_ns: i * 1_000_000,
            client: client as u32,
            node: Some(NodeId(client as u8 + 1)),
            phase,
            op,
            key: "k".to_owned(),
            value,
            consistency,
            epoch: None,
            seq: None,
        };
        self.events.push(event.clone());
        event
    }
}

/// As a script: what a failing test shows.
pub(super) fn shown(events: &[HistoryEvent]) -> String {
    let line = |event: &HistoryEvent| {
        let value = event.value.as_deref().unwrap_or("-");
        let (phase, op, level) = (event.phase, event.op, event.consistency);
        format!("{} {phase:?} {op:?} {value} {level:?}\n", event.client).to_lowercase()
    };
    events.iter().map(line).collect()
}
