//! The general search, for histories whose ids do not tell reads apart: Wing & Gong's search with Lowe's memo.
//!
//! It tries operations in every order that time allows, one after another, and takes back what leads nowhere.
//! Which operations are placed and what state that gives is remembered, so that no such pair is tried twice. The
//! problem is hard in general (NP-complete), so there are three answers: the caller says when to give up.
//!
//! * One history is one object: split by key first.
//! * An operation that only looks is placed as soon as it fits and never taken back alone: it changes nothing, so
//!   placing it later is never better.
//! * An operation of unknown outcome may be placed anywhere after its begin, or nowhere.

mod append;
mod memo;
mod register;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash};

pub use self::append::{AppendModel, AppendOp};
use self::memo::Memo;
pub use self::register::{ABSENT, RegisterModel, RegisterOp};

/// What an object does, one operation at a time.
pub trait Model {
    /// An operation with its result.
    type Op;
    /// What the object holds. Equal states must behave equally; the more are equal, the faster the search.
    type State: Clone + Eq + Hash;

    /// What it holds before anything.
    fn initial(&self) -> Self::State;
    /// What it holds after the operation; `None`: the operation cannot have this result in this state.
    fn step(&mut self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;
    /// Whether the operation never changes any state.
    fn only_looks(&self, op: &Self::Op) -> bool;
}

/// An operation of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<O> {
    /// What it did.
    pub op: O,
    /// When it began, in any unit that orders all begins and ends. An operation that begins when another ends
    /// counts as running together with it.
    pub began: u64,
    /// When it ended; `None`: its outcome is unknown.
    pub ended: Option<u64>,
}

/// What the search found. Operations are named by their index in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An order that explains all results; operations of unknown outcome may be missing from it.
    Linearizable(Vec<usize>),
    /// There is none.
    NotLinearizable {
        /// The longest order that was found, of operations that can be placed one after another.
        longest: Vec<usize>,
        /// The operation that ended, and could not be placed after it.
        stuck: usize,
    },
    /// The caller gave up.
    Undecided {
        /// Steps tried.
        steps: u64,
    },
}

/// Steps between two questions whether to go on.
pub const STEPS_PER_POLL: u64 = 1024;

/// Looks for an order of the operations that the model allows. `go_on` is asked every [`STEPS_PER_POLL`] steps,
/// with the number of steps so far, and ends the search by answering false.
pub fn search<M: Model>(model: &mut M, calls: &[Call<M::Op>], go_on: &mut dyn FnMut(u64) -> bool) -> Found {
    Search::new(model, calls).run(go_on)
}

/// Where the list of events begins and ends.
const HEAD: usize = 0;

struct Search<'a, M: Model> {
    model: &'a mut M,
    calls: &'a [Call<M::Op>],
    /// Events still to place, a ring of links through [`HEAD`]: node 1 is the first event in time.
    next: Vec<u32>,
    previous: Vec<u32>,
    events: Vec<Event>,
    /// Of each operation: the nodes of its begin and, if its outcome is known, of its end.
    nodes: Vec<(u32, u32)>,
    /// Ends still in the list.
    ends: usize,
    placed: Memo,
    states: Vec<M::State>,
    numbers: HashMap<M::State, u32, BuildHasherDefault<DefaultHasher>>,
    stack: Vec<Frame>,
    longest: Vec<usize>,
    stuck: usize,
}

#[derive(Clone, Copy)]
enum Event {
    Head,
    Begin(u32),
    End(u32),
}

