//! The search itself: what is placed, what is left, and how it is taken back.
#![expect(clippy::disallowed_types, reason = "its hasher is named: the same in every run")]

use std::collections::HashMap;

use super::super::hash::Hash;
use super::memo::Memo;
use super::ring::Ring;
use super::{Call, Model, STEPS_PER_POLL, SearchResult};

/// A search under way. Operations are numbered in the order of their begins, and moments are ranks among all begins
/// and ends.
///
/// * What is left is in the rings: each operation that ends in `ends`, and each in one of the other two, in order.
/// * What may be placed now, the *open* operations, are those that began before the first end that is left.
/// * After each operation that changes something, all that look are placed that can be (`settle`); only between
///   those that change is there a choice, and each choice has a frame.
pub(super) struct Search<'a, M: Model> {
    model: &'a M,
    steps: Vec<M::Step>,
    looks: Vec<bool>,
    began: Vec<u32>,
    /// [`NEVER`] for those of unknown outcome.
    ended: Vec<u32>,
    /// Whether another operation that changes something does the same, and the two may change places.
    repeats: Vec<bool>,
    /// Of each operation: those that must come before it, besides what time says.
    after: Vec<Vec<u32>>,
    /// An operation that fits nowhere, if the model knows of one.
    misfit: Option<u32>,
    /// Which call each operation is.
    calls: Vec<usize>,
    changers: Ring,
    lookers: Ring,
    ends: Ring,
    placed: Memo,
    order: Vec<u32>,
    choices: Vec<Choice<M::State>>,
    longest: Vec<u32>,
    stuck: Option<u32>,
}

/// No rank: after everything.
const NEVER: u32 = u32::MAX;

/// An operation that was placed where others might have been.
#[derive(Clone, Copy)]
struct Choice<S> {
    op: u32,
    /// The state before it.
    state: S,
    /// How many operations were placed before it.
    before: usize,
}

impl<'a, M: Model> Search<'a, M> {
    pub(super) fn new(model: &'a mut M, calls: &[Call<M::Op>]) -> Self {
        assert!(calls.len() < (u32::MAX / 2) as usize, "a history of one key has fewer than 2^31 operations");
        // What looked and has no result says nothing.
        let says_something =
            |call: &usize| calls[*call].ended.is_some() || !model.only_looks(&calls[*call].op);
        let mut by_begin: Vec<usize> = (0..calls.len()).filter(says_something).collect();
        by_begin.sort_by_key(|&call| calls[call].began);
        let prepared: Vec<&Call<M::Op>> = by_begin.iter().map(|&call| &calls[call]).collect();
        let steps = model.prepare(&prepared);
        let model = &*model;
        // Nobody needs to place what may be nowhere, and helps nobody.
        let matters = |step: M::Step, call: usize| calls[call].ended.is_some() || !model.is_idle(step);
        let mut kept: Vec<Option<u32>> = vec![None; steps.len()];
        let those =
            steps.iter().zip(&by_begin).zip(&mut kept).filter(|((step, call), _)| matters(**step, **call));
        for (number, (_, kept)) in (0_u32..).zip(those) {
            *kept = Some(number);
        }
        let mut after: Vec<Vec<u32>> = vec![Vec::new(); kept.iter().flatten().count()];
        let mut is_bound = vec![false; after.len()];
        for &(one, other) in model.before() {
            if let (Some(one), Some(other)) = (kept[one as usize], kept[other as usize]) {
                after[other as usize].push(one);
                (is_bound[one as usize], is_bound[other as usize]) = (true, true);
            }
        }
        let is_kept = |(_, kept): &(_, &Option<u32>)| kept.is_some();
        let (steps, by_begin): (Vec<_>, Vec<_>) =
            steps.into_iter().zip(by_begin).zip(&kept).filter(is_kept).map(|(kept, _)| kept).unzip();
        let looks: Vec<bool> = by_begin.iter().map(|&call| model.only_looks(&calls[call].op)).collect();
        let count = steps.len() as u32;
        let (began, ended) = ranks(by_begin.iter().map(|&call| (calls[call].began, calls[call].ended)));
        let mut by_end: Vec<u32> = (0..count).filter(|&op| ended[op as usize] != NEVER).collect();
        by_end.sort_by_key(|&op| ended[op as usize]);
        let mut equal: HashMap<M::Step, u32, Hash> = HashMap::default();
        for step in &steps {
            *equal.entry(*step).or_default() += 1;
        }
        Self {
            repeats: steps.iter().zip(&is_bound).map(|(step, bound)| equal[step] > 1 && !bound).collect(),
            changers: Ring::new(count, (0..count).filter(|&op| !looks[op as usize])),
            lookers: Ring::new(count, (0..count).filter(|&op| looks[op as usize])),
            ends: Ring::new(count, by_end.into_iter()),
            placed: Memo::new(steps.len()),
            after,
            misfit: model.misfit().and_then(|op| kept[op as usize]),
            calls: by_begin,
            model,
            steps,
            looks,
            began,
            ended,
            order: Vec::new(),
            choices: Vec::new(),
            longest: Vec::new(),
            stuck: None,
        }
    }

