//! What is found out about a key, and why.

use serde::{Deserialize, Serialize};

use super::history::KeyHistory;
use crate::judge::judgement::{Linearizable, Method};
use crate::judge::value::Value;
use crate::judge::violation::Violation;

/// What was found out about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyVerdict {
    /// The key.
    pub key: Value,
    /// Its operations.
    pub operations: usize,
    /// How it was judged.
    pub method: Method,
    /// The verdict.
    pub linearizable: Linearizable,
    /// Of a key that is not linearizable: why not.
    pub refutation: Option<Refutation>,
    /// Steps that the search took.
    pub steps: u64,
}

/// Why a key is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Refutation {
    /// A proof of at most four operations.
    Violation(Box<Violation>),
    /// As far as the search came: an order of operations, and one that ended and has no place after it.
    Stuck {
        /// Operations in the order found, by their place in the history.
        longest: Vec<usize>,
        /// The operation that has no place.
        stuck: usize,
    },
    /// The smallest part of the history that still fails.
    Part(Box<Part>),
}

/// A part of a history that fails by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its operations. Of sets, queues and strings, values may have been left out of what was seen.
    pub history: KeyHistory,
    /// The place of the operation in whose end the part fails.
    pub stuck: usize,
    /// What the beginning of the part stands for, if it is not that of the history.
    pub before: Option<Before>,
    /// Whether some values are left out of what was seen.
    pub has_gaps: bool,
    /// Whether nothing more can be left out. If not, there was no time to try.
    pub is_minimal: bool,
    /// Why it fails, in sentences.
    pub notes: Vec<String>,
}

/// Operations that are not in a part, since they can have left only one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// How many there are.
    pub operations: usize,
    /// By this event all of them had ended.
    pub until: u64,
}
