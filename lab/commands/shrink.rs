//! `kvlab shrink`: the smallest part of a history that still fails, drawn and written.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::HashSet;

use anyhow::bail;
use kvlab::judge::export::{Exporter, Target, tell};
use kvlab::judge::import::Format;
use kvlab::judge::offline::{Evidence, KeyHistory, check_key, explain_key, shrink};
use kvlab::judge::{
    Diagram, HistoryEvent, Judge, JudgeOptions, JudgedBy, Linearizable, Violation, ViolationKind,
};

use super::check::{format, limits, options};
use super::support::exit::{CommandError, Exit};
use super::support::output;
use crate::cli::ShrinkArgs;
use crate::run::history::Judged;
use crate::run::output_file::OutputFile;
use crate::verify::{self, Budget, Input, Look, Opened, Others, Progress};

pub fn run(args: &ShrinkArgs) -> Result<Exit, CommandError> {
    let input = Input::find(&args.history, format(args.reading.format))?.rereadable()?;
    let found = match input.open(options(&args.reading))? {
        Opened::Kvlab(reader, length) => {
            let mut progress = Progress::begin();
            let judged = verify::judge_ours(&input, reader, length, &mut progress, |_| {})?;
            drop(progress);
            ours(&input, args, &judged)?
        }
        Opened::Others(others) => self::others(&input, args, others)?,
    };
    match found {
        Outcome::Smaller(smaller) => {
            show(args, &smaller)?;
            Ok(Exit::Refused)
        }
        Outcome::Fine(what) => {
            output::tell(format_args!("{}: {what} does not fail: there is nothing to shrink", input.name));
            Ok(Exit::Done)
        }
        Outcome::Undecided(what, why) => {
            output::tell(format_args!("{}: {what} is undecided: {why}", input.name));
            Ok(Exit::Unknown)
        }
    }
}

/// What came of it.
enum Outcome {
    Smaller(Smaller),
    /// It does not fail: this key, or all of it.
    Fine(String),
    /// Nobody knows whether it fails, and why.
    Undecided(String, String),
}

/// What is left of a history.
struct Smaller {
    history: KeyHistory,
    /// Operations of the key before.
    before: usize,
    /// What is left, in the format in which it came.
    text: String,
    diagram: Diagram,
}

/// Shrinks one key's history.
fn smaller(args: &ShrinkArgs, history: &KeyHistory) -> Result<KeyHistory, Option<String>> {
    let budget = Budget::begin(limits(&args.reading));
    let mut given_up = None;
    let shrunk = shrink(history, &mut |steps| {
        given_up = budget.over(steps.is_multiple_of(1 << 18));
        given_up.is_none()
    });
    shrunk.map_err(|verdict| match verdict {
        Linearizable::Undecided => Some(given_up.map(|why| why.to_string()).unwrap_or_default()),
        Linearizable::Yes | Linearizable::No => None,
    })
}