    pub(super) fn run(mut self, may_continue: &mut dyn FnMut(u64) -> bool) -> (SearchResult, u64) {
        if let Some(stuck) = self.misfit.or_else(|| self.never_placed()) {
            let stuck = self.calls[stuck as usize];
            return (SearchResult::NotLinearizable { longest: Vec::new(), stuck }, 0);
        }
        let (mut state, mut steps) = (self.model.initial(), 0_u64);
        let mut op = self.changers.head();
        if let Some(settled) = self.settle(state) {
            (op, state) = (self.changers.first(), settled);
        }
        while self.ends.first() != self.ends.head() {
            if op == self.changers.head() || !self.is_open(op) {
                self.note_stuck(self.ends.first());
                let Some(choice) = self.take_back() else { return (self.refusal(), steps) };
                (op, state) = (self.changers.next(choice.op), choice.state);
                continue;
            }
            steps += 1;
            if steps.is_multiple_of(STEPS_PER_POLL) && !may_continue(steps) {
                return (SearchResult::Undecided, steps);
            }
            op = match self.try_op(op, state) {
                Some(after) => {
                    state = after;
                    self.changers.first()
                }
                None => self.changers.next(op),
            };
        }
        (SearchResult::Linearizable(self.named(&self.order)), steps)
    }

    /// Places an operation that changes something, and all that look at the result. `None`: it leads nowhere.
    fn try_op(&mut self, op: u32, state: M::State) -> Option<M::State> {
        let step = self.steps[op as usize];
        if self.must_wait(op) || self.may_wait(op) {
            return None;
        }
        let after = self.model.step(state, step)?;
        let in_vain = after == state || self.model.is_spoiled(after);
        if self.is_unknown(op) && in_vain || self.model.is_wasted(step, after) {
            return None;
        }
        self.choices.push(Choice { op, state, before: self.order.len() });
        self.place(op);
        if let Some(settled) = self.settle(after)
            && self.placed.note(settled.into())
        {
            return Some(settled);
        }
        self.take_back();
        None
    }

    /// An operation that can be placed in no order, since others must come first that begin after its end, or after
    /// themselves. What it and they return does not matter.
    fn never_placed(&mut self) -> Option<u32> {
        if self.after.iter().all(Vec::is_empty) {
            return None;
        }
        loop {
            let before = self.order.len();
            for lookers in [false, true] {
                let ring =
                    |search: &Self| if lookers { search.lookers.first() } else { search.changers.first() };
                let mut op = ring(self);
                while op < self.steps.len() as u32 && self.is_open(op) {
                    let next = if lookers { self.lookers.next(op) } else { self.changers.next(op) };
                    if !self.must_wait(op) {
                        self.place(op);
                    }
                    op = next;
                }
            }
            if self.order.len() == before {
                break;
            }
        }
        let stuck = Some(self.ends.first()).filter(|&op| op != self.ends.head());
        while !self.order.is_empty() {
            self.unplace();
        }
        stuck
    }

    /// Whether another operation has to come first.
    fn must_wait(&self, op: u32) -> bool {
        self.after[op as usize].iter().any(|&first| !self.placed.holds(first))
    }

    /// Whether nothing is lost by not placing the operation here.
    fn may_wait(&self, op: u32) -> bool {
        if self.model.overwrites(self.steps[op as usize])
            && self.order.last().is_some_and(|&last| self.is_unknown(last))
        {
            return true;
        }
        self.has_equal_before(op)
    }

    /// Whether an equal operation that must end first can be placed as well.
    fn has_equal_before(&self, op: u32) -> bool {
        if !self.repeats[op as usize] {
            return false;
        }
        let rank = |op: u32| (self.ended[op as usize], op);
        let mut other = self.changers.first();
        while other != self.changers.head() && self.is_open(other) {
            let is_equal =
                self.repeats[other as usize] && self.steps[other as usize] == self.steps[op as usize];
            if is_equal && rank(other) < rank(op) {
                return true;
            }
            other = self.changers.next(other);
        }
        false
    }

    /// Places what is never better placed later than in this state, and returns the state after it. `None`: some
    /// operation cannot be placed any more.
    fn settle(&mut self, mut state: M::State) -> Option<M::State> {
        loop {
            let before = self.order.len();
            state = self.settle_changers(state);
            if !self.settle_lookers(state) {
                return None;
            }
            // What was placed last may have opened others.
            if self.order.len() == before {
                return Some(state);
            }
        }
    }

    fn settle_changers(&mut self, mut state: M::State) -> M::State {
        let mut op = self.changers.first();
        while op != self.changers.head() && self.is_open(op) {
            let next = self.changers.next(op);
            if let Some(after) = self.model.settles(state, self.steps[op as usize])
                && !self.must_wait(op)
                && !self.has_equal_before(op)
            {
                state = after;
                self.place(op);
            }
            op = next;
        }
        state
    }

