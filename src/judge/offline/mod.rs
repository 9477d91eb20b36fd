//! Judging a whole history that is there already, key by key: ours, or other people's.
//!
//! * [`KeyHistory`] is one key's operations, `event` the same as a stream of begins and ends.
//! * [`check_key`] judges it. Histories whose reads each name their write take the online algorithm
//!   ([`Judge`](super::Judge)); all others the general [search](super::search()), by way of `by_search`.
//! * [`explain_key`] finds the moment in which a history fails (`prefix`), and [`shrink`] makes it small.
//!
//! Nothing here looks at a clock: the caller says when to give up.

mod by_search;
mod check;
mod event;
mod history;
mod prefix;
mod shrink;

pub use self::check::{KeyVerdict, Refutation, check_key, explain_key};
pub use self::event::{OpEvent, op_events};
pub use self::history::{EventTime, KeyAct, KeyHistory, KeyOp, NoHistory, OpOutcome};
pub use self::shrink::shrink;
