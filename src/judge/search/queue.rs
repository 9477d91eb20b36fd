//! Queues: enqueue, dequeue. One keeps the order, the other does not.

use std::collections::BTreeMap;

use super::interner::Interner;
use super::{Call, Model};

/// A queue of values that are numbers; it starts empty.
///
/// * What dequeues returned says much about the order of the enqueues. If every value is enqueued once, and the dequeue
///   of `a` had ended before that of `b` began, or nobody dequeued `b`, then `a` was enqueued before `b`.
/// * Dequeues that began and ended together are one operation's, one after another.
#[derive(Debug, Default)]
pub struct QueueModel {
    is_fifo: bool,
    /// Of each value: whether some dequeue returned it.
    is_taken: Vec<bool>,
    /// Whether the queue was found empty by some dequeue.
    is_found_empty: bool,
    /// Whether every value is enqueued at most once.
    is_unique: bool,
    /// Whether some dequeues come one after another.
    is_drained: bool,
    /// A dequeue of a value that was not enqueued so often.
    misfit: Option<u32>,
    before: Vec<(u32, u32)>,
    contents: Interner<u32>,
}

/// An operation on a queue, with its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueOp {
    /// Enqueued this value.
    Enqueue(u32),
    /// Returned this value, and removed it.
    Dequeue(u32),
    /// Found the queue empty.
    Empty,
    /// Removed some value, if there was one: a dequeue of unknown outcome.
    Lose,
}

impl QueueModel {
    /// A queue that returns values in the order in which they were enqueued.
    pub fn fifo() -> Self {
        Self { is_fifo: true, ..Self::default() }
    }

    /// A queue that returns values in any order.
    pub fn unordered() -> Self {
        Self::default()
    }

    fn is_taken(&self, value: u32) -> bool {
        self.is_taken.get(value as usize).copied().unwrap_or(false)
    }
}

impl Model for QueueModel {
    type Op = QueueOp;
    type Step = QueueOp;
    type State = u32;

    fn only_looks(&self, op: &QueueOp) -> bool {
        *op == QueueOp::Empty
    }

    fn prepare(&mut self, calls: &[&Call<QueueOp>]) -> Vec<QueueOp> {
        *self = Self { is_fifo: self.is_fifo, ..Self::default() };
        let steps: Vec<QueueOp> = calls.iter().map(|call| call.op).collect();
        let values = steps.iter().filter_map(|step| step.value()).max().map_or(0, |last| last as usize + 1);
        self.is_taken = vec![false; values];
        let mut enqueued = vec![0_u32; values];
        for step in &steps {
            match *step {
                QueueOp::Enqueue(value) => enqueued[value as usize] += 1,
                QueueOp::Dequeue(value) => self.is_taken[value as usize] = true,
                QueueOp::Empty => self.is_found_empty = true,
                QueueOp::Lose => {}
            }
        }
        self.is_unique = enqueued.iter().all(|&times| times <= 1);
        let mut left = enqueued;
        let is_too_much = |step: &QueueOp| match step {
            QueueOp::Dequeue(value) => {
                let left = &mut left[*value as usize];
                left.checked_sub(1).map(|less| *left = less).is_none()
            }
            _ => false,
        };
        self.misfit = steps.iter().position(is_too_much).map(|at| at as u32);
        if self.is_fifo && self.is_unique {
            self.before = enqueued_before(calls, steps.contains(&QueueOp::Lose));
        }
        let is_dequeue = |call: &Call<QueueOp>| matches!(call.op, QueueOp::Dequeue(_));
        let together = |pair: &[&Call<QueueOp>]| {
            pair[0].began == pair[1].began && pair.iter().all(|call| is_dequeue(call))
        };
        let drained = calls.windows(2).zip(0_u32..).filter(|(pair, _)| together(pair));
        let drained: Vec<_> = drained.map(|(_, at)| (at, at + 1)).collect();
        self.is_drained = !drained.is_empty();
        self.before.extend(drained);
        steps
    }

    fn initial(&self) -> u32 {
        self.contents.number(&[])
    }

    fn step(&self, state: u32, step: QueueOp) -> Option<u32> {
        let held = self.contents.list(state);
        let without = |at: usize| self.contents.number(&[&held[..at], &held[at + 1..]].concat());
        match step {
            QueueOp::Enqueue(value) => {
                let at =
                    if self.is_fifo { held.len() } else { held.partition_point(|&other| other <= value) };
                Some(self.contents.number(&[&held[..at], &[value], &held[at..]].concat()))
            }
            QueueOp::Dequeue(value) if self.is_fifo => (held.first() == Some(&value)).then(|| without(0)),
            QueueOp::Dequeue(value) => held.binary_search(&value).ok().map(without),
            QueueOp::Empty => held.is_empty().then_some(state),
            // Nothing to lose, or a value that somebody else has got: then it is this operation that is nowhere. Of an
            // unordered queue all that is there must go, or nobody would notice: so the first will do.
            QueueOp::Lose => match held.first() {
                None => Some(state),
                Some(&value) if self.is_fifo && self.is_unique && self.is_taken(value) => None,
                Some(_) => Some(without(0)),
            },
        }
    }

