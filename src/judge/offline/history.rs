//! The history of one key, in whole operations.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::judge::history::{Consistency, HistoryEvent, OpKind, Phase};
use crate::judge::operation::Seconds;
use crate::judge::value::{Quoted, Shown, Value};

/// What was done under one key, from the first to the last that anyone did.
///
/// * Operations are in the order in which they began, and end after that. No two events share an index.
/// * A process does one thing at a time.
/// * All are of a register, or all are of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHistory {
    key: Value,
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
    /// Reads and writes of a register along with puts, appends and gets of a string.
    #[error("operations of a register and of a string under one key, at #{0}")]
    Mixed(u64),
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

/// What an operation does. `None` is absent: never written, or deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAct {
    /// Reads a register.
    Read(Option<Value>),
    /// Writes a register.
    Write(Option<Value>),
    /// Sets a register to `to`, having found `from`.
    Cas {
        /// What it compares with.
        from: Option<Value>,
        /// What it sets.
        to: Option<Value>,
    },
    /// Finds that a register does not hold `from`.
    CasFailed {
        /// What it compares with.
        from: Option<Value>,
        /// What it would have set.
        to: Option<Value>,
    },
    /// Reads a string.
    Get(String),
    /// Sets a string.
    Put(String),
    /// Appends to a string.
    Append(String),
}

impl KeyAct {
    /// Whether it is one of a string, not of a register.
    pub fn is_of_string(&self) -> bool {
        matches!(self, Self::Get(_) | Self::Put(_) | Self::Append(_))
    }

    /// The values of registers that it names.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        let (one, other) = match self {
            Self::Read(value) | Self::Write(value) => (value, &None),
            Self::Cas { from, to } | Self::CasFailed { from, to } => (from, to),
            Self::Get(_) | Self::Put(_) | Self::Append(_) => (&None, &None),
        };
        one.iter().chain(other)
    }

    /// Whether it changes nothing.
    pub fn only_looks(&self) -> bool {
        matches!(self, Self::Read(_) | Self::CasFailed { .. } | Self::Get(_))
    }
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
            if op.act.is_of_string() != ops[0].act.is_of_string() {
                return Err(NoHistory::Mixed(began));
            }
        }
        Ok(Self { key: key.into(), ops })
    }

    /// A history of these operations, which were paired from events in their order.
    pub(in crate::judge) fn of_pairs(key: Value, mut ops: Vec<KeyOp>) -> Self {
        // In place: there may be millions.
        ops.sort_unstable_by_key(|op| op.began.i);
        ops.shrink_to_fit();
        debug_assert!(ops.windows(2).all(|pair| pair[0].began.i < pair[1].began.i));
        Self { key, ops }
    }

    /// The key.
    pub fn key(&self) -> &Value {
        &self.key
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
        Self { key: self.key.clone(), ops }
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
                Self { key: key.into(), ops }
            })
            .collect()
    }

    /// Whether each read names its write: nothing but reads and writes, every value written once, none absent.
    pub fn has_unique_ids(&self) -> bool {
        let mut written = HashSet::new();
        self.ops.iter().all(|op| match &op.act {
            KeyAct::Read(_) | KeyAct::Get(_) => true,
            KeyAct::Write(Some(value)) => written.insert(value.clone()),
            KeyAct::Put(value) => !value.is_empty() && written.insert(value.as_str().into()),
            KeyAct::Write(None) | KeyAct::Cas { .. } | KeyAct::CasFailed { .. } | KeyAct::Append(_) => false,
        })
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

/// `write "4"`, `read absent`, `cas "1" to "2"`.
impl fmt::Display for KeyAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| Shown(value.as_ref()).to_string();
        let text = |value: &str| Quoted(value).to_string();
        match self {
            Self::Read(value) => write!(f, "read {}", shown(value)),
            Self::Write(None) => write!(f, "delete"),
            Self::Write(value) => write!(f, "write {}", shown(value)),
            Self::Cas { from, to } => write!(f, "cas {} to {}", shown(from), shown(to)),
            Self::CasFailed { from, to } => {
                write!(f, "cas {} to {}, which did not match", shown(from), shown(to))
            }
            Self::Get(value) => write!(f, "get {}", text(value)),
            Self::Put(value) => write!(f, "put {}", text(value)),
            Self::Append(value) => write!(f, "append {}", text(value)),
        }
    }
}

/// `process 3: write "4" (#17 to #20)`.
impl fmt::Display for KeyOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}: {}", self.process, self.act)?;
        match self.outcome {
            OpOutcome::Ok => {}
            OpOutcome::Unknown => f.write_str(", outcome unknown")?,
            OpOutcome::Failed => f.write_str(", which failed")?,
        }
        write!(f, " (#{}", self.began.i)?;
        match &self.ended {
            Some(ended) => write!(f, " to #{}", ended.i)?,
            None => f.write_str(" and on")?,
        }
        if let Some(t_ns) = self.began.t_ns {
            write!(f, ", t={}", Seconds(t_ns))?;
        }
        f.write_str(")")
    }
}
