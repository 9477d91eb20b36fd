//! Which model a history is of, and what its operations are there.

use std::collections::BTreeMap;

use super::raw::{RawStep, RawValue};
use super::{ImportError, edn, quoted};
use crate::judge::offline::{KeyAct, KeyOp, ModelName, OpOutcome, RegisterAct};
use crate::judge::value::{Shown, Value};

/// Operations that go together, whichever key they are of. Reads are of several, so the others decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Register,
    KeyValue,
    Transactions,
    Mutex,
    Queue,
    /// A set or a counter.
    Adding,
}

impl Kind {
    fn of(function: &str) -> Option<Self> {
        Some(match function {
            "write" | "cas" => Self::Register,
            "get" | "put" | "append" => Self::KeyValue,
            "txn" => Self::Transactions,
            "acquire" | "release" => Self::Mutex,
            "enqueue" | "dequeue" | "drain" => Self::Queue,
            "add" | "inc" | "dec" => Self::Adding,
            _ => return None,
        })
    }

    /// Its operations.
    fn functions(self) -> &'static str {
        match self {
            Self::Register => ":read, :write or :cas",
            Self::KeyValue => ":get, :put or :append",
            Self::Transactions => ":txn, :read or :write",
            Self::Mutex => ":acquire or :release",
            Self::Queue => ":enqueue, :dequeue or :drain",
            Self::Adding => ":add, :inc, :dec or :read",
        }
    }

    fn has_reads(self) -> bool {
        matches!(self, Self::Register | Self::Transactions | Self::Adding)
    }

    fn models(self) -> &'static [ModelName] {
        match self {
            Self::Register => &[ModelName::CasRegister, ModelName::Register, ModelName::MultiRegister],
            Self::KeyValue => &[ModelName::KeyValue],
            Self::Transactions => &[ModelName::MultiRegister],
            Self::Mutex => &[ModelName::Mutex],
            Self::Queue => &[ModelName::FifoQueue, ModelName::UnorderedQueue],
            Self::Adding => &[ModelName::Set, ModelName::Counter],
        }
    }
}

/// All operations that are known, as errors name them.
pub(super) const ALL: &str = ":read, :write, :cas, :get, :put, :append, :txn, :acquire, :release, :add, :inc, :dec, :enqueue, \
                   :dequeue or :drain";

/// The first operation of each kind in a history, by its line, so that it is of one model only.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    reads: Option<u64>,
    /// The kind of all others.
    kind: Option<(Kind, u64)>,
}

impl Kinds {
    /// Takes in an operation.
    ///
    /// # Errors
    /// If there is none of this name, or it does not go together with those before.
    pub(super) fn note(&mut self, function: &str, line: u64) -> Result<(), ImportError> {
        let (here, before) = match (Kind::of(function), self.kind) {
            (None, _) if function != "read" => {
                return Err(ImportError::new(line, format!("the operation :{function}"), ALL));
            }
            (None, kind) => {
                self.reads.get_or_insert(line);
                (Kind::Register, kind.filter(|(kind, _)| !kind.has_reads()))
            }
            (Some(kind), None) => {
                self.kind = Some((kind, line));
                (kind, self.reads.filter(|_| !kind.has_reads()).map(|line| (Kind::Register, line)))
            }
            // A transaction of one step is read as what it is.
            (Some(Kind::Transactions), Some((Kind::Register, _))) => {
                self.kind = Some((Kind::Transactions, line));
                return Ok(());
            }
            (Some(Kind::Register), Some((Kind::Transactions, _))) => return Ok(()),
            (Some(kind), Some((other, _))) if kind == other => return Ok(()),
            (Some(kind), before) => (kind, before),
        };
        match before {
            None => Ok(()),
            Some((before, first)) => {
                let found = format!("an operation {}", here.functions());
                Err(ImportError::new(line, found, format!("{}, as on line {first}", before.functions())))
            }
        }
    }

    /// Whether transactions of several steps are among them.
    pub(super) fn has_transactions(&self) -> bool {
        matches!(self.kind, Some((Kind::Transactions, _)))
    }

