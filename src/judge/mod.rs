//! Histories in, verdicts out. Pure.
//!
//! [`Judge`] watches a history while it is made: linearizability of quorum operations ([`zones`], and [`orders`]
//! for keys with deletes), loss ([`ledger`]), staleness ([`staleness`]) and time without service
//! ([`availability`]). `docs/judge.md` says in plain words why its answers can be trusted.

mod availability;
mod error;
mod history;
mod ids;
mod key;
mod ledger;
mod max_tree;
mod members;
mod online;
mod operation;
mod options;
mod orders;
mod report;
mod search;
mod staleness;
mod violation;
mod zones;

#[cfg(test)]
mod tests;

pub use self::error::HistoryError;
pub use self::history::*;
pub use self::members::{Comparison, Difference, MemberState, Version, compare_members};
pub use self::online::Judge;
pub use self::operation::{Ended, Operation, Stamp};
pub use self::options::JudgeOptions;
pub use self::report::*;
pub use self::search::*;
pub use self::staleness::Stale;
pub use self::violation::{OrderProof, Violation, ViolationKind};
