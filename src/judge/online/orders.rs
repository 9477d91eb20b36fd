//! Judging a key online whose ids do not tell reads apart: it has a delete, or a value that was written twice.
//!
//! Every order of the operations that fits what clients saw so far is kept in mind, as far as it matters for what
//! comes: what the key holds in it, and which of the operations still running are placed already. When an
//! operation ends, each order must place it; orders that cannot are dropped, and if none is left there never was
//! one. (Lowe, *Testing for linearizability*, 2017, calls this just-in-time linearization.)
//!
//! What keeps the number of orders small:
//! * An event waits until every operation that began before it has ended, so that the result of a read is known
//!   when it is placed. A read is placed as soon as it fits, which is never worse than later.
//! * A write that nobody needs to see can be placed just before another write; orders only note which could have
//!   been ("covered"), instead of being multiplied.
//! * A write of unknown outcome is placed only when a read needs it.
//!
//! Not handled: more than 64 operations that are running or unknown at once, and histories with very many orders;
//! both are reported as undecided.
#![expect(clippy::disallowed_types, reason = "its hasher is named: the same in every run")]

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use super::ids::Span;
use super::options::JudgeOptions;
use crate::judge::history::Phase;
use crate::judge::judgement::Undecided;

/// What a key may hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum KeyContent {
    /// Something that no further read may return.
    Lost,
    /// Nothing.
    Absent,
    /// A value.
    Value(Arc<str>),
}

/// An operation as the orders see it.
#[derive(Clone, Debug)]
struct Tracked {
    /// What it writes, or what it saw; `None`: a read that has not ended.
    value: Option<KeyContent>,
    writes: bool,
    /// How it ended; `Invoke` while it runs.
    phase: Phase,
    span: Span,
}

/// The operation that fits no order, and what the key could have held.
#[derive(Clone, Debug)]
pub(super) struct Misfit {
    pub(super) value: Option<KeyContent>,
    pub(super) span: Span,
    pub(super) possible: Vec<KeyContent>,
}

/// How far it came.
#[derive(Clone, Debug)]
pub(super) enum Advance {
    Fine,
    Violated(Box<Misfit>),
    Undecided(Undecided),
}

/// All orders that fit.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    /// Operations by the index of their invoke, from the first event waiting on, or in a slot.
    operations: BTreeMap<u64, Tracked>,
    waiting: VecDeque<Event>,
    /// The operations running at the first event waiting; bits below name slots.
    slots: [u64; SLOTS],
    /// The slots in use.
    taken: u64,
    orders: Set,
    waiting_max: usize,
    orders_max: usize,
}

/// The same in every run.
type Set = HashSet<Order, BuildHasherDefault<DefaultHasher>>;

/// As many as a word has bits.
const SLOTS: usize = 64;
/// How many of the possible values a misfit names.
const POSSIBLE_MAX: usize = 4;
/// Orders are compared pairwise up to this number.
const COMPARED_MAX: usize = 512;