fn ours(input: &Input, args: &ShrinkArgs, judged: &Judged) -> anyhow::Result<Outcome> {
    let is_wanted = |key: &str| args.key.as_ref().is_none_or(|wanted| wanted == key);
    if let Some(key) = args.key.as_ref().filter(|key| judged.judge.keys().all(|known| known.key != **key)) {
        bail!("{}: no operation has the key {key:?}", input.name);
    }
    let what = || args.key.as_ref().map_or_else(|| "it".to_owned(), |key| format!("key {key:?}"));
    let violations = judged.report.violations.iter();
    let first = violations
        .filter(|violation| violation.linearizability && is_wanted(&violation.key))
        .min_by_key(|v| v.i);
    // What comes after the event that gave it away changes nothing.
    let candidates: Vec<(String, u64)> = match first {
        Some(violation) => vec![(violation.key.clone(), violation.i)],
        None => {
            let keys = judged.judge.keys().filter(|key| is_wanted(key.key));
            let open = keys.filter(|key| key.violated || key.judged_by == JudgedBy::Undecided);
            open.map(|key| (key.key.to_owned(), u64::MAX)).collect()
        }
    };
    let mut undecided = None;
    for (key, last) in candidates {
        let events = verify::key_of(input, &key, last)?;
        let Some(history) = KeyHistory::of_events(&events).pop() else { continue };
        match smaller(args, &history) {
            Ok(shrunk) => {
                let left = left_of(events, &shrunk);
                let mut text = String::new();
                for event in &left {
                    text.push_str(&(serde_json::to_string(event)? + "\n"));
                }
                // Judged once more as it came, for the nodes and entries that belong to the proof.
                let explained = |violation: Violation| {
                    Diagram::with_rule(&violation, input.epochs().rule(&violation)).among(&shrunk)
                };
                let diagram = proof(&left).map(explained);
                let diagram = diagram.unwrap_or_else(|| drawn(&shrunk));
                let before = history.ops().len();
                return Ok(Outcome::Smaller(Smaller { before, history: shrunk, text, diagram }));
            }
            Err(Some(why)) => {
                undecided.get_or_insert((format!("key {key:?}"), why));
            }
            Err(None) => {}
        }
    }
    Ok(match undecided {
        Some((key, why)) => Outcome::Undecided(key, why),
        // An eventual read of what was never written is as small as it can be.
        None if judged.report.violations.iter().any(|v| !v.linearizability && is_wanted(&v.key)) => {
            Outcome::Fine("linearizability (what is broken is the promise to a single read)".to_owned())
        }
        None => Outcome::Fine(what()),
    })
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
fn drawn(history: &KeyHistory) -> Diagram {
    let mut verdict = check_key(history, &mut |_| true);
    explain_key(history, &mut verdict, &mut |_| true);
    match verdict.evidence {
        Some(Evidence::Violation(violation)) => Diagram::of_violation(&violation).among(history),
        evidence => Diagram::of_history(history, evidence.as_ref()),
    }
}

fn others(input: &Input, args: &ShrinkArgs, mut others: Others) -> anyhow::Result<Outcome> {
    let (keyed, processes) = (others.is_keyed(), others.processes());
    others.keep(args.key.as_deref(), &input.name)?;
    let mut undecided = None;
    // The smallest first: the first that fails will do.
    others.keys.sort_by_key(|history| history.ops().len());
    for history in &others.keys {
        match smaller(args, history) {
            Ok(shrunk) => {
                let target = if others.format == Format::JepsenLog { Target::JepsenLog } else { Target::Edn };
                let mut exporter = Exporter::new(target, keyed, processes).with_numbers();
                let mut text = String::new();
                for told in tell(std::slice::from_ref(&shrunk)) {
                    exporter.event(told, &mut text)?;
                }
                exporter.finish(&mut text)?;
                let (before, diagram) = (history.ops().len(), drawn(&shrunk));
                return Ok(Outcome::Smaller(Smaller { before, history: shrunk, text, diagram }));
            }
            Err(Some(why)) => {
                undecided.get_or_insert((named(history), why));
            }
            Err(None) => {}
        }
    }
    Ok(match undecided {
        Some((key, why)) => Outcome::Undecided(key, why),
        None => {
            Outcome::Fine(args.key.as_ref().map_or_else(|| "it".to_owned(), |key| format!("key {key:?}")))
        }
    })
}

fn named(history: &KeyHistory) -> String {
    if history.key().is_empty() { "it".to_owned() } else { format!("key {:?}", history.key()) }
}

/// The drawing, and what is left: below it, or where `--out` says.
fn show(args: &ShrinkArgs, smaller: &Smaller) -> anyhow::Result<()> {
    let Smaller { history, before, text, diagram } = smaller;
    let key = if history.key().is_empty() { String::new() } else { format!("key {:?}: ", history.key()) };
    let left = history.ops().len();
    let fails = if left == 1 { "fails" } else { "fail" };
    let summary = format!("{key}{left} of {before} operations still {fails}\n\n");
    let drawing = summary + &diagram.text(Look::of_stdout().width);
    let to_stdout = args.out.as_deref().is_some_and(|out| out == std::path::Path::new("-"));
    match &args.out {
        None => output::print(format!("{drawing}\n{text}")),
        Some(out) => {
            if to_stdout {
                output::tell(drawing.trim_end());
            } else {
                output::print(&drawing);
            }
            let mut file = OutputFile::create(Some(out))?;
            file.write(text)?;
            file.finish()?;
        }
    }
    Ok(())
}
