//! Strings as the texts that they were made of.

use std::collections::BTreeSet;

use super::act::KeyAct;
use super::history::KeyHistory;

/// The texts that the operations of a history wrote, of which none begins with another: then a string is made of them in
/// one way only.
pub(super) struct Pieces<'h>(BTreeSet<&'h str>);

/// Whether no text begins with another.
pub(super) fn are_separate(history: &KeyHistory) -> bool {
    let texts = Pieces::of(history).0;
    // In their order, one that begins with another comes right after it or after others that do.
    texts.iter().zip(texts.iter().skip(1)).all(|(one, next)| !next.starts_with(one))
}

impl<'h> Pieces<'h> {
    pub(super) fn of(history: &'h KeyHistory) -> Self {
        let text = |act: &'h KeyAct| match act {
            KeyAct::Put(text) | KeyAct::Append(text) => Some(&**text),
            _ => None,
        };
        Self(history.ops().iter().filter_map(|op| text(&op.act)).filter(|text| !text.is_empty()).collect())
    }

    /// A string without some of its texts. What is none of them stays: of such a string no order makes sense anyway, or it
    /// is of texts written before.
    pub(super) fn without(&self, string: &str, is_gone: impl Fn(&str) -> bool) -> String {
        let (mut left, mut rest) = (String::new(), string);
        while let Some(first) = rest.chars().next() {
            // Of the texts that are not greater than the rest, only the greatest can begin it, as none begins another.
            let piece = self.0.range(..=rest).next_back().filter(|piece| rest.starts_with(**piece));
            let len = piece.map_or(first.len_utf8(), |piece| piece.len());
            let (taken, after) = rest.split_at(len);
            if piece.is_none() || !is_gone(taken) {
                left.push_str(taken);
            }
            rest = after;
        }
        left
    }
}
