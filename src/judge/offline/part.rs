//! The smallest part of a history that still fails: its proof.
//!
//! What is left out never makes a history worse than it was, so if the part has no order, the whole has none. Suppose
//! that the whole has one. Then the part has one too, for:
//!
//! * **What came later** is left out, and what ran then may not have happened. The order of the rest stays.
//! * **What only looks** is left out. It changed nothing.
//! * **What nobody sees** is left out: a write whose value no operation that is left has seen, or only such as began after
//!   it had certainly been overwritten. Between it and the next write nothing that is left looked.
//! * **A value** is left out of a set, a queue, or a string of texts of which none begins with another, with all that was
//!   done with it; a register, of several. What is done with the others stays right.
//! * **What came earlier** is left out, where it can have left only one thing (see [`Orders::root`]): the part begins with
//!   that.
//!
//! A part is a local minimum: none of these can be done any more, to any one operation, and leave a part that fails.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::{BTreeSet, HashSet};

use super::act::{KeyAct, RegisterAct};
use super::check::check_key;
use super::history::{KeyHistory, KeyOp, OpOutcome};
use super::orders::{Orders, Turn, turns};
use super::prefix::{first_failing, prefix};
use super::sources::{may_have_seen, sources};
use super::texts;
use super::verdict::{Before, KeyVerdict, Part, Refutation};
use crate::judge::judgement::Linearizable;
use crate::judge::value::Value;
use crate::judge::violation::ViolationKind;

/// A part with more operations is cut at its beginning too, if that makes it smaller.
const WHOLE_MAX: usize = 8;

/// The smallest part that still fails. `may_continue` is asked as by [`check_key`], for each attempt anew; once it answers
/// false the part stays as large as it is.
///
/// # Errors
/// If there is nothing to shrink: the whole is linearizable ([`Linearizable::Yes`]), or could not be decided.
pub fn shrink(history: &KeyHistory, may_continue: &mut dyn FnMut(u64) -> bool) -> Result<Part, Linearizable> {
    let verdict = check_key(history, may_continue);
    match verdict.linearizable {
        Linearizable::No => Ok(smallest_part(history, verdict.refutation.as_ref(), may_continue)),
        other => Err(other),
    }
}

/// Makes the reason of a refusal by search one that convinces: the smallest part of the history that still fails. That
/// takes many searches; where `may_continue` (asked as by [`check_key`], for each anew) ends one, the part stays larger,
/// and if it is too large to be looked at the reason stays as it is. `verdict` must be this history's.
pub fn explain_key(
    history: &KeyHistory,
    verdict: &mut KeyVerdict,
    may_continue: &mut dyn FnMut(u64) -> bool,
) {
    /// Operations of a part that nobody had the time to make smaller.
    const LARGE: usize = 24;
    if !matches!(verdict.refutation, Some(Refutation::Stuck { .. })) {
        return;
    }
    let part = smallest_part(history, verdict.refutation.as_ref(), may_continue);
    if part.is_minimal || part.history.ops().len() <= LARGE {
        verdict.refutation = Some(Refutation::Part(Box::new(part)));
    }
}

/// The same, of a history that is known to fail.
pub(super) fn smallest_part(
    history: &KeyHistory,
    refutation: Option<&Refutation>,
    may_continue: &mut dyn FnMut(u64) -> bool,
) -> Part {
    let mut attempts = Attempts { may_continue, is_over: false };
    let mut whole = history.clone();
    if let Some(Refutation::Violation(violation)) = refutation {
        let part = involved(history, &violation.kind);
        if attempts.fails(&part) {
            whole = part;
        }
    }
    if let Some(end) = first_failing(&whole, &mut |begun| attempts.decided(begun)) {
        whole = prefix(&whole, end);
    }
    let mut smallest = (attempts.reduced(&whole), None);
    if smallest.0.ops().len() > WHOLE_MAX {
        for (cut, before) in cut_beginnings(&whole, &mut attempts) {
            if !attempts.fails(&cut) {
                continue;
            }
            let reduced = attempts.reduced(&cut);
            if reduced.ops().len() < smallest.0.ops().len() {
                smallest = (reduced, Some(before));
            }
            if smallest.0.ops().len() <= WHOLE_MAX {
                break;
            }
        }
    }
    let (part, before) = smallest;
    let has_gaps = part.ops().iter().any(|op| {
        let place = history.place_of(op.began);
        place.is_none_or(|place| history.ops()[place].act != op.act)
    });
    let stuck = last_to_end(&part).unwrap_or(0);
    let mut part =
        Part { history: part, stuck, before, has_gaps, is_minimal: !attempts.is_over, notes: Vec::new() };
    part.notes = super::explain::notes(history, &part);
    part
}

