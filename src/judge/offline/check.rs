//! The verdict on one key, with its reason.
#![expect(clippy::disallowed_types, reason = "its hasher is named, and it is never gone through in order")]

use std::collections::HashMap;

use super::by_search::by_search;
use super::event::op_events;
use super::history::KeyHistory;
use super::verdict::{KeyVerdict, Refutation};
use crate::judge::hash::Hash;
use crate::judge::judgement::{Linearizable, Method};
use crate::judge::online::{Judge, JudgeOptions};
use crate::judge::search::SearchResult;
use crate::judge::value::Value;
use crate::judge::violation::Violation;

/// Judges a key. `may_continue` is asked now and then whether to (with the steps taken); false makes the verdict undecided.
/// Histories with unique ids never ask. What [`explain_key`](super::explain_key) may add to the reason costs more than the verdict.
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
            (Linearizable::No, Some(Refutation::Stuck { longest, stuck }))
        }
        SearchResult::Undecided => (Linearizable::Undecided, None),
    };
    let (key, operations) = (history.key().clone(), history.ops().len());
    KeyVerdict { key, operations, method: Method::Search, linearizable, refutation, steps }
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
