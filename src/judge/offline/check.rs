//! The verdict on one key, with its reason.
#![expect(clippy::disallowed_types, reason = "its hasher is named, and it is never gone through in order")]

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::by_search::by_search;
use super::event::op_events;
use super::history::KeyHistory;
use super::prefix::first_failing;
use crate::judge::hash::Hash;
use crate::judge::judgement::{Linearizable, Method};
use crate::judge::online::{Judge, JudgeOptions};
use crate::judge::search::SearchResult;
use crate::judge::value::Value;
use crate::judge::violation::Violation;

/// What was found out about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyVerdict {
    /// The key.
    pub key: Value,
    /// Its operations.
    pub operations: usize,
    /// How it was judged.
    pub method: Method,
    /// The verdict.
    pub linearizable: Linearizable,
    /// Of a key that is not linearizable: why not.
    pub refutation: Option<Refutation>,
    /// Steps that the search took.
    pub steps: u64,
}

/// Why a key is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Refutation {
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

/// Judges a key. `may_continue` is asked now and then whether to (with the steps taken); false makes the verdict undecided.
/// Histories with unique ids never ask. What [`explain_key`] may add to the reason costs more than the verdict.
///
/// # Examples
/// ```
/// use kvlab::judge::Linearizable;
/// use kvlab::judge::offline::{EventTime, KeyAct, KeyHistory, KeyOp, OpOutcome, check_key};
///
/// let op = |process, act, began, ended| KeyOp {
///     process,
///     act,
///     began: EventTime { i: began, t_ns: None },
///     ended: Some(EventTime { i: ended, t_ns: None }),
///     outcome: OpOutcome::Ok,
/// };
/// let ops = vec![op(1, KeyAct::Write(Some("a".into())), 1, 2), op(2, KeyAct::Read(Some("b".into())), 3, 4)];
/// let history = KeyHistory::new("k", ops)?;
/// let verdict = check_key(&history, &mut |steps| steps < 1_000_000);
/// assert_eq!(verdict.linearizable, Linearizable::No, "nobody wrote b");
/// # Ok::<(), kvlab::judge::offline::NoHistory>(())
/// ```
pub fn check_key(history: &KeyHistory, may_continue: &mut dyn FnMut(u64) -> bool) -> KeyVerdict {
    if history.has_unique_ids() {
        return by_ids(history);
    }
    let (found, steps) = by_search(history, may_continue);
    let (linearizable, refutation) = match found {
        SearchResult::Linearizable(_) => (Linearizable::Yes, None),
        SearchResult::NotLinearizable { longest, stuck } => {
            (Linearizable::No, Some(Refutation::Stuck { longest, stuck, is_first: false }))
        }
        SearchResult::Undecided => (Linearizable::Undecided, None),
    };
    let (key, operations) = (history.key().clone(), history.ops().len());
    KeyVerdict { key, operations, method: Method::Search, linearizable, refutation, steps }
}

/// Makes the reason of a refusal by search exact: it then names the moment in which the history failed. That takes
/// a search for each step of a binary search; where `may_continue` (asked as by [`check_key`], for each anew) ends one, the
/// reason stays as it is. `verdict` must be this history's.
pub fn explain_key(
    history: &KeyHistory,
    verdict: &mut KeyVerdict,
    may_continue: &mut dyn FnMut(u64) -> bool,
) {
    if let Some(Refutation::Stuck { is_first: false, .. }) = verdict.refutation
        && let Some(exact) = first_stuck(history, may_continue)
    {
        verdict.refutation = Some(exact);
    }
}

fn by_ids(history: &KeyHistory) -> KeyVerdict {
    /// With fewer operations it is not worth the while to judge within bounds first.
    const FEW: usize = 100_000;
    let bounded = (history.ops().len() > FEW).then(|| judged_by_ids(history, JudgeOptions::default()));
    // Within bounds the judge may be undecided, or forget what a proof would show.
    let (linearizable, violation) = bounded
        .filter(|(linearizable, _)| *linearizable == Linearizable::Yes)
        .unwrap_or_else(|| judged_by_ids(history, JudgeOptions::unbounded()));
    KeyVerdict {
        key: history.key().clone(),
        operations: history.ops().len(),
        method: Method::Ids,
        linearizable,
        refutation: violation.map(|violation| Refutation::Violation(Box::new(violation))),
        steps: 0,
    }
}

fn judged_by_ids(history: &KeyHistory, options: JudgeOptions) -> (Linearizable, Option<Violation>) {
    let mut judge = Judge::new(options);
    // The judge knows only strings, so each value is called by its number.
    let (mut numbers, mut values) = (HashMap::<Value, u32, Hash>::default(), Vec::new());
    let mut number = |value: &Value| {
        let number = numbers.entry(value.clone()).or_insert_with(|| {
            values.push(value.clone());
            values.len() as u32 - 1
        });
        number.to_string()
    };
    for event in op_events([history]).filter_map(|event| event.to_history_event(&mut number)) {
        // A history of whole operations cannot be refused.
        let refused = judge.observe(&event);
        debug_assert!(refused.is_ok(), "{refused:?}");
    }
    let judgement = judge.finish();
    let violation = judgement.violations.into_iter().find(|violation| violation.linearizability);
    let value = |number: &Value| -> Value {
        let number: usize = number.to_plain().parse().expect("values have numbers");
        values[number].clone()
    };
    (judgement.linearizable, violation.map(|violation| violation.with_values(value)))
}

/// Of a history that is not linearizable: an order of all that had ended before it ceased to be, and the operation in
/// whose end it did. `None`: the caller gave up.
fn first_stuck(history: &KeyHistory, may_continue: &mut dyn FnMut(u64) -> bool) -> Option<Refutation> {
    let mut longest = Vec::new();
    let mut decide = |begun: &KeyHistory| match by_search(begun, may_continue).0 {
        SearchResult::Linearizable(order) => {
            let place = |at: usize| history.place_of(begun.ops()[at].began);
            longest = order.into_iter().filter_map(place).collect();
            Linearizable::Yes
        }
        SearchResult::NotLinearizable { .. } => Linearizable::No,
        SearchResult::Undecided => Linearizable::Undecided,
    };
    let end = first_failing(history, &mut decide)?;
    let stuck = history.ops().iter().position(|op| op.ended.is_some_and(|ended| ended.i == end))?;
    Some(Refutation::Stuck { longest, stuck, is_first: true })
}
