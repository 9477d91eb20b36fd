//! Judging a whole history that is there already, key by key: ours, or other people's.
//!
//! * [`KeyHistory`] is one key's operations, `event` the same as a stream of begins and ends.
//! * [`check_key`] judges it. Histories whose reads each name their write take the online algorithm
//!   ([`Judge`](super::Judge)); all others the general [search](super::search()), by way of `by_search`.
//! * `act` and `model` say what operations do, and to what.
//! * [`explain_key`] and [`shrink`] find the smallest part of a history that still fails (`part`), which ends where it
//!   fails (`prefix`), and say why it does (`explain`).
//!
//! Nothing here looks at a clock: the caller says when to give up.

mod act;
mod by_search;
mod check;
mod event;
mod excerpt;
mod explain;
mod history;
mod model;
mod orders;
mod part;
mod prefix;
mod sources;
mod texts;
mod verdict;

pub use self::act::{KeyAct, RegisterAct};
pub use self::check::check_key;
pub use self::event::{OpEvent, op_events};
pub(in crate::judge) use self::excerpt::Excerpts;
pub use self::history::{EventTime, KeyHistory, KeyOp, NoHistory, OpOutcome};
pub use self::model::ModelName;
pub use self::part::{explain_key, shrink};
pub use self::verdict::{Before, KeyVerdict, Part, Refutation};
