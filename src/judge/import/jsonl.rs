//! Our own `history.jsonl`.

use super::raw::phase_of;
use super::{ImportError, quoted};
use crate::judge::history::{Consistency, HistoryEvent, OpKind};
use crate::judge::online::{Judge, JudgeOptions};

/// Reads the event of one line; `number` is the line's, from 1.
///
/// # Errors
/// If the line is not one.
pub fn read_event(line: &str, number: u64) -> Result<HistoryEvent, ImportError> {
    if let Some(event) = usual(line) {
        return Ok(event);
    }
    serde_json::from_str(line).map_err(|error| {
        let found = if error.is_eof() {
            format!("the line ends inside an event: {}", quoted(line))
        } else {
            // It counts lines of its own, of which there is one.
            let what = error.to_string();
            let what = what.split(" at line 1 column ").next().unwrap_or(&what);
            format!("{what} in {}", quoted(line))
        };
        ImportError::new(number, found, r#"a history event like {"i":17,"t_ns":1,"client":3,…}"#)
    })
}

/// Whether the lines of a file follow one another: no index is missing between two, and time does not run backwards.
///
/// That an index does not come twice is for the judge to say, of events from anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineOrder {
    /// The index and the time of the event before.
    last: Option<(u64, u64)>,
}

impl LineOrder {
    /// Takes the event of the next line.
    ///
    /// # Errors
    /// If it cannot follow. What the lines between would have told may change every verdict.
    pub fn follow(&mut self, event: &HistoryEvent, line: u64) -> Result<(), ImportError> {
        let Some((i, t_ns)) = self.last.replace((event.i, event.t_ns)) else { return Ok(()) };
        if event.i > i.saturating_add(1) {
            let found = format!("event {} comes after event {i}: what is between is missing", event.i);
            return Err(ImportError::new(
                line,
                found,
                "every event of the history, each with the next index",
            ));
        }
        if event.t_ns < t_ns {
            let found = format!(
                "event {} is of t_ns {}, earlier than the event before it ({t_ns})",
                event.i, event.t_ns
            );
            return Err(ImportError::new(line, found, "a time that does not run backwards"));
        }
        Ok(())
    }
}

/// Events that have been read.
#[derive(Debug)]
pub(super) struct Reading {
    order: LineOrder,
    /// Whether each event can follow is the judge's to say; what it concludes is of no interest here.
    judge: Judge,
    events: Vec<HistoryEvent>,
}

impl Reading {
    pub(super) fn new() -> Self {
        let judge = Judge::new(JudgeOptions::default());
        Self { order: LineOrder::default(), judge, events: Vec::new() }
    }

    /// Takes the next line; an empty one is skipped.
    pub(super) fn line(&mut self, line: &str, number: u64) -> Result<(), ImportError> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let event = read_event(line, number)?;
        self.order.follow(&event, number)?;
        self.judge.observe(&event).map_err(|error| {
            ImportError::new(number, error.to_string(), "an event that can follow those before it")
        })?;
        self.events.push(event);
        Ok(())
    }

    /// All of them.
    pub(super) fn finish(self) -> Vec<HistoryEvent> {
        self.events
    }
}

/// The event of a line exactly as we write them: the fields in our order, no blanks, nothing escaped. It takes a
/// third of the time that a parser of all JSON needs. `None`: it may be an event all the same.
fn usual(line: &str) -> Option<HistoryEvent> {
    let mut rest = Rest(line);
    let i = rest.number("{\"i\":")?;
    let t_ns = rest.number(",\"t_ns\":")?;
    let client = u32::try_from(rest.number(",\"client\":")?).ok()?;
    let node = match rest.text_or_null(",\"node\":")? {
        None => None,
        Some(node) => Some(node.parse().ok()?),
    };
    let phase = phase_of(rest.text(",\"type\":")?)?;
    let op = match rest.text(",\"op\":")? {
        "put" => OpKind::Put,
        "get" => OpKind::Get,
        "del" => OpKind::Del,
        _ => return None,
    };
    let key = rest.text(",\"key\":")?.to_owned();
    let value = rest.text_or_null(",\"value\":")?.map(str::to_owned);
    let consistency = match rest.text(",\"consistency\":")? {
        "async" => Consistency::Async,
        "eventual" => Consistency::Eventual,
        "quorum" => Consistency::Quorum,
        _ => return None,
    };
    let epoch = match rest.text(",\"epoch\":") {
        None => None,
        Some(epoch) => Some(epoch.parse().ok()?),
    };
    let seq = rest.number(",\"seq\":");
    (rest.0 == "}").then_some(HistoryEvent {
        i,
        t_ns,
        client,
        node,
        phase,
        op,
        key,
        value,
        consistency,
        epoch,
        seq,
    })
}

