//! A history that fails, made as small as it can be: ours or somebody else's.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::HashSet;

use kvlab::judge::export::{Exporter, Target};
use kvlab::judge::import::{Format, ImportOptions};
use kvlab::judge::offline::{KeyHistory, Part, Refutation, check_key, op_events, shrink as shrink_key};
use kvlab::judge::{
    Diagram, HistoryEvent, Judge, JudgeOptions, Linearizable, Undecided, Violation, ViolationKind,
};

use super::check::{events_of, expect_key, judge_ours};
use super::parallel::{SearchBudget, SearchLimits};
use super::source::{ForeignHistory, HistorySource, OpenHistory};
use crate::run::history::{Judged, Kept};

/// What came of shrinking a history.
pub(crate) enum Shrunk {
    Smaller(Smaller),
    /// This does not fail: a key, or all of it.
    Fine(String),
    /// Nobody knows whether this fails, and why.
    Undecided(String, String),
}

/// What is left of a history.
pub(crate) struct Smaller {
    pub(crate) history: KeyHistory,
    /// Operations of the key before.
    pub(crate) before: usize,
    /// What is left, in the format in which it came.
    pub(crate) text: String,
    pub(crate) diagram: Diagram,
}

/// Shrinks this key's history, or else that of the first key that fails.
///
/// # Errors
/// If the source cannot be read, or no operation has the key.
pub(crate) fn shrink(
    source: &HistorySource,
    options: ImportOptions,
    limits: SearchLimits,
    key: Option<&str>,
) -> anyhow::Result<Shrunk> {
    match source.open(options)? {
        OpenHistory::Kvlab(own) => {
            let (judged, kept) = judge_ours(source, own, |_| {})?;
            ours(source, &judged, kept.as_ref(), limits, key)
        }
        OpenHistory::Foreign(foreign) => theirs(source, foreign, limits, key),
    }
}

fn ours(
    source: &HistorySource,
    judged: &Judged,
    kept: Option<&Kept>,
    limits: SearchLimits,
    key: Option<&str>,
) -> anyhow::Result<Shrunk> {
    expect_key(source, judged, key)?;
    let is_odd = |key: &str| kept.is_some_and(|kept| kept.is_odd(key));
    if let Some(key) = key.filter(|key| is_odd(key)) {
        return Ok(Shrunk::Undecided(named(Some(key)), Undecided::BeginningUnknown.to_string()));
    }
    let is_wanted = |name: &str| key.is_none_or(|wanted| wanted == name);
    let violations = || judged.report.violations.iter().filter(|violation| is_wanted(&violation.key));
    let first = violations().filter(|violation| violation.linearizability).min_by_key(|v| v.i);
    // What comes after the event that gave it away changes nothing.
    let wanted: Vec<(&str, u64)> = match first {
        Some(violation) => vec![(&violation.key, violation.i)],
        None => {
            let fine = [None, Some(Linearizable::Yes)];
            let keys = judged.judge.keys().filter(|key| is_wanted(key.key) && !is_odd(key.key));
            keys.filter(|key| !fine.contains(&key.linearizable)).map(|key| (key.key, u64::MAX)).collect()
        }
    };
    let candidates = wanted.into_iter().filter_map(|(key, last)| {
        let events = events_of(source, kept, |name| name == key, last);
        events.map(|events| Some((KeyHistory::of_events(&events).pop()?, events))).transpose()
    });
    let shrunk = first_smaller(candidates, limits, key, |part, events| {
        let left = left_of(events, &part.history);
        let text = if part.history.initially().is_empty() {
            // A history has no gaps: what is left is counted anew.
            let anew = left.iter().zip(1..).map(|(event, i)| HistoryEvent { i, ..event.clone() });
            let lines = anew.map(|event| Ok(serde_json::to_string(&event)? + "\n"));
            lines.collect::<anyhow::Result<String>>()?
        } else {
            written(part, Target::Kvlab, true)?
        };
        // Judged once more as it came, for the nodes and entries that belong to the proof.
        let explained = |violation: Violation| {
            Diagram::with_rule(&violation, source.epochs().rule(&violation)).among(&part.history)
        };
        Ok((text, proof(&left).map_or_else(|| drawn(part), explained)))
    })?;
    Ok(match shrunk {
        // An eventual read of what was never written is as small as it can be.
        Shrunk::Fine(_) if violations().any(|violation| !violation.linearizability) => {
            Shrunk::Fine("linearizability (what is broken is the promise to a single read)".to_owned())
        }
        shrunk => shrunk,
    })
}