/// The place of the operation that happened and ended last: the one in whose end a history fails that ends there.
fn last_to_end(history: &KeyHistory) -> Option<usize> {
    let happened = history.ops().iter().enumerate().filter(|(_, op)| op.outcome == OpOutcome::Ok);
    happened.max_by_key(|(_, op)| op.ended).map(|(place, _)| place)
}

/// Attempts to make a history smaller, until there is no more time.
struct Attempts<'m> {
    may_continue: &'m mut dyn FnMut(u64) -> bool,
    is_over: bool,
}

impl Attempts<'_> {
    fn decided(&mut self, history: &KeyHistory) -> Linearizable {
        self.is_over = self.is_over || !(self.may_continue)(0);
        if self.is_over {
            return Linearizable::Undecided;
        }
        let decided = check_key(history, self.may_continue).linearizable;
        self.is_over = decided == Linearizable::Undecided;
        decided
    }

    fn fails(&mut self, history: &KeyHistory) -> bool {
        self.decided(history) == Linearizable::No
    }

    /// With nothing left that may be left out.
    fn reduced(&mut self, history: &KeyHistory) -> KeyHistory {
        let mut part = history.clone();
        loop {
            let before = part.clone();
            part = self.leave_out(part, lookers, without_ops);
            part = self.leave_out(part, unseen, without_ops);
            part = self.leave_out(part, things, without_things);
            if part == before || self.is_over {
                return part;
            }
        }
    }

    /// Leaves out as much as it can of what may go: in large pieces first, at last one by one.
    fn leave_out<T>(
        &mut self,
        mut part: KeyHistory,
        may_go: impl Fn(&KeyHistory) -> Vec<T>,
        without: impl Fn(&KeyHistory, &[T]) -> KeyHistory,
    ) -> KeyHistory {
        let mut piece = may_go(&part).len();
        while piece > 0 && !self.is_over {
            let mut left = may_go(&part);
            while !left.is_empty() && !self.is_over {
                let gone = left.split_off(left.len().saturating_sub(piece));
                let smaller = without(&part, &gone);
                if self.fails(&smaller) {
                    part = smaller;
                }
            }
            piece /= 2;
        }
        part
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
        _ => true,
    };
    history.with(history.ops().iter().filter(keep).cloned().collect())
}

fn lookers(part: &KeyHistory) -> Vec<u64> {
    part.ops().iter().filter(|op| op.looks()).map(|op| op.began.i).collect()
}

/// What changes something that nobody sees, all of which may go together. Of what somebody sees one write stays at least: a
/// picture without any would not convince.
fn unseen(part: &KeyHistory) -> Vec<u64> {
    let ops = part.ops();
    let observers: Vec<&KeyOp> = ops.iter().filter(|op| op.counts() && sees(&op.act)).collect();
    let (overwritten, mut gone) = (Overwritten::of(ops), HashSet::new());
    for op in ops.iter().filter(|op| !op.looks()) {
        let mut others = observers.iter().filter(|other| other.began != op.began);
        let may_see = |other: &KeyOp| may_have_seen(&op.act, &other.act);
        let has_another = |other: &KeyOp| {
            let mut stay =
                ops.iter().filter(|another| another.began != op.began && !gone.contains(&another.began.i));
            stay.any(|another| {
                let is_same = !op.act.is_of_string() || written(&another.act) == written(&op.act);
                is_same && another.counts() && may_have_seen(&another.act, &other.act)
            })
        };
        let may_go = match &op.act {
            // It never happened, and is of interest only to whoever saw it all the same.
            _ if op.outcome == OpOutcome::Failed => others.all(|other| !may_see(other) || has_another(other)),
            KeyAct::Write(_) | KeyAct::Cas { .. } | KeyAct::Put(_) | KeyAct::Append(_) => {
                let until = overwritten.by(op);
                others.all(|other| match other.act {
                    KeyAct::CasFailed { .. } => until < other.began.i,
                    _ => !may_see(other) || until < other.began.i && has_another(other),
                })
            }
            KeyAct::Insert(_) | KeyAct::Transact(_) => !others.any(|other| may_see(other)),
            _ => false,
        };
        if may_go {
            gone.insert(op.began.i);
        }
    }
    ops.iter().map(|op| op.began.i).filter(|began| gone.contains(began)).collect()
}

