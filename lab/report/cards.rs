//! Violations with their proof: a card for each, in words and as a drawing.

use kvlab::judge::{Diagram, Operation, Violation};

use super::chart::moment;
use super::records::Records;

/// Cards at most, the first ones; the judge counts all.
pub(super) const CARDS_MAX: usize = 24;
/// Cards that are open from the beginning: most runs fail for one reason, and the rest of the page is worth seeing too.
pub(super) const CARDS_OPEN: usize = 3;

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Card {
    /// From 1; the card's anchor is `v1`.
    pub(super) number: usize,
    /// As the judge quotes it.
    pub(super) key: String,
    /// Which promise it breaks.
    pub(super) breaks: &'static str,
    /// When it came to light, in microseconds since the run began.
    pub(super) t_us: u64,
    /// Why it is one.
    pub(super) explanation: String,
    /// Which rule was broken, where the nodes' own words tell.
    pub(super) rule: Option<String>,
    /// The proof as SVG that takes its colours from the page.
    pub(super) drawing: String,
    /// The operations of the proof.
    pub(super) operations: Vec<Named>,
}

/// An operation of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The history's index of its invoke.
    pub(super) i: u64,
    /// In words.
    pub(super) text: String,
}

impl Card {
    /// When it came to light, for people.
    pub(super) fn at(&self) -> String {
        moment(self.t_us)
    }
}

/// A card for each violation, at most [`CARDS_MAX`], in the order in which they came to light.
pub(super) fn cards(records: &Records) -> Vec<Card> {
    let violations = records.violations().iter().take(CARDS_MAX);
    violations.enumerate().map(|(nth, violation)| card(nth + 1, violation, records)).collect()
}

fn card(number: usize, violation: &Violation, records: &Records) -> Card {
    let operations = violation.operations();
    let ended = |operation: &&Operation| operation.ended.as_ref().map(|ended| ended.at.t_ns / 1000);
    Card {
        number,
        key: format!("{:?}", violation.key),
        breaks: if violation.linearizability {
            "quorum operations are not linearizable"
        } else {
            "a read returned what was never written"
        },
        t_us: operations.iter().filter_map(ended).max().unwrap_or_default(),
        explanation: violation.explanation(),
        rule: records.evidence.rule(violation),
        drawing: Diagram::of_violation(violation).without_notes().svg_in_page(),
        operations: operations
            .iter()
            .map(|operation| Named { i: operation.began.i, text: operation.to_string() })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::fixture;

    #[test]
    fn a_card_says_and_draws_the_proof() {
        let records = fixture::violated();
        let cards = cards(&records);
        let [card] = &cards[..] else { panic!("one violation: {cards:#?}") };
        assert_eq!((card.number, card.key.as_str(), card.operations.len()), (1, "\"q0\"", 3));
        assert!(card.explanation.contains("was there before"), "{}", card.explanation);
        let drawing = roxmltree::Document::parse(&card.drawing).expect("well-formed");
        assert!(!drawing.descendants().any(|node| node.has_tag_name("style")));
        let bars = drawing
            .descendants()
            .filter(|node| node.attribute("class").is_some_and(|c| c.starts_with("bar")));
        assert_eq!(bars.count(), 3);
        let shown: Vec<_> = records.history.operations.shown.iter().map(|op| op.i).collect();
        assert!(
            card.operations.iter().all(|operation| shown.contains(&operation.i)),
            "all are in the timeline"
        );
    }
}