    fn leads(&self, state: u32, looks: QueueOp) -> bool {
        self.step(state, looks).is_some()
    }

    fn is_source(&self, changes: QueueOp, _: QueueOp) -> bool {
        matches!(changes, QueueOp::Dequeue(_) | QueueOp::Lose)
    }

    fn is_idle(&self, step: QueueOp) -> bool {
        match step {
            QueueOp::Enqueue(value) => !self.is_taken(value),
            QueueOp::Lose => !self.is_fifo && !self.is_found_empty,
            QueueOp::Dequeue(_) | QueueOp::Empty => false,
        }
    }

    fn settles(&self, state: u32, step: QueueOp) -> Option<u32> {
        // Nobody minds if an unordered queue holds more, unless it is found empty; and what can be taken can be taken
        // now, unless another who waits for its turn needs it sooner.
        let is_free = match step {
            QueueOp::Enqueue(_) => true,
            QueueOp::Dequeue(_) => self.is_unique || !self.is_drained,
            QueueOp::Empty | QueueOp::Lose => false,
        };
        if is_free && !self.is_fifo && !self.is_found_empty { self.step(state, step) } else { None }
    }

    fn misfit(&self) -> Option<u32> {
        self.misfit
    }

    fn before(&self) -> &[(u32, u32)] {
        &self.before
    }
}

impl QueueOp {
    fn value(self) -> Option<u32> {
        match self {
            Self::Enqueue(value) | Self::Dequeue(value) => Some(value),
            Self::Empty | Self::Lose => None,
        }
    }
}

/// When a value was in a queue, as far as the times of its operations tell.
struct Stay {
    /// The call that enqueued it.
    call: u32,
    /// When that began, and had ended at the latest.
    enqueued: (u64, u64),
    /// When its dequeue began, and had ended; both never if there is none.
    dequeued: (u64, u64),
}

impl Stay {
    /// Whether the dequeues say that this one was enqueued before the other.
    fn was_before(&self, other: &Self) -> bool {
        self.dequeued.1 < other.dequeued.0
    }
}

/// Pairs of calls that enqueue, of which the first must come first, as far as the times of the calls do not say so. If
/// times contradict the dequeues there is a pair that says that too.
fn enqueued_before(calls: &[&Call<QueueOp>], may_lose: bool) -> Vec<(u32, u32)> {
    const NEVER: u64 = u64::MAX;
    let mut dequeues: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for call in calls {
        if let QueueOp::Dequeue(value) = call.op {
            // If it is dequeued twice there is no order, which the search finds by itself.
            dequeues.entry(value).or_insert((call.began, call.ended.unwrap_or(NEVER)));
        }
    }
    let stay = |(call, number): (&&Call<QueueOp>, u32)| {
        let QueueOp::Enqueue(value) = call.op else { return None };
        let ended = call.ended.unwrap_or(NEVER);
        match dequeues.get(&value) {
            Some(&dequeued) => {
                Some(Stay { call: number, enqueued: (call.began, ended.min(dequeued.1)), dequeued })
            }
            // What nobody got may have been lost, and what is not known to be there may not be.
            None if may_lose || call.ended.is_none() => None,
            None => Some(Stay { call: number, enqueued: (call.began, ended), dequeued: (NEVER, NEVER) }),
        }
    };
    let mut stays: Vec<Stay> = calls.iter().zip(0_u32..).filter_map(stay).collect();
    stays.sort_by_key(|stay| stay.enqueued.0);
    let mut pairs = Vec::new();
    let mut note = |one: &Stay, other: &Stay| {
        if one.was_before(other) {
            pairs.push((one.call, other.call));
        }
    };
    // Of all that were begun later, the one that was dequeued first.
    let mut first_out: Vec<usize> = (0..stays.len()).collect();
    for at in (1..stays.len()).rev() {
        if stays[first_out[at]].dequeued.1 < stays[first_out[at - 1]].dequeued.1 {
            first_out[at - 1] = first_out[at];
        }
    }
    for (at, stay) in stays.iter().enumerate() {
        let overlapping = stays[at + 1..].iter().take_while(|other| other.enqueued.0 < stay.enqueued.1);
        let mut later = at + 1;
        for other in overlapping {
            note(stay, other);
            note(other, stay);
            later += 1;
        }
        if let Some(&first) = first_out.get(later) {
            note(&stays[first], stay);
        }
    }
    pairs
}