/// The text that an operation writes.
fn written(act: &KeyAct) -> Option<&str> {
    match act {
        KeyAct::Put(text) | KeyAct::Append(text) => Some(text),
        _ => None,
    }
}

/// Whether the operation tells something of what was there.
fn sees(act: &KeyAct) -> bool {
    !matches!(
        act,
        KeyAct::Write(_) | KeyAct::Put(_) | KeyAct::Append(_) | KeyAct::Insert(_) | KeyAct::Enqueue(_)
    )
}

/// When writes were certainly overwritten.
struct Overwritten {
    /// Of what overwrites all that was there: when it began, ascending, and by when one of these or of those that began
    /// later had ended.
    since: Vec<(u64, u64)>,
}

impl Overwritten {
    fn of(ops: &[KeyOp]) -> Self {
        let overwrites = |act: &KeyAct| matches!(act, KeyAct::Write(_) | KeyAct::Cas { .. } | KeyAct::Put(_));
        let happened = ops.iter().filter(|op| op.outcome == OpOutcome::Ok && overwrites(&op.act));
        let mut since: Vec<(u64, u64)> = happened.filter_map(|op| Some((op.began.i, op.ended?.i))).collect();
        for at in (1..since.len()).rev() {
            since[at - 1].1 = since[at - 1].1.min(since[at].1);
        }
        Self { since }
    }

    /// By this event what the operation wrote was overwritten; the greatest number if that is not certain.
    fn by(&self, op: &KeyOp) -> u64 {
        let Some(ended) = op.ended.filter(|_| op.outcome == OpOutcome::Ok) else { return u64::MAX };
        let next = self.since.partition_point(|(began, _)| *began < ended.i);
        self.since.get(next).map_or(u64::MAX, |(_, by)| *by)
    }
}

fn without_ops(part: &KeyHistory, gone: &[u64]) -> KeyHistory {
    let gone: HashSet<u64> = gone.iter().copied().collect();
    part.with(part.ops().iter().filter(|op| !gone.contains(&op.began.i)).cloned().collect())
}

/// What can be left out of all operations alike: an element, a queued value, a text, or a register.
fn things(part: &KeyHistory) -> Vec<Value> {
    let mut things = BTreeSet::new();
    let acts = part.ops().iter().map(|op| &op.act).chain(part.initially());
    for act in acts {
        match act {
            KeyAct::Insert(_)
            | KeyAct::Members(_)
            | KeyAct::Enqueue(_)
            | KeyAct::Dequeue(_)
            | KeyAct::Drain(_) => {
                things.extend(act.values().into_iter().cloned());
            }
            KeyAct::Transact(steps) => {
                things.extend(steps.iter().map(|step| match step {
                    RegisterAct::Read { register, .. } | RegisterAct::Write { register, .. } => {
                        register.clone()
                    }
                }));
            }
            KeyAct::Append(text) if !text.is_empty() => {
                things.insert(text.as_str().into());
            }
            _ => {}
        }
    }
    let is_of_strings = part.ops().iter().any(|op| matches!(op.act, KeyAct::Get(_)));
    if is_of_strings && !texts::are_separate(part) {
        return Vec::new();
    }
    // What was put stays, or strings would begin with nothing.
    let put = part.ops().iter().filter_map(|op| match &op.act {
        KeyAct::Put(text) => Some(Value::from(text.as_str())),
        _ => None,
    });
    put.for_each(|put| {
        things.remove(&put);
    });
    things.into_iter().collect()
}

