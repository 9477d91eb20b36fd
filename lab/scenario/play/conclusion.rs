//! What is concluded of a run: from all that is known in the end to one word, as expected, violated or undecided.

use std::time::Duration;

use kvlab::types::WriteLevel;

use crate::run::event::{Expectation, RunOutcome, Verdict};
use crate::scenario::language::measure::{Expect, Expected, Measure};
use crate::scenario::language::model::Scenario;
use crate::scenario::language::words::{Comparison, say_duration};

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepFailure {
    /// What it demanded did not hold: an expectation failed.
    #[error("{0}")]
    Unmet(String),
    /// It could not be carried out, so the scenario was not played as it is written: nothing is decided by that.
    #[error("{0}")]
    NotDone(String),
}

/// The step that failed; those after it were not played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedStep {
    /// From 1.
    pub index: usize,
    /// Why.
    pub failure: StepFailure,
}

/// All that is known when the run is over.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) failed: Option<FailedStep>,
    pub(crate) verdict: Verdict,
    /// Whether settling found convergence; `None`: it was not settled.
    pub(crate) converged: Option<bool>,
    /// The longest recovery.
    pub(crate) recovery: Option<Duration>,
    /// Why settling could not be carried out.
    pub(crate) unsettled: Option<String>,
    pub(crate) elapsed: Duration,
}

/// What is concluded of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// In one word.
    pub outcome: RunOutcome,
    /// Why it is not as expected, most important first; empty if it is.
    pub reasons: Vec<String>,
    /// What the judge found.
    pub verdict: Verdict,
    /// The scenario's expectations in the order of the file, then the promises that are always demanded.
    pub expectations: Vec<Expectation>,
    /// Promises that did not hold, and that the scenario expects not to.
    pub broken: Vec<String>,
    /// Promises that this scenario leaves unchecked, and why.
    pub unchecked: Vec<String>,
    /// From the start of the run to its end.
    pub elapsed: Duration,
}

impl Conclusion {
    /// What can be said of a run that was broken off: nothing.
    pub fn undecided(verdict: Verdict, elapsed: Duration, why: String) -> Self {
        Self {
            outcome: RunOutcome::Undecided,
            reasons: vec![why],
            verdict,
            expectations: Vec::new(),
            broken: Vec::new(),
            unchecked: Vec::new(),
            elapsed,
        }
    }

    /// The reasons in one line.
    pub fn why(&self) -> Option<String> {
        (!self.reasons.is_empty()).then(|| self.reasons.join("; "))
    }
}

