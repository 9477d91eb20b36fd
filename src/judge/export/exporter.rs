//! The exporter: from the events of a history to the lines that another checker reads.
#![expect(clippy::disallowed_types, reason = "its hasher is named, and it is never gone through in order")]

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};

use super::super::history::{HistoryEvent, Phase};
use super::edn;
use super::holding::Holding;
use crate::judge::hash::Hash;
use crate::judge::offline::{KeyAct, KeyHistory, OpEvent, RegisterAct};
use crate::judge::value::Value;

/// For whom a history is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Jepsen and Knossos: EDN maps, a line each.
    Edn,
    /// Elle's transactions over registers: one read or one write each.
    Elle,
    /// Jepsen's plain log.
    JepsenLog,
    /// The key-value lines of porcupine's tests.
    Porcupine,
    /// Our own `history.jsonl`.
    Kvlab,
}

/// Something that a target has no word for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event #{i}: {what} cannot be written as {target}; {instead}")]
pub struct ExportError {
    /// The event's index.
    pub i: u64,
    /// What cannot be written.
    pub what: String,
    /// For whom.
    pub target: Target,
    /// What can be done about it.
    pub instead: &'static str,
}

/// Writes a history, event by event, in the order of their indices.
///
/// A process whose operation has an unknown outcome goes on under a new number, as Jepsen's do: the old one plus the
/// count of processes. Checkers take an operation that does not complete as running to the end.
#[derive(Clone, Debug)]
pub struct Exporter {
    target: Target,
    /// Values are `[k v]`.
    keyed: bool,
    /// Of a target that has only strings: no two values of the history are the same there.
    types_fit: bool,
    /// More than any process of the history has.
    processes: u64,
    /// What to add to a process's number, for those that have had unknown outcomes.
    shifted: BTreeMap<u32, u64>,
    holding: Holding,
    written: u64,
    /// The time of the event written last.
    t_ns: u64,
}

impl Exporter {
    /// `keyed`: values name their key (porcupine's always do). `processes`: more than the highest number of one. Where
    /// the target has only strings, nothing else can be written: see [`Self::of_keys`].
    pub fn new(target: Target, keyed: bool, processes: u64) -> Self {
        let (shifted, holding) = (BTreeMap::new(), Holding::default());
        Self { target, keyed, types_fit: false, processes, shifted, holding, written: 0, t_ns: 0 }
    }

    /// For a history whose values may be of any type. A target that has only strings gets all others as EDN prints
    /// them.
    ///
    /// # Errors
    /// If the target has only strings, and two values of the history would be the same there.
    pub fn of_keys(target: Target, keyed: bool, keys: &[KeyHistory]) -> Result<Self, ExportError> {
        let ops = keys.iter().flat_map(KeyHistory::ops);
        let processes = ops.map(|op| u64::from(op.process) + 1).max().unwrap_or(0);
        if target.has_only_strings() {
            types_fit(target, keys)?;
        }
        Ok(Self { types_fit: true, ..Self::new(target, keyed, processes) })
    }

    /// Appends the lines, if any, that can be written once this event is known.
    ///
    /// # Errors
    /// If the target has no word for it.
    pub fn event(&mut self, event: OpEvent, out: &mut String) -> Result<(), ExportError> {
        if self.target != Target::Porcupine {
            return self.write(&event, out);
        }
        let looks = event.act.only_looks();
        match event.phase {
            Phase::Invoke => self.holding.begins(event),
            Phase::Ok => self.holding.ends(event.process, true, Some(event)),
            Phase::Fail => self.holding.ends(event.process, false, None),
            // It is written as begun and not as ended; what `write` makes of the event is another number.
            Phase::Info => self.holding.ends(event.process, !looks, (!looks).then_some(event)),
        }
        self.let_go(out)
    }

    /// Appends what has been held back: nothing follows.
    ///
    /// # Errors
    /// If the target has no word for it.
    pub fn finish(&mut self, out: &mut String) -> Result<(), ExportError> {
        self.holding.finish();
        self.let_go(out)
    }

