//! From an input to the verdict on each of its keys.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::{HashMap, HashSet};
use std::io::BufRead;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use kvlab::judge::import::{Format, ImportOptions};
use kvlab::judge::offline::{Evidence, KeyHistory, KeyVerdict, Method, Op};
use kvlab::judge::{Diagram, HistoryEvent, JudgeOptions, JudgedBy, Linearizable, Report, Violation};

use super::input::{Input, Opened, Others};
use super::progress::Progress;
use super::search::{self, Budget, GivenUp, Limits};
use crate::explain::Epochs;
use crate::run::history::{HistoryReader, Judged, judge_lines};

/// A history and what was found out about it.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What the input is called.
    pub(crate) name: String,
    /// How it can be named to another command; `None`: it cannot be read again.
    pub(crate) path: Option<String>,
    /// The format in which it was.
    pub(crate) format: Format,
    /// Operations that began.
    pub(crate) operations: u64,
    /// Each key: ours in the order of their first use, others' in the order of their names.
    pub(crate) keys: Vec<KeyCheck>,
    /// What else the judge says of a history of ours.
    pub(crate) report: Option<Report>,
    /// How long it took.
    pub(crate) took: Duration,
    /// What was not judged of it.
    pub(crate) warning: Option<String>,
}

/// The verdict on a key.
#[derive(Debug)]
pub(crate) struct KeyCheck {
    /// The key; empty where there is only one and nobody names it.
    pub(crate) key: String,
    /// Operations on it.
    pub(crate) operations: u64,
    /// How it was judged; `None`: not for linearizability.
    pub(crate) method: Option<Method>,
    /// The verdict; `None`: it is not judged for linearizability.
    pub(crate) linearizable: Option<Linearizable>,
    /// Why it is undecided or not judged.
    pub(crate) why: Option<String>,
    /// Why it is not linearizable.
    pub(crate) proof: Option<Proof>,
}

/// Why a key is not linearizable.
#[derive(Debug)]
pub(crate) enum Proof {
    /// At most four operations, and which rule was broken, if that is known.
    Violation(Box<Violation>, Option<String>),
    /// The search's: an operation that has no place in an order.
    Stuck(Box<Stuck>),
}

/// How far an order goes.
#[derive(Debug)]
pub(crate) struct Stuck {
    /// Whether the order explains all that had ended before `stuck` did; else it is the longest that was found.
    pub(crate) is_first: bool,
    /// How many operations the order has.
    pub(crate) placed: usize,
    /// The last of them, in that order.
    pub(crate) last: Vec<Op>,
    /// The operation that fits nowhere after it.
    pub(crate) stuck: Op,
    diagram: Diagram,
}

/// The verdict on a whole history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Overall {
    /// Every key that is judged is linearizable.
    Linearizable,
    /// Something could not be decided, and nothing is violated.
    Undecided,
    /// A promise was broken.
    Violated,
}

/// Judges a history.
///
/// # Errors
/// If it cannot be read, or holds no operation: the message names the input and the line.
pub(crate) fn check(input: &Input, options: ImportOptions, limits: Limits) -> anyhow::Result<Checked> {
    let mut progress = Progress::begin();
    let mut checked = match input.open(options)? {
        Opened::Kvlab(reader, length) => {
            let judged = judge_ours(input, reader, length, &mut progress, |_| {})?;
            ours(input, judged, limits, &mut progress)?
        }
        Opened::Others(others) => self::others(input, &others, limits, &mut progress),
    };
    progress.end();
    if checked.operations == 0 {
        bail!("{}: there is no operation of a client in it; nothing can be judged", input.name);
    }
    checked.took = progress.took();
    Ok(checked)
}

/// Reads and judges a history of ours, once; `each` is shown every event.
///
/// # Errors
/// If it cannot be read. A last line that is cut is refused unless it may be: in the history of a run.
pub(crate) fn judge_ours(
    input: &Input,
    reader: Box<dyn BufRead>,
    length: Option<u64>,
    progress: &mut Progress,
    mut each: impl FnMut(&HistoryEvent),
) -> anyhow::Result<Judged> {
    let judged = judge_lines(reader, JudgeOptions::unbounded(), |event, bytes| {
        progress.read(bytes, length);
        each(event);
    });
    let judged = judged.with_context(|| input.name.clone())?;
    match &judged.cut {
        Some(cut) if !input.of_run => Err(anyhow!(
            "{}: {cut}. The {} lines before it are a history: `head -n {}` takes them",
            input.name,
            cut.line - 1,
            cut.line - 1
        )),
        _ => Ok(judged),
    }
}

