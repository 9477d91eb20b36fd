//! Pairing events to operations: each invoke with its completion, each operation under its key.

use std::collections::BTreeMap;

use super::objects::{Kinds, act};
use super::raw::{RawEvent, RawStep, RawValue};
use super::{FailedCas, ImportError, ImportOptions};
use crate::judge::history::Phase;
use crate::judge::offline::{EventTime, KeyAct, KeyHistory, KeyOp, NoHistory, OpOutcome, RegisterAct};
use crate::judge::value::Value;

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
const FUNCTIONS: [&str; 15] = [
    "read", "write", "cas", "get", "put", "append", "txn", "acquire", "release", "add", "inc", "dec",
    "enqueue", "dequeue", "drain",
];

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
    shapes: Shapes,
    last: u64,
}

impl Pairing {
    pub(super) fn new(options: ImportOptions) -> Self {
        let (running, keys) = (BTreeMap::new(), BTreeMap::new());
        Self { options, running, keys, kinds: Kinds::default(), shapes: Shapes::default(), last: 0 }
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
            self.kinds.note(begun.function, begun.line)?;
            if !self.kinds.has_transactions() {
                self.shapes.note(&begun)?;
            }
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
            let key = begun.key.clone();
            let op = of_unknown(begun, None, self.options)?;
            self.note(key, op);
        }
        let (model, keys) = self.kinds.as_model(self.keys, self.options.model)?;
        let history = |(key, ops)| {
            KeyHistory::of_pairs(key, ops).as_model(model).map_err(|error| match error {
                NoHistory::Mixed { i, theirs, model } => {
                    let expected = format!("one of a {model}, which --model names");
                    ImportError::new(i, format!("an operation of a {theirs}"), expected)
                }
                error => unreachable!("{error}"),
            })
        };
        keys.into_iter().map(history).collect()
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

/// Whether operations name a key, and whether versions: all do, or none.
#[derive(Debug, Default)]
struct Shapes {
    keyed: Option<u64>,
    bare: Option<u64>,
    versioned: Option<u64>,
    plain: Option<u64>,
}

impl Shapes {
    fn note(&mut self, begun: &Begun) -> Result<(), ImportError> {
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
        mixed([(self.keyed, "with a key"), (self.bare, "without a key")])?;
        mixed([(self.versioned, "with a version beside its value"), (self.plain, "without a version")])
    }
}

fn begin(event: RawEvent<'_>, began: EventTime) -> Result<Begun, ImportError> {
    let RawEvent { line, process, .. } = event;
    let Some(asked) = FUNCTIONS.into_iter().find(|known| *known == event.function) else {
        return Err(ImportError::new(
            line,
            format!("the operation :{}", event.function),
            super::objects::ALL,
        ));
    };
    let (function, key, value) = named(asked, event.key, event.value);
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

/// What is done, with its key taken off the value. A transaction of one step is the read or the write that it is; one of
/// several may be called anything.
fn named(
    function: &'static str,
    key: Option<Value>,
    value: RawValue,
) -> (&'static str, Option<Value>, RawValue) {
    let is_transaction = matches!(function, "txn" | "read" | "write");
    let (key, value) = match (key, value) {
        (None, RawValue::Steps(mut steps)) if steps.len() == 1 && is_transaction => {
            let RawStep { writes, register, value } = steps.remove(0);
            let function = if writes { "write" } else { "read" };
            return (function, Some(register), value.map_or(RawValue::Nil, RawValue::One));
        }
        (None, value) => unkeyed(function, value),
        (key, value) => (key, value),
    };
    let is_steps = matches!(value, RawValue::Steps(_)) && is_transaction;
    (if is_steps { "txn" } else { function }, key, value)
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
    let line = event.line;
    let error = |found: String, expected: String| Err(ImportError::new(line, found, expected));
    let (mut event, mut begun) = (event, begun);
    let is_transaction = |value: &RawValue| matches!(value, RawValue::Steps(_));
    if event.function == "txn" || begun.function == "txn" || is_transaction(&event.value) {
        let asked = FUNCTIONS.into_iter().find(|known| *known == event.function).unwrap_or("txn");
        // An outcome that is not known may be told without the steps.
        let (function, key, value) = match event.value {
            RawValue::Nil if event.phase != Phase::Ok => (begun.function, begun.key.clone(), RawValue::Nil),
            value => named(asked, event.key, value),
        };
        (event.function, event.key, event.value) = (function, key, value);
    }
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
        let of = begun.key.take().map_or_else(|| "without a key".to_owned(), |key| format!("of key {key}"));
        return error(
            format!("process {} completes :{} of key {told_key}", event.process, begun.function),
            format!("one {of}, as it invoked on line {}", begun.line),
        );
    }
    if event.phase != Phase::Ok {
        let key = begun.key.clone();
        return Ok((key, of_unknown(begun, Some((now, event.phase)), options)?));
    }
    let looks = looks(begun.function);
    let takes_result = looks || matches!(begun.function, "dequeue" | "drain" | "txn");
    let told = match told {
        RawValue::Pair(_, told) if begun.versioned && (looks || *told == begun.value) => *told,
        told if begun.versioned && looks => {
            let found = format!("process {} completes :{} of {told}", event.process, begun.function);
            return error(found, "a version and the value, like [17 3]".to_owned());
        }
        told => told,
    };
    let says_something = !takes_result && !matches!(begun.function, "acquire" | "release");
    let is_another = match (&begun.value, &told) {
        (RawValue::Steps(begun), RawValue::Steps(told)) => !same_steps(begun, told),
        (begun, told) => says_something && *told != RawValue::Nil && told != begun,
    };
    if is_another {
        return error(
            format!("process {} completes :{} of another value", event.process, begun.function),
            format!("the value that it invoked on line {}", begun.line),
        );
    }
    let (value, line) = if takes_result { (told, event.line) } else { (begun.value, begun.line) };
    let act = act(begun.function, value, line)?;
    let op =
        KeyOp { process: begun.process, act, began: begun.began, ended: Some(now), outcome: OpOutcome::Ok };
    Ok((begun.key, Some(op)))
}

/// Whether two transactions do the same, whatever they read.
fn same_steps(one: &[RawStep], other: &[RawStep]) -> bool {
    let done = |step: &RawStep| {
        let written = step.value.clone().filter(|_| step.writes);
        (step.writes, step.register.clone(), written)
    };
    one.iter().map(done).eq(other.iter().map(done))
}

/// An operation that may have happened, or did not: what it saw says nothing.
fn of_unknown(
    begun: Begun,
    ended: Option<(EventTime, Phase)>,
    options: ImportOptions,
) -> Result<Option<KeyOp>, ImportError> {
    let mut outcome = ended.map_or(OpOutcome::Unknown, |(_, phase)| OpOutcome::of(phase));
    let act = match begun.function {
        "read" | "get" => return Ok(None),
        // Whatever it would have taken.
        "dequeue" | "drain" if outcome == OpOutcome::Failed => return Ok(None),
        "dequeue" => KeyAct::Dequeue(None),
        "drain" => KeyAct::Drain(Vec::new()),
        function => match (act(function, begun.value, begun.line)?, outcome, options.failed_cas) {
            (KeyAct::Cas { from, to }, OpOutcome::Failed, FailedCas::Observed) => {
                outcome = OpOutcome::Ok;
                KeyAct::CasFailed { from, to }
            }
            (KeyAct::Transact(mut steps), ..) => {
                steps.retain(|step| matches!(step, RegisterAct::Write { .. }));
                if steps.is_empty() {
                    return Ok(None);
                }
                KeyAct::Transact(steps)
            }
            (act, ..) => act,
        },
    };
    let ended = ended.map(|(ended, _)| ended);
    Ok(Some(KeyOp { process: begun.process, act, began: begun.began, ended, outcome }))
}
