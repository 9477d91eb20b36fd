//! The verdict on a run, as it stands at one moment.

use serde::{Deserialize, Serialize};

/// The judge's answers so far, in two families that are never mixed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Did the store keep its promises?
    pub promise: PromiseVerdict,
    /// What would a user have suffered?
    pub harm: HarmVerdict,
}

/// Did the store keep its promises? `None`: cannot be said yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PromiseVerdict {
    /// Quorum operations so far are linearizable.
    pub linearizable: Option<bool>,
    /// Up to which history event that has been checked.
    pub checked_i: u64,
    /// Quorum writes acknowledged.
    pub quorum_writes_acked: u64,
    /// Of those in the ledger, lost: some as soon as they are proved, none only when all has been read back.
    pub quorum_writes_lost: Option<u64>,
    /// Of those in the ledger, not read back: nobody knows yet.
    #[serde(default)]
    pub quorum_writes_unread: u64,
    /// Of those: acknowledged before the last change of epoch, heal or discard, and not read since.
    #[serde(default)]
    pub quorum_writes_doubtful: u64,
    /// Read back twice and overwritten since: nothing is claimed of them any more.
    #[serde(default)]
    pub quorum_writes_released: u64,
    /// All members hold the same state; `None` until compared after healing.
    pub members_equal: Option<bool>,
    /// One line for each violation found (bounded), the first first.
    pub violations: Vec<String>,
    /// All violations found, also those without a line or a proof.
    #[serde(default)]
    pub violations_total: u64,
}

/// What would a user have suffered?
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HarmVerdict {
    /// Async writes acknowledged.
    pub async_writes_acked: u64,
    /// Of those in the ledger, lost: some as soon as they are proved, none only when all has been read back.
    pub async_writes_lost: Option<u64>,
    /// Of those in the ledger, not read back: nobody knows yet.
    #[serde(default)]
    pub async_writes_unread: u64,
    /// Of those: acknowledged before the last change of epoch, heal or discard, and not read since.
    #[serde(default)]
    pub async_writes_doubtful: u64,
    /// Read back twice and overwritten since: nothing is claimed of them any more.
    #[serde(default)]
    pub async_writes_released: u64,
    /// Eventual reads that returned something already overwritten.
    pub stale_reads: u64,
    /// The oldest of them, in milliseconds.
    pub stale_max_ms: u64,
    /// Eventual reads refused as too stale.
    pub refused_stale: u64,
    /// Operations of unknown outcome.
    pub unknown: u64,
    /// The longest time in which no write succeeded though some were tried, in milliseconds.
    pub unavailable_ms: u64,
}

/// What is known of the acknowledged writes of one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Acknowledged, in the ledger or not.
    pub acked: u64,
    /// Of those in the ledger, lost; `None`: nobody knows.
    pub lost: Option<u64>,
    /// Of those in the ledger, not read back.
    pub unread: u64,
    /// Of those unread: acknowledged before something happened that may have cost them.
    pub doubtful: u64,
    /// Read back twice and overwritten since.
    pub released: u64,
}

impl PromiseVerdict {
    /// Of quorum writes.
    pub fn losses(&self) -> Losses {
        Losses {
            acked: self.quorum_writes_acked,
            lost: self.quorum_writes_lost,
            unread: self.quorum_writes_unread,
            doubtful: self.quorum_writes_doubtful,
            released: self.quorum_writes_released,
        }
    }
}

impl HarmVerdict {
    /// Of async writes.
    pub fn losses(&self) -> Losses {
        Losses {
            acked: self.async_writes_acked,
            lost: self.async_writes_lost,
            unread: self.async_writes_unread,
            doubtful: self.async_writes_doubtful,
            released: self.async_writes_released,
        }
    }
}