fn theirs(
    source: &HistorySource,
    mut foreign: ForeignHistory,
    limits: SearchLimits,
    key: Option<&str>,
) -> anyhow::Result<Shrunk> {
    let keyed = foreign.is_keyed();
    foreign.keep(key, &source.name)?;
    // The smallest first: the first that fails will do.
    foreign.keys.sort_by_key(|history| history.ops().len());
    let target = if foreign.format == Format::JepsenLog { Target::JepsenLog } else { Target::Edn };
    let candidates = foreign.keys.into_iter().map(|history| Ok((history, ())));
    first_smaller(candidates, limits, key, |part, ()| Ok((written(part, target, keyed)?, drawn(part))))
}

/// The operations of a part, and before them what it begins with.
fn written(part: &Part, target: Target, keyed: bool) -> anyhow::Result<String> {
    let mut exporter = Exporter::of_keys(target, keyed, std::slice::from_ref(&part.history))?;
    let mut text = String::new();
    for event in op_events([&part.history]) {
        exporter.event(event, &mut text)?;
    }
    exporter.finish(&mut text)?;
    Ok(text)
}

/// The first of the histories that can be shrunk; `show` makes the text and the picture of what is left, from what came
/// with the history.
fn first_smaller<T>(
    histories: impl Iterator<Item = anyhow::Result<(KeyHistory, T)>>,
    limits: SearchLimits,
    key: Option<&str>,
    show: impl Fn(&Part, T) -> anyhow::Result<(String, Diagram)>,
) -> anyhow::Result<Shrunk> {
    let mut undecided = None;
    for candidate in histories {
        let (whole, more) = candidate?;
        let (budget, mut given_up) = (SearchBudget::begin(limits), None);
        let shrunk = shrink_key(&whole, &mut |steps| {
            given_up = budget.over(steps.is_multiple_of(1 << 18));
            given_up.is_none()
        });
        match shrunk {
            Ok(part) => {
                let (text, diagram) = show(&part, more)?;
                let before = whole.ops().len();
                return Ok(Shrunk::Smaller(Smaller { history: part.history, before, text, diagram }));
            }
            Err(Linearizable::Undecided) if undecided.is_none() => {
                let why = given_up.map(|why| why.to_string()).unwrap_or_default();
                let key = whole.key();
                let name = if key.is_empty() { "it".to_owned() } else { format!("key {key}") };
                undecided = Some(Shrunk::Undecided(name, why));
            }
            Err(_) => {}
        }
    }
    Ok(undecided.unwrap_or_else(|| Shrunk::Fine(named(key))))
}

/// A key, or the whole where there is none.
fn named(key: Option<&str>) -> String {
    match key {
        None | Some("") => "it".to_owned(),
        Some(key) => format!("key {key:?}"),
    }
}

/// The events of the operations that are left.
fn left_of(events: Vec<HistoryEvent>, shrunk: &KeyHistory) -> Vec<HistoryEvent> {
    let marks = shrunk.ops().iter().flat_map(|op| [Some(op.began.i), op.ended.map(|ended| ended.i)]);
    let marks: HashSet<u64> = marks.flatten().collect();
    events.into_iter().filter(|event| marks.contains(&event.i)).collect()
}

/// What the online judge has to say of it.
fn proof(events: &[HistoryEvent]) -> Option<Violation> {
    let mut judge = Judge::new(JudgeOptions::unbounded());
    let mut found = events.iter().filter_map(|event| judge.observe(event).ok().flatten());
    found.find(|violation| {
        violation.linearizability && !matches!(violation.kind, ViolationKind::NoOrder { .. })
    })
}

/// As a picture, with what fits nowhere.
fn drawn(part: &Part) -> Diagram {
    match check_key(&part.history, &mut |_| true).refutation {
        Some(Refutation::Violation(violation)) => Diagram::of_violation(&violation).among(&part.history),
        _ => Diagram::of_part(part),
    }
}