    /// Places what looks and fits. False: something fits in no state that can follow.
    fn settle_lookers(&mut self, state: M::State) -> bool {
        let mut op = self.lookers.first();
        while op != self.lookers.head() {
            let (next, is_open) = (self.lookers.next(op), self.is_open(op));
            if is_open && self.model.step(state, self.steps[op as usize]).is_some() {
                self.place(op);
            } else if self.is_doomed(op, state) {
                self.note_stuck(op);
                return false;
            }
            // Of those to come only the next: it is what the operations before it must lead to.
            if !is_open {
                break;
            }
            op = next;
        }
        true
    }

    /// Whether a looking operation fits in no state that can follow this one.
    fn is_doomed(&self, looks: u32, state: M::State) -> bool {
        let step = self.steps[looks as usize];
        if self.model.leads(state, step) {
            return false;
        }
        let mut op = self.changers.first();
        while op != self.changers.head() && self.began[op as usize] < self.ended[looks as usize] {
            if self.model.is_source(self.steps[op as usize], step) {
                return false;
            }
            op = self.changers.next(op);
        }
        true
    }

    /// Whether the operation began before any end that is left.
    fn is_open(&self, op: u32) -> bool {
        let first = self.ends.first();
        first == self.ends.head() || self.began[op as usize] < self.ended[first as usize]
    }

    fn is_unknown(&self, op: u32) -> bool {
        self.ended[op as usize] == NEVER
    }

    fn place(&mut self, op: u32) {
        if self.looks[op as usize] {
            self.lookers.take_out(op);
        } else {
            self.changers.take_out(op);
        }
        if !self.is_unknown(op) {
            self.ends.take_out(op);
        }
        self.placed.place(op);
        self.order.push(op);
    }

    /// The reverse of the last `place`.
    fn unplace(&mut self) {
        let Some(op) = self.order.pop() else { return };
        self.placed.take_back(op);
        if !self.is_unknown(op) {
            self.ends.put_back(op);
        }
        if self.looks[op as usize] {
            self.lookers.put_back(op);
        } else {
            self.changers.put_back(op);
        }
    }

    /// Takes back the last choice, with all that followed it.
    fn take_back(&mut self) -> Option<Choice<M::State>> {
        let choice = self.choices.pop()?;
        while self.order.len() > choice.before {
            self.unplace();
        }
        Some(choice)
    }

    fn note_stuck(&mut self, op: u32) {
        if self.stuck.is_none() || self.order.len() > self.longest.len() {
            self.longest.clone_from(&self.order);
            self.stuck = Some(op);
        }
    }

    /// No order was found. The longest may have been given up before anything ended without a place: then what must
    /// be placed next goes on it, as long as it fits.
    fn refusal(mut self) -> SearchResult {
        while !self.order.is_empty() {
            self.unplace();
        }
        let mut state = self.model.initial();
        for op in std::mem::take(&mut self.longest) {
            state = self.model.step(state, self.steps[op as usize]).unwrap_or(state);
            self.place(op);
        }
        let mut stuck = self.stuck.unwrap_or(self.ends.first());
        while !self.looks[stuck as usize]
            && let Some(after) = self.model.step(state, self.steps[stuck as usize])
        {
            state = after;
            self.place(stuck);
            let mut op = self.lookers.first();
            while op != self.lookers.head() && self.is_open(op) {
                let next = self.lookers.next(op);
                if self.model.step(state, self.steps[op as usize]).is_some() {
                    self.place(op);
                }
                op = next;
            }
            stuck = self.ends.first();
            assert!(stuck != self.ends.head(), "an order that explains every result was overlooked");
        }
        SearchResult::NotLinearizable { longest: self.named(&self.order), stuck: self.calls[stuck as usize] }
    }

    fn named(&self, order: &[u32]) -> Vec<usize> {
        order.iter().map(|&op| self.calls[op as usize]).collect()
    }
}

/// The ranks of begins and ends among all of them, in time; begins before ends of the same moment.
fn ranks(times: impl Iterator<Item = (u64, Option<u64>)>) -> (Vec<u32>, Vec<u32>) {
    let mut events: Vec<(u64, bool, u32)> = Vec::new();
    let mut count = 0_usize;
    for ((began, ended), op) in times.zip(0_u32..) {
        events.push((began, false, op));
        events.extend(ended.map(|ended| (ended, true, op)));
        count += 1;
    }
    events.sort_unstable();
    let (mut began, mut ended) = (vec![0; count], vec![NEVER; count]);
    for ((_, ends, op), rank) in events.into_iter().zip(0_u32..) {
        if ends {
            ended[op as usize] = rank;
        } else {
            began[op as usize] = rank;
        }
    }
    (began, ended)
}