    /// The model of these operations, which is the one that is asked for if they fit.
    ///
    /// # Errors
    /// If they do not, or nobody said which of several it is.
    fn model(
        &self,
        ops: &BTreeMap<Value, Vec<KeyOp>>,
        asked: Option<ModelName>,
    ) -> Result<ModelName, ImportError> {
        let (kind, line) = self.kind.unwrap_or((Kind::Register, self.reads.unwrap_or(1)));
        let fits = |model: &ModelName| match self.kind {
            // Reads alone are of any model that has some.
            None => {
                Kind::of("add").into_iter().chain([Kind::Register]).any(|kind| kind.models().contains(model))
            }
            Some(_) => kind.models().contains(model),
        };
        match asked {
            Some(model) if fits(&model) => return Ok(model),
            Some(model) => {
                let found = format!("an operation {}", kind.functions());
                return Err(ImportError::new(
                    line,
                    found,
                    format!("one of the model {model}, which --model names"),
                ));
            }
            None => {}
        }
        let [first, others @ ..] = kind.models() else { unreachable!("every kind has a model") };
        let ambiguous = || {
            let names: Vec<String> = kind.models().iter().map(|model| format!("--model {model}")).collect();
            let found = format!("an operation {}, which several models have", kind.functions());
            Err(ImportError::new(line, found, format!("the model to be named: {}", names.join(" or "))))
        };
        match kind {
            Kind::Queue => ambiguous(),
            Kind::Adding => {
                let mut acts = ops.values().flatten().map(|op| &op.act);
                let seen =
                    acts.find_map(|act| if let KeyAct::Read(Some(seen)) = act { Some(seen) } else { None });
                match seen {
                    None => ambiguous(),
                    Some(seen) if seen.integer().is_some() => Ok(others[0]),
                    Some(_) => Ok(*first),
                }
            }
            _ => Ok(*first),
        }
    }

    /// The operations of each key as those of one model.
    ///
    /// # Errors
    /// If they are none, or the model has to be named.
    pub(super) fn as_model(
        &self,
        keys: BTreeMap<Value, Vec<KeyOp>>,
        asked: Option<ModelName>,
    ) -> Result<(ModelName, BTreeMap<Value, Vec<KeyOp>>), ImportError> {
        let model = self.model(&keys, asked)?;
        if model == ModelName::MultiRegister && self.has_transactions() {
            return Ok((model, transactions(keys)));
        }
        let mut keys = keys;
        if matches!(model, ModelName::Set | ModelName::Counter | ModelName::MultiRegister) {
            for op in keys.values_mut().flatten() {
                op.act = read_as(model, op)?;
            }
        }
        Ok((model, keys))
    }
}

/// Where transactions are of several registers, those of one register, which were read as operations of a key, belong to
/// them.
fn transactions(keys: BTreeMap<Value, Vec<KeyOp>>) -> BTreeMap<Value, Vec<KeyOp>> {
    let mut all: BTreeMap<Value, Vec<KeyOp>> = BTreeMap::new();
    for (key, ops) in keys {
        for op in ops {
            let step = match op.act.clone() {
                KeyAct::Read(value) => RegisterAct::Read { register: key.clone(), value },
                KeyAct::Write(value) => RegisterAct::Write { register: key.clone(), value },
                _ => {
                    all.entry(key.clone()).or_default().push(op);
                    continue;
                }
            };
            all.entry("".into()).or_default().push(KeyOp { act: KeyAct::Transact(vec![step]), ..op });
        }
    }
    all
}

/// An operation of one of these models, from what its name and its value say alone.
fn read_as(model: ModelName, op: &KeyOp) -> Result<KeyAct, ImportError> {
    let told = op.ended.filter(|_| op.act.only_looks() && op.outcome == OpOutcome::Ok).unwrap_or(op.began);
    let refusal = |value: &Value, expected: &str| {
        ImportError::new(told.i, format!("{} of {}", name_of(&op.act), Shown(Some(value))), expected)
    };
    Ok(match (model, op.act.clone()) {
        (ModelName::Set, KeyAct::Read(None)) => KeyAct::Members(Vec::new()),
        (ModelName::Set, KeyAct::Read(Some(seen))) => {
            let mut elements = edn::items(&seen)
                .ok_or_else(|| refusal(&seen, "the elements of a set, like #{1 2} or [1 2]"))?;
            elements.sort();
            elements.dedup();
            KeyAct::Members(elements)
        }
        (ModelName::Set, KeyAct::Increase(_)) => {
            return Err(ImportError::new(told.i, ":inc or :dec", ":add or :read, as of a set"));
        }
        (ModelName::Counter, KeyAct::Read(None)) => {
            return Err(ImportError::new(told.i, ":read of nil", "a whole number, as of a counter"));
        }
        (ModelName::Counter, KeyAct::Read(Some(seen))) => {
            KeyAct::Count(seen.integer().ok_or_else(|| refusal(&seen, "a whole number, as of a counter"))?)
        }
        (ModelName::Counter, KeyAct::Insert(amount)) => KeyAct::Increase(
            small(&amount).ok_or_else(|| refusal(&amount, "a whole number of 32 bits, as of a counter"))?,
        ),
        (ModelName::MultiRegister, act @ (KeyAct::Read(Some(_)) | KeyAct::Write(Some(_)))) => {
            let (KeyAct::Read(Some(value)) | KeyAct::Write(Some(value))) = &act else {
                unreachable!("as above")
            };
            let entries =
                edn::entries(value).ok_or_else(|| refusal(value, "registers and values, like {:x 1}"))?;
            let step = |(register, value): (Value, Option<Value>)| match act {
                KeyAct::Read(_) => RegisterAct::Read { register, value },
                _ => RegisterAct::Write { register, value },
            };
            KeyAct::Transact(entries.into_iter().map(step).collect())
        }
        (ModelName::MultiRegister, KeyAct::Read(None)) => KeyAct::Transact(Vec::new()),
        (ModelName::MultiRegister, act) => {
            let found = format!("the operation {}", name_of(&act));
            return Err(ImportError::new(
                told.i,
                found,
                ":read or :write of registers and values, like {:x 1}",
            ));
        }
        (_, act) => act,
    })
}

