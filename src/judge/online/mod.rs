//! Judging a history while it is made: each completion is one query, and the verdict turns with the reply that breaks it.
//!
//! * `judge` takes the events, one at a time. `key` is one key with all that is known of it, `ids` every write that is
//!   remembered (and in a `queue` to be forgotten), within the bounds of `options`, `totals` what is counted over all.
//! * Linearizability of quorum operations: `zones` (by unique ids, on a `max_tree`, with a `proof` of each violation) and
//!   `orders` (by search, for keys with deletes).
//! * Loss: `ledger`. Age of what reads saw: `staleness`. Time without service: `availability`.

mod availability;
mod ids;
mod judge;
mod key;
mod ledger;
mod max_tree;
mod options;
mod orders;
mod proof;
mod queue;
mod staleness;
mod totals;
mod zones;

pub use self::judge::{Before, Judge};
pub use self::options::JudgeOptions;
pub use self::staleness::Stale;
