//! The verdict at a film's end, as a table: promises, harm, and what the scenario expected.

use crate::run::event::{Losses, RunOutcome};
use crate::screen::ViewState;
use crate::screen::state::ScenarioPhase;

/// A sign, and the class that colours it. A word always says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) mark: Mark,
    pub(super) question: String,
    pub(super) answer: String,
}

/// Answers of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AnswerGroup {
    pub(super) title: &'static str,
    pub(super) answers: Vec<Answer>,
}

/// How the scenario ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
    pub(super) words: String,
}

impl Mark {
    /// What the signs mean.
    pub(super) const WORDS: &'static str = "✓ held, ✗ broken, ! harm, · no harm, … not known.";
    const GOOD: Self = Self { class: "good", sign: "✓" };
    const BAD: Self = Self { class: "bad", sign: "✗" };
    const HARM: Self = Self { class: "warn", sign: "!" };
    const NONE: Self = Self { class: "plain", sign: "·" };
    const UNKNOWN: Self = Self { class: "unknown", sign: "…" };

    fn of(held: Option<bool>) -> Self {
        match held {
            Some(true) => Self::GOOD,
            Some(false) => Self::BAD,
            None => Self::UNKNOWN,
        }
    }

    fn of_harm(amount: Option<u64>) -> Self {
        match amount {
            Some(0) => Self::NONE,
            Some(_) => Self::HARM,
            None => Self::UNKNOWN,
        }
    }
}

/// How the scenario ended; `None`: it has not, or there is none.
pub(super) fn outcome(view: &ViewState) -> Option<Outcome> {
    let ScenarioPhase::Finished { outcome, why } = &view.scenario.as_ref()?.phase else { return None };
    let (mark, words) = match outcome {
        RunOutcome::AsExpected => (Mark::GOOD, "as expected"),
        RunOutcome::Violated => (Mark::BAD, "not as expected"),
        RunOutcome::Undecided => (Mark::UNKNOWN, "undecided"),
        RunOutcome::Panicked => (Mark::BAD, "a fault of kvlab's own, which says nothing of the store"),
    };
    let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    Some(Outcome { class: mark.class, sign: mark.sign, words: format!("{words}{why}") })
}

/// Every answer, by family. Promise and harm are never mixed.
pub(super) fn groups(view: &ViewState) -> Vec<AnswerGroup> {
    let verdict = view.verdict.clone().unwrap_or_default();
    let (promise, harm) = (&verdict.promise, &verdict.harm);
    let said = |held: Option<bool>| match held {
        Some(true) => "yes".to_owned(),
        Some(false) => "NO".to_owned(),
        None => "not known yet".to_owned(),
    };
    let answer = |mark, question: &str, answer| Answer { mark, question: question.to_owned(), answer };
    let linearizable = view.linearizable();
    let (quorum, async_writes) = (promise.losses(), harm.losses());
    let mut groups = vec![
        AnswerGroup {
            title: "Promise",
            answers: vec![
                answer(Mark::of(linearizable), "quorum operations are linearizable", said(linearizable)),
                answer(
                    Mark::of(known(quorum).map(|lost| lost == 0)),
                    "writes lost that a quorum acknowledged",
                    losses(quorum),
                ),
                answer(
                    Mark::of(promise.members_equal),
                    "all members hold the same state after healing",
                    said(promise.members_equal),
                ),
            ],
        },
        AnswerGroup {
            title: "Harm",
            answers: vec![
                answer(
                    Mark::of_harm(known(async_writes)),
                    "writes lost that one node acknowledged",
                    losses(async_writes),
                ),
                answer(
                    Mark::of_harm(Some(harm.stale_reads)),
                    "eventual reads of something overwritten",
                    match harm.stale_reads {
                        0 => "0".to_owned(),
                        n => format!("{n}, the oldest by {} ms", harm.stale_max_ms),
                    },
                ),
                answer(
                    Mark::of_harm(Some(harm.unknown)),
                    "operations of unknown outcome",
                    harm.unknown.to_string(),
                ),
                answer(
                    Mark::of_harm(Some(harm.unavailable_ms)),
                    "longest time without a successful write",
                    format!("{} ms", harm.unavailable_ms),
                ),
            ],
        },
    ];
    if let Some(scenario) = view.scenario.as_ref().filter(|scenario| !scenario.expectations.is_empty()) {
        let compared = scenario.expectations.iter().map(|expectation| Answer {
            mark: Mark::of(expectation.held),
            question: format!("{} = {}", expectation.name, expectation.expected),
            answer: expectation.actual.clone(),
        });
        groups.push(AnswerGroup { title: "Expected by the scenario", answers: compared.collect() });
    }
    groups
}

/// How many were lost: some as soon as they are proved, none only when nothing is left to read back.
fn known(losses: Losses) -> Option<u64> {
    losses.lost.filter(|&lost| lost > 0 || losses.unread == 0)
}

fn losses(losses: Losses) -> String {
    let acked = losses.acked;
    match (losses.lost.unwrap_or(0), losses.unread) {
        (0, _) if known(losses).is_none() => format!("not known yet; {acked} acknowledged"),
        (lost, 0) => format!("{lost} of {acked}"),
        (lost, unread) => format!("{lost} so far of {acked}, {unread} not read back"),
    }
}