/// What is left of a line. What does not come next is left as it is. Inlined, so that what comes before a value is
/// compared as a constant.
struct Rest<'t>(&'t str);

impl<'t> Rest<'t> {
    /// A number after this.
    #[inline(always)]
    fn number(&mut self, before: &str) -> Option<u64> {
        let rest = self.0.strip_prefix(before)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 1 && rest.starts_with('0') {
            return None;
        }
        let number = rest[..digits].parse().ok()?;
        self.0 = &rest[digits..];
        Some(number)
    }

    /// A string after this.
    #[inline(always)]
    fn text(&mut self, before: &str) -> Option<&'t str> {
        let rest = self.0.strip_prefix(before)?.strip_prefix('"')?;
        let end = rest.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        self.0 = rest[end..].strip_prefix('"')?;
        Some(&rest[..end])
    }

    /// A string after this, or null.
    #[inline(always)]
    fn text_or_null(&mut self, before: &str) -> Option<Option<&'t str>> {
        if let Some(rest) = self.0.strip_prefix(before)?.strip_prefix("null") {
            self.0 = rest;
            return Some(None);
        }
        self.text(before).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::judge::Phase;
    use crate::types::{Epoch, NodeId};

    fn event() -> impl Strategy<Value = HistoryEvent> {
        let text = prop_oneof!["[a-z0-9-]{0,9}", "\\PC{0,9}", "[\"\\\\\n/é]{0,3}"];
        let epoch = (0_u64..5, 0_u8..4).prop_map(|(number, node)| Epoch { number, node: NodeId(node) });
        let number = || prop_oneof![0_u64..20, any::<u64>()];
        let phase = prop::sample::select(vec![Phase::Invoke, Phase::Ok, Phase::Fail, Phase::Info]);
        let op = prop::sample::select(vec![OpKind::Put, OpKind::Get, OpKind::Del]);
        let levels = vec![Consistency::Async, Consistency::Eventual, Consistency::Quorum];
        let told = (prop::option::of(epoch), prop::option::of(number()));
        (
            (number(), number(), any::<u32>(), prop::option::of((1_u8..200).prop_map(NodeId))),
            (phase, op, text.clone(), prop::option::of(text), prop::sample::select(levels)),
            told,
        )
            .prop_map(
                |((i, t_ns, client, node), (phase, op, key, value, consistency), (epoch, seq))| {
                    HistoryEvent { i, t_ns, client, node, phase, op, key, value, consistency, epoch, seq }
                },
            )
    }

    proptest! {
        /// What we write is read back the same, and quickly unless something had to be escaped.
        #[test]
        fn what_is_written_is_usual(event in event()) {
            let line = serde_json::to_string(&event).unwrap();
            prop_assert_eq!(usual(&line).is_some(), !line.contains('\\'));
            prop_assert_eq!(read_event(&line, 1).unwrap(), event);
        }

        /// Nothing is usual that the parser of all JSON reads otherwise, or refuses.
        #[test]
        fn what_is_usual_is_what_json_says(
            event in event(),
            at in any::<prop::sample::Index>(),
            len in 0_usize..4,
            put in "[0-9{}\":,\\\\ nul\t.e-]{0,3}|null|,\"seq\":7|\"n0\"|é",
        ) {
            let line = serde_json::to_string(&event).unwrap();
            let cuts: Vec<usize> = line.char_indices().map(|(at, _)| at).chain([line.len()]).collect();
            let from = at.index(cuts.len());
            let to = (from + len).min(cuts.len() - 1);
            let damaged = format!("{}{put}{}", &line[..cuts[from]], &line[cuts[to]..]);
            if let Some(read) = usual(&damaged) {
                prop_assert_eq!(serde_json::from_str::<HistoryEvent>(&damaged).unwrap(), read, "{}", damaged);
            }
        }
    }
}