fn ours(input: &Input, judged: Judged, limits: Limits, progress: &mut Progress) -> anyhow::Result<Checked> {
    let Judged { judge, report, cut } = judged;
    let mut proofs: HashMap<&str, &Violation> = HashMap::new();
    for violation in report.violations.iter().filter(|violation| violation.linearizability) {
        proofs.entry(&violation.key).or_insert(violation);
    }
    // Only what is violated has to be explained.
    let epochs = if proofs.is_empty() { Epochs::default() } else { input.epochs() };
    let undecided: HashMap<&str, String> =
        report.undecided.iter().map(|undecided| (&*undecided.key, undecided.why.to_string())).collect();
    let mut keys: Vec<KeyCheck> = judge
        .keys()
        .map(|key| KeyCheck {
            key: key.key.to_owned(),
            operations: key.operations,
            method: match key.judged_by {
                JudgedBy::Ids => Some(Method::Ids),
                JudgedBy::Search | JudgedBy::Undecided => Some(Method::Search),
                JudgedBy::Nothing => None,
            },
            linearizable: key.linearizable(),
            why: match key.linearizable() {
                None => Some("an async write was tried".to_owned()),
                Some(Linearizable::Undecided) => undecided.get(key.key).cloned(),
                Some(_) => None,
            },
            proof: proofs
                .get(key.key)
                .map(|&violation| Proof::Violation(Box::new(violation.clone()), epochs.rule(violation))),
        })
        .collect();
    drop(judge);
    search_again(input, &mut keys, limits, progress)?;
    let warning = cut.map(|cut| {
        format!("{}: the history ends inside line {}: it is judged up to there", input.name, cut.line)
    });
    Ok(Checked {
        name: input.name.clone(),
        path: input.is_rereadable().then(|| input.name.clone()),
        format: Format::Kvlab,
        operations: keys.iter().map(|key| key.operations).sum(),
        keys,
        report: Some(report),
        took: Duration::ZERO,
        warning,
    })
}

/// What the online judge could not decide within its bounds gets the general search.
fn search_again(
    input: &Input,
    keys: &mut [KeyCheck],
    limits: Limits,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let is_open = |key: &&mut KeyCheck| key.linearizable == Some(Linearizable::Undecided);
    let wanted: HashSet<String> = keys.iter_mut().filter(is_open).map(|key| key.key.clone()).collect();
    if wanted.is_empty() || !input.is_rereadable() {
        return Ok(());
    }
    let Opened::Kvlab(reader, _) = input.open(ImportOptions::default())? else { return Ok(()) };
    let histories = KeyHistory::of_events(&events_of(reader, &wanted, u64::MAX)?);
    let answers = search::all(&histories, &Budget::begin(limits), progress);
    let mut answers: HashMap<&str, _> =
        histories.iter().zip(answers).map(|(history, answer)| (history.key(), (history, answer))).collect();
    for key in keys.iter_mut().filter(is_open) {
        let Some((history, (verdict, given_up))) = answers.remove(&*key.key) else { continue };
        let before = key.why.take();
        let answer = KeyCheck::of(history, verdict, given_up);
        let why = [before, answer.why].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let operations = key.operations;
        *key = KeyCheck { operations, why: Some(why).filter(|why| !why.is_empty()), ..answer };
        key.why = key.why.take().filter(|_| key.linearizable == Some(Linearizable::Undecided));
    }
    Ok(())
}

/// The events of these keys, up to an index.
fn events_of(reader: impl BufRead, wanted: &HashSet<String>, last: u64) -> anyhow::Result<Vec<HistoryEvent>> {
    let (mut events, mut found) = (HistoryReader::new(reader), Vec::new());
    // It has been read before: what is cut at its end is known and of no interest.
    while let Ok(Some(event)) = events.next() {
        if event.i > last {
            break;
        }
        if wanted.contains(&event.key) {
            found.push(event);
        }
    }
    Ok(found)
}

