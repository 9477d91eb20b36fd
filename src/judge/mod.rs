//! The judge decides from what clients saw whether the store kept its promises: histories in, verdicts out. It is pure.
//!
//! * `history`, `operation`: the events of a history ([`HistoryEvent`]), and an operation with both of its events.
//! * `online`: [`Judge`] watches a history while it is made, and says what it found as a [`Judgement`].
//! * [`offline`] judges whole histories, key by key; `search` is for those in which reads do not name their writes.
//! * [`import`] reads other people's histories, [`export`] writes ours for them.
//! * `value`: what was written and seen ([`Value`]): opaque, compared, hashed and shown.
//! * `violation`, `draw`: a [`Violation`] says why a promise is broken, a [`Diagram`] draws it.
//! * `members`: whether all members hold the same ([`compare_members`]).
//!
//! `docs/judge.md` says in plain words why the answers can be trusted, and what cannot be judged.

mod draw;
mod error;
pub mod export;
mod hash;
mod history;
pub mod import;
mod judgement;
mod members;
pub mod offline;
mod online;
mod operation;
mod search;
mod value;
mod violation;

#[cfg(test)]
mod tests;

pub use self::draw::{Diagram, Lane, svg};
pub use self::error::{HistoryError, HistoryFault};
pub use self::history::*;
pub use self::judgement::*;
pub use self::members::{Comparison, Difference, MemberState, Version, compare_members};
pub use self::online::{Before, Judge, JudgeOptions, Stale};
pub use self::operation::{Completion, Operation, Stamp};
pub use self::search::*;
pub use self::value::Value;
pub use self::violation::{OrderProof, Violation, ViolationKind};
