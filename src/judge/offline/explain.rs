//! Why a part of a history fails, in sentences: which operation fits nowhere, and who could have written what it saw.

use std::collections::BTreeSet;

use super::act::{KeyAct, RegisterAct};
use super::excerpt::Excerpts;
use super::history::{KeyHistory, KeyOp, OpOutcome};
use super::model::{Held, ModelName};
use super::orders::{Orders, Turn, turns};
use super::sources::sources;
use super::verdict::Part;
use crate::judge::value::{Value, printed_text};

/// Things that a sentence names of one kind.
const NAMED_MAX: usize = 3;

/// What keeps an operation out of every order.
enum Conflict {
    /// In none of these states, all that there can be while it runs, can it have its result.
    Nowhere(BTreeSet<Held>),
    /// Where it fits, this operation, by its place, does not.
    With(usize),
    /// There were too many orders to look at.
    Unknown,
}

/// The sentences about a part of the history.
pub(super) fn notes(whole: &KeyHistory, part: &Part) -> Vec<String> {
    let (history, Some(stuck)) = (&part.history, part.history.ops().get(part.stuck)) else {
        return Vec::new();
    };
    let conflict = conflict(history, part.stuck);
    let mut excerpts = Excerpts::of(history);
    if let Conflict::Nowhere(held) = &conflict {
        for held in held {
            if let Held::KeyValue(text) = held {
                excerpts.note_text(text);
            }
        }
    }
    let words = Words { excerpts, noun: history.model().noun() };
    let mut notes = vec![words.fits_nowhere(history, stuck, &conflict)];
    notes.extend(words.source(whole, history, stuck));
    if let Some(before) = part.before {
        let held = Orders::new(history).and_then(|orders| Some(orders.possible().first()?.held.clone()));
        let held = held.map_or_else(|| "one thing".to_owned(), |held| words.held(&held));
        let (operations, until) = (counted(before.operations, "operation"), before.until);
        let order = if before.operations > 1 { ", in whatever order they took place" } else { "" };
        notes.push(format!(
            "Before the drawing begins, {operations} had ended by #{until}: they had left the {} {held}{order}.",
            history.model().noun(),
        ));
    }
    if part.has_gaps {
        notes.push(match history.model() {
            ModelName::KeyValue => "Texts that play no part are left out of the strings.".to_owned(),
            ModelName::MultiRegister => "Registers that play no part are left out.".to_owned(),
            _ => "Values that play no part are left out.".to_owned(),
        });
    }
    if !part.is_minimal {
        notes.push("There was no time to make it smaller.".to_owned());
    }
    notes
}

/// Sentences about the operations of one part.
struct Words {
    excerpts: Excerpts,
    noun: &'static str,
}

impl Words {
    fn op(&self, op: &KeyOp) -> String {
        op.words(&|printed| self.excerpts.shown(printed))
    }

    fn held(&self, held: &Held) -> String {
        match held {
            Held::KeyValue(text) => self.excerpts.shown(&printed_text(text)),
            held => held.to_string(),
        }
    }

    fn fits_nowhere(&self, history: &KeyHistory, stuck: &KeyOp, conflict: &Conflict) -> String {
        let (op, noun) = (self.op(stuck), self.noun);
        let were = if history.model() == ModelName::MultiRegister { "were" } else { "was" };
        let others = history.ops().len() - 1;
        // Of these the next sentence says who wrote what was seen.
        let says_more = !matches!(history.model(), ModelName::Mutex | ModelName::Counter);
        match conflict {
            Conflict::Nowhere(_) if others == 0 && history.initially().is_empty() && says_more => {
                format!("{op} fits nowhere.")
            }
            Conflict::Nowhere(held) => {
                let order = if others > 1 { "in whatever order the others took place, " } else { "" };
                let mut shown: Vec<String> =
                    held.iter().take(NAMED_MAX).map(|held| self.held(held)).collect();
                if held.len() > NAMED_MAX {
                    shown.push("something else that does not fit".to_owned());
                }
                format!("{op} fits nowhere: {order}the {noun} {were} {} while it ran.", shown.join(" or "))
            }
            Conflict::With(other) => {
                let other = &history.ops()[*other];
                format!(
                    "{op} fits into no order of the others: wherever it fits, {} does not.",
                    self.op(other)
                )
            }
            Conflict::Unknown => format!("{op} fits into no order of the others."),
        }
    }

