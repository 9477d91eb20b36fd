//! From a source to the verdict on each key of its history.
#![expect(clippy::disallowed_methods, reason = "how long it took is told by the real clock")]
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use kvlab::judge::import::{Format, ImportOptions};
use kvlab::judge::offline::KeyHistory;
use kvlab::judge::{HistoryEvent, JudgeOptions, Linearizable, OpKind, Phase, Value, Violation};

use super::checked::{CheckedHistory, CheckedKey, KeyProof};
use super::parallel::{SearchLimits, judge_all};
use super::source::{ForeignHistory, HistorySource, OpenHistory, OwnHistory};
use super::status_line::{StatusLine, bar};
use crate::explain::Epochs;
use crate::run::history::{Judged, judge_lines};
use crate::text::words;

/// What is said of a history in which nothing happened.
const ONLY_FAILED: &str =
    "every operation in it failed, or was a read that got no answer: nothing can be judged";

/// Judges a history.
///
/// # Errors
/// If it cannot be read, or holds no operation: the message names the source and the line.
pub(crate) fn check(
    source: &HistorySource,
    options: ImportOptions,
    limits: SearchLimits,
) -> anyhow::Result<CheckedHistory> {
    let began = Instant::now();
    let mut checked = match source.open(options)? {
        OpenHistory::Kvlab(own) => {
            let mut survey = Survey::default();
            let judged = judge_ours(source, own, |event| survey.note(event))?;
            ours(source, judged, survey.may_have_happened(), limits)?
        }
        OpenHistory::Foreign(foreign) if foreign.has_only_failed() => bail!("{}: {ONLY_FAILED}", source.name),
        OpenHistory::Foreign(foreign) => theirs(source, &foreign, limits),
    };
    if checked.operations() == 0 {
        bail!("{}: there is no operation of a client in it; nothing can be judged", source.name);
    }
    checked.took = began.elapsed();
    Ok(checked)
}

/// How the operations of a history of ours ended.
#[derive(Debug, Default)]
struct Survey {
    writes_begun: u64,
    writes_failed: u64,
    /// Something is known or thought to have happened.
    told: bool,
}

impl Survey {
    fn note(&mut self, event: &HistoryEvent) {
        let writes = u64::from(event.op != OpKind::Get);
        match event.phase {
            Phase::Invoke => self.writes_begun += writes,
            Phase::Fail => self.writes_failed += writes,
            Phase::Ok | Phase::Info => self.told = true,
        }
    }

    /// A write that has not ended may have.
    fn may_have_happened(&self) -> bool {
        self.told || self.writes_begun > self.writes_failed
    }
}

/// Reads and judges a history of ours, once; `each` is shown every event.
///
/// # Errors
/// If it cannot be read. A last line that is cut is refused unless it may be: in the history of a run.
pub(super) fn judge_ours(
    source: &HistorySource,
    own: OwnHistory,
    mut each: impl FnMut(&HistoryEvent),
) -> anyhow::Result<Judged> {
    /// Events for each look at the clock.
    const EVENTS_PER_LOOK: u32 = 1024;
    let (mut line, mut events) = (StatusLine::begin(), 0_u32);
    let judged = judge_lines(own.reader, JudgeOptions::unbounded(), |event, bytes| {
        events = events.wrapping_add(1);
        if events.is_multiple_of(EVENTS_PER_LOOK) {
            line.draw(|| format!("{}{} read", bar(bytes, own.length), words::bytes(bytes)));
        }
        each(event);
    });
    let judged = judged.with_context(|| source.name.clone())?;
    match &judged.cut {
        Some(cut) if !source.of_run => Err(anyhow!(
            "{}: {cut}. The {} lines before it are a history: `head -n {}` takes them",
            source.name,
            cut.line - 1,
            cut.line - 1
        )),
        _ => Ok(judged),
    }
}

/// Makes sure that some operation has the key, if one is named.
///
/// # Errors
/// If none has.
pub(super) fn expect_key(source: &HistorySource, judged: &Judged, key: Option<&str>) -> anyhow::Result<()> {
    match key.filter(|key| judged.judge.keys().all(|known| known.key != *key)) {
        Some(key) => bail!("{}: no operation has the key {key:?}", source.name),
        None => Ok(()),
    }
}

