//! A history judged while it is made: each completion is one query, and the verdict turns with the reply that breaks it.

mod availability;
mod ids;
mod judge;
mod key;
mod ledger;
mod max_tree;
mod options;
mod orders;
mod proof;
mod staleness;
mod zones;

pub use self::judge::Judge;
pub use self::options::JudgeOptions;
pub use self::staleness::Stale;
