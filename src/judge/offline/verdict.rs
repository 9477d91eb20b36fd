//! The verdict on one key.
#![expect(clippy::disallowed_types, reason = "its hasher is named: the same in every run")]

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::history::{Act, KeyHistory, Mark, Op, Outcome};
use super::prefix::ceasing;
use crate::judge::hash::Hash;
use crate::judge::history::{Consistency, HistoryEvent, OpKind, Phase};
use crate::judge::online::{Judge, JudgeOptions};
use crate::judge::report::Linearizable;
use crate::judge::search::{ABSENT, AppendModel, AppendOp, Call, Found, RegisterModel, RegisterOp, search};
use crate::judge::violation::Violation;

/// What was found out about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyVerdict {
    /// The key.
    pub key: String,
    /// Its operations.
    pub operations: usize,
    /// How it was judged.
    pub method: Method,
    /// The verdict.
    pub linearizable: Linearizable,
    /// Of a key that is not linearizable: why not.
    pub evidence: Option<Evidence>,
    /// Steps that the search took.
    pub steps: u64,
}

/// How a key was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Each read names its write: O(n log n).
    Ids,
    /// By general search.
    Search,
}

/// Why a key is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// A proof of at most four operations.
    Violation(Box<Violation>),
    /// An order of operations, and one that ended and has no place after it.
    Stuck {
        /// Operations in the order found, by their place in the history.
        longest: Vec<usize>,
        /// The operation that has no place; or a write of which it became known that it failed.
        stuck: usize,
        /// Whether the history ceased to be linearizable in the end of `stuck`: the order explains all that had ended
        /// before, and no order explains that too. If not, that moment could not be found in time, and `longest` is as
        /// far as the search came.
        is_first: bool,
    },
}

/// Judges a key. `go_on` is asked now and then whether to (with the steps taken); false makes the verdict undecided.
/// Histories with unique ids never ask. What [`explain_key`] may add to the evidence costs more than the verdict.
///
/// # Examples
/// ```
/// use kvlab::judge::Linearizable;
/// use kvlab::judge::offline::{Act, KeyHistory, Mark, Op, Outcome, check_key};
///
/// let op = |process, act, began, ended| Op {
///     process,
///     act,
///     began: Mark { i: began, t_ns: None },
///     ended: Some(Mark { i: ended, t_ns: None }),
///     outcome: Outcome::Ok,
/// };
/// let ops = vec![op(1, Act::Write(Some("a".into())), 1, 2), op(2, Act::Read(Some("b".into())), 3, 4)];
/// let history = KeyHistory::new("k".into(), ops)?;
/// let verdict = check_key(&history, &mut |steps| steps < 1_000_000);
/// assert_eq!(verdict.linearizable, Linearizable::No, "nobody wrote b");
/// # Ok::<(), kvlab::judge::offline::NoHistory>(())
/// ```
pub fn check_key(history: &KeyHistory, go_on: &mut dyn FnMut(u64) -> bool) -> KeyVerdict {
    if history.has_unique_ids() {
        return by_ids(history);
    }
    let (found, steps) = searched(history, go_on);
    let (linearizable, evidence) = match found {
        Found::Linearizable(_) => (Linearizable::Yes, None),
        Found::NotLinearizable { longest, stuck } => {
            (Linearizable::No, Some(Evidence::Stuck { longest, stuck, is_first: false }))
        }
        Found::Undecided => (Linearizable::Undecided, None),
    };
    let (key, operations) = (history.key().to_owned(), history.ops().len());
    KeyVerdict { key, operations, method: Method::Search, linearizable, evidence, steps }
}

/// Makes the evidence of a refusal by search exact: it then names the moment in which the history failed. That takes
/// a search for each step of a binary search; where `go_on` (asked as by [`check_key`], for each anew) ends one, the
/// evidence stays as it is. `verdict` must be this history's.
pub fn explain_key(history: &KeyHistory, verdict: &mut KeyVerdict, go_on: &mut dyn FnMut(u64) -> bool) {
    if let Some(Evidence::Stuck { is_first: false, .. }) = verdict.evidence
        && let Some(exact) = ceasing(history, go_on)
    {
        verdict.evidence = Some(exact);
    }
}

/// What the general search finds, in places of the history, and its steps.
pub(super) fn searched(history: &KeyHistory, go_on: &mut dyn FnMut(u64) -> bool) -> (Found, u64) {
    let (places, (found, steps)) = if history.ops().iter().any(|op| op.act.is_of_string()) {
        let (places, calls) = calls(history, append_op);
        (places, search(&mut AppendModel::default(), &calls, go_on))
    } else {
        let mut numbers = Numbers::default();
        let (places, calls) = calls(history, |act| register_op(act, &mut numbers));
        (places, search(&mut RegisterModel, &calls, go_on))
    };
    let placed = |order: Vec<usize>| order.into_iter().map(|call| places[call]).collect();
    let found = match found {
        Found::Linearizable(order) => Found::Linearizable(placed(order)),
        Found::NotLinearizable { longest, stuck } => {
            Found::NotLinearizable { longest: placed(longest), stuck: places[stuck] }
        }
        Found::Undecided => Found::Undecided,
    };
    (found, steps)
}

