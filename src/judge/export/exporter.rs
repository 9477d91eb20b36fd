//! From events to the lines of a target.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::super::history::{Consistency, HistoryEvent, OpKind, Phase};
use super::edn::{self, Style};
use super::holding::Holding;
use super::told::Told;
use crate::judge::offline::Act;

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
    style: Style,
    /// More than any process of the history has.
    processes: u64,
    /// What to add to a process's number, for those that have had unknown outcomes.
    shifted: BTreeMap<u32, u64>,
    holding: Holding,
    written: u64,
}

impl Exporter {
    /// `keyed`: values name their key (porcupine's always do). `processes`: more than the highest number of one.
    pub fn new(target: Target, keyed: bool, processes: u64) -> Self {
        let style = Style { keyed, numbers: false };
        let (shifted, holding) = (BTreeMap::new(), Holding::default());
        Self { target, style, processes, shifted, holding, written: 0 }
    }

    /// Values that are whole numbers are written as numbers: they were numbers where they come from.
    #[must_use]
    pub fn with_numbers(mut self) -> Self {
        self.style.numbers = true;
        self
    }

    /// Appends the lines, if any, that can be written once this event is known.
    ///
    /// # Errors
    /// If the target has no word for it.
    pub fn event(&mut self, told: Told, out: &mut String) -> Result<(), ExportError> {
        if self.target != Target::Porcupine {
            return self.write(&told, out);
        }
        let looks = told.act.only_looks();
        match told.phase {
            Phase::Invoke => self.holding.begins(told),
            Phase::Ok => self.holding.ends(told.process, true, Some(told)),
            Phase::Fail => self.holding.ends(told.process, false, None),
            // It is written as begun and not as ended; what `write` makes of the event is another number.
            Phase::Info => self.holding.ends(told.process, !looks, (!looks).then_some(told)),
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
        while let Some(told) = self.holding.next() {
            self.write(&told, out)?;
        }
        Ok(())
    }

    fn write(&mut self, told: &Told, out: &mut String) -> Result<(), ExportError> {
        match self.target {
            Target::Edn if told.act.is_of_string() => self.write_key_value(told, out),
            Target::Edn => self.write_edn(told, out),
            Target::Elle => self.write_elle(told, out)?,
            Target::JepsenLog => self.write_log(told, out),
            Target::Porcupine => self.write_porcupine(told, out)?,
            Target::Kvlab => self.write_kvlab(told, out)?,
        }
        self.written += 1;
        if told.phase == Phase::Info {
            *self.shifted.entry(told.process).or_default() += self.processes;
        }
        Ok(())
    }

    fn process(&self, told: &Told) -> u64 {
        u64::from(told.process) + self.shifted.get(&told.process).copied().unwrap_or(0)
    }

    fn write_edn(&self, told: &Told, out: &mut String) {
        let (name, value) = self.style.keyed(&told.key, &told.act, told.phase == Phase::Ok);
        self.write_map(told, name, &value, out);
    }

    /// Elle takes nil for what a key holds before it was written, so nothing can be deleted.
    fn write_elle(&self, told: &Told, out: &mut String) -> Result<(), ExportError> {
        let what = match &told.act {
            Act::Read(_) | Act::Write(Some(_)) => None,
            Act::Write(None) => Some(format!("a delete of key {:?}", told.key)),
            act => Some(format!("`{act}`")),
        };
        if let Some(what) = what {
            let instead = "leave the key out with --key, or take edn";
            return Err(ExportError { i: told.at.i, what, target: self.target, instead });
        }
        let value = self.style.transaction(&told.key, &told.act, told.phase == Phase::Ok);
        self.write_map(told, ":txn", &value, out);
        Ok(())
    }

    fn write_map(&self, told: &Told, name: &str, value: &str, out: &mut String) {
        let (process, phase, index) = (self.process(told), word(told.phase), self.written);
        let _ = write!(out, "{{:process {process}, :type {phase}, :f {name}, :value {value}, :index {index}");
        if let Some(t_ns) = told.at.t_ns {
            let _ = write!(out, ", :time {t_ns}");
        }
        out.push_str("}\n");
    }

    fn write_log(&self, told: &Told, out: &mut String) {
        let (name, value) = self.style.keyed(&told.key, &told.act, told.phase == Phase::Ok);
        let _ = writeln!(
            out,
            "INFO  jepsen.util - {}\t{}\t{name}\t{value}",
            self.process(told),
            word(told.phase)
        );
    }

    /// Strings are as porcupine's tests have them, whatever their outcome.
    fn write_key_value(&self, told: &Told, out: &mut String) {
        // Here numbers are strings, whatever they were.
        let style = Style { numbers: false, ..self.style };
        let (name, value) = style.operation(&told.act, told.phase == Phase::Ok);
        let (process, phase, key) = (self.process(told), word(told.phase), edn::string(&told.key));
        let _ = writeln!(out, "{{:process {process}, :type {phase}, :f {name}, :key {key}, :value {value}}}");
    }

    /// Absence is the empty string, which therefore cannot be a value.
    fn write_porcupine(&self, told: &Told, out: &mut String) -> Result<(), ExportError> {
        let error = |what: String, instead| ExportError { i: told.at.i, what, target: self.target, instead };
        let text = |value: &Option<String>| match value {
            Some(value) if value.is_empty() => Err(error(
                format!("the empty string as a value of key {:?}", told.key),
                "there it means absence: leave the key out with --key, or take edn",
            )),
            value => Ok(value.clone().unwrap_or_default()),
        };
        let act = match &told.act {
            Act::Read(seen) if told.phase == Phase::Ok => Act::Get(text(seen)?),
            Act::Read(_) => Act::Get(String::new()),
            Act::Write(written) => Act::Put(text(written)?),
            Act::Cas { .. } | Act::CasFailed { .. } => {
                return Err(error(format!("a compare-and-set of key {:?}", told.key), "take edn"));
            }
            act => act.clone(),
        };
        if told.phase != Phase::Info {
            self.write_key_value(&Told { act, ..told.clone() }, out);
        }
        Ok(())
    }

    fn write_kvlab(&self, told: &Told, out: &mut String) -> Result<(), ExportError> {
        let (op, value) = match &told.act {
            Act::Read(value) => (OpKind::Get, value.clone()),
            Act::Get(value) => (OpKind::Get, Some(value.clone()).filter(|value| !value.is_empty())),
            Act::Write(None) => (OpKind::Del, None),
            Act::Write(value) => (OpKind::Put, value.clone()),
            Act::Put(value) if value.is_empty() => (OpKind::Del, None),
            Act::Put(value) => (OpKind::Put, Some(value.clone())),
            Act::Cas { .. } | Act::CasFailed { .. } | Act::Append(_) => {
                let what = format!("`{}`", told.act);
                return Err(ExportError { i: told.at.i, what, target: self.target, instead: "take edn" });
            }
        };
        let event = HistoryEvent {
            i: told.at.i,
            t_ns: told.at.t_ns.unwrap_or(0),
            client: told.process,
            node: None,
            phase: told.phase,
            op,
            key: told.key.clone(),
            value: value.filter(|_| op != OpKind::Get || told.phase == Phase::Ok),
            consistency: Consistency::Quorum,
            epoch: None,
            seq: None,
        };
        out.push_str(&serde_json::to_string(&event).expect("a history event is JSON"));
        out.push('\n');
        Ok(())
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