    fn let_go(&mut self, out: &mut String) -> Result<(), ExportError> {
        while let Some(event) = self.holding.next() {
            self.write(&event, out)?;
        }
        Ok(())
    }

    fn write(&mut self, event: &OpEvent, out: &mut String) -> Result<(), ExportError> {
        match self.target {
            Target::Edn if event.act.is_of_string() => self.write_key_value(event, out),
            Target::Edn => self.write_edn(event, out),
            Target::Elle => self.write_elle(event, out)?,
            Target::JepsenLog => self.write_log(event, out),
            Target::Porcupine => self.write_porcupine(event, out)?,
            Target::Kvlab => self.write_kvlab(event, out)?,
        }
        self.written += 1;
        if event.phase == Phase::Info {
            *self.shifted.entry(event.process).or_default() += self.processes;
        }
        Ok(())
    }

    fn process(&self, event: &OpEvent) -> u64 {
        u64::from(event.process) + self.shifted.get(&event.process).copied().unwrap_or(0)
    }

    fn write_edn(&self, event: &OpEvent, out: &mut String) {
        let (name, value) = self.operation(event);
        self.write_map(event, name, &value, out);
    }

    /// Elle takes nil for what a key holds before it was written, so nothing can be deleted.
    fn write_elle(&self, event: &OpEvent, out: &mut String) -> Result<(), ExportError> {
        let what = match &event.act {
            KeyAct::Read(_) | KeyAct::Write(Some(_)) => None,
            KeyAct::Transact(steps) if !steps.iter().any(RegisterAct::deletes) => {
                self.write_edn(event, out);
                return Ok(());
            }
            KeyAct::Write(None) => Some(format!("a delete{}", of_key(event))),
            act => Some(format!("`{act}`")),
        };
        if let Some(what) = what {
            return Err(self.refusal(
                event,
                what,
                "take edn, or export the other keys one by one with --key",
            ));
        }
        let value = edn::transaction(&event.key, &event.act, event.phase == Phase::Ok);
        self.write_map(event, ":txn", &value, out);
        Ok(())
    }

    fn write_map(&self, event: &OpEvent, name: &str, value: &str, out: &mut String) {
        let (process, phase, index) = (self.process(event), word(event.phase), self.written);
        let _ = write!(out, "{{:process {process}, :type {phase}, :f {name}, :value {value}, :index {index}");
        if let Some(t_ns) = event.at.t_ns {
            let _ = write!(out, ", :time {t_ns}");
        }
        out.push_str("}\n");
    }

    fn write_log(&self, event: &OpEvent, out: &mut String) {
        let (name, value) = self.operation(event);
        let _ = writeln!(
            out,
            "INFO  jepsen.util - {}\t{}\t{name}\t{value}",
            self.process(event),
            word(event.phase)
        );
    }

    /// Strings are as porcupine's tests have them, whatever their outcome.
    fn write_key_value(&self, event: &OpEvent, out: &mut String) {
        let (name, value) = edn::operation(&event.act, event.phase == Phase::Ok);
        let (process, phase, key) = (self.process(event), word(event.phase), &event.key);
        let _ = writeln!(out, "{{:process {process}, :type {phase}, :f {name}, :key {key}, :value {value}}}");
    }

    /// Absence is the empty string, which therefore cannot be a value.
    fn write_porcupine(&self, event: &OpEvent, out: &mut String) -> Result<(), ExportError> {
        self.expect_strings(event)?;
        let text = |value: &Option<Value>| match value.as_ref().map(Value::to_plain) {
            Some(value) if value.is_empty() => Err(self.refusal(
                event,
                format!("the empty string as a value{}", of_key(event)),
                "there it means absence: take edn, or export the other keys one by one with --key",
            )),
            value => Ok(value.unwrap_or_default()),
        };
        let act = match &event.act {
            KeyAct::Read(seen) if event.phase == Phase::Ok => KeyAct::Get(text(seen)?),
            KeyAct::Read(_) => KeyAct::Get(String::new()),
            KeyAct::Write(written) => KeyAct::Put(text(written)?),
            KeyAct::Cas { .. } | KeyAct::CasFailed { .. } => {
                let what = format!("a compare-and-set{}", of_key(event));
                return Err(self.refusal(event, what, "take edn"));
            }
            act if !act.is_of_string() => return Err(self.refusal(event, format!("`{act}`"), "take edn")),
            act => act.clone(),
        };
        if event.phase != Phase::Info {
            let key = event.key.to_plain().into();
            self.write_key_value(&OpEvent { act, key, ..event.clone() }, out);
        }
        Ok(())
    }

