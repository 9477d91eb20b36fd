//! Pairing events to operations: each invoke with its completion, each operation under its key.

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

/// An operation that has begun, its key and its version taken off the value.
#[derive(Debug)]
struct Begun {
    line: u64,
    process: u32,
    function: &'static str,
    key: Option<Value>,
    /// A version is told beside the value: `[nil 3]`, which completes as `[17 3]`. It is not judged.
    versioned: bool,
    value: RawValue,
    began: EventTime,
}

/// The operations that are known.
const FUNCTIONS: [&str; 6] = ["read", "write", "cas", "get", "put", "append"];

/// Whether the operation asks what is there.
fn looks(function: &str) -> bool {
    matches!(function, "read" | "get")
}

/// Events on their way to operations.
#[derive(Debug)]
pub(super) struct Pairing {
    options: ImportOptions,
    running: BTreeMap<u32, Begun>,
    keys: BTreeMap<Value, Vec<KeyOp>>,
    kinds: Kinds,
    last: u64,
}

impl Pairing {
    pub(super) fn new(options: ImportOptions) -> Self {
        let (running, keys) = (BTreeMap::new(), BTreeMap::new());
        Self { options, running, keys, kinds: Kinds::default(), last: 0 }
    }

    /// Takes the next event.
    pub(super) fn push(&mut self, event: RawEvent<'_>) -> Result<(), ImportError> {
        // Lines where each event has its own; else the next number that is free.
        let i = event.line.max(self.last + 1);
        self.last = i;
        let now = EventTime { i, t_ns: event.t_ns };
        if event.phase == Phase::Invoke {
            if let Some(before) = self.running.get(&event.process) {
                let found = format!(
                    "process {} begins anew, but its operation of line {} has not ended",
                    event.process, before.line
                );
                return Err(ImportError::new(event.line, found, "its completion first"));
            }
            let begun = begin(event, now)?;
            self.kinds.note(&begun)?;
            self.running.insert(begun.process, begun);
            return Ok(());
        }
        let Some(begun) = self.running.remove(&event.process) else {
            let found = format!("process {} completes, but has nothing invoked", event.process);
            return Err(ImportError::new(event.line, found, "an :invoke before it"));
        };
        let (key, op) = end(begun, event, now, self.options)?;
        self.note(key, op);
        Ok(())
    }

    /// The operations of each key: nothing follows. What has not ended may have happened; a read then says nothing.
    pub(super) fn finish(mut self) -> Result<Vec<KeyHistory>, ImportError> {
        for begun in std::mem::take(&mut self.running).into_values() {
            let Begun { line, process, function, key, value, began, .. } = begun;
            let op = if looks(function) {
                None
            } else {
                let act = act(function, value, line)?;
                Some(KeyOp { process, act, began, ended: None, outcome: OpOutcome::Unknown })
            };
            self.note(key, op);
        }
        Ok(self.keys.into_iter().map(|(key, ops)| KeyHistory::of_pairs(key, ops)).collect())
    }

    fn note(&mut self, key: Option<Value>, op: Option<KeyOp>) {
        let ops = self.keys.entry(key.unwrap_or_else(|| "".into())).or_default();
        if ops.len() == ops.capacity() {
            // By less than a vector does by itself: what is reserved for nothing is memory, too.
            ops.reserve_exact(ops.len() / 8 + 4);
        }
        ops.extend(op);
    }
}

/// Which kinds of operation each history has, so that it is one kind only.
#[derive(Debug, Default)]
struct Kinds {
    register: Option<u64>,
    string: Option<u64>,
    keyed: Option<u64>,
    bare: Option<u64>,
    versioned: Option<u64>,
    plain: Option<u64>,
}

impl Kinds {
    fn note(&mut self, begun: &Begun) -> Result<(), ImportError> {
        let is_of_string = matches!(begun.function, "get" | "put" | "append");
        let kind = if is_of_string { &mut self.string } else { &mut self.register };
        kind.get_or_insert(begun.line);
        let keyed = if begun.key.is_some() { &mut self.keyed } else { &mut self.bare };
        keyed.get_or_insert(begun.line);
        let versioned = if begun.versioned { &mut self.versioned } else { &mut self.plain };
        versioned.get_or_insert(begun.line);
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
        mixed([(self.keyed, "with a key"), (self.bare, "without a key")])?;
        mixed([(self.versioned, "with a version beside its value"), (self.plain, "without a version")])
    }
}