/// The events of one key of a history of ours, up to an index.
///
/// # Errors
/// If it cannot be opened again.
pub(crate) fn key_of(input: &Input, key: &str, last: u64) -> anyhow::Result<Vec<HistoryEvent>> {
    match input.open(ImportOptions::default())? {
        Opened::Kvlab(reader, _) => events_of(reader, &HashSet::from([key.to_owned()]), last),
        Opened::Others(_) => bail!("{} has changed meanwhile", input.name),
    }
}

fn others(input: &Input, others: &Others, limits: Limits, progress: &mut Progress) -> Checked {
    let answers = search::all(&others.keys, &Budget::begin(limits), progress);
    let answers = others.keys.iter().zip(answers);
    let keys: Vec<KeyCheck> =
        answers.map(|(history, (verdict, given_up))| KeyCheck::of(history, verdict, given_up)).collect();
    Checked {
        name: input.name.clone(),
        path: input.is_rereadable().then(|| input.name.clone()),
        format: others.format,
        operations: keys.iter().map(|key| key.operations).sum(),
        keys,
        report: None,
        took: Duration::ZERO,
        warning: None,
    }
}

impl KeyCheck {
    fn of(history: &KeyHistory, verdict: KeyVerdict, given_up: Option<GivenUp>) -> Self {
        let undecided = verdict.linearizable == Linearizable::Undecided;
        Self {
            key: verdict.key,
            operations: verdict.operations as u64,
            method: Some(verdict.method),
            linearizable: Some(verdict.linearizable),
            why: given_up.filter(|_| undecided).map(|why| why.to_string()),
            proof: verdict.evidence.map(|evidence| Proof::of(history, evidence)),
        }
    }
}

impl Proof {
    fn of(history: &KeyHistory, evidence: Evidence) -> Self {
        match evidence {
            Evidence::Violation(violation) => {
                let rule = violation.rule();
                Self::Violation(violation, rule)
            }
            Evidence::Stuck { longest, stuck, is_first } => {
                let last = &longest[longest.len().saturating_sub(Diagram::LAST_DRAWN)..];
                Self::Stuck(Box::new(Stuck {
                    is_first,
                    placed: longest.len(),
                    last: last.iter().map(|&at| history.ops()[at].clone()).collect(),
                    stuck: history.ops()[stuck].clone(),
                    diagram: Diagram::of_stuck(history, &longest, stuck, is_first),
                }))
            }
        }
    }

    /// As a picture.
    pub(crate) fn diagram(&self) -> Diagram {
        match self {
            Self::Violation(violation, rule) => Diagram::with_rule(violation, rule.clone()),
            Self::Stuck(stuck) => stuck.diagram.clone(),
        }
    }
}

impl Checked {
    /// The verdict on the whole.
    pub(crate) fn overall(&self) -> Overall {
        let is = |verdict| self.keys.iter().any(|key| key.linearizable == Some(verdict));
        let report = self.report.as_ref();
        if is(Linearizable::No) || report.is_some_and(|report| report.violations_total > 0) {
            Overall::Violated
        } else if is(Linearizable::Undecided) {
            Overall::Undecided
        } else {
            Overall::Linearizable
        }
    }

    /// The keys with this verdict.
    pub(crate) fn with(&self, verdict: Option<Linearizable>) -> impl Iterator<Item = &KeyCheck> {
        self.keys.iter().filter(move |key| key.linearizable == verdict)
    }

    /// Whether events name their key.
    pub(crate) fn is_keyed(&self) -> bool {
        !matches!(&*self.keys, [only] if only.key.is_empty())
    }

    /// The first proof that there is.
    pub(crate) fn first_proof(&self) -> Option<Diagram> {
        let of_key = self.keys.iter().find_map(|key| key.proof.as_ref()).map(Proof::diagram);
        of_key.or_else(|| self.broken().next().map(Diagram::of_violation))
    }

    /// Promises broken other than linearizability: eventual reads of what was never written.
    pub(crate) fn broken(&self) -> impl Iterator<Item = &Violation> {
        let violations = self.report.iter().flat_map(|report| &report.violations);
        violations.filter(|violation| !violation.linearizability)
    }
}