fn without_things(part: &KeyHistory, gone: &[Value]) -> KeyHistory {
    let gone: HashSet<&Value> = gone.iter().collect();
    let left = |values: &[Value]| -> Vec<Value> {
        values.iter().filter(|value| !gone.contains(value)).cloned().collect()
    };
    let texts = texts::Pieces::of(part);
    let without = |act: &KeyAct| -> Option<KeyAct> {
        let act = match act {
            KeyAct::Insert(value) | KeyAct::Enqueue(value) | KeyAct::Dequeue(Some(value))
                if gone.contains(value) =>
            {
                return None;
            }
            KeyAct::Members(values) => KeyAct::Members(left(values)),
            KeyAct::Drain(values) => match left(values) {
                values if values.is_empty() => return None,
                values => KeyAct::Drain(values),
            },
            KeyAct::Transact(steps) => {
                let stays = |step: &&RegisterAct| match step {
                    RegisterAct::Read { register, .. } | RegisterAct::Write { register, .. } => {
                        !gone.contains(register)
                    }
                };
                match steps.iter().filter(stays).cloned().collect::<Vec<_>>() {
                    steps if steps.is_empty() => return None,
                    steps => KeyAct::Transact(steps),
                }
            }
            KeyAct::Append(text) if gone.contains(&Value::from(text.as_str())) => return None,
            // At the beginning it may be of several texts; elsewhere it is one that stays.
            KeyAct::Put(text) => KeyAct::Put(texts.without(text, |piece| gone.contains(&Value::from(piece)))),
            KeyAct::Get(text) => KeyAct::Get(texts.without(text, |piece| gone.contains(&Value::from(piece)))),
            act => act.clone(),
        };
        Some(act)
    };
    let ops = part.ops().iter().filter_map(|op| Some(KeyOp { act: without(&op.act)?, ..op.clone() }));
    let initially = part.initially().iter().filter_map(without).collect();
    part.with(ops.collect()).starting_with(initially)
}

/// The same without its beginning, up to some moments at which only one thing could be held: one before the write of
/// what the last operation saw, and a later one.
fn cut_beginnings(whole: &KeyHistory, attempts: &mut Attempts<'_>) -> Vec<(KeyHistory, Before)> {
    let Some(stuck) = last_to_end(whole) else { return Vec::new() };
    let ops = whole.ops();
    let nearest =
        sources(whole, &ops[stuck]).into_iter().filter(|&at| ops[at].outcome != OpOutcome::Failed).max();
    // Some are left before it, for a picture of one operation says little.
    let near = stuck.saturating_sub(2);
    let mut anchors: Vec<u64> =
        nearest.filter(|&at| at < near).into_iter().chain([near]).map(|at| ops[at].began.i).collect();
    anchors.dedup();
    let Some(mut orders) = Orders::new(whole) else { return Vec::new() };
    let mut found: Vec<Option<(u64, super::model::Held)>> = vec![None; anchors.len()];
    for (i, turn) in turns(whole) {
        let is_of_interest = anchors.iter().any(|&anchor| i < anchor);
        if !is_of_interest || attempts.is_over || !(attempts.may_continue)(0) || orders.turn(turn).is_none() {
            break;
        }
        if !matches!(turn, Turn::Ends(_)) {
            continue;
        }
        let Some(held) = orders.root() else { continue };
        for (anchor, found) in anchors.iter().zip(&mut found) {
            if i < *anchor {
                *found = Some((i, held.clone()));
            }
        }
    }
    let cut = |(until, held): (u64, super::model::Held)| {
        let had_ended =
            |op: &KeyOp| op.ended.is_some_and(|ended| ended.i <= until) && op.outcome != OpOutcome::Unknown;
        let began_before_and_looks = |op: &KeyOp| op.began.i < until && op.looks();
        let left = ops.iter().filter(|op| !had_ended(op) && !began_before_and_looks(op));
        let operations = ops.iter().filter(|op| op.counts() && had_ended(op)).count();
        let part = whole.with(left.cloned().collect()).starting_with(held.restated()?);
        Some((part, Before { operations, until }))
    };
    found.into_iter().flatten().filter_map(cut).collect()
}