fn name_of(act: &KeyAct) -> &'static str {
    match act {
        KeyAct::Read(_) => ":read",
        KeyAct::Write(_) => ":write",
        KeyAct::Cas { .. } | KeyAct::CasFailed { .. } => ":cas",
        _ => ":add",
    }
}

fn small(value: &Value) -> Option<i32> {
    value.integer().and_then(|amount| i32::try_from(amount).ok())
}

/// What can be read of transactions, as errors say it.
const TRANSACTIONS: &str =
    "reads and writes, like [[:r k nil] [:w k 1]]: transactions over lists are for Elle to judge";

/// What an operation did, by its name and its value, as far as these tell: `:read` and `:add` are of several models.
///
/// # Errors
/// If the value is none that the operation can have.
pub(super) fn act(function: &str, value: RawValue, line: u64) -> Result<KeyAct, ImportError> {
    let refusal = |value: RawValue, expected: &str| {
        let found = format!(":{function} of {}", Shown(Some(&value.whole())));
        ImportError::new(line, found, expected)
    };
    let text = |value: RawValue| match value {
        RawValue::One(one) if one.text().is_some() => Ok(one.to_plain()),
        value => Err(refusal(value, "a string: :get, :put and :append have no others, :read and :write do")),
    };
    let amount = |value: RawValue| match value.clone() {
        RawValue::Nil => Ok(1),
        value => small(&value.clone().whole())
            .ok_or_else(|| refusal(value, "a whole number of 32 bits, or nil for 1")),
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
        ("txn", RawValue::Steps(steps)) => {
            KeyAct::Transact(steps.into_iter().map(RawStep::into_act).collect())
        }
        ("txn", value) => return Err(refusal(value, TRANSACTIONS)),
        ("acquire", _) => KeyAct::Acquire,
        ("release", _) => KeyAct::Release,
        ("add", value) => KeyAct::Insert(value.whole()),
        ("inc", value) => KeyAct::Increase(amount(value)?),
        ("dec", value) => KeyAct::Increase(amount(value)?.saturating_neg()),
        ("enqueue", value) => KeyAct::Enqueue(value.whole()),
        ("dequeue", value) => KeyAct::Dequeue(value.known()),
        ("drain", RawValue::Nil) => KeyAct::Drain(Vec::new()),
        ("drain", value) => {
            let values = value.clone().whole();
            KeyAct::Drain(edn::items(&values).ok_or_else(|| refusal(value, "what was taken, like [1 2]"))?)
        }
        (_, value) => return Err(refusal(value, "a pair, like [3 0]")),
    })
}

/// The operations that make what an object of this model holds at first, from a value as EDN.
///
/// # Errors
/// If it is none that the model can hold: the message says what is.
pub fn initially(model: ModelName, text: &str) -> Result<Vec<KeyAct>, String> {
    let wrong =
        |expected: &str| format!("{} is nothing that a {model} can hold; expected {expected}", quoted(text));
    let value = edn::value(text, 1).map_err(|_| wrong("a value as EDN, like 0, \"a\" or [1 2]"))?;
    let whole = value.clone().whole();
    let items = || edn::items(&whole).ok_or_else(|| wrong("a list of values, like [1 2]"));
    Ok(match model {
        _ if value == RawValue::Nil => Vec::new(),
        ModelName::Register | ModelName::CasRegister => vec![KeyAct::Write(value.known())],
        ModelName::MultiRegister => {
            let entries = edn::entries(&whole).ok_or_else(|| wrong("registers and values, like {:x 1}"))?;
            let write = |(register, value)| RegisterAct::Write { register, value };
            vec![KeyAct::Transact(entries.into_iter().map(write).collect())]
        }
        ModelName::Mutex => match &*whole.to_string() {
            ":free" => Vec::new(),
            ":taken" => vec![KeyAct::Acquire],
            _ => return Err(wrong(":free or :taken")),
        },
        ModelName::Set => items()?.into_iter().map(KeyAct::Insert).collect(),
        ModelName::FifoQueue | ModelName::UnorderedQueue => {
            items()?.into_iter().map(KeyAct::Enqueue).collect()
        }
        ModelName::Counter => {
            vec![KeyAct::Increase(small(&whole).ok_or_else(|| wrong("a whole number of 32 bits"))?)]
        }
        ModelName::KeyValue => match whole.text() {
            Some(text) => vec![KeyAct::Put(text.to_owned())],
            None => return Err(wrong("a string, like \"a\"")),
        },
    })
}

impl RawStep {
    fn into_act(self) -> RegisterAct {
        let Self { writes, register, value } = self;
        if writes { RegisterAct::Write { register, value } } else { RegisterAct::Read { register, value } }
    }
}