/// The events of these keys of a history of ours, up to an index.
///
/// # Errors
/// If it cannot be opened again.
pub(super) fn events_of(
    source: &HistorySource,
    is_wanted: impl Fn(&str) -> bool,
    last: u64,
) -> anyhow::Result<Vec<HistoryEvent>> {
    let (mut events, mut found) = (source.reopen()?, Vec::new());
    // It has been read before: what is cut at its end is known and of no interest.
    while let Ok(Some(event)) = events.next()
        && event.i <= last
    {
        if is_wanted(&event.key) {
            found.push(event);
        }
    }
    Ok(found)
}

fn ours(
    source: &HistorySource,
    judged: Judged,
    may_have_happened: bool,
    limits: SearchLimits,
) -> anyhow::Result<CheckedHistory> {
    let Judged { judge, report: judgement, cut } = judged;
    if judgement.events > 0 && !may_have_happened {
        bail!("{}: {ONLY_FAILED}", source.name);
    }
    let mut proofs: HashMap<&str, &Violation> = HashMap::new();
    for violation in judgement.violations.iter().filter(|violation| violation.linearizability) {
        proofs.entry(&violation.key).or_insert(violation);
    }
    // Only what is violated has to be explained.
    let epochs = if proofs.is_empty() { Epochs::default() } else { source.epochs() };
    let undecided: HashMap<&str, String> =
        judgement.undecided.iter().map(|undecided| (&*undecided.key, undecided.why.to_string())).collect();
    let proof = |&violation: &&Violation| KeyProof::of_violation(violation.clone(), epochs.rule(violation));
    let mut keys: Vec<CheckedKey> = judge
        .keys()
        .map(|key| CheckedKey {
            key: key.key.into(),
            operations: key.operations,
            linearizable: key.linearizable,
            method: key.method,
            why: match key.linearizable {
                None => Some("an async write was tried".to_owned()),
                Some(Linearizable::Undecided) => undecided.get(key.key).cloned(),
                Some(_) => None,
            },
            failed_cas: None,
            proof: proofs.get(key.key).map(proof),
        })
        .collect();
    drop(judge);
    search_undecided(source, &mut keys, limits)?;
    let warning = cut.map(|cut| {
        format!("{}: the history ends inside line {}: it is judged up to there", source.name, cut.line)
    });
    Ok(CheckedHistory {
        judgement: Some(judgement),
        warning,
        ..CheckedHistory::new(source, Format::Kvlab, keys)
    })
}

/// What the online judge could not decide within its bounds gets the general search.
fn search_undecided(
    source: &HistorySource,
    keys: &mut [CheckedKey],
    limits: SearchLimits,
) -> anyhow::Result<()> {
    let is_open = |key: &&mut CheckedKey| key.linearizable == Some(Linearizable::Undecided);
    let wanted: HashSet<String> = keys.iter_mut().filter(is_open).map(|key| key.key.to_plain()).collect();
    if wanted.is_empty() || !source.is_rereadable() {
        return Ok(());
    }
    let histories = KeyHistory::of_events(&events_of(source, |key| wanted.contains(key), u64::MAX)?);
    let answers = judge_all(&histories, limits);
    let mut answers: HashMap<&Value, _> =
        histories.iter().zip(answers).map(|(history, answer)| (history.key(), (history, answer))).collect();
    for key in keys.iter_mut().filter(is_open) {
        let Some((history, (verdict, given_up))) = answers.remove(&key.key) else { continue };
        let searched = CheckedKey::of(history, verdict, given_up);
        let why = match (key.why.take(), searched.why) {
            _ if searched.linearizable != Some(Linearizable::Undecided) => None,
            (Some(before), Some(after)) => Some(format!("{before}; {after}")),
            (before, after) => before.or(after),
        };
        *key = CheckedKey { operations: key.operations, why, ..searched };
    }
    Ok(())
}

fn theirs(source: &HistorySource, foreign: &ForeignHistory, limits: SearchLimits) -> CheckedHistory {
    let answers = foreign.keys.iter().zip(judge_all(&foreign.keys, limits));
    let keys = answers.map(|(history, (verdict, given_up))| CheckedKey::of(history, verdict, given_up));
    CheckedHistory::new(source, foreign.format, keys.collect())
}

impl CheckedHistory {
    fn new(source: &HistorySource, format: Format, keys: Vec<CheckedKey>) -> Self {
        Self {
            name: source.name.clone(),
            path: source.is_rereadable().then(|| source.name.clone()),
            format,
            keys,
            judgement: None,
            took: Duration::ZERO,
            warning: None,
        }
    }
}
