//! Events as somebody wrote them, before anybody knows what they mean together.

use std::fmt;

use crate::judge::history::Phase;
use crate::judge::value::Value;

/// A line of somebody's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawEvent<'t> {
    pub(super) line: u64,
    pub(super) process: u32,
    pub(super) phase: Phase,
    /// The name of the operation: `read`.
    pub(super) function: &'t str,
    /// Where the event names it apart from the value.
    pub(super) key: Option<Value>,
    pub(super) value: RawValue,
    pub(super) t_ns: Option<u64>,
}

/// A value of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RawValue {
    Nil,
    One(Value),
    /// `[3 0]`: what a compare-and-set compares and sets, or a key and a value.
    Pair(Box<Self>, Box<Self>),
    /// `[[:r :x nil] [:w :y 1]]`: a transaction.
    Steps(Vec<RawStep>),
}

/// A step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawStep {
    /// Else it reads.
    pub(super) writes: bool,
    pub(super) register: Value,
    pub(super) value: Option<Value>,
}

/// A phase from the name of a type, without its colon.
pub(super) fn phase_of(name: &str) -> Option<Phase> {
    match name {
        "invoke" => Some(Phase::Invoke),
        "ok" => Some(Phase::Ok),
        "fail" => Some(Phase::Fail),
        "info" => Some(Phase::Info),
        _ => None,
    }
}

impl RawValue {
    /// As a value; `None` is nil.
    pub(super) fn known(self) -> Option<Value> {
        (self != Self::Nil).then(|| self.whole())
    }

    /// As a value, of which nil is one.
    pub(super) fn whole(self) -> Value {
        match self {
            Self::One(value) => value,
            Self::Nil | Self::Pair(..) | Self::Steps(_) => Value::of_edn(self.to_string()),
        }
    }
}

/// As EDN.
impl fmt::Display for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::One(value) => value.fmt(f),
            Self::Pair(one, other) => write!(f, "[{one} {other}]"),
            Self::Steps(steps) => {
                let step = |step: &RawStep| {
                    let value = step.value.as_ref().map_or_else(|| "nil".to_owned(), Value::to_string);
                    format!("[{} {} {value}]", if step.writes { ":w" } else { ":r" }, step.register)
                };
                write!(f, "[{}]", steps.iter().map(step).collect::<Vec<_>>().join(" "))
            }
        }
    }
}