fn begin(event: RawEvent<'_>, began: EventTime) -> Result<Begun, ImportError> {
    let Some(function) = FUNCTIONS.into_iter().find(|known| *known == event.function) else {
        let expected = ":read, :write, :cas, :get, :put or :append";
        return Err(ImportError::new(event.line, format!("the operation :{}", event.function), expected));
    };
    let RawEvent { line, process, key, value, .. } = event;
    let (key, value) = if key.is_none() { unkeyed(function, value) } else { (key, value) };
    let (versioned, value) = match value {
        RawValue::Pair(version, value)
            if *version == RawValue::Nil
                && (matches!(function, "read" | "write")
                    || function == "cas" && matches!(*value, RawValue::Pair(..))) =>
        {
            (true, *value)
        }
        value => (false, value),
    };
    Ok(Begun { line, process, function, key, versioned, value, began })
}

/// Takes the key off a value `[k v]`. A compare-and-set has a pair of its own, so there the second is a pair too. Nil is
/// no key but a version that nobody knows yet.
fn unkeyed(function: &str, value: RawValue) -> (Option<Value>, RawValue) {
    match value {
        RawValue::Pair(key, value)
            if *key != RawValue::Nil && (function != "cas" || matches!(*value, RawValue::Pair(..))) =>
        {
            (Some(key.whole()), *value)
        }
        value => (None, value),
    }
}

fn end(
    begun: Begun,
    event: RawEvent<'_>,
    now: EventTime,
    options: ImportOptions,
) -> Result<(Option<Value>, Option<KeyOp>), ImportError> {
    let error = |found: String, expected: String| Err(ImportError::new(event.line, found, expected));
    if event.function != begun.function {
        return error(
            format!("process {} completes :{}", event.process, event.function),
            format!(":{}, which it invoked on line {}", begun.function, begun.line),
        );
    }
    let (told_key, told) = match &begun.key {
        Some(_) if event.key.is_none() => unkeyed(begun.function, event.value),
        _ => (event.key, event.value),
    };
    if let Some(told_key) = told_key.filter(|told_key| Some(told_key) != begun.key.as_ref()) {
        let of = begun.key.map_or_else(|| "without a key".to_owned(), |key| format!("of key {key}"));
        return error(
            format!("process {} completes :{} of key {told_key}", event.process, begun.function),
            format!("one {of}, as it invoked on line {}", begun.line),
        );
    }
    let (looks, ok) = (looks(begun.function), event.phase == Phase::Ok);
    if looks && !ok {
        return Ok((begun.key, None));
    }
    let told = match told {
        RawValue::Pair(_, told) if begun.versioned && (looks || *told == begun.value) => *told,
        told if begun.versioned && looks => {
            let found = format!("process {} completes :{} of {told}", event.process, begun.function);
            return error(found, "a version and the value, like [17 3]".to_owned());
        }
        told => told,
    };
    if !looks && ok && told != RawValue::Nil && told != begun.value {
        return error(
            format!("process {} completes :{} of another value", event.process, begun.function),
            format!("the value that it invoked on line {}", begun.line),
        );
    }
    let (value, line) = if looks { (told, event.line) } else { (begun.value, begun.line) };
    let mut act = act(begun.function, value, line)?;
    let mut outcome = OpOutcome::of(event.phase);
    if let (KeyAct::Cas { from, to }, OpOutcome::Failed, FailedCas::Observed) =
        (&act, outcome, options.failed_cas)
    {
        act = KeyAct::CasFailed { from: from.clone(), to: to.clone() };
        outcome = OpOutcome::Ok;
    }
    let op = KeyOp { process: begun.process, act, began: begun.began, ended: Some(now), outcome };
    Ok((begun.key, Some(op)))
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
