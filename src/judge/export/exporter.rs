//! The exporter: from the events of a history to the lines that another checker reads.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::super::history::Phase;
use super::edn::{self, Style};
use super::holding::Holding;
use crate::judge::offline::{KeyAct, OpEvent};

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
        let (name, value) = self.style.keyed(&event.key, &event.act, event.phase == Phase::Ok);
        self.write_map(event, name, &value, out);
    }

    /// Elle takes nil for what a key holds before it was written, so nothing can be deleted.
    fn write_elle(&self, event: &OpEvent, out: &mut String) -> Result<(), ExportError> {
        let what = match &event.act {
            KeyAct::Read(_) | KeyAct::Write(Some(_)) => None,
            KeyAct::Write(None) => Some(format!("a delete of key {:?}", event.key)),
            act => Some(format!("`{act}`")),
        };
        if let Some(what) = what {
            return Err(self.refusal(event, what, "leave the key out with --key, or take edn"));
        }
        let value = self.style.transaction(&event.key, &event.act, event.phase == Phase::Ok);
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
        let (name, value) = self.style.keyed(&event.key, &event.act, event.phase == Phase::Ok);
        let _ = writeln!(
            out,
            "INFO  jepsen.util - {}\t{}\t{name}\t{value}",
            self.process(event),
            word(event.phase)
        );
    }

    /// Strings are as porcupine's tests have them, whatever their outcome.
    fn write_key_value(&self, event: &OpEvent, out: &mut String) {
        // Here numbers are strings, whatever they were.
        let style = Style { numbers: false, ..self.style };
        let (name, value) = style.operation(&event.act, event.phase == Phase::Ok);
        let (process, phase, key) = (self.process(event), word(event.phase), edn::string(&event.key));
        let _ = writeln!(out, "{{:process {process}, :type {phase}, :f {name}, :key {key}, :value {value}}}");
    }

    /// Absence is the empty string, which therefore cannot be a value.
    fn write_porcupine(&self, event: &OpEvent, out: &mut String) -> Result<(), ExportError> {
        let text = |value: &Option<String>| match value {
            Some(value) if value.is_empty() => Err(self.refusal(
                event,
                format!("the empty string as a value of key {:?}", event.key),
                "there it means absence: leave the key out with --key, or take edn",
            )),
            value => Ok(value.clone().unwrap_or_default()),
        };
        let act = match &event.act {
            KeyAct::Read(seen) if event.phase == Phase::Ok => KeyAct::Get(text(seen)?),
            KeyAct::Read(_) => KeyAct::Get(String::new()),
            KeyAct::Write(written) => KeyAct::Put(text(written)?),
            KeyAct::Cas { .. } | KeyAct::CasFailed { .. } => {
                let what = format!("a compare-and-set of key {:?}", event.key);
                return Err(self.refusal(event, what, "take edn"));
            }
            act => act.clone(),
        };
        if event.phase != Phase::Info {
            self.write_key_value(&OpEvent { act, ..event.clone() }, out);
        }
        Ok(())
    }

    fn write_kvlab(&self, event: &OpEvent, out: &mut String) -> Result<(), ExportError> {
        let Some(event) = event.clone().into_history_event() else {
            return Err(self.refusal(event, format!("`{}`", event.act), "take edn"));
        };
        out.push_str(&serde_json::to_string(&event).expect("a history event is JSON"));
        out.push('\n');
        Ok(())
    }

    fn refusal(&self, event: &OpEvent, what: String, instead: &'static str) -> ExportError {
        ExportError { i: event.at.i, what, target: self.target, instead }
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
