//! From a history that is not linearizable to a small one that still is not.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::HashSet;

use super::check::{Refutation, check_key};
use super::history::{KeyAct, KeyHistory, KeyOp, OpOutcome};
use super::prefix::{first_failing, prefix};
use crate::judge::judgement::Linearizable;
use crate::judge::value::Value;
use crate::judge::violation::ViolationKind;

/// A part of the history that is not linearizable either, and from which nothing can be left out. `may_continue` is asked as
/// by [`check_key`], for each attempt anew; an attempt that is given up counts as failed, so the result may then be
/// larger than it could be.
///
/// What is left out never makes the history worse than it was: first everything after the event in which it ceases
/// to be linearizable, then operations that only look, then writes that nobody looks at any more. A write whose
/// value somebody still sees stays, and so does every write while a failed compare-and-set remains, which would see
/// another value without it.
///
/// # Errors
/// If there is nothing to shrink: the whole is linearizable ([`Linearizable::Yes`]), or could not be decided.
pub fn shrink(
    history: &KeyHistory,
    may_continue: &mut dyn FnMut(u64) -> bool,
) -> Result<KeyHistory, Linearizable> {
    let verdict = check_key(history, may_continue);
    if verdict.linearizable != Linearizable::No {
        return Err(verdict.linearizable);
    }
    let mut shrunk = match verdict.refutation {
        Some(Refutation::Violation(violation)) => involved(history, &violation.kind),
        _ => history.clone(),
    };
    let mut decided = |history: &KeyHistory| check_key(history, may_continue).linearizable;
    if decided(&shrunk) != Linearizable::No {
        shrunk = history.clone();
    }
    if let Some(end) = first_failing(&shrunk, &mut decided) {
        shrunk = prefix(&shrunk, end);
    }
    let mut fails = |history: &KeyHistory| decided(history) == Linearizable::No;
    loop {
        let before = shrunk.ops().len();
        shrunk = leave_out(&shrunk, &mut fails, |_, op| op.act.only_looks());
        shrunk = leave_out(&shrunk, &mut fails, |ops, op| !op.act.only_looks() && is_unseen(ops, op));
        if shrunk.ops().len() == before {
            return Ok(shrunk);
        }
    }
}

/// The operations on the values that the violation names.
fn involved(history: &KeyHistory, kind: &ViolationKind) -> KeyHistory {
    let mut values: HashSet<Option<Value>> = HashSet::new();
    match kind {
        ViolationKind::Order(proof) => values.extend([proof.a.clone(), proof.b.clone()]),
        ViolationKind::NeverWritten { read } | ViolationKind::Forgotten { read, .. } => {
            values.insert(read.value.clone());
        }
        ViolationKind::FailedWrite { write, .. } => {
            values.insert(write.value.clone());
        }
        ViolationKind::NoOrder { .. } => return history.clone(),
    }
    let keep = |op: &&KeyOp| match &op.act {
        KeyAct::Read(value) | KeyAct::Write(value) => values.contains(value),
        KeyAct::Get(value) if value.is_empty() => values.contains(&None),
        KeyAct::Get(value) | KeyAct::Put(value) => values.contains(&Some(value.as_str().into())),
        KeyAct::Cas { .. } | KeyAct::CasFailed { .. } | KeyAct::Append(_) => true,
    };
    history.with(history.ops().iter().filter(keep).cloned().collect())
}

/// Leaves out as many of the operations that `may` go as it can: in large pieces first, at last one by one.
fn leave_out(
    history: &KeyHistory,
    fails: &mut impl FnMut(&KeyHistory) -> bool,
    may: impl Fn(&[KeyOp], &KeyOp) -> bool,
) -> KeyHistory {
    let mut shrunk = history.clone();
    let candidates = |history: &KeyHistory| -> Vec<u64> {
        let ops = history.ops();
        ops.iter().filter(|op| may(ops, op)).map(|op| op.began.i).collect()
    };
    let mut piece = candidates(&shrunk).len();
    while piece > 0 {
        let mut left = candidates(&shrunk);
        while !left.is_empty() {
            let gone: HashSet<u64> = left.split_off(left.len().saturating_sub(piece)).into_iter().collect();
            let kept = shrunk.ops().iter().filter(|op| !gone.contains(&op.began.i));
            let smaller = shrunk.with(kept.cloned().collect());
            if fails(&smaller) {
                shrunk = smaller;
            }
        }
        piece /= 2;
    }
    shrunk
}

/// Whether nobody sees what the operation writes, or would see something else without it.
fn is_unseen(ops: &[KeyOp], op: &KeyOp) -> bool {
    ops.iter().filter(|other| other.outcome != OpOutcome::Failed).all(|other| match (&op.act, &other.act) {
        (KeyAct::Write(written) | KeyAct::Cas { to: written, .. }, KeyAct::Read(value)) => value != written,
        (KeyAct::Write(written) | KeyAct::Cas { to: written, .. }, KeyAct::Cas { from, .. }) => {
            from != written || other.began == op.began
        }
        (KeyAct::Write(_) | KeyAct::Cas { .. }, KeyAct::CasFailed { .. }) => false,
        // Up to the next put, every string begins with what was put and contains what was appended.
        (KeyAct::Put(written), KeyAct::Get(value)) => !value.starts_with(&**written),
        (KeyAct::Append(written), KeyAct::Get(value)) => !value.contains(&**written),
        _ => true,
    })
}
