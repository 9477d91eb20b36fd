//! Histories in, verdicts out. Pure.
//!
//! * [`Judge`] watches a history while it is made. Linearizability of quorum operations: `zones` (by unique ids) and
//!   `orders` (by search, for keys with deletes). Loss: `ledger`. Age of reads: `staleness`. Time without service:
//!   `availability`. `key` is one key with all of these, `ids` every write that is remembered, `online` the events.
//! * [`check`] judges whole histories, [`import`] reads other people's, [`export`] writes for them, `search` is for those
//!   without unique ids.
//! * A [`Violation`] says why, and a [`Diagram`] draws it.
//!
//! `docs/judge.md` says in plain words why the answers can be trusted, and what cannot be judged.

mod draw;
mod error;
pub mod export;
mod hash;
mod history;
pub mod import;
mod members;
pub mod offline;
mod online;
mod operation;
mod report;
mod search;
mod violation;

#[cfg(test)]
mod tests;

pub use self::draw::{Diagram, Lane, svg};
pub use self::error::HistoryError;
pub use self::history::*;
pub use self::members::{Comparison, Difference, MemberState, Version, compare_members};
pub use self::online::{Judge, JudgeOptions, Stale};
pub use self::operation::{Ended, Operation, Stamp};
pub use self::report::*;
pub use self::search::*;
pub use self::violation::{OrderProof, Violation, ViolationKind};
