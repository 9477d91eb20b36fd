//! Pairing events to operations: each invoke with its completion, each operation under its key.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::{FailedCas, ImportError, ImportOptions};
use crate::judge::history::Phase;
use crate::judge::offline::{EventTime, KeyAct, KeyHistory, KeyOp, OpOutcome};
use crate::judge::value::{Shown, Value};

/// A line of somebody's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawEvent<'t> {
    pub(super) line: u64,
    pub(super) process: u32,
    pub(super) phase: Phase,
    /// The name of the operation: `read`.
    pub(super) function: Cow<'t, str>,
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

/// An operation that has begun, its key taken off the value, and when.
type Begun<'t> = (RawEvent<'t>, EventTime);

/// The operations of each key.
pub(super) fn keys(
    events: Vec<RawEvent<'_>>,
    options: ImportOptions,
) -> Result<Vec<KeyHistory>, ImportError> {
    let mut running: BTreeMap<u32, Begun<'_>> = BTreeMap::new();
    let mut keys: BTreeMap<Value, Vec<KeyOp>> = BTreeMap::new();
    let mut kinds = Kinds::default();
    let mut last = 0;
    for event in events {
        // Lines where each event has its own; else the next number that is free.
        let i = event.line.max(last + 1);
        last = i;
        let now = EventTime { i, t_ns: event.t_ns };
        if event.phase == Phase::Invoke {
            if let Some((before, _)) = running.get(&event.process) {
                let found = format!(
                    "process {} begins anew, but its operation of line {} has not ended",
                    event.process, before.line
                );
                return Err(ImportError::new(event.line, found, "its completion first"));
            }
            let begun = begin(event)?;
            kinds.note(&begun)?;
            running.insert(begun.process, (begun, now));
            continue;
        }
        let Some(begun) = running.remove(&event.process) else {
            let found = format!("process {} completes, but has nothing invoked", event.process);
            return Err(ImportError::new(event.line, found, "an :invoke before it"));
        };
        let (key, op) = end(begun, event, now, options)?;
        keys.entry(key.unwrap_or_else(|| "".into())).or_default().extend(op);
    }
    for begun in running.into_values() {
        let (key, op) = unfinished(begun)?;
        keys.entry(key.unwrap_or_else(|| "".into())).or_default().extend(op);
    }
    let history = |(key, ops)| KeyHistory::new(key, ops).expect("events were paired in order");
    Ok(keys.into_iter().map(history).collect())
}

/// Which kinds of operation each history has, so that it is one kind only.
#[derive(Default)]
struct Kinds {
    register: Option<u64>,
    string: Option<u64>,
    keyed: Option<u64>,
    bare: Option<u64>,
}

impl Kinds {
    fn note(&mut self, begun: &RawEvent<'_>) -> Result<(), ImportError> {
        let is_of_string = matches!(&*begun.function, "get" | "put" | "append");
        let kind = if is_of_string { &mut self.string } else { &mut self.register };
        kind.get_or_insert(begun.line);
        let keyed = if begun.key.is_some() { &mut self.keyed } else { &mut self.bare };
        keyed.get_or_insert(begun.line);
        let mixed = |kinds: [(Option<u64>, &str); 2]| match kinds {
            [(Some(one), here), (Some(other), there)] => {
                let ((line, here), (before, there)) =
                    if one > other { ((one, here), (other, there)) } else { ((other, there), (one, here)) };
                let expected = format!("{there}, as on line {before}");
                Err(ImportError::new(line, format!("an operation {here}"), expected))
            }
            _ => Ok(()),
        };
        mixed([(self.register, ":read, :write or :cas"), (self.string, ":get, :put or :append")])?;
        mixed([(self.keyed, "with a key"), (self.bare, "without a key")])
    }
}