    /// Who wrote what was seen, or what is missing in it.
    fn source(&self, whole: &KeyHistory, part: &KeyHistory, stuck: &KeyOp) -> Option<String> {
        let (what, verb) = match &stuck.act {
            KeyAct::Read(Some(_)) => ("What it saw", "was written"),
            KeyAct::Cas { from: Some(_), .. } => ("What it compares with", "was written"),
            KeyAct::Dequeue(Some(_)) | KeyAct::Drain(_) => {
                return self.taken_too_often(part, stuck).or_else(|| {
                    let KeyAct::Dequeue(Some(_)) = stuck.act else { return None };
                    Some(self.named("What it took", "was enqueued", part, &sources(part, stuck)))
                });
            }
            KeyAct::Transact(steps) => return self.read_of(whole, part, stuck, steps),
            KeyAct::Get(seen) if !seen.is_empty() && sources(part, stuck).is_empty() => {
                ("What it saw", "was written")
            }
            _ => return self.missing(part, stuck).or_else(|| self.unwritten(part, stuck)),
        };
        // Who wrote it is in the part, unless that was before the part begins.
        let of_part = sources(part, stuck);
        let (history, sources) =
            if of_part.is_empty() { (whole, sources(whole, stuck)) } else { (part, of_part) };
        Some(self.named(what, verb, history, &sources))
    }

    /// `What it saw was written only by …`: these operations of a history, by their places.
    fn named(&self, what: &str, verb: &str, history: &KeyHistory, sources: &[usize]) -> String {
        let ops: Vec<&KeyOp> = sources.iter().map(|&at| &history.ops()[at]).collect();
        let named: Vec<String> = ops.iter().rev().take(NAMED_MAX).map(|op| self.op(op)).collect();
        match *ops {
            [] => format!("{what} {verb} by nobody."),
            [op] if op.outcome == OpOutcome::Failed => {
                format!("{what} {verb} by nobody: {} did not happen.", named[0])
            }
            _ if ops.len() <= NAMED_MAX => format!("{what} {verb} only by {}.", named.join(", and by ")),
            _ => format!("{what} {verb} {} times, at last by {}.", ops.len(), named[0]),
        }
    }

    /// A value that left a queue more often than it had entered it.
    fn taken_too_often(&self, part: &KeyHistory, stuck: &KeyOp) -> Option<String> {
        let taken = |act: &KeyAct| -> Vec<Value> {
            match act {
                KeyAct::Dequeue(Some(_)) | KeyAct::Drain(_) => act.values().into_iter().cloned().collect(),
                _ => Vec::new(),
            }
        };
        let begun = |op: &&KeyOp| op.counts() && stuck.ended.is_none_or(|ended| op.began < ended);
        let acts = || part.ops().iter().filter(begun).map(|op| &op.act).chain(part.initially());
        let mut values = taken(&stuck.act);
        values.dedup();
        values.into_iter().find_map(|value| {
            let put = acts().filter(|act| **act == KeyAct::Enqueue(value.clone())).count();
            let out: usize =
                acts().map(|act| taken(act).iter().filter(|other| **other == value).count()).sum();
            let shown = self.excerpts.shown(&value.to_string());
            let put_in =
                if put == 0 { "never enqueued".to_owned() } else { format!("enqueued {}", times(put)) };
            (out > put).then(|| format!("{shown} was {put_in}, and dequeued {}.", times(out)))
        })
    }

