//! A broken promise and its proof.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::operation::{Operation, Seconds};
use super::value::{Shown, Value};
use crate::types::Position;

/// A broken promise, proved from what clients saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The key.
    pub key: String,
    /// The index of the event that revealed it.
    pub i: u64,
    /// Whether it breaks linearizability (of quorum operations). If not, it breaks the promise that any read
    /// returns some value that was written.
    pub linearizability: bool,
    /// What was seen, and by whom.
    pub kind: ViolationKind,
}

/// What was seen that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ViolationKind {
    /// Of two values each was in force before the other, though each was written once.
    Order(Box<OrderProof>),
    /// A read returned what nobody had begun to write.
    NeverWritten {
        /// The read.
        read: Box<Operation>,
    },
    /// A read returned what a write had tried to write that certainly did not happen.
    FailedWrite {
        /// The write.
        write: Box<Operation>,
        /// The read; `None`: an eventual read whose details are no longer known.
        read: Option<Box<Operation>>,
    },
    /// A read returned a value that the judge does not remember: it was never written, or its write failed, or it
    /// had been overwritten for good before `before_i`. Any of these is a violation.
    Forgotten {
        /// The read.
        read: Box<Operation>,
        /// Values remembered go back to this event at least.
        before_i: u64,
    },
    /// On a key that is judged by search: whatever order the operations took, this one fits none.
    NoOrder {
        /// The operation that fits none.
        operation: Box<Operation>,
        /// What the key could have held by then; the first few.
        possible: Vec<Option<Value>>,
    },
}

/// Why no order explains the history: two values A and B, and operations on them.
///
/// * If `a1` and `b1` are there, a1 ended before b1 began: A was in force at a time before a time of B.
/// * If `b2` and `a2` are there, b2 ended before a2 began: B was in force at a time before a time of A.
/// * One pair may be missing: then the value that would have come first is the key's initial absence.
/// * One operation may play two parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderProof {
    /// The value A.
    pub a: Option<Value>,
    /// The value B.
    pub b: Option<Value>,
    /// Wrote or read A, and ended before `b1` began.
    pub a1: Option<Operation>,
    /// Wrote or read B, and began after `a1` ended.
    pub b1: Option<Operation>,
    /// Wrote or read B, and ended before `a2` began.
    pub b2: Option<Operation>,
    /// Wrote or read A, and began after `b2` ended.
    pub a2: Option<Operation>,
}

impl Violation {
    /// The operations of the proof in the order in which they began: one to four.
    pub fn operations(&self) -> Vec<&Operation> {
        let mut operations = match &self.kind {
            ViolationKind::Order(proof) => {
                proof.parts().into_iter().map(|(_, operation)| operation).collect()
            }
            ViolationKind::NeverWritten { read } | ViolationKind::Forgotten { read, .. } => vec![&**read],
            ViolationKind::FailedWrite { write, read } => {
                std::iter::once(&**write).chain(read.as_deref()).collect()
            }
            ViolationKind::NoOrder { operation, .. } => vec![&**operation],
        };
        operations.sort_by_key(|operation| operation.began.i);
        operations.dedup_by_key(|operation| operation.began.i);
        operations
    }

    /// The same of a history whose values were given other names: `value` says which each name stands for.
    pub(super) fn with_values(mut self, value: impl Fn(&Value) -> Value) -> Self {
        let named = |one: &mut Option<Value>| *one = one.as_ref().map(&value);
        match &mut self.kind {
            ViolationKind::Order(proof) => {
                let OrderProof { a, b, a1, b1, b2, a2 } = &mut **proof;
                [a, b].into_iter().for_each(named);
                [a1, b1, b2, a2].into_iter().flatten().for_each(|operation| named(&mut operation.value));
            }
            ViolationKind::NeverWritten { read } | ViolationKind::Forgotten { read, .. } => {
                named(&mut read.value);
            }
            ViolationKind::FailedWrite { write, read } => {
                named(&mut write.value);
                read.iter_mut().for_each(|read| named(&mut read.value));
            }
            ViolationKind::NoOrder { operation, possible } => {
                named(&mut operation.value);
                possible.iter_mut().for_each(named);
            }
        }
        self
    }