/// Compares what was found with what was expected.
///
/// * A failed expectation or an unmet step is a violation. A promise that did not hold is one even if the
///   scenario could not be played to its end.
/// * A promise that the scenario expects to be broken, and that was, is as expected: it is said all the same.
/// * What cannot be said is undecided, never passed over.
pub(crate) fn conclude(scenario: &Scenario, ending: Ending) -> Conclusion {
    let (implied, unchecked) = implied(scenario, &ending.verdict);
    let expects = scenario.expect.iter().copied().chain(implied);
    let compared: Vec<(Expect, Expectation)> =
        expects.map(|expect| (expect, compare(expect, &ending, scenario.settle))).collect();

    let mut violations = Vec::new();
    let mut doubts = Vec::new();
    let unplayed = matches!(&ending.failed, Some(FailedStep { failure: StepFailure::NotDone(_), .. }));
    for (expect, expectation) in &compared {
        let Expectation { name, expected, actual, .. } = expectation;
        match expectation.held {
            Some(true) => {}
            // What was not played cannot be expected to have done harm.
            Some(false)
                if unplayed && !expect.measure.is_promise() && expect.measure != Measure::Recovery =>
            {
                doubts.push(format!(
                    "{name}: expected {expected}, was {actual}, but the steps were not all played"
                ));
            }
            Some(false) => violations.push(format!("{name}: expected {expected}, was {actual}")),
            None => doubts.push(format!("{name} cannot be decided: {actual}")),
        }
    }
    match ending.failed {
        Some(FailedStep { index, failure: StepFailure::Unmet(why) }) => {
            violations.insert(0, format!("step {index}: {why}"));
        }
        Some(FailedStep { index, failure: StepFailure::NotDone(why) }) => {
            doubts.insert(0, format!("step {index} could not be done: {why}"));
        }
        None => {}
    }
    if let Some(why) = ending.unsettled {
        doubts.insert(0, format!("settling failed: {why}"));
    }
    let broken = |(expect, compared): &&(Expect, Expectation)| {
        compared.held == Some(true)
            && expect.measure.demands().is_some_and(|demand| {
                expect.measure.read(&ending.verdict, None).is_some_and(|actual| !demand.holds(actual))
            })
    };
    let broken = compared.iter().filter(broken).map(|(_, e)| format!("{} is {}", e.name, e.actual)).collect();
    let outcome = match (violations.is_empty(), doubts.is_empty()) {
        (false, _) => RunOutcome::Violated,
        (true, false) => RunOutcome::Undecided,
        (true, true) => RunOutcome::AsExpected,
    };
    violations.extend(doubts);
    Conclusion {
        outcome,
        reasons: violations,
        verdict: ending.verdict,
        expectations: compared.into_iter().map(|(_, expectation)| expectation).collect(),
        broken,
        unchecked,
        elapsed: ending.elapsed,
    }
}

/// The promises that are demanded of every run unless the scenario says otherwise, and those that this
/// scenario gives no means to check.
fn implied(scenario: &Scenario, verdict: &Verdict) -> (Vec<Expect>, Vec<String>) {
    let workload = scenario.workload.as_ref();
    let quorum = workload.filter(|w| w.levels.contains(&WriteLevel::Quorum));
    let settles = scenario.settle.is_some();
    let unsettled = || (!settles).then_some("settle = false");

    let linearizable = quorum.filter(|w| w.registers > 0).is_some() || verdict.promise.linearizable.is_some();
    let judged = (!linearizable).then_some("no quorum operations on registers");
    // What steps have written is known without a ledger, as far as it was read back.
    let by_steps = verdict.promise.quorum_writes_acked > 0 && verdict.promise.quorum_writes_lost.is_some();
    let read_back = by_steps || quorum.filter(|w| w.ledger).is_some();
    let ledger = (!read_back).then_some("no ledger of quorum writes");
    let limit = scenario.settle.unwrap_or_default();
    let demands = [
        (Measure::Linearizable, Expected::Flag(true), judged),
        (Measure::QuorumWritesLost, Expected::Count(Comparison::exactly(0)), unsettled().or(ledger)),
        (Measure::MembersEqual, Expected::Flag(true), unsettled()),
        (Measure::Recovery, Expected::Limit(limit), unsettled()),
    ];
    let mut implied = Vec::new();
    let mut unchecked = Vec::new();
    for (measure, expected, obstacle) in demands {
        let stated = scenario.expect.iter().any(|expect| expect.measure == measure);
        match obstacle {
            _ if stated => {}
            None => implied.push(Expect { measure, expected }),
            Some(why) => unchecked.push(format!("{} ({why})", measure.name())),
        }
    }
    (implied, unchecked)
}

fn compare(expect: Expect, ending: &Ending, settle: Option<Duration>) -> Expectation {
    let Expect { measure, expected } = expect;
    let measured = measure.read(&ending.verdict, ending.recovery);
    let never = measure == Measure::Recovery && ending.converged == Some(false);
    let (actual, held) = match measured {
        _ if never => (format!("not within {}", say_duration(settle.unwrap_or_default())), Some(false)),
        Some(actual) => (actual.to_string(), Some(expected.holds(actual))),
        None => ("not known".to_owned(), None),
    };
    Expectation { name: measure.name().to_owned(), expected: expected.to_string(), actual, held }
}
