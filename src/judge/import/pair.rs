//! Pairing events to operations: each invoke with its completion, each operation under its key.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::objects::{Kinds, act};
use super::raw::{RawEvent, RawStep, RawValue};
use super::{FailedCas, ImportError, ImportOptions};
use crate::judge::history::Phase;
use crate::judge::offline::{EventTime, KeyAct, KeyHistory, KeyOp, NoHistory, OpOutcome, RegisterAct};
use crate::judge::value::Value;

/// An operation that has begun, its key taken off the value, and when.
type Begun<'t> = (RawEvent<'t>, EventTime);

/// The operations of each key.
pub(super) fn keys(
    events: Vec<RawEvent<'_>>,
    options: ImportOptions,
) -> Result<Vec<KeyHistory>, ImportError> {
    let mut running: BTreeMap<u32, Begun<'_>> = BTreeMap::new();
    let mut keys: BTreeMap<Value, Vec<KeyOp>> = BTreeMap::new();
    let (mut kinds, mut keyed) = (Kinds::default(), Keyed::default());
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
            kinds.note(&begun.function, begun.line)?;
            if !kinds.has_transactions() {
                keyed.note(&begun)?;
            }
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
        let (begun, began) = begun;
        let key = begun.key.clone().unwrap_or_else(|| "".into());
        keys.entry(key).or_default().extend(of_unknown(begun, began, None, options)?);
    }
    let (model, keys) = kinds.as_model(keys, options.model)?;
    let history = |(key, ops)| {
        let history = KeyHistory::new(key, ops).expect("events were paired in order");
        history.as_model(model).map_err(|error| match error {
            NoHistory::Mixed { i, theirs, model } => ImportError::new(
                i,
                format!("an operation of a {theirs}"),
                format!("one of a {model}, which --model names"),
            ),
            error => unreachable!("{error}"),
        })
    };
    keys.into_iter().map(history).collect()
}

/// Whether the operations name their key: all do, or none.
#[derive(Default)]
struct Keyed {
    keyed: Option<u64>,
    bare: Option<u64>,
}

impl Keyed {
    fn note(&mut self, begun: &RawEvent<'_>) -> Result<(), ImportError> {
        let here = if begun.key.is_some() { &mut self.keyed } else { &mut self.bare };
        here.get_or_insert(begun.line);
        let (Some(keyed), Some(bare)) = (self.keyed, self.bare) else { return Ok(()) };
        let (line, here, before, there) = if keyed > bare {
            (keyed, "with a key", bare, "without a key")
        } else {
            (bare, "without a key", keyed, "with a key")
        };
        Err(ImportError::new(line, format!("an operation {here}"), format!("{there}, as on line {before}")))
    }
}

/// The event with its key taken off the value. A transaction of one step is the read or the write that it is; one of
/// several may be called anything.
fn begin(mut event: RawEvent<'_>) -> Result<RawEvent<'_>, ImportError> {
    if event.key.is_none() {
        (event.key, event.value) = match event.value {
            RawValue::Steps(mut steps) if steps.len() == 1 && is_transaction(&event.function) => {
                let RawStep { writes, register, value } = steps.remove(0);
                event.function = Cow::Borrowed(if writes { "write" } else { "read" });
                (Some(register), value.map_or(RawValue::Nil, RawValue::One))
            }
            value => unkeyed(&event.function, value),
        };
    }
    if matches!(event.value, RawValue::Steps(_)) && is_transaction(&event.function) {
        event.function = Cow::Borrowed("txn");
    }
    Ok(event)
}

/// Whether an operation of this name may be a transaction.
fn is_transaction(function: &str) -> bool {
    matches!(function, "txn" | "read" | "write")
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
    let mut event = event;
    if begun.function == "txn" || event.function == "txn" {
        // An outcome that is not known may be told without the steps.
        event = if event.value == RawValue::Nil { event } else { begin(event)? };
        if event.value == RawValue::Nil && event.function == "txn" {
            event.function = begun.function.clone();
        }
    }
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
    if event.phase != Phase::Ok {
        return Ok((key, of_unknown(begun, began, Some((now, event.phase)), options)?));
    }
    let takes_result = matches!(&*begun.function, "read" | "get" | "dequeue" | "drain" | "txn");
    let says_something = !takes_result && !matches!(&*begun.function, "acquire" | "release");
    let is_another = match (&begun.value, &told) {
        (RawValue::Steps(begun), RawValue::Steps(told)) => !same_steps(begun, told),
        (begun, told) => says_something && *told != RawValue::Nil && told != begun,
    };
    if is_another {
        let found = format!("process {} completes :{} of another value", event.process, event.function);
        let expected = format!("the value that it invoked on line {}", begun.line);
        return Err(ImportError::new(event.line, found, expected));
    }
    let (value, line) = if takes_result { (told, event.line) } else { (begun.value, begun.line) };
    let act = act(&begun.function, value, line)?;
    Ok((key, Some(KeyOp { process: begun.process, act, began, ended: Some(now), outcome: OpOutcome::Ok })))
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
    begun: RawEvent<'_>,
    began: EventTime,
    ended: Option<(EventTime, Phase)>,
    options: ImportOptions,
) -> Result<Option<KeyOp>, ImportError> {
    let mut outcome = ended.map_or(OpOutcome::Unknown, |(_, phase)| OpOutcome::of(phase));
    let act = match &*begun.function {
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
    Ok(Some(KeyOp { process: begun.process, act, began, ended, outcome }))
}