#[derive(Clone, Copy, Debug)]
enum Event {
    Begin(u64),
    End(u64, u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Order {
    holds: KeyContent,
    /// Slots placed.
    placed: u64,
    /// Slots of writes that could have been placed before the last write placed, if they are not yet.
    covered: u64,
}

impl Orders {
    /// A key that holds `initially` before anything.
    fn new(initially: KeyContent, waiting_max: usize, orders_max: usize) -> Self {
        let first = Order { holds: initially, placed: 0, covered: 0 };
        Self {
            operations: BTreeMap::new(),
            waiting: VecDeque::new(),
            slots: [0; SLOTS],
            taken: 0,
            orders: HashSet::from_iter([first]),
            waiting_max,
            orders_max,
        }
    }

    /// Orders after operations that have ended (with what they wrote or saw, and by when) and those outstanding.
    pub(super) fn after(
        ended: Vec<(Span, bool, KeyContent, u64)>,
        outstanding: &[(Span, Option<KeyContent>)],
        initially: KeyContent,
        options: &JudgeOptions,
    ) -> Self {
        enum Replayed {
            Begin(Span, Option<KeyContent>),
            End(Span, Phase, Option<KeyContent>),
        }
        let mut events = Vec::new();
        for (span, writes, value, by) in ended {
            let phase = if span.phase == Phase::Info { Phase::Info } else { Phase::Ok };
            events.push((span.began.i, Replayed::Begin(span, writes.then(|| value.clone()))));
            events.push((by, Replayed::End(span, phase, (!writes).then_some(value))));
        }
        for (span, writes) in outstanding {
            events.push((span.began.i, Replayed::Begin(*span, writes.clone())));
        }
        // By the index of the event; where a read gave its end to the write that it saw, the begin of it is earlier.
        events.sort_by_key(|(i, _)| *i);
        let mut orders = Self::new(initially, options.waiting_max, options.orders_max);
        for (_, event) in events {
            match event {
                Replayed::Begin(span, writes) => orders.begin(span, writes),
                Replayed::End(span, phase, saw) => orders.end(&span, phase, saw),
            }
        }
        orders
    }

    /// An operation begins: `value` is what it writes.
    pub(super) fn begin(&mut self, span: Span, writes: Option<KeyContent>) {
        let at = span.began.i;
        let operation = Tracked { writes: writes.is_some(), value: writes, phase: Phase::Invoke, span };
        self.operations.insert(at, operation);
        self.waiting.push_back(Event::Begin(at));
    }

    /// An operation ends so; a read with what it `saw`.
    pub(super) fn end(&mut self, span: &Span, phase: Phase, saw: Option<KeyContent>) {
        let Some(operation) = self.operations.get_mut(&span.began.i) else { return };
        if operation.phase != Phase::Invoke {
            return; // A write that a read has shown to have happened.
        }
        operation.phase = phase;
        operation.span = *span;
        if !operation.writes {
            operation.value = saw;
        }
        self.waiting.push_back(Event::End(span.began.i, span.ended.i));
    }

    /// The first event that has not been placed, if any waits.
    pub(super) fn waits_at(&self) -> Option<u64> {
        self.waiting.front().map(|event| match *event {
            Event::Begin(at) | Event::End(_, at) => at,
        })
    }

    /// Places every event whose turn it is.
    pub(super) fn advance(&mut self) -> Advance {
        while let Some(&event) = self.waiting.front() {
            let step = match event {
                Event::Begin(at) => match self.operations.get(&at) {
                    Some(operation) if operation.phase == Phase::Invoke => break,
                    Some(operation) if operation.matters() => self.place_begin(at),
                    _ => {
                        self.operations.remove(&at);
                        Advance::Fine
                    }
                },
                Event::End(at, _) => self.place_end(at),
            };
            if !matches!(step, Advance::Fine) {
                return step;
            }
            self.waiting.pop_front();
        }
        if self.waiting.len() > self.waiting_max {
            Advance::Undecided(Undecided::TooManyWaiting)
        } else {
            Advance::Fine
        }
    }

    fn place_begin(&mut self, at: u64) -> Advance {
        let slot = self.taken.trailing_ones() as usize;
        if slot == SLOTS {
            return Advance::Undecided(Undecided::TooManyAtOnce);
        }
        self.slots[slot] = at;
        self.taken |= 1 << slot;
        let operation = &self.operations[&at];
        if !operation.writes {
            let orders = std::mem::take(&mut self.orders);
            let place = |mut order: Order| {
                if Some(&order.holds) == operation.value.as_ref() {
                    order.placed |= 1 << slot;
                }
                order
            };
            self.orders = orders.into_iter().map(place).collect();
        }
        Advance::Fine
    }

    fn place_end(&mut self, at: u64) -> Advance {
        let Some(slot) = bits(self.taken).find(|&slot| self.slots[slot] == at) else { return Advance::Fine };
        if self.operations[&at].phase == Phase::Info {
            return Advance::Fine;
        }
        let before = std::mem::take(&mut self.orders);
        let mut after = Set::default();
        for order in &before {
            if !self.place(order.clone(), slot, &mut after) {
                return Advance::Undecided(Undecided::TooManyOrders);
            }
        }
        let operation = self.operations.remove(&at);
        if after.is_empty() {
            let mut possible: Vec<_> = before
                .into_iter()
                .map(|order| order.holds)
                .filter(|held| *held != KeyContent::Lost)
                .collect();
            possible.sort_by(|a, b| a.name().cmp(&b.name()));
            possible.dedup();
            possible.truncate(POSSIBLE_MAX);
            return match operation {
                Some(Tracked { value, span, .. }) => {
                    Advance::Violated(Box::new(Misfit { value, span, possible }))
                }
                None => Advance::Fine,
            };
        }
        self.taken &= !(1 << slot);
        let free = |mut order: Order| {
            order.placed &= !(1 << slot);
            order.covered &= !(1 << slot);
            order
        };
        self.orders = after.into_iter().map(free).collect();
        self.drop_worse();
        Advance::Fine
    }

    /// Adds to `after` what becomes of an order once the operation in `slot` is placed. False: too many.
    fn place(&self, order: Order, slot: usize, after: &mut Set) -> bool {
        let bit = 1_u64 << slot;
        if order.placed & bit != 0 {
            after.insert(order);
            return after.len() <= self.orders_max;
        }
        let writes = self.operation(slot).writes;
        let mut seen = Set::default();
        let mut open = vec![order];
        while let Some(order) = open.pop() {
            if writes && order.covered & bit != 0 {
                after.insert(order.clone());
            }
            for next in bits(self.taken & !order.placed).filter(|&next| self.operation(next).writes) {
                let (applied, read) = self.apply(&order, next);
                if applied.placed & bit != 0 {
                    after.insert(applied);
                } else if read && seen.insert(applied.clone()) {
                    // Placing a write that no running read wants can wait: the next one covers it.
                    open.push(applied);
                }
            }
            if after.len() > self.orders_max || seen.len() > self.orders_max {
                return false;
            }
        }
        true
    }

    /// The order with one more write placed, and whether a running read saw it.
    fn apply(&self, order: &Order, slot: usize) -> (Order, bool) {
        let mut order = Order { placed: order.placed | 1 << slot, ..order.clone() };
        let mut read = false;
        if let Some(value) = &self.operation(slot).value {
            order.holds = value.clone();
        }
        for other in bits(self.taken & !order.placed) {
            let operation = self.operation(other);
            if operation.writes {
                if operation.phase == Phase::Ok {
                    order.covered |= 1 << other;
                }
            } else if operation.value.as_ref() == Some(&order.holds) {
                order.placed |= 1 << other;
                read = true;
            }
        }
        (order, read)
    }

    /// Drops orders after which nothing can happen that could not happen after another.
    fn drop_worse(&mut self) {
        if self.orders.len() < 2 || self.orders.len() > COMPARED_MAX {
            return;
        }
        let (mut writes, mut required) = (0_u64, 0_u64);
        for slot in bits(self.taken).filter(|&slot| self.operation(slot).writes) {
            writes |= 1 << slot;
            required |= u64::from(self.operation(slot).phase == Phase::Ok) << slot;
        }
        let better = |a: &Order, b: &Order| {
            let reads = b.placed & !writes & !a.placed == 0;
            let fewer = a.placed & writes & !b.placed == 0;
            let excused = b.placed & !a.placed & required & !a.covered == 0;
            let covered = b.covered & !a.covered & !a.placed == 0;
            a != b && a.holds == b.holds && reads && fewer && excused && covered
        };
        let mut kept: Vec<Order> = Vec::new();
        for order in self.orders.drain() {
            if !kept.iter().any(|other| better(other, &order)) {
                kept.retain(|other| !better(&order, other));
                kept.push(order);
            }
        }
        self.orders = kept.into_iter().collect();
    }

    /// The operation in a slot in use.
    fn operation(&self, slot: usize) -> &Tracked {
        &self.operations[&self.slots[slot]]
    }
}

impl Tracked {
    /// Whether it constrains anything: a failed operation does not, nor does a read that saw nothing for certain.
    fn matters(&self) -> bool {
        match self.phase {
            Phase::Fail => false,
            Phase::Info => self.writes,
            Phase::Invoke | Phase::Ok => true,
        }
    }
}

impl KeyContent {
    /// From a value of the history.
    pub(super) fn from_value(value: Option<&str>) -> Self {
        value.map_or(Self::Absent, |value| Self::Value(value.into()))
    }

    /// To a value of the history.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Lost | Self::Absent => None,
            Self::Value(value) => Some(value),
        }
    }
}

/// The bits that are set, lowest first.
fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(bit)
    })
}
