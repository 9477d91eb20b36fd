//! The judge's answers, in two families that are never mixed: promises and harm.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::violation::Violation;

/// The judge's answers about the history so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Events observed.
    pub events: u64,
    /// Index of the last event up to which `linearizable` has been checked.
    pub checked_i: u64,
    /// Whether the quorum operations are linearizable.
    pub linearizable: Linearizable,
    /// How each key was judged.
    pub keys: Keys,
    /// The first keys that could not be decided (at most 64), with the reason; `keys.undecided` counts all.
    pub undecided: Vec<UndecidedKey>,
    /// The first violations, as many as the options keep; `violations_total` counts all.
    pub violations: Vec<Violation>,
    /// Reads that broke a promise.
    pub violations_total: u64,
    /// Quorum writes and deletes.
    pub quorum_writes: Writes,
    /// Async writes and deletes.
    pub async_writes: Writes,
    /// Operations of any kind that ended as unknown.
    pub unknown: u64,
    /// Last writes of keys, at quorum. A loss among these breaks a promise.
    pub quorum_ledger: Ledger,
    /// Last writes of keys, async. A loss among these is harm.
    pub async_ledger: Ledger,
    /// How old what eventual reads saw was.
    pub staleness: Staleness,
    /// Time in which writes were tried and none succeeded.
    pub unavailable: Unavailable,
}

/// Three answers; the third is one. Of several the greatest holds for all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Linearizable {
    /// Some order of the operations explains all that clients saw.
    #[default]
    Yes,
    /// No violation was found, but not everything could be checked.
    Undecided,
    /// None does, and there is a proof.
    No,
}

impl Linearizable {
    /// `None` is undecided.
    pub fn known(self) -> Option<bool> {
        match self {
            Self::Yes => Some(true),
            Self::No => Some(false),
            Self::Undecided => None,
        }
    }
}

impl fmt::Display for Linearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Undecided => "undecided",
        })
    }
}

/// How keys were judged. A key is in one of the first four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// By unique ids, for linearizability.
    pub by_ids: u64,
    /// By search, for linearizability: a delete, or a value written twice.
    pub by_search: u64,
    /// Not for linearizability, because an async write was tried: staleness and loss are measured.
    pub measured: u64,
    /// For linearizability, but it could not be decided.
    pub undecided: u64,
    /// Operations on keys beyond the bound, which are not judged at all.
    pub operations_untracked: u64,
}

/// What can be said of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyJudgement<'a> {
    /// The key.
    pub key: &'a str,
    /// Operations of any level that began.
    pub operations: u64,
    /// How its quorum operations are judged; `None`: not at all, since an async write.
    pub method: Option<Method>,
    /// Whether they are linearizable; `None`: they are not judged. What was found to be violated stays so, however the
    /// key is judged since.
    pub linearizable: Option<Linearizable>,
}

/// How a key is judged for linearizability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Each read names its write: O(n log n).
    Ids,
    /// By search: a delete, or a value written twice.
    Search,
}

/// A key that could not be decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndecidedKey {
    /// The key.
    pub key: String,
    /// Up to this event it was linearizable.
    pub since_i: u64,
    /// Why it could not be decided.
    pub why: Undecided,
}

/// Why a key could not be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undecided {
    /// A read had been outstanding for so long that what would tell was forgotten.
    OutstandingTooLong,
    /// A read returned an id that is not remembered, and it may be one of many writes of unknown outcome.
    UnknownForgotten,
    /// By search: too many events wait for an operation that does not end.
    TooManyWaiting,
    /// By search: more than 64 operations running or unknown at once.
    TooManyAtOnce,
    /// By search: too many orders are possible.
    TooManyOrders,
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutstandingTooLong => {
                "a read was outstanding for so long that what would tell was forgotten"
            }
            Self::UnknownForgotten => "a read may have seen one of too many writes of unknown outcome",
            Self::TooManyWaiting => "too many events wait for an operation that does not end",
            Self::TooManyAtOnce => {
                "more than 64 operations were running or unknown at once on a key with deletes"
            }
            Self::TooManyOrders => "too many orders of its operations are possible on a key with deletes",
        })
    }
}

/// How writes of one level ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writes {
    /// They happened.
    pub acked: u64,
    /// They certainly did not.
    pub failed: u64,
    /// They may have.
    pub unknown: u64,
}

/// The last acknowledged writes of keys whose writes never ran at the same time and that were never deleted: what a
/// read of such a key must find is plain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// All that nothing has overwritten, and those that were lost.
    pub acked: u64,
    /// The last quorum read invoked after the acknowledgement found it, and that was not before everything had to be
    /// asked for again ([`Judge::ask_again`](super::Judge::ask_again)).
    pub read_back: u64,
    /// The last quorum read invoked after the acknowledgement did not find it. A key that was written again after
    /// its loss stays here.
    pub lost: u64,
    /// Beside those acknowledged: found by two reads or more, and overwritten then. Nothing is claimed of them since.
    #[serde(default)]
    pub released: u64,
    /// Of those waiting: acknowledged before everything had to be asked for again, and not read since.
    #[serde(default)]
    pub doubtful: u64,
}

impl Ledger {
    /// Those that no quorum read has asked for yet, or not since everything had to be asked for again.
    pub fn waiting(&self) -> u64 {
        self.acked.saturating_sub(self.read_back + self.lost)
    }

    /// How many are lost; `None` until some have been asked for.
    pub fn known_lost(&self) -> Option<u64> {
        (self.read_back + self.lost + self.released > 0).then_some(self.lost)
    }
}

/// How old what eventual reads saw was. Measured, never a violation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Staleness {
    /// Eventual reads that returned something, or absence, and could be measured.
    pub reads: u64,
    /// Those that returned something certainly overwritten before they began.
    pub stale: u64,
    /// Of those: how many are older than could be measured, because too much was forgotten.
    pub at_least: u64,
    /// Eventual reads that could not be measured: of absence, on a key with a delete.
    pub unmeasured: u64,
    /// Age in milliseconds over all measured reads; a fresh read counts as 0.
    pub age_ms: Percentiles,
    /// Acknowledged writes that the read did not see, likewise.
    pub versions: Percentiles,
}

/// A distribution in six numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// 90 in a hundred are at most this.
    pub p90: f64,
    /// 99 in a hundred are at most this.
    pub p99: f64,
    /// 999 in a thousand are at most this.
    pub p999: f64,
    /// The greatest.
    pub max: f64,
}

/// The longest time in which writes were tried and none succeeded, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unavailable {
    /// Over all writes.
    pub any_ms: u64,
    /// Over quorum writes alone.
    pub quorum_ms: u64,
    /// Over async writes alone.
    pub async_ms: u64,
}
