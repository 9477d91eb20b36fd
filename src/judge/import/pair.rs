//! From events to operations: each invoke with its completion, each operation under its key.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{ImportError, ImportOptions};
use crate::judge::offline::{Act, KeyHistory, Mark, Op, Outcome};

/// A line of somebody's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event<'t> {
    pub(super) line: u64,
    pub(super) process: u32,
    pub(super) kind: Kind,
    /// The name of the operation: `read`.
    pub(super) function: Cow<'t, str>,
    /// Where the event names it apart from the value.
    pub(super) key: Option<Cow<'t, str>>,
    pub(super) value: Value<'t>,
    pub(super) t_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
}

/// A value of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'t> {
    Nil,
    One(Cow<'t, str>),
    /// `[3 0]`: what a compare-and-set compares and sets, or a key and a value.
    Pair(Box<Self>, Box<Self>),
}

impl Kind {
    /// From the name of a type, without its colon.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "invoke" => Some(Self::Invoke),
            "ok" => Some(Self::Ok),
            "fail" => Some(Self::Fail),
            "info" => Some(Self::Info),
            _ => None,
        }
    }
}

/// What an operation is about.
#[derive(Clone, Debug)]
struct Begun<'t> {
    key: Option<Cow<'t, str>>,
    function: Cow<'t, str>,
    value: Value<'t>,
    process: u32,
    began: Mark,
    line: u64,
}

/// The operations of each key.
pub(super) fn keys(events: Vec<Event<'_>>, options: ImportOptions) -> Result<Vec<KeyHistory>, ImportError> {
    let mut running: BTreeMap<u32, Begun<'_>> = BTreeMap::new();
    let mut keys: BTreeMap<Cow<'_, str>, Vec<Op>> = BTreeMap::new();
    let mut kinds = Kinds::default();
    let mut last = 0;
    for event in events {
        // Lines where each event has its own; else the next number that is free.
        let i = event.line.max(last + 1);
        last = i;
        let now = Mark { i, t_ns: event.t_ns };
        if event.kind == Kind::Invoke {
            if let Some(before) = running.get(&event.process) {
                let found = format!(
                    "process {} begins anew, but its operation of line {} has not ended",
                    event.process, before.line
                );
                return Err(ImportError::new(event.line, found, "its completion first"));
            }
            let begun = begin(event, now)?;
            kinds.note(&begun)?;
            running.insert(begun.process, begun);
            continue;
        }
        let Some(begun) = running.remove(&event.process) else {
            let found = format!("process {} completes, but has nothing invoked", event.process);
            return Err(ImportError::new(event.line, found, "an :invoke before it"));
        };
        let (key, op) = end(begun, event, now, options)?;
        keys.entry(key.unwrap_or_default()).or_default().extend(op);
    }
    for begun in running.into_values() {
        let key = begun.key.clone();
        let op = unfinished(begun)?;
        keys.entry(key.unwrap_or_default()).or_default().extend(op);
    }
    let history = |(key, ops): (Cow<'_, str>, _)| {
        KeyHistory::new(key.into_owned(), ops).expect("events were paired in order")
    };
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
    fn note(&mut self, begun: &Begun<'_>) -> Result<(), ImportError> {
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

fn begin(event: Event<'_>, now: Mark) -> Result<Begun<'_>, ImportError> {
    let Event { line, process, function, key, value, .. } = event;
    if !matches!(&*function, "read" | "write" | "cas" | "get" | "put" | "append") {
        let expected = ":read, :write, :cas, :get, :put or :append";
        return Err(ImportError::new(line, format!("the operation :{function}"), expected));
    }
    let (key, value) = match key {
        Some(key) => (Some(key), value),
        None => unkeyed(&function, value),
    };
    Ok(Begun { key, function, value, process, began: now, line })
}

/// Takes the key off a value `[k v]`. A compare-and-set has a pair of its own, so there the second is a pair too.
fn unkeyed<'t>(function: &str, value: Value<'t>) -> (Option<Cow<'t, str>>, Value<'t>) {
    match value {
        Value::Pair(key, value) if function != "cas" || matches!(*value, Value::Pair(..)) => {
            (Some(key.text().unwrap_or("nil".into())), *value)
        }
        value => (None, value),
    }
}

fn end<'t>(
    begun: Begun<'t>,
    event: Event<'t>,
    now: Mark,
    options: ImportOptions,
) -> Result<(Option<Cow<'t, str>>, Option<Op>), ImportError> {
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
    if looks && event.kind != Kind::Ok {
        return Ok((key, None));
    }
    if !looks && event.kind == Kind::Ok && told != Value::Nil && told != begun.value {
        let found = format!("process {} completes :{} of another value", event.process, event.function);
        let expected = format!("the value that it invoked on line {}", begun.line);
        return Err(ImportError::new(event.line, found, expected));
    }
    let value = if looks { told } else { begun.value };
    let mut act = act(&begun.function, value, event.line)?;
    let mut outcome = match event.kind {
        Kind::Ok => Outcome::Ok,
        Kind::Fail => Outcome::Failed,
        Kind::Info | Kind::Invoke => Outcome::Unknown,
    };
    if let (Act::Cas { from, to }, Outcome::Failed) = (&act, outcome) {
        if options.drop_failed_cas {
            return Ok((key, None));
        }
        act = Act::CasFailed { from: from.clone(), to: to.clone() };
        outcome = Outcome::Ok;
    }
    let op = Op { process: begun.process, act, began: begun.began, ended: Some(now), outcome };
    Ok((key, Some(op)))
}

/// An operation without a completion may have happened; a read then says nothing.
fn unfinished(begun: Begun<'_>) -> Result<Option<Op>, ImportError> {
    let Begun { function, value, process, began, line, .. } = begun;
    if matches!(&*function, "read" | "get") {
        return Ok(None);
    }
    let act = act(&function, value, line)?;
    Ok(Some(Op { process, act, began, ended: None, outcome: Outcome::Unknown }))
}

fn act(function: &str, value: Value<'_>, line: u64) -> Result<Act, ImportError> {
    let known = |value: Value<'_>| value.text().map(Cow::into_owned);
    let text = |value: Value<'_>| known(value).unwrap_or_default();
    Ok(match (function, value) {
        ("read", value) => Act::Read(known(value)),
        ("write", value) => Act::Write(known(value)),
        ("cas", Value::Pair(from, to)) => Act::Cas { from: known(*from), to: known(*to) },
        ("get", value) => Act::Get(text(value)),
        ("put", value) => Act::Put(text(value)),
        ("append", value) => Act::Append(text(value)),
        (function, value) => {
            let found = format!(":{function} of {}", value.text().unwrap_or("nil".into()));
            return Err(ImportError::new(line, found, "a pair, like [3 0]"));
        }
    })
}

impl<'t> Value<'t> {
    /// As text; `None` is nil.
    fn text(self) -> Option<Cow<'t, str>> {
        match self {
            Self::Nil => None,
            Self::One(text) => Some(text),
            Self::Pair(one, other) => {
                let show = |value: Self| value.text().unwrap_or("nil".into());
                Some(format!("[{} {}]", show(*one), show(*other)).into())
            }
        }
    }
}
