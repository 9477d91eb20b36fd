//! Operations for the timeline: invoke and reply joined in one, and no more of them than a browser can hold.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::{BTreeMap, HashMap};

use kvlab::judge::{Consistency, HistoryEvent, OpKind, Operation, Phase, Stale, Value};
use kvlab::types::{Epoch, NodeId};

/// Operations that went well that are shown at most: beyond it every second one is left out, then every second one of
/// those. As many of those that failed, or whose outcome is unknown, have room beside them. Operations of a violation
/// all stay.
pub(super) const KEPT_MAX: usize = 200_000;

/// One client operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimelineOp {
    /// The history's index of its invoke: its name, in proofs too.
    pub(super) i: u64,
    pub(super) client: u32,
    /// The node that was asked first.
    pub(super) asked: Option<NodeId>,
    /// The node that answered, or did not.
    pub(super) node: Option<NodeId>,
    pub(super) op: OpKind,
    pub(super) consistency: Consistency,
    pub(super) key: String,
    /// Written or seen; `None`: absent, or nothing is known.
    pub(super) value: Option<String>,
    /// Microseconds since the run began.
    pub(super) began_us: u64,
    /// From invoke to reply, in microseconds; `None`: no reply.
    pub(super) took_us: Option<u64>,
    /// How it ended; `Phase::Invoke`: it did not.
    pub(super) phase: Phase,
    pub(super) epoch: Option<Epoch>,
    pub(super) seq: Option<u64>,
    /// Eventual reads: how stale what it saw was.
    pub(super) stale: Option<Stale>,
}

/// Pairs events to operations and keeps as many as a page can hold.
#[derive(Debug)]
pub(super) struct Collector {
    /// By client: each does one thing at a time.
    running: HashMap<u32, TimelineOp>,
    well: Thinned,
    /// Failed, or of unknown outcome.
    ill: Thinned,
}

/// Operations of which only every so many are kept once there are too many.
#[derive(Debug)]
struct Thinned {
    kept: Vec<TimelineOp>,
    stride: u64,
    seen: u64,
    max: usize,
}

/// What a page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Operations {
    /// In the order in which they began.
    pub(super) shown: Vec<TimelineOp>,
    /// How many there were.
    pub(super) total: u64,
    /// How many that failed, or whose outcome is unknown, are not shown.
    pub(super) ill_left_out: u64,
}

impl TimelineOp {
    fn invoked(event: &HistoryEvent) -> Self {
        Self {
            i: event.i,
            client: event.client,
            asked: event.node,
            node: event.node,
            op: event.op,
            consistency: event.consistency,
            key: event.key.clone(),
            value: event.value.clone(),
            began_us: event.t_ns / 1000,
            took_us: None,
            phase: Phase::Invoke,
            epoch: None,
            seq: None,
            stale: None,
        }
    }

    fn ended(self, event: &HistoryEvent, stale: Option<Stale>) -> Self {
        Self {
            node: event.node.or(self.node),
            value: event.value.clone(),
            took_us: Some((event.t_ns / 1000).saturating_sub(self.began_us)),
            phase: event.phase,
            epoch: event.epoch,
            seq: event.seq,
            stale,
            ..self
        }
    }

    /// As a proof remembers it.
    pub(super) fn proved(operation: &Operation) -> Self {
        let began_us = operation.began.t_ns / 1000;
        let ended = operation.ended.as_ref();
        Self {
            i: operation.began.i,
            client: operation.client,
            asked: operation.node,
            node: operation.node,
            op: operation.op,
            consistency: operation.consistency,
            key: operation.key.clone(),
            value: operation.value.as_ref().map(Value::to_plain),
            began_us,
            took_us: ended.map(|ended| (ended.at.t_ns / 1000).saturating_sub(began_us)),
            phase: ended.map_or(Phase::Invoke, |ended| ended.phase),
            epoch: ended.and_then(|ended| ended.epoch),
            seq: ended.and_then(|ended| ended.seq),
            stale: None,
        }
    }
}

impl Collector {
    /// Keeps at most `max` of each sort; see [`KEPT_MAX`].
    pub(super) fn new(max: usize) -> Self {
        Self { running: HashMap::new(), well: Thinned::new(max), ill: Thinned::new(max) }
    }