    /// Who wrote what a transaction read of a register and cannot have read there.
    fn read_of(
        &self,
        whole: &KeyHistory,
        part: &KeyHistory,
        stuck: &KeyOp,
        steps: &[RegisterAct],
    ) -> Option<String> {
        let alone = |step: &RegisterAct| KeyOp { act: KeyAct::Transact(vec![step.clone()]), ..stuck.clone() };
        let read = steps.iter().find(|step| matches!(step, RegisterAct::Read { value: Some(_), .. }))?;
        let (history, sources) = (whole, sources(whole, &alone(read)));
        let shown = |printed: &str| self.excerpts.shown(printed);
        let what = alone(read).act.words(&shown);
        let what = what.trim_start_matches("read ");
        // A source is shown as it is in the part, without the registers that play none.
        let kept: Vec<usize> =
            sources.iter().filter_map(|&at| part.place_of(history.ops()[at].began)).collect();
        Some(if kept.len() == sources.len() {
            self.named(what, "was written", part, &kept)
        } else {
            self.named(what, "was written", history, &sources)
        })
    }

    /// What had ended before the operation began, and is not in what it saw.
    fn missing(&self, part: &KeyHistory, stuck: &KeyOp) -> Option<String> {
        let had_ended =
            |op: &&KeyOp| op.outcome == OpOutcome::Ok && op.ended.is_some_and(|ended| ended < stuck.began);
        let is_missing = |op: &&KeyOp| match (&op.act, &stuck.act) {
            (KeyAct::Append(text), KeyAct::Get(seen)) => !seen.contains(&**text),
            (KeyAct::Insert(element), KeyAct::Members(seen)) => !seen.contains(element),
            _ => false,
        };
        let is_put_anew = part.ops().iter().any(|op| matches!(op.act, KeyAct::Put(_)));
        let mut missing = part.ops().iter().filter(had_ended).filter(is_missing);
        let first = missing.next().filter(|_| !is_put_anew)?;
        Some(format!("What it saw lacks that of {}, which had ended before it began.", self.op(first)))
    }

    /// An element of a set that nobody had begun to add.
    fn unwritten(&self, part: &KeyHistory, stuck: &KeyOp) -> Option<String> {
        let KeyAct::Members(seen) = &stuck.act else { return None };
        let begun = |op: &&KeyOp| op.counts() && stuck.ended.is_none_or(|ended| op.began < ended);
        let is_added = |element: &&Value| {
            let added = KeyAct::Insert((*element).clone());
            part.ops().iter().filter(begun).any(|op| op.act == added)
        };
        let element = seen.iter().find(|element| !is_added(element))?;
        Some(format!("By then nobody had begun to add {}.", self.excerpts.shown(&element.to_string())))
    }
}

fn conflict(history: &KeyHistory, stuck: usize) -> Conflict {
    let Some(mut orders) = Orders::new(history) else { return Conflict::Unknown };
    let op = &history.ops()[stuck];
    let (mut held, mut fits, mut last) = (BTreeSet::new(), false, None);
    for (i, turn) in turns(history) {
        if turn == Turn::Ends(stuck) {
            break;
        }
        let had = orders.possible().iter().any(|possible| possible.placed.contains(&stuck));
        if orders.turn(turn).is_none() {
            return Conflict::Unknown;
        }
        let has = orders.possible().iter().any(|possible| possible.placed.contains(&stuck));
        fits = fits || has;
        if let (true, false, Turn::Ends(other)) = (had, has, turn) {
            last = Some(other);
        }
        if i >= op.began.i {
            held.extend(orders.possible().iter().map(|possible| possible.held.clone()));
        }
    }
    match last {
        Some(other) => Conflict::With(other),
        None if fits => Conflict::Unknown,
        None => Conflict::Nowhere(held),
    }
}

/// `1 operation`, `58 operations`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}
