//! What an operation does.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::judge::value::{Value, printed_text, shortened};

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
    /// Reads and writes several registers at once; each step sees those before it.
    Transact(Vec<RegisterAct>),
    /// Takes a mutex that is free.
    Acquire,
    /// Gives a mutex back that is taken, by whomever.
    Release,
    /// Adds an element to a set.
    Insert(Value),
    /// Reads a whole set: its elements ascend.
    Members(Vec<Value>),
    /// Puts a value into a queue.
    Enqueue(Value),
    /// Takes a value from a queue, or finds it empty. Of unknown outcome it may have taken any value.
    Dequeue(Option<Value>),
    /// Takes values from a queue, one after another. Of unknown outcome it may have taken any number.
    Drain(Vec<Value>),
    /// Adds to a counter.
    Increase(i32),
    /// Reads a counter.
    Count(i64),
}

/// A step of a transaction over registers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegisterAct {
    /// Reads a register.
    Read {
        /// Which.
        register: Value,
        /// What it saw.
        value: Option<Value>,
    },
    /// Writes a register.
    Write {
        /// Which.
        register: Value,
        /// What.
        value: Option<Value>,
    },
}

/// Operations that only go together with each other. Two models share one where what was done does not tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Register,
    MultiRegister,
    Mutex,
    Set,
    Queue,
    Counter,
    KeyValue,
}

impl RegisterAct {
    /// Whether it makes the register absent.
    pub(in crate::judge) fn deletes(&self) -> bool {
        matches!(self, Self::Write { value: None, .. })
    }
}

impl KeyAct {
    /// Whether it changes nothing.
    pub fn only_looks(&self) -> bool {
        match self {
            Self::Read(_) | Self::CasFailed { .. } | Self::Get(_) | Self::Members(_) | Self::Count(_) => true,
            Self::Transact(steps) => steps.iter().all(|step| matches!(step, RegisterAct::Read { .. })),
            _ => false,
        }
    }

    /// Whether it is one of a string.
    pub(in crate::judge) fn is_of_string(&self) -> bool {
        self.family() == Family::KeyValue
    }

    pub(super) fn family(&self) -> Family {
        match self {
            Self::Read(_) | Self::Write(_) | Self::Cas { .. } | Self::CasFailed { .. } => Family::Register,
            Self::Get(_) | Self::Put(_) | Self::Append(_) => Family::KeyValue,
            Self::Transact(_) => Family::MultiRegister,
            Self::Acquire | Self::Release => Family::Mutex,
            Self::Insert(_) | Self::Members(_) => Family::Set,
            Self::Enqueue(_) | Self::Dequeue(_) | Self::Drain(_) => Family::Queue,
            Self::Increase(_) | Self::Count(_) => Family::Counter,
        }
    }

    /// The values that it names; of strings, which are no values, none.
    pub fn values(&self) -> Vec<&Value> {
        match self {
            Self::Read(value) | Self::Write(value) | Self::Dequeue(value) => value.iter().collect(),
            Self::Cas { from, to } | Self::CasFailed { from, to } => from.iter().chain(to).collect(),
            Self::Insert(value) | Self::Enqueue(value) => vec![value],
            Self::Members(values) | Self::Drain(values) => values.iter().collect(),
            Self::Transact(steps) => {
                let values = steps.iter().map(|step| match step {
                    RegisterAct::Read { value, .. } | RegisterAct::Write { value, .. } => value,
                });
                values.flatten().collect()
            }
            Self::Get(_) | Self::Put(_) | Self::Append(_) => Vec::new(),
            Self::Acquire | Self::Release | Self::Increase(_) | Self::Count(_) => Vec::new(),
        }
    }

    /// The same in words, with each value as it is `shown`, which is given what EDN prints.
    pub(in crate::judge) fn words(&self, shown: &dyn Fn(&str) -> String) -> String {
        let one = |value: &Value| shown(&value.to_string());
        let maybe = |value: &Option<Value>| value.as_ref().map_or_else(|| "absent".to_owned(), one);
        let text = |text: &str| shown(&printed_text(text));
        let list = |values: &[Value]| values.iter().map(one).collect::<Vec<_>>().join(" ");
        match self {
            Self::Read(value) => format!("read {}", maybe(value)),
            Self::Write(None) => "delete".to_owned(),
            Self::Write(value) => format!("write {}", maybe(value)),
            Self::Cas { from, to } => format!("cas {} to {}", maybe(from), maybe(to)),
            Self::CasFailed { from, to } => {
                format!("cas {} to {}, which did not match", maybe(from), maybe(to))
            }
            Self::Get(value) => format!("get {}", text(value)),
            Self::Put(value) => format!("put {}", text(value)),
            Self::Append(value) => format!("append {}", text(value)),
            Self::Transact(steps) => {
                let mut words = String::new();
                for step in steps {
                    let gap = if words.is_empty() { "" } else { ", " };
                    let _ = match step {
                        RegisterAct::Read { register, value } => {
                            write!(words, "{gap}read {} = {}", one(register), maybe(value))
                        }
                        RegisterAct::Write { register, value } => {
                            write!(words, "{gap}write {} = {}", one(register), maybe(value))
                        }
                    };
                }
                words
            }
            Self::Acquire => "acquire".to_owned(),
            Self::Release => "release".to_owned(),
            Self::Insert(value) => format!("add {}", one(value)),
            Self::Members(values) => format!("read {}", shown(&format!("#{{{}}}", list(values)))),
            Self::Enqueue(value) => format!("enqueue {}", one(value)),
            Self::Dequeue(Some(value)) => format!("dequeue {}", one(value)),
            Self::Dequeue(None) => "dequeue, empty".to_owned(),
            Self::Drain(values) => format!("drain {}", shown(&format!("[{}]", list(values)))),
            Self::Increase(amount) => format!("add {amount}"),
            Self::Count(sum) => format!("read {sum}"),
        }
    }
}

/// `write "4"`, `read absent`, `cas "1" to "2"`.
impl fmt::Display for KeyAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(&shortened))
    }
}