    /// Counted anew, and in time: other people's events may have no index, and not all of them a time.
    fn write_kvlab(&mut self, event: &OpEvent, out: &mut String) -> Result<(), ExportError> {
        self.expect_strings(event)?;
        let Some(event) = event.to_history_event(Value::to_plain) else {
            return Err(self.refusal(event, format!("`{}`", event.act), "take edn"));
        };
        self.t_ns = self.t_ns.max(event.t_ns);
        let event = HistoryEvent { i: self.written + 1, t_ns: self.t_ns, ..event };
        out.push_str(&serde_json::to_string(&event).expect("a history event is JSON"));
        out.push('\n');
        Ok(())
    }

    fn operation(&self, event: &OpEvent) -> (&'static str, String) {
        let ended = event.phase == Phase::Ok;
        if self.keyed { edn::keyed(&event.key, &event.act, ended) } else { edn::operation(&event.act, ended) }
    }

    fn expect_strings(&self, event: &OpEvent) -> Result<(), ExportError> {
        match event.act.values().into_iter().chain([&event.key]).find(|value| value.text().is_none()) {
            Some(value) if !self.types_fit => {
                Err(self.refusal(event, format!("{value}, which is no string,"), "take edn"))
            }
            _ => Ok(()),
        }
    }

    fn refusal(&self, event: &OpEvent, what: String, instead: &'static str) -> ExportError {
        ExportError { i: event.at.i, what, target: self.target, instead }
    }
}

impl Target {
    fn has_only_strings(self) -> bool {
        matches!(self, Self::Porcupine | Self::Kvlab)
    }
}

/// ` of key "k"`, where keys have names.
fn of_key(event: &OpEvent) -> String {
    if event.key.is_empty() { String::new() } else { format!(" of key {}", event.key) }
}

/// Whether the keys, and the values of each, are still different when all are strings.
fn types_fit(target: Target, keys: &[KeyHistory]) -> Result<(), ExportError> {
    let mut names = Plain::new(target);
    for history in keys {
        let i = history.ops().first().map_or(0, |op| op.began.i);
        names.note(history.key(), i, "key", "take edn, or export the keys one by one with --key")?;
        let mut values = Plain::new(target);
        for op in history.ops() {
            for value in op.act.values() {
                values.note(value, op.began.i, "value", "take edn")?;
            }
        }
    }
    Ok(())
}

/// Values, by what they are as strings.
struct Plain<'a>(Target, HashMap<String, &'a Value, Hash>);

impl<'a> Plain<'a> {
    fn new(target: Target) -> Self {
        Self(target, HashMap::default())
    }

    fn note(&mut self, value: &'a Value, i: u64, of: &str, instead: &'static str) -> Result<(), ExportError> {
        let before = *self.1.entry(value.to_plain()).or_insert(value);
        if before == value {
            return Ok(());
        }
        let what = format!("the {of} {value}, which as a string is the same as {before},");
        Err(ExportError { i, what, target: self.0, instead })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edn => "edn",
            Self::Elle => "elle",
            Self::JepsenLog => "jepsen-log",
            Self::Porcupine => "porcupine",
            Self::Kvlab => "jsonl",
        })
    }
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Invoke => ":invoke",
        Phase::Ok => ":ok",
        Phase::Fail => ":fail",
        Phase::Info => ":info",
    }
}