    /// The next event, and how stale what it saw was, if it is a read's reply.
    pub(super) fn observe(&mut self, event: &HistoryEvent, stale: Option<Stale>) {
        if event.phase == Phase::Invoke {
            // A client that goes on after an operation without a reply: the history's rules forbid it, the page bears it.
            if let Some(open) = self.running.insert(event.client, TimelineOp::invoked(event)) {
                self.ill.push(open);
            }
        } else if let Some(op) = self.running.remove(&event.client) {
            let sort = if event.phase == Phase::Ok { &mut self.well } else { &mut self.ill };
            sort.push(op.ended(event, stale));
        }
    }

    /// No event will follow. Operations of a violation stay, whatever else has been left out.
    pub(super) fn finish<'o>(mut self, accused: impl Iterator<Item = &'o Operation>) -> Operations {
        let mut open: Vec<TimelineOp> = std::mem::take(&mut self.running).into_values().collect();
        open.sort_by_key(|op| op.i);
        open.into_iter().for_each(|op| self.ill.push(op));
        let (total, ill_left_out) = (self.well.seen + self.ill.seen, self.ill.left_out());
        let mut shown: BTreeMap<u64, TimelineOp> =
            accused.map(|operation| (operation.began.i, TimelineOp::proved(operation))).collect();
        // What was collected says more than a proof does: who was asked first.
        shown.extend(self.well.kept.into_iter().chain(self.ill.kept).map(|op| (op.i, op)));
        Operations { shown: shown.into_values().collect(), total, ill_left_out }
    }
}

impl Thinned {
    fn new(max: usize) -> Self {
        Self { kept: Vec::new(), stride: 1, seen: 0, max: max.max(1) }
    }

    fn push(&mut self, op: TimelineOp) {
        if self.seen.is_multiple_of(self.stride) {
            self.kept.push(op);
        }
        self.seen += 1;
        if self.kept.len() > self.max {
            let mut nth = 0_usize;
            self.kept.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.stride *= 2;
        }
    }

    fn left_out(&self) -> u64 {
        self.seen - self.kept.len() as u64
    }
}

impl Operations {
    /// How many are not shown.
    pub(super) fn left_out(&self) -> u64 {
        self.total.saturating_sub(self.shown.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::fixture;

    fn collected(max: usize, events: &[HistoryEvent], accused: &[Operation]) -> Operations {
        let mut collector = Collector::new(max);
        for event in events {
            collector.observe(event, None);
        }
        collector.finish(accused.iter())
    }

    #[test]
    fn events_become_operations_and_one_without_a_reply_stays_open() {
        let mut history = fixture::History::default();
        history.put(1, "q0", "c1-1", Phase::Ok).put(2, "q0", "c2-1", Phase::Info).get(1, "q0", Some("c1-1"));
        let events = [history.events(), vec![fixture::invoke(99, 3, "q1")]].concat();
        let operations = collected(100, &events, &[]);
        let phases: Vec<_> = operations.shown.iter().map(|op| op.phase).collect();
        assert_eq!(phases, [Phase::Ok, Phase::Info, Phase::Ok, Phase::Invoke]);
        assert_eq!((operations.total, operations.left_out()), (4, 0));
        assert_eq!(operations.shown[2].value.as_deref(), Some("c1-1"));
        assert_eq!(operations.shown[3].took_us, None);
    }

    #[test]
    fn operations_are_thinned_evenly_and_those_that_failed_apart() {
        let mut history = fixture::History::default();
        for n in 0..1000 {
            let phase = if n % 100 == 7 { Phase::Fail } else { Phase::Ok };
            history.put(1, "q0", &format!("c1-{n}"), phase);
        }
        let events = history.events();
        let operations = collected(100, &events, &[]);
        let failed = operations.shown.iter().filter(|op| op.phase == Phase::Fail).count();
        assert_eq!((operations.total, failed, operations.ill_left_out), (1000, 10, 0));
        let ordinary = operations.shown.len() - failed;
        assert!((50..=100).contains(&ordinary), "{ordinary}");
        let last = operations.shown.iter().rfind(|op| op.phase == Phase::Ok).expect("one");
        assert!(last.i > 1900, "from all of the run: {last:?}");
        assert!(operations.shown.is_sorted_by_key(|op| op.i));

        let missing = (1..).step_by(2).find(|i| !operations.shown.iter().any(|op| op.i == *i)).expect("one");
        let few = collected(7, &events, &[]);
        assert_eq!((few.ill_left_out, few.total), (5, 1000), "they are bounded as well");

        let accused = fixture::operation(missing, 1, "q0", "c1-1");
        let with = collected(100, &events, &[accused]);
        assert!(with.shown.iter().any(|op| op.i == missing), "an operation of a proof is there");
        assert_eq!((with.shown.len(), with.total), (operations.shown.len() + 1, 1000));
    }
}