    /// Which rule was broken, where the servers' own words tell: somebody answered with an older entry after
    /// somebody had answered with a newer one. It explains the verdict and decides nothing.
    pub fn rule(&self) -> Option<String> {
        let operations = self.operations();
        let told = |operation: &Operation| {
            let ended = operation.ended.as_ref()?;
            Some((Position::new(ended.epoch?, ended.seq?), ended.at.t_ns))
        };
        let pairs = operations.iter().flat_map(|one| operations.iter().map(move |other| (*one, *other)));
        let (newer, older) = pairs.filter(|(one, other)| one.precedes(other)).find(
            |(one, other)| matches!((told(one), told(other)), (Some(one), Some(other)) if one.0 > other.0),
        )?;
        let ((newest, newer_t), (oldest, older_t)) = (told(newer)?, told(older)?);
        let who = |operation: &Operation| operation.node.map_or("a node".to_owned(), |node| node.to_string());
        let (by, before, then, since) = (who(older), who(newer), Seconds(older_t), Seconds(newer_t));
        Some(if newest.epoch == oldest.epoch {
            let (epoch, old, new) = (oldest.epoch, oldest.seq, newest.seq);
            format!(
                "{by} answered with entry {old} of epoch {epoch} at t={then}; {before} had answered with entry {new} at t={since}"
            )
        } else {
            let (old, new) = (oldest.epoch, newest.epoch);
            format!(
                "{by} answered in epoch {old} at t={then}; {before} had answered in epoch {new} at t={since}"
            )
        })
    }

    /// Why it is one, in a sentence for people.
    pub fn explanation(&self) -> String {
        match &self.kind {
            ViolationKind::Order(proof) => proof.explanation(),
            ViolationKind::NeverWritten { read } => {
                format!("{read}, but nobody had begun to write that")
            }
            ViolationKind::FailedWrite { write, read: Some(read) } => {
                format!("{read}, but that write certainly did not happen: {write}")
            }
            ViolationKind::FailedWrite { write, read: None } => {
                format!("the value was read, but its write certainly did not happen: {write}")
            }
            ViolationKind::Forgotten { read, before_i } => format!(
                "{read}, but that was either never written, or overwritten for good before event #{before_i}"
            ),
            ViolationKind::NoOrder { operation, possible } => {
                let could: Vec<_> = possible.iter().map(|v| Shown(v.as_ref()).to_string()).collect();
                format!(
                    "{operation}, but whatever order the operations took, the key was {} by then",
                    could.join(" or ")
                )
            }
        }
    }
}

/// `key "r3": …`, one line.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {:?}: {}", self.key, self.explanation())
    }
}

impl OrderProof {
    /// The operations that are there, by name.
    pub fn parts(&self) -> Vec<(&'static str, &Operation)> {
        [("a1", &self.a1), ("b1", &self.b1), ("b2", &self.b2), ("a2", &self.a2)]
            .into_iter()
            .filter_map(|(name, operation)| operation.as_ref().map(|operation| (name, operation)))
            .collect()
    }

    /// Whether the operations are in the order that the proof needs.
    pub fn holds(&self) -> bool {
        let before = |one: &Option<Operation>, other: &Option<Operation>| match (one, other) {
            (Some(one), Some(other)) => Some(one.precedes(other)),
            (None, None) => None,
            _ => Some(false),
        };
        let is = |operation: &Option<Operation>, value: &Option<Value>| {
            operation.as_ref().is_none_or(|operation| operation.value == *value)
        };
        let (first, second) = (before(&self.a1, &self.b1), before(&self.b2, &self.a2));
        let values =
            is(&self.a1, &self.a) && is(&self.a2, &self.a) && is(&self.b1, &self.b) && is(&self.b2, &self.b);
        self.a != self.b
            && values
            && match (first, second) {
                (Some(first), Some(second)) => first && second,
                (Some(first), None) => first && self.b.is_none(),
                (None, Some(second)) => second && self.a.is_none(),
                (None, None) => false,
            }
    }

    fn explanation(&self) -> String {
        let (a, b) = (Shown(self.a.as_ref()), Shown(self.b.as_ref()));
        match (&self.a1, &self.b1, &self.b2, &self.a2) {
            (Some(a1), Some(b1), Some(b2), Some(a2)) => format!(
                "{a} was there before {b} ({a1} had ended when {b1} began), and {b} was there before {a} ({} had \
                 ended when {} began), but each was written only once",
                Again(b2, [a1, b1]),
                Again(a2, [a1, b1]),
            ),
            (Some(seen), Some(absent), _, _) | (_, _, Some(seen), Some(absent)) => {
                let value = Shown(seen.value.as_ref());
                format!(
                    "{absent} and found it absent, but {value} was there already: {seen} had ended, and nothing \
                     deletes the key"
                )
            }
            _ => format!("{a} and {b} were each there before the other"),
        }
    }
}

/// An operation that has perhaps been named before in the sentence.
struct Again<'a>(&'a Operation, [&'a Operation; 2]);

impl fmt::Display for Again<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1.iter().any(|named| named.began.i == self.0.began.i) {
            write!(f, "client {}'s operation #{}", self.0.client, self.0.began.i)
        } else {
            fmt::Display::fmt(self.0, f)
        }
    }
}
