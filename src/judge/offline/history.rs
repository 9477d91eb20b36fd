//! The history of one key, in whole operations.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::act::KeyAct;
use super::model::ModelName;
use crate::judge::history::{Consistency, HistoryEvent, OpKind, Phase};
use crate::judge::operation::Seconds;
use crate::judge::value::{Value, shortened};

/// What was done under one key, from the first to the last that anyone did.
///
/// * Operations are in the order in which they began, and end after that. No two events share an index.
/// * A process does one thing at a time.
/// * All are of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHistory {
    key: Value,
    model: ModelName,
    /// What had been done before the first operation, one after another.
    initially: Vec<KeyAct>,
    ops: Vec<KeyOp>,
}

/// Operations that are no history of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHistory {
    /// An operation ends before it begins, or an index is used twice.
    #[error("two events at #{0}, or an operation that ends before it begins there")]
    Order(u64),
    /// A process begins anew before its operation has ended.
    #[error("process {process} begins at #{i}, but its operation before that has not ended")]
    Overlap {
        /// The process.
        process: u32,
        /// The index of the second begin.
        i: u64,
    },
    /// Operations of different models.
    #[error("an operation of a {theirs} at #{i}, but the history is of a {model}")]
    Mixed {
        /// The index of its begin.
        i: u64,
        /// A model that has the operation.
        theirs: ModelName,
        /// That of the history.
        model: ModelName,
    },
}

/// An operation with its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyOp {
    /// The client process.
    pub process: u32,
    /// What it did, and what came of it.
    pub act: KeyAct,
    /// When it began.
    pub began: EventTime,
    /// When it ended; `None`: not as far as the history goes.
    pub ended: Option<EventTime>,
    /// Whether it happened.
    pub outcome: OpOutcome,
}

/// A moment of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventTime {
    /// This decides what was before what: an index, or the line of the file. No two events share one.
    pub i: u64,
    /// Nanoseconds since any beginning, where the history tells.
    pub t_ns: Option<u64>,
}

/// Whether an operation happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpOutcome {
    /// It did, and this is its result.
    Ok,
    /// It may have.
    Unknown,
    /// It did not.
    Failed,
}

impl KeyHistory {
    /// A history of these operations, in any order. `key` is empty where there is only one and nobody names it.
    ///
    /// # Errors
    /// If they are none.
    pub fn new(key: impl Into<Value>, mut ops: Vec<KeyOp>) -> Result<Self, NoHistory> {
        ops.sort_by_key(|op| op.began.i);
        let mut seen = HashSet::new();
        let mut busy: BTreeMap<u32, Option<u64>> = BTreeMap::new();
        for op in &ops {
            let (began, ended) = (op.began.i, op.ended.map(|ended| ended.i));
            if !seen.insert(began) || ended.is_some_and(|ended| ended <= began || !seen.insert(ended)) {
                return Err(NoHistory::Order(began));
            }
            let before = busy.insert(op.process, ended);
            if before.is_some_and(|before| before.is_none_or(|before| before > began)) {
                return Err(NoHistory::Overlap { process: op.process, i: began });
            }
        }
        let family = ops.first().map(|op| op.act.family());
        let model = family.map_or(ModelName::Register, ModelName::of);
        Self { key: key.into(), model, initially: Vec::new(), ops }.as_model(model)
    }

    /// The same as a history of this model: a queue that keeps no order, say.
    ///
    /// # Errors
    /// If some operation is none of the model's.
    pub fn as_model(mut self, model: ModelName) -> Result<Self, NoHistory> {
        match self.ops.iter().find(|op| !model.has(&op.act)) {
            None => {
                self.model = model;
                Ok(self)
            }
            Some(op) => {
                Err(NoHistory::Mixed { i: op.began.i, theirs: ModelName::of(op.act.family()), model })
            }
        }
    }

    /// The same, but these were done before, one after another: they are what the object holds at first. They must be
    /// operations of the model that change something and need nothing.
    #[must_use]
    pub fn starting_with(mut self, initially: Vec<KeyAct>) -> Self {
        self.initially = initially;
        self
    }

    /// A history of these operations, which were paired from events in their order.
    pub(in crate::judge) fn of_pairs(key: Value, mut ops: Vec<KeyOp>) -> Self {
        // In place: there may be millions.
        ops.sort_unstable_by_key(|op| op.began.i);
        ops.shrink_to_fit();
        debug_assert!(ops.windows(2).all(|pair| pair[0].began.i < pair[1].began.i));
        Self { key, model: ModelName::Register, initially: Vec::new(), ops }
    }

    /// The key.
    pub fn key(&self) -> &Value {
        &self.key
    }

    /// Of what kind of object it is.
    pub fn model(&self) -> ModelName {
        self.model
    }

    /// What had been done before the first operation, one after another.
    pub fn initially(&self) -> &[KeyAct] {
        &self.initially
    }

    /// The operations in the order in which they began.
    pub fn ops(&self) -> &[KeyOp] {
        &self.ops
    }

    /// The place of the operation that began then.
    pub(super) fn place_of(&self, began: EventTime) -> Option<usize> {
        self.ops.binary_search_by_key(&began.i, |op| op.began.i).ok()
    }

