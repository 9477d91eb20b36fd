//! The first line of a later part of a history: what whoever does not have the parts before has to know.
//!
//! The operations that were running then, and the keys that cannot be judged by what was done on them from then on.

use std::collections::BTreeSet;

use kvlab::judge::HistoryEvent;
use serde::{Deserialize, Serialize};

use crate::run::keyframe::{pack, unpack};

/// How the first line of a later part begins, and no event does.
pub(crate) const PART_BEGINS: &str = "{\"part\":";
/// No more of a part than this goes to the names of keys, one of so many bytes.
const KEYS_SHARE: u64 = 4;

/// The first line of a later part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartLine {
    /// Which part of the history it is, from 1.
    part: u64,
    /// The index of the first event after it, and when it was written.
    pub(super) from_i: u64,
    pub(super) from_t_ns: u64,
    /// The invokes of the operations that were running then, in their order.
    pub(super) running: Vec<HistoryEvent>,
    /// [`OddKeys`], packed; none: there were too many.
    keys: Option<String>,
}

/// The keys that cannot be judged by what was done on them later alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OddKeys {
    /// An async write was tried on them: nothing of them is judged for linearizability.
    pub(super) measured: BTreeSet<String>,
    /// A value was written twice, or the key was deleted, or it was not decided.
    pub(super) unknown: BTreeSet<String>,
}

impl PartLine {
    pub(super) fn new(part: u64, from_i: u64, from_t_ns: u64, running: Vec<HistoryEvent>) -> Self {
        Self { part, from_i, from_t_ns, running, keys: None }
    }

    /// With the names of odd keys, unless they would take too much of a part.
    pub(super) fn with_keys(mut self, keys: Option<&OddKeys>, part_bytes: u64) -> Self {
        self.keys = keys.map(pack).filter(|packed| packed.len() as u64 <= part_bytes / KEYS_SHARE);
        self
    }

    /// The odd keys; `None`: there were too many, or they cannot be read.
    pub(super) fn odd_keys(&self) -> Option<OddKeys> {
        unpack(self.keys.as_deref()?).ok()
    }
}
