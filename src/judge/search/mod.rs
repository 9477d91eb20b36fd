//! The general search, for histories whose ids do not tell reads apart: Wing & Gong's search with Lowe's memo.
//!
//! It tries operations in every order that time allows, one after another, and takes back what leads nowhere.
//! Which operations are placed and what state that gives is remembered, so that no such pair is tried twice. The
//! problem is hard in general (NP-complete), so there are three answers: the caller says when to give up. One history
//! is one object: split by key first.
//!
//! What makes it fast is what it does not try. Each rule leaves an order if there was one:
//!
//! * An operation that only looks is placed as soon as it fits: it changes nothing, so later is never better.
//! * A looking operation fits only in states that some *source* leads to: the write of its value, say. If the state
//!   does not lead there and no source is left that may come before it, nothing is tried from here. This is what
//!   finds the order of appends: each must be a step towards what the next reads returned.
//! * States that no operation can tell apart are one (`append`). In the *spoiled* state nothing fits until the object
//!   is overwritten. Whatever leads to it from everywhere is placed there at once, for nowhere else does it do less
//!   harm; and what may be nowhere is not placed to get there.
//! * An operation without which some result cannot be is not wasted where it does not help (`append`).
//! * What is never better placed later is placed at once: an element that is in all sets that are still to be read
//!   (`set`), or what enters or leaves a queue without an order (`queue`).
//! * What the results say of the order of two operations is kept to from the beginning (`queue`).
//! * An operation of unknown outcome may be placed anywhere after its begin, or nowhere. It is not placed where it
//!   changes nothing, nor where the next one overwrites it: then it may as well be nowhere.
//! * Of equal operations that could be placed, the one that must end first goes first: they could change places.

mod append;
mod counter;
mod engine;
mod interner;
mod memo;
mod queue;
mod register;
mod registers;
mod ring;
mod set;

use std::hash::Hash;

pub use self::append::{AppendModel, AppendOp, AppendStep};
pub use self::counter::{CounterModel, CounterOp};
use self::engine::Search;
pub use self::queue::{QueueModel, QueueOp};
pub use self::register::{ABSENT, RegisterModel, RegisterOp};
pub use self::registers::{RegistersModel, Transaction};
pub use self::set::{SetModel, SetOp, SetStep};

/// What an object does, one operation at a time.
pub trait Model {
    /// An operation with its result.
    type Op;
    /// An operation as the search goes through it. Equal steps do the same.
    type Step: Copy + Eq + Hash;
    /// What the object holds, as a number. Equal states behave equally; the more are equal, the faster the search.
    type State: Copy + Eq + Into<u64>;

    /// Whether the operation never changes any state.
    fn only_looks(&self, op: &Self::Op) -> bool;
    /// The steps of the operations to search, in their order: that of their begins. All that the model knows of the
    /// history; it is called before any method below.
    fn prepare(&mut self, calls: &[&Call<Self::Op>]) -> Vec<Self::Step>;
    /// What it holds before anything.
    fn initial(&self) -> Self::State;
    /// What it holds after the operation; `None`: the operation cannot have this result in this state.
    fn step(&self, state: Self::State, step: Self::Step) -> Option<Self::State>;
    /// Whether the operation fits any state and gives the same state after all of them.
    fn overwrites(&self, _: Self::Step) -> bool {
        false
    }

    /// Whether operations that are no [source](Self::is_source) of a looking one may lead from the state to one in
    /// which it fits.
    fn leads(&self, state: Self::State, looks: Self::Step) -> bool;
    /// Whether a state after `changes` may [lead](Self::leads) to one in which the looking operation fits, though
    /// the state before did not.
    fn is_source(&self, _changes: Self::Step, _looks: Self::Step) -> bool {
        false
    }

    /// Whether no looking operation fits the state, nor any after it, until an operation that overwrites.
    fn is_spoiled(&self, _: Self::State) -> bool {
        false
    }
    /// Whether the operation, if its outcome is unknown, may as well not have happened: no result needs it.
    fn is_idle(&self, _: Self::Step) -> bool {
        false
    }
    /// Of an operation that changes something, and is never better placed later than in this state: the state after
    /// it. Of equal ones the one that must end first is placed.
    fn settles(&self, _: Self::State, _: Self::Step) -> Option<Self::State> {
        None
    }
    /// An operation, by its place in `prepare`, that can have its result in no order.
    fn misfit(&self) -> Option<u32> {
        None
    }
    /// Pairs of operations, by their places in `prepare`, of which the first comes before the second in every order.
    fn before(&self) -> &[(u32, u32)] {
        &[]
    }
    /// Whether some looking operation cannot fit any more if the operation is placed where it gives this state.
    fn is_wasted(&self, _: Self::Step, _: Self::State) -> bool {
        false
    }
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
pub enum SearchResult {
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
    Undecided,
}

/// Steps between two questions whether to go on.
pub const STEPS_PER_POLL: u64 = 1024;

/// Looks for an order of the operations that the model allows. `may_continue` is asked every [`STEPS_PER_POLL`] steps,
/// with the number of steps so far, and ends the search by answering false. Returns the steps taken as well.
pub fn search<M: Model>(
    model: &mut M,
    calls: &[Call<M::Op>],
    may_continue: &mut dyn FnMut(u64) -> bool,
) -> (SearchResult, u64) {
    Search::new(model, calls).run(may_continue)
}
