//! The proof of a violation: from two ids in conflict to the operations that show it.

use super::ids::{Ids, NO_ID, Span};
use crate::judge::history::Phase;
use crate::judge::value::Value;
use crate::judge::violation::OrderProof;

/// A value and what is remembered of the operations on it.
pub(super) struct ValueOps<'a> {
    /// `None` is the initial absence.
    name: Option<&'a str>,
    operations: Vec<Span>,
}

impl<'a> ValueOps<'a> {
    /// The value of an id; of the initial absence, which has no id, `absent_last` is the last read.
    pub(super) fn of(ids: &'a Ids, at: u32, absent_last: Option<&Span>) -> Self {
        if at == NO_ID {
            return Self { name: None, operations: absent_last.into_iter().copied().collect() };
        }
        let id = &ids[at];
        // Writes say more than reads, so they come first.
        let mut operations = vec![id.write, *id.first(), *id.last()];
        operations.dedup_by_key(|span| span.began.i);
        Self { name: Some(&id.value), operations }
    }
}

/// The operations that show that neither value can have been in force first, as few as possible.
pub(super) fn prove(key: &str, a: &ValueOps<'_>, b: &ValueOps<'_>) -> OrderProof {
    let (firsts, seconds) = (precedences(a, b), precedences(b, a));
    let of_a = |span: &Span| Some(span.operation(key, a.name));
    let of_b = |span: &Span| Some(span.operation(key, b.name));
    let name = |value: &ValueOps<'_>| value.name.map(Value::from);
    let mut proof = OrderProof { a: name(a), b: name(b), a1: None, b1: None, b2: None, a2: None };
    // Nothing comes before the initial absence: one pair is enough.
    let (first, second) = match (a.name, b.name) {
        (_, None) => (firsts.first(), None),
        (None, _) => (None, seconds.first()),
        _ => {
            let both = firsts.iter().flat_map(|first| seconds.iter().map(move |second| (first, second)));
            both.min_by_key(|((a1, b1), (b2, a2))| {
                usize::from(a1.began.i != a2.began.i) + usize::from(b1.began.i != b2.began.i)
            })
            .map_or((None, None), |(first, second)| (Some(first), Some(second)))
        }
    };
    if let Some((a1, b1)) = first {
        (proof.a1, proof.b1) = (of_a(a1), of_b(b1));
    }
    if let Some((b2, a2)) = second {
        (proof.b2, proof.a2) = (of_b(b2), of_a(a2));
    }
    debug_assert!(proof.holds(), "{proof:?}");
    proof
}

/// All pairs of an operation on one value that ended before an operation on the other began.
fn precedences(one: &ValueOps<'_>, other: &ValueOps<'_>) -> Vec<(Span, Span)> {
    let pairs = one.operations.iter().flat_map(|a| other.operations.iter().map(move |b| (*a, *b)));
    pairs.filter(|(a, b)| a.phase == Phase::Ok && a.ended.i < b.began.i).collect()
}