/// One operation placed.
#[derive(Clone, Copy)]
struct Frame {
    call: u32,
    /// The state before it.
    state: u32,
    looks: bool,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a mut M, calls: &'a [Call<M::Op>]) -> Self {
        assert!(calls.len() < (u32::MAX / 2) as usize, "a history of one key has fewer than 2^31 operations");
        let mut order: Vec<(u64, bool, u32)> = Vec::with_capacity(2 * calls.len());
        for (call, index) in calls.iter().zip(0_u32..) {
            order.push((call.began, false, index));
            order.extend(call.ended.map(|ended| (ended, true, index)));
        }
        order.sort_unstable();
        let mut events = vec![Event::Head];
        let mut nodes = vec![(0, 0); calls.len()];
        for (node, (_, ends, call)) in (1_u32..).zip(order) {
            if ends {
                nodes[call as usize].1 = node;
                events.push(Event::End(call));
            } else {
                nodes[call as usize].0 = node;
                events.push(Event::Begin(call));
            }
        }
        let (count, ends) = (events.len() as u32, nodes.iter().filter(|node| node.1 != 0).count());
        let initial = model.initial();
        Self {
            model,
            calls,
            next: (1..count).chain([0]).collect(),
            previous: std::iter::once(count - 1).chain(0..count - 1).collect(),
            events,
            nodes,
            ends,
            placed: Memo::new(calls.len()),
            states: vec![initial.clone()],
            numbers: HashMap::from_iter([(initial, 0)]),
            stack: Vec::new(),
            longest: Vec::new(),
            stuck: 0,
        }
    }

    fn run(mut self, go_on: &mut dyn FnMut(u64) -> bool) -> Found {
        let (mut node, mut state, mut steps) = (self.next[HEAD] as usize, 0, 0_u64);
        while self.ends > 0 {
            steps += 1;
            if steps.is_multiple_of(STEPS_PER_POLL) && !go_on(steps) {
                return Found::Undecided { steps };
            }
            let placed = match self.events[node] {
                Event::Begin(call) => match self.try_call(call, state) {
                    Tried::Placed(after) => {
                        state = after;
                        node = self.next[HEAD] as usize;
                        continue;
                    }
                    Tried::Unfit => true,
                    Tried::Dead => false,
                },
                Event::End(call) => {
                    self.note_stuck(call);
                    false
                }
                Event::Head => false,
            };
            if placed {
                node = self.next[node] as usize;
                continue;
            }
            match self.take_back() {
                Some((after, before)) => (node, state) = (after, before),
                None => return Found::NotLinearizable { longest: self.longest, stuck: self.stuck },
            }
        }
        Found::Linearizable(self.stack.iter().map(|frame| frame.call as usize).collect())
    }

    fn try_call(&mut self, call: u32, state: u32) -> Tried {
        let op = &self.calls[call as usize].op;
        let Some(after) = self.model.step(&self.states[state as usize], op) else { return Tried::Unfit };
        let looks = self.model.only_looks(op);
        let after = if looks { state } else { self.number(after) };
        if !self.placed.place(call, after) {
            return if looks { Tried::Dead } else { Tried::Unfit };
        }
        self.stack.push(Frame { call, state, looks });
        self.lift(call);
        Tried::Placed(after)
    }

    fn number(&mut self, state: M::State) -> u32 {
        let fresh = self.states.len() as u32;
        *self.numbers.entry(state).or_insert_with_key(|state| {
            self.states.push(state.clone());
            fresh
        })
    }

    /// Takes back the last operation that could be another, and says where to go on and in which state.
    fn take_back(&mut self) -> Option<(usize, u32)> {
        loop {
            let frame = self.stack.pop()?;
            self.placed.take_back(frame.call);
            self.unlift(frame.call);
            if !frame.looks {
                let node = self.nodes[frame.call as usize].0;
                return Some((self.next[node as usize] as usize, frame.state));
            }
        }
    }

    fn note_stuck(&mut self, call: u32) {
        if self.stack.len() >= self.longest.len() {
            self.longest.clear();
            self.longest.extend(self.stack.iter().map(|frame| frame.call as usize));
            self.stuck = call as usize;
        }
    }

    fn lift(&mut self, call: u32) {
        let (begin, end) = self.nodes[call as usize];
        self.unlink(begin);
        if end != 0 {
            self.unlink(end);
            self.ends -= 1;
        }
    }

    /// The reverse of the last `lift`, in the reverse order.
    fn unlift(&mut self, call: u32) {
        let (begin, end) = self.nodes[call as usize];
        if end != 0 {
            self.link(end);
            self.ends += 1;
        }
        self.link(begin);
    }

    fn unlink(&mut self, node: u32) {
        let (previous, next) = (self.previous[node as usize], self.next[node as usize]);
        self.next[previous as usize] = next;
        self.previous[next as usize] = previous;
    }

    fn link(&mut self, node: u32) {
        let (previous, next) = (self.previous[node as usize], self.next[node as usize]);
        self.next[previous as usize] = node;
        self.previous[next as usize] = node;
    }
}

enum Tried {
    /// It is placed, and gives this state.
    Placed(u32),
    /// It does not fit here, or was tried: another may.
    Unfit,
    /// It fits and leads nowhere: neither does another here.
    Dead,
}
