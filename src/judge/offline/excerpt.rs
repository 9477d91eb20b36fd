//! Long values, cut to the part in which they differ from each other.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use super::act::KeyAct;
use super::history::KeyHistory;
use crate::judge::value::printed_text;

/// Characters of a value that are shown.
const CHARS_MAX: usize = 28;
/// Of these, before the first that differs.
const BEFORE: usize = 8;

/// The values of a proof, of which the long ones are shown where they differ from the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::judge) struct Excerpts {
    /// What EDN prints of those that are too long to be shown whole.
    long: BTreeSet<String>,
}

impl Excerpts {
    /// Of the values of a history.
    pub(in crate::judge) fn of(history: &KeyHistory) -> Self {
        let mut excerpts = Self::default();
        for act in history.ops().iter().map(|op| &op.act).chain(history.initially()) {
            excerpts.note(act);
        }
        excerpts
    }

    /// Takes in the values of an operation.
    fn note(&mut self, act: &KeyAct) {
        // It asks for each value, and what it makes of the answers is of no interest.
        let seen = std::cell::RefCell::new(Vec::new());
        act.words(&|printed| {
            seen.borrow_mut().push(printed.to_owned());
            String::new()
        });
        let is_long = |printed: &String| printed.chars().count() > CHARS_MAX;
        self.long.extend(seen.into_inner().into_iter().filter(is_long));
    }

    /// Takes in one more value, as a string that is not quoted.
    pub(super) fn note_text(&mut self, text: &str) {
        self.long.extend(Some(printed_text(text)).filter(|printed| printed.chars().count() > CHARS_MAX));
    }

    /// A value as it is shown, from what EDN prints.
    pub(in crate::judge) fn shown(&self, printed: &str) -> String {
        let chars: Vec<char> = printed.chars().collect();
        if chars.len() <= CHARS_MAX {
            return printed.to_owned();
        }
        // In their order the most alike are beside it.
        let before = self.long.range::<str, _>((Unbounded, Excluded(printed))).next_back();
        let after = self.long.range::<str, _>((Excluded(printed), Unbounded)).next();
        let alike = before.into_iter().chain(after).map(|other| common(&chars, other)).max().unwrap_or(0);
        let from = if alike + 4 < CHARS_MAX { 0 } else { alike - BEFORE };
        let from = from.min(chars.len() - CHARS_MAX);
        let to = (from + CHARS_MAX).min(chars.len());
        let (left, right) = (if from > 0 { "…" } else { "" }, if to < chars.len() { "…" } else { "" });
        format!("{left}{}{right}", chars[from..to].iter().collect::<String>())
    }
}

/// How many characters both begin with.
fn common(one: &[char], other: &str) -> usize {
    one.iter().zip(other.chars()).take_while(|(one, other)| **one == *other).count()
}
