//! Models: what kinds of object a history can be of, and what each holds from one operation to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::act::{Family, KeyAct, RegisterAct};
use crate::judge::value::{Quoted, Shown, Value};

/// A kind of object: which operations it has, and what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelName {
    /// A register: read, write.
    Register,
    /// A register with compare-and-set.
    CasRegister,
    /// Several registers that are read and written at once.
    MultiRegister,
    /// A lock: acquire, release. Whose it is is not looked at.
    Mutex,
    /// A set that grows: add, read of all.
    Set,
    /// A queue that returns values in the order in which they were put into it.
    FifoQueue,
    /// A queue that returns values in any order.
    UnorderedQueue,
    /// A counter: add, read.
    Counter,
    /// A string: put, append, get.
    KeyValue,
}

impl ModelName {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Register,
        Self::CasRegister,
        Self::MultiRegister,
        Self::Mutex,
        Self::Set,
        Self::FifoQueue,
        Self::UnorderedQueue,
        Self::Counter,
        Self::KeyValue,
    ];

    /// As it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::CasRegister => "cas-register",
            Self::MultiRegister => "multi-register",
            Self::Mutex => "mutex",
            Self::Set => "set",
            Self::FifoQueue => "fifo-queue",
            Self::UnorderedQueue => "unordered-queue",
            Self::Counter => "counter",
            Self::KeyValue => "key-value",
        }
    }

    /// What a sentence calls the object: `the register`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Register | Self::CasRegister => "register",
            Self::MultiRegister => "registers",
            Self::Mutex => "mutex",
            Self::Set => "set",
            Self::FifoQueue | Self::UnorderedQueue => "queue",
            Self::Counter => "counter",
            Self::KeyValue => "string",
        }
    }

    /// Whether the operation is one of the model's.
    pub(super) fn has(self, act: &KeyAct) -> bool {
        let compares = matches!(act, KeyAct::Cas { .. } | KeyAct::CasFailed { .. });
        act.family() == self.family() && !(self == Self::Register && compares)
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::Register | Self::CasRegister => Family::Register,
            Self::MultiRegister => Family::MultiRegister,
            Self::Mutex => Family::Mutex,
            Self::Set => Family::Set,
            Self::FifoQueue | Self::UnorderedQueue => Family::Queue,
            Self::Counter => Family::Counter,
            Self::KeyValue => Family::KeyValue,
        }
    }

    /// The model of a family, where nobody says more. A queue is one that keeps the order.
    pub(super) fn of(family: Family) -> Self {
        match family {
            Family::Register => Self::CasRegister,
            Family::MultiRegister => Self::MultiRegister,
            Family::Mutex => Self::Mutex,
            Family::Set => Self::Set,
            Family::Queue => Self::FifoQueue,
            Family::Counter => Self::Counter,
            Family::KeyValue => Self::KeyValue,
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an object holds: the models in plain words, for sentences and for what is left of a history. The search has
/// its own models, which are faster and say nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Held {
    Register(Option<Value>),
    Registers(BTreeMap<Value, Value>),
    /// Whether it is taken.
    Mutex(bool),
    Set(BTreeSet<Value>),
    Queue {
        is_fifo: bool,
        /// In their order, if it is kept, and else sorted.
        values: Vec<Value>,
    },
    Counter(i64),
    KeyValue(String),
}

impl Held {
    /// Before anything.
    pub(super) fn first(model: ModelName) -> Self {
        match model {
            ModelName::Register | ModelName::CasRegister => Self::Register(None),
            ModelName::MultiRegister => Self::Registers(BTreeMap::new()),
            ModelName::Mutex => Self::Mutex(false),
            ModelName::Set => Self::Set(BTreeSet::new()),
            ModelName::FifoQueue => Self::Queue { is_fifo: true, values: Vec::new() },
            ModelName::UnorderedQueue => Self::Queue { is_fifo: false, values: Vec::new() },
            ModelName::Counter => Self::Counter(0),
            ModelName::KeyValue => Self::KeyValue(String::new()),
        }
    }

    /// After an operation that happened; `None`: it cannot have this result here, or is a drain, which takes several
    /// steps.
    pub(super) fn after(&self, act: &KeyAct) -> Option<Self> {
        let same = |fits: bool| fits.then(|| self.clone());
        match (self, act) {
            (Self::Register(held), KeyAct::Read(seen)) => same(held == seen),
            (Self::Register(_), KeyAct::Write(value)) => Some(Self::Register(value.clone())),
            (Self::Register(held), KeyAct::Cas { from, to }) => {
                (held == from).then(|| Self::Register(to.clone()))
            }
            (Self::Register(held), KeyAct::CasFailed { from, .. }) => same(held != from),
            (Self::Registers(held), KeyAct::Transact(steps)) => transacted(held, steps).map(Self::Registers),
            (Self::Mutex(is_taken), KeyAct::Acquire) => (!is_taken).then_some(Self::Mutex(true)),
            (Self::Mutex(is_taken), KeyAct::Release) => is_taken.then_some(Self::Mutex(false)),
            (Self::Set(held), KeyAct::Insert(element)) => {
                Some(Self::Set(held.iter().chain([element]).cloned().collect()))
            }
            (Self::Set(held), KeyAct::Members(seen)) => same(held.iter().eq(seen)),
            (Self::Queue { is_fifo, values }, KeyAct::Enqueue(value)) => {
                let mut values = values.clone();
                let at = if *is_fifo { values.len() } else { values.partition_point(|other| other <= value) };
                values.insert(at, value.clone());
                Some(Self::Queue { is_fifo: *is_fifo, values })
            }
            (Self::Queue { values, .. }, KeyAct::Dequeue(None)) => same(values.is_empty()),
            (Self::Queue { is_fifo, values }, KeyAct::Dequeue(Some(value))) => {
                let at = if *is_fifo {
                    values.first().filter(|first| *first == value).map(|_| 0)
                } else {
                    values.binary_search(value).ok()
                };
                let mut values = values.clone();
                values.remove(at?);
                Some(Self::Queue { is_fifo: *is_fifo, values })
            }
            (Self::Counter(sum), KeyAct::Increase(amount)) => Some(Self::Counter(sum + i64::from(*amount))),
            (Self::Counter(sum), KeyAct::Count(seen)) => same(sum == seen),
            (Self::KeyValue(held), KeyAct::Get(seen)) => same(held == seen),
            (Self::KeyValue(_), KeyAct::Put(text)) => Some(Self::KeyValue(text.clone())),
            (Self::KeyValue(held), KeyAct::Append(text)) => Some(Self::KeyValue(format!("{held}{text}"))),
            _ => None,
        }
    }

    /// All that there may be after an operation, of which it is known whether it happened: a dequeue of unknown outcome may
    /// have taken any value that a known one could.
    pub(super) fn after_any(&self, act: &KeyAct, is_known: bool) -> Vec<Self> {
        match (self, act) {
            (Self::Queue { is_fifo, values }, KeyAct::Dequeue(_)) if !is_known => {
                let reach = if *is_fifo { values.len().min(1) } else { values.len() };
                let taken = values[..reach].iter().cloned().map(|value| KeyAct::Dequeue(Some(value)));
                taken.filter_map(|act| self.after(&act)).collect()
            }
            _ => self.after(act).into_iter().collect(),
        }
    }

    /// Operations that lead here from the beginning. `None`: there are none, since a count is too large for one.
    pub(super) fn restated(&self) -> Option<Vec<KeyAct>> {
        Some(match self {
            Self::Register(None) | Self::Mutex(false) | Self::Counter(0) => Vec::new(),
            Self::Register(value) => vec![KeyAct::Write(value.clone())],
            Self::Registers(held) if held.is_empty() => Vec::new(),
            Self::Registers(held) => {
                let write = |(register, value): (&Value, &Value)| RegisterAct::Write {
                    register: register.clone(),
                    value: Some(value.clone()),
                };
                vec![KeyAct::Transact(held.iter().map(write).collect())]
            }
            Self::Mutex(true) => vec![KeyAct::Acquire],
            Self::Set(held) => held.iter().cloned().map(KeyAct::Insert).collect(),
            Self::Queue { values, .. } => values.iter().cloned().map(KeyAct::Enqueue).collect(),
            Self::Counter(sum) => vec![KeyAct::Increase(i32::try_from(*sum).ok()?)],
            Self::KeyValue(held) if held.is_empty() => Vec::new(),
            Self::KeyValue(held) => vec![KeyAct::Put(held.clone())],
        })
    }
}

/// What registers hold after a transaction; each step sees those before it.
fn transacted(held: &BTreeMap<Value, Value>, steps: &[RegisterAct]) -> Option<BTreeMap<Value, Value>> {
    let mut held = held.clone();
    for step in steps {
        match step {
            RegisterAct::Read { register, value } if held.get(register) != value.as_ref() => return None,
            RegisterAct::Read { .. } => {}
            RegisterAct::Write { register, value: Some(value) } => {
                held.insert(register.clone(), value.clone());
            }
            RegisterAct::Write { register, value: None } => {
                held.remove(register);
            }
        }
    }
    Some(held)
}

/// As a sentence says it: `"4"`, `taken`, `[1 2]`.
impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>,
                    open: &str,
                    values: &mut dyn Iterator<Item = &Value>,
                    close: &str| {
            f.write_str(open)?;
            for (nth, value) in values.enumerate() {
                let gap = if nth == 0 { "" } else { " " };
                write!(f, "{gap}{}", Shown(Some(value)))?;
            }
            f.write_str(close)
        };
        match self {
            Self::Register(value) => write!(f, "{}", Shown(value.as_ref())),
            Self::Registers(held) => {
                f.write_str("{")?;
                for (nth, (register, value)) in held.iter().enumerate() {
                    let gap = if nth == 0 { "" } else { ", " };
                    write!(f, "{gap}{} {}", Shown(Some(register)), Shown(Some(value)))?;
                }
                f.write_str("}")
            }
            Self::Mutex(true) => f.write_str("taken"),
            Self::Mutex(false) => f.write_str("free"),
            Self::Set(held) => list(f, "#{", &mut held.iter(), "}"),
            Self::Queue { values, .. } => list(f, "[", &mut values.iter(), "]"),
            Self::Counter(sum) => write!(f, "{sum}"),
            Self::KeyValue(held) => write!(f, "{}", Quoted(held)),
        }
    }
}