fn begin(mut event: RawEvent<'_>) -> Result<RawEvent<'_>, ImportError> {
    if !matches!(&*event.function, "read" | "write" | "cas" | "get" | "put" | "append") {
        let expected = ":read, :write, :cas, :get, :put or :append";
        return Err(ImportError::new(event.line, format!("the operation :{}", event.function), expected));
    }
    if event.key.is_none() {
        (event.key, event.value) = unkeyed(&event.function, event.value);
    }
    Ok(event)
}

/// Takes the key off a value `[k v]`. A compare-and-set has a pair of its own, so there the second is a pair too.
fn unkeyed(function: &str, value: RawValue) -> (Option<Value>, RawValue) {
    match value {
        RawValue::Pair(key, value) if function != "cas" || matches!(*value, RawValue::Pair(..)) => {
            (Some(key.whole()), *value)
        }
        value => (None, value),
    }
}

fn end<'t>(
    (begun, began): Begun<'t>,
    event: RawEvent<'t>,
    now: EventTime,
    options: ImportOptions,
) -> Result<(Option<Value>, Option<KeyOp>), ImportError> {
    if event.function != begun.function {
        let found = format!("process {} completes :{}", event.process, event.function);
        let expected = format!(":{}, which it invoked on line {}", begun.function, begun.line);
        return Err(ImportError::new(event.line, found, expected));
    }
    let key = begun.key.clone();
    let (told_key, told) = match &key {
        Some(_) if event.key.is_none() => unkeyed(&event.function, event.value),
        _ => (event.key, event.value),
    };
    if let Some(told_key) = told_key.filter(|told_key| Some(told_key) != key.as_ref()) {
        let found = format!("process {} completes :{} of key {}", event.process, event.function, told_key);
        let of = key.map_or_else(|| "without a key".to_owned(), |key| format!("of key {key}"));
        let expected = format!("one {of}, as it invoked on line {}", begun.line);
        return Err(ImportError::new(event.line, found, expected));
    }
    let looks = matches!(&*begun.function, "read" | "get");
    if looks && event.phase != Phase::Ok {
        return Ok((key, None));
    }
    if !looks && event.phase == Phase::Ok && told != RawValue::Nil && told != begun.value {
        let found = format!("process {} completes :{} of another value", event.process, event.function);
        let expected = format!("the value that it invoked on line {}", begun.line);
        return Err(ImportError::new(event.line, found, expected));
    }
    let (value, line) = if looks { (told, event.line) } else { (begun.value, begun.line) };
    let mut act = act(&begun.function, value, line)?;
    let mut outcome = OpOutcome::of(event.phase);
    if let (KeyAct::Cas { from, to }, OpOutcome::Failed, FailedCas::Observed) =
        (&act, outcome, options.failed_cas)
    {
        act = KeyAct::CasFailed { from: from.clone(), to: to.clone() };
        outcome = OpOutcome::Ok;
    }
    let op = KeyOp { process: begun.process, act, began, ended: Some(now), outcome };
    Ok((key, Some(op)))
}

/// An operation without a completion may have happened; a read then says nothing.
fn unfinished((begun, began): Begun<'_>) -> Result<(Option<Value>, Option<KeyOp>), ImportError> {
    let RawEvent { line, process, function, key, value, .. } = begun;
    if matches!(&*function, "read" | "get") {
        return Ok((key, None));
    }
    let act = act(&function, value, line)?;
    Ok((key, Some(KeyOp { process, act, began, ended: None, outcome: OpOutcome::Unknown })))
}

fn act(function: &str, value: RawValue, line: u64) -> Result<KeyAct, ImportError> {
    let refusal = |value: RawValue, expected: &str| {
        let found = format!(":{function} of {}", Shown(Some(&value.whole())));
        ImportError::new(line, found, expected)
    };
    let text = |value: RawValue| match value {
        RawValue::One(one) if one.text().is_some() => Ok(one.to_plain()),
        value => Err(refusal(value, "a string: :get, :put and :append have no others, :read and :write do")),
    };
    Ok(match (function, value) {
        ("read", value) => KeyAct::Read(value.known()),
        ("write", value) => KeyAct::Write(value.known()),
        ("cas", RawValue::Pair(from, to)) => KeyAct::Cas { from: from.known(), to: to.known() },
        // What was never put is the empty string.
        ("get", RawValue::Nil) => KeyAct::Get(String::new()),
        ("get", value) => KeyAct::Get(text(value)?),
        ("put", value) => KeyAct::Put(text(value)?),
        ("append", value) => KeyAct::Append(text(value)?),
        (_, value) => return Err(refusal(value, "a pair, like [3 0]")),
    })
}

impl RawValue {
    /// As a value; `None` is nil.
    fn known(self) -> Option<Value> {
        (self != Self::Nil).then(|| self.whole())
    }

    /// As a value, of which nil is one.
    fn whole(self) -> Value {
        match self {
            Self::One(value) => value,
            Self::Nil | Self::Pair(..) => Value::of_edn(self.to_string()),
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
        }
    }
}