/// The operations that happened or may have, as the search wants them, and the place of each in the history.
fn calls<'a, O>(history: &'a KeyHistory, mut to_op: impl FnMut(&'a Act) -> O) -> (Vec<usize>, Vec<Call<O>>) {
    let counts = |op: &Op| match op.outcome {
        Outcome::Ok => true,
        Outcome::Unknown => !op.act.only_looks(),
        Outcome::Failed => false,
    };
    let happened = history.ops().iter().enumerate().filter(|(_, op)| counts(op));
    happened
        .map(|(place, op)| {
            let ended = op.ended.filter(|_| op.outcome == Outcome::Ok).map(|ended| ended.i);
            (place, Call { op: to_op(&op.act), began: op.began.i, ended })
        })
        .unzip()
}

/// A number for each value.
#[derive(Default)]
struct Numbers<'a>(HashMap<&'a str, u32, Hash>);

impl<'a> Numbers<'a> {
    fn of(&mut self, value: &'a Option<String>) -> u32 {
        let Some(value) = value else { return ABSENT };
        let fresh = self.0.len() as u32 + 1;
        *self.0.entry(value).or_insert(fresh)
    }
}

fn by_ids(history: &KeyHistory) -> KeyVerdict {
    let mut judge = Judge::new(JudgeOptions::unbounded());
    for event in events(history) {
        // A history of whole operations cannot be refused.
        let refused = judge.observe(&event);
        debug_assert!(refused.is_ok(), "{refused:?}");
    }
    let report = judge.finish();
    let violation = report.violations.into_iter().find(|violation| violation.linearizability);
    KeyVerdict {
        key: history.key().to_owned(),
        operations: history.ops().len(),
        method: Method::Ids,
        linearizable: report.linearizable,
        evidence: violation.map(|violation| Evidence::Violation(Box::new(violation))),
        steps: 0,
    }
}

/// As events for the judge, in their order.
fn events(history: &KeyHistory) -> Vec<HistoryEvent> {
    let mut events = Vec::with_capacity(2 * history.ops().len());
    for op in history.ops() {
        let (kind, value) = match &op.act {
            Act::Read(value) => (OpKind::Get, value.clone()),
            Act::Get(value) => (OpKind::Get, (!value.is_empty()).then(|| value.clone())),
            Act::Write(value) => (OpKind::Put, value.clone()),
            Act::Put(value) => (OpKind::Put, Some(value.clone())),
            Act::Cas { .. } | Act::CasFailed { .. } | Act::Append(_) => continue,
        };
        let event = |mark: Mark, phase| HistoryEvent {
            i: mark.i,
            t_ns: mark.t_ns.unwrap_or(0),
            client: op.process,
            node: None,
            phase,
            op: kind,
            key: history.key().to_owned(),
            value: value.clone(),
            consistency: Consistency::Quorum,
            epoch: None,
            seq: None,
        };
        let phase = match op.outcome {
            Outcome::Ok => Phase::Ok,
            Outcome::Unknown => Phase::Info,
            Outcome::Failed => Phase::Fail,
        };
        events.push(event(op.began, Phase::Invoke));
        events.extend(op.ended.map(|ended| event(ended, phase)));
    }
    events.sort_by_key(|event| event.i);
    events
}

fn register_op<'a>(act: &'a Act, numbers: &mut Numbers<'a>) -> RegisterOp {
    match act {
        Act::Read(value) => RegisterOp::Read(numbers.of(value)),
        Act::Write(value) => RegisterOp::Write(numbers.of(value)),
        Act::Cas { from, to } => RegisterOp::Cas { from: numbers.of(from), to: numbers.of(to) },
        Act::CasFailed { from, .. } => RegisterOp::CasFailed { from: numbers.of(from) },
        Act::Get(_) | Act::Put(_) | Act::Append(_) => unreachable!("a history is of registers or of strings"),
    }
}

fn append_op(act: &Act) -> AppendOp {
    match act {
        Act::Get(value) => AppendOp::Get(value.clone()),
        Act::Put(value) => AppendOp::Put(value.clone()),
        Act::Append(value) => AppendOp::Append(value.clone()),
        Act::Read(_) | Act::Write(_) | Act::Cas { .. } | Act::CasFailed { .. } => {
            unreachable!("a history is of registers or of strings")
        }
    }
}