    /// The same key with other operations, of which every one was in this history, whole or cut short.
    pub(in crate::judge) fn with(&self, ops: Vec<KeyOp>) -> Self {
        Self { key: self.key.clone(), model: self.model, initially: self.initially.clone(), ops }
    }

    /// The quorum operations of each key, from our own events. Eventual reads are no part of the promise, and a
    /// key with an async write has none.
    ///
    /// Operations that have no reply are of unknown outcome; reads of unknown outcome say nothing and are left out.
    /// The events must be a history that a [`Judge`](crate::judge::Judge) does not refuse.
    pub fn of_events(events: &[HistoryEvent]) -> Vec<Self> {
        let mut keys: BTreeMap<&str, Vec<KeyOp>> = BTreeMap::new();
        let mut running: BTreeMap<u32, usize> = BTreeMap::new();
        let mut unreplicated = HashSet::new();
        let value = |event: &HistoryEvent| event.value.as_deref().map(Value::from);
        for event in events {
            if event.consistency == Consistency::Async {
                unreplicated.insert(&*event.key);
            }
            if event.consistency != Consistency::Quorum {
                continue;
            }
            let now = EventTime { i: event.i, t_ns: Some(event.t_ns) };
            let ops = keys.entry(&event.key).or_default();
            if event.phase == Phase::Invoke {
                running.insert(event.client, ops.len());
                let act = match event.op {
                    OpKind::Get => KeyAct::Read(None),
                    OpKind::Put | OpKind::Del => KeyAct::Write(value(event)),
                };
                ops.push(KeyOp {
                    process: event.client,
                    act,
                    began: now,
                    ended: None,
                    outcome: OpOutcome::Unknown,
                });
            } else if let Some(at) = running.remove(&event.client) {
                ops[at].ended = Some(now);
                ops[at].outcome = OpOutcome::of(event.phase);
                if event.op == OpKind::Get {
                    ops[at].act = KeyAct::Read(value(event));
                }
            }
        }
        let says_something = |op: &KeyOp| op.outcome == OpOutcome::Ok || !op.act.only_looks();
        keys.into_iter()
            .filter(|(key, _)| !unreplicated.contains(key))
            .map(|(key, mut ops)| {
                ops.retain(says_something);
                Self { key: key.into(), model: ModelName::Register, initially: Vec::new(), ops }
            })
            .collect()
    }

    /// Whether each read names its write: nothing but reads and writes, every value written once, none absent.
    pub fn has_unique_ids(&self) -> bool {
        let mut written = HashSet::new();
        self.initially.is_empty()
            && self.ops.iter().all(|op| match &op.act {
                KeyAct::Read(_) | KeyAct::Get(_) => true,
                KeyAct::Write(Some(value)) => written.insert(value.clone()),
                KeyAct::Put(value) => !value.is_empty() && written.insert(value.as_str().into()),
                _ => false,
            })
    }
}

impl KeyOp {
    /// Whether it changed nothing: it only looks, or found nothing to take.
    pub(super) fn looks(&self) -> bool {
        self.act.only_looks() || self.outcome == OpOutcome::Ok && self.act == KeyAct::Dequeue(None)
    }

    /// Whether it happened, or may have and would have changed something.
    pub(super) fn counts(&self) -> bool {
        match self.outcome {
            OpOutcome::Ok => true,
            OpOutcome::Unknown => !self.act.only_looks(),
            OpOutcome::Failed => false,
        }
    }
}

impl OpOutcome {
    /// Of an operation that ended so.
    pub(in crate::judge) fn of(phase: Phase) -> Self {
        match phase {
            Phase::Ok => Self::Ok,
            Phase::Fail => Self::Failed,
            Phase::Invoke | Phase::Info => Self::Unknown,
        }
    }
}

/// `process 3: write "4" (#17 to #20)`.
impl fmt::Display for KeyOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(&shortened))
    }
}

impl KeyOp {
    /// What it did, in words, with each value as it is `shown`, which is given what EDN prints. Of a dequeue of unknown
    /// outcome nobody knows what it took.
    pub(in crate::judge) fn done(&self, shown: &dyn Fn(&str) -> String) -> String {
        match (&self.act, self.outcome) {
            (KeyAct::Dequeue(_), OpOutcome::Unknown) => "dequeue".to_owned(),
            (KeyAct::Drain(_), OpOutcome::Unknown) => "drain".to_owned(),
            (act, _) => act.words(shown),
        }
    }

    /// The same, with whose it is, how it ended, and when.
    pub(super) fn words(&self, shown: &dyn Fn(&str) -> String) -> String {
        let mut words = format!("process {}: {}", self.process, self.done(shown));
        words.push_str(match self.outcome {
            OpOutcome::Ok => "",
            OpOutcome::Unknown => ", outcome unknown",
            OpOutcome::Failed => ", which failed",
        });
        words.push_str(&format!(" (#{}", self.began.i));
        match &self.ended {
            Some(ended) => words.push_str(&format!(" to #{}", ended.i)),
            None => words.push_str(" and on"),
        }
        if let Some(t_ns) = self.began.t_ns {
            words.push_str(&format!(", t={}", Seconds(t_ns)));
        }
        words.push(')');
        words
    }
}
