//! Counts over the whole history: how writes ended, and for how long none succeeded.

use super::availability::Availability;
use super::ids::Span;
use crate::judge::history::{Consistency, HistoryEvent, OpKind, Phase};
use crate::judge::judgement::{Keys, Unavailable, Writes};

#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) keys: Keys,
    pub(super) quorum: Writes,
    pub(super) unreplicated: Writes,
    pub(super) unknown: u64,
    pub(super) violations: u64,
    pub(super) not_linearizable: bool,
    any: Availability,
    any_quorum: Availability,
    any_async: Availability,
}

impl Totals {
    /// An operation begins.
    pub(super) fn began(&mut self, event: &HistoryEvent) {
        if event.op != OpKind::Get {
            self.any.tried(event.t_ns);
            self.of(event.consistency).1.tried(event.t_ns);
        }
    }

    /// An operation ended; `span` is whole.
    pub(super) fn ended(&mut self, op: OpKind, consistency: Consistency, span: &Span) {
        let (phase, t_ns) = (span.phase, span.ended.t_ns);
        self.unknown += u64::from(phase == Phase::Info);
        if op == OpKind::Get {
            return;
        }
        self.any.ended(t_ns, phase == Phase::Ok);
        let (writes, availability) = self.of(consistency);
        availability.ended(t_ns, phase == Phase::Ok);
        match phase {
            Phase::Ok => writes.acked += 1,
            Phase::Fail => writes.failed += 1,
            Phase::Info | Phase::Invoke => writes.unknown += 1,
        }
    }

    /// The longest time without a write that succeeded, up to now.
    pub(super) fn unavailable(&self, now_ns: u64) -> Unavailable {
        let ms = |availability: &Availability| availability.longest_ns(now_ns) / 1_000_000;
        Unavailable { any_ms: ms(&self.any), quorum_ms: ms(&self.any_quorum), async_ms: ms(&self.any_async) }
    }

    fn of(&mut self, consistency: Consistency) -> (&mut Writes, &mut Availability) {
        match consistency {
            Consistency::Quorum => (&mut self.quorum, &mut self.any_quorum),
            Consistency::Async | Consistency::Eventual => (&mut self.unreplicated, &mut self.any_async),
        }
    }
}
