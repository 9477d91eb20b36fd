//! A scenario played on a simulated cluster: one seed, and what many seeds come to.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde::Serialize;

use super::seeds;
use super::stage::Simulated;
use crate::run::event::{RunOutcome, Stamped, Verdict};
use crate::scenario::{self, Conclusion, Scenario};

/// Seeds not as expected that are kept one by one; of more, the first ones.
const UNEXPECTED_MAX: usize = 20;

/// Plays a scenario on the cluster of one seed. Returns what is concluded and the events of the run. A panic is a fault of
/// kvlab's own and no verdict: an outcome of its own, without events.
pub(crate) fn play_seed(scenario: &Scenario, seed: u64) -> (Conclusion, Vec<Stamped>) {
    unless_it_panics(seed, || {
        let mut stage = Simulated::new(scenario, scenario.load(seed), seed);
        let mut conclusion = at_once(scenario::play(&mut stage, scenario));
        if let Some(broken) = stage.broken() {
            conclusion.outcome = RunOutcome::Violated;
            conclusion.reasons.insert(0, format!("seen from inside: {broken}"));
        }
        (conclusion, stage.take_events())
    })
}

fn unless_it_panics(
    seed: u64,
    play: impl FnOnce() -> (Conclusion, Vec<Stamped>),
) -> (Conclusion, Vec<Stamped>) {
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let place = seeds::panicked_at().map(|place| format!(" (at {place})")).unwrap_or_default();
        let why = format!("it panicked with seed {seed}: {}{place}", said(&*panic));
        let undecided = Conclusion::undecided(Verdict::default(), Duration::ZERO, why);
        (Conclusion { outcome: RunOutcome::Panicked, ..undecided }, Vec::new())
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// The output of a future that never waits: nothing on a simulated stage does.
pub(super) fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("simulated time does not wait"),
    }
}

/// What all seeds so far amount to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct SeedTally {
    pub(crate) as_expected: u64,
    pub(crate) violated: u64,
    pub(crate) undecided: u64,
    /// Faults of kvlab's own.
    pub(crate) panicked: u64,
    /// The first ones.
    pub(crate) not_as_expected: Vec<UnexpectedSeed>,
}

/// A seed that did not go as the scenario expects.
#[derive(Debug, Serialize)]
pub(crate) struct UnexpectedSeed {
    pub(crate) seed: u64,
    pub(crate) outcome: RunOutcome,
    pub(crate) reasons: Vec<String>,
}

impl SeedTally {
    /// Counts one more seed.
    pub(crate) fn add(&mut self, seed: u64, Conclusion { outcome, reasons, .. }: Conclusion) {
        match outcome {
            RunOutcome::AsExpected => self.as_expected += 1,
            RunOutcome::Violated => self.violated += 1,
            RunOutcome::Undecided => self.undecided += 1,
            RunOutcome::Panicked => self.panicked += 1,
        }
        if outcome != RunOutcome::AsExpected && self.not_as_expected.len() < UNEXPECTED_MAX {
            self.not_as_expected.push(UnexpectedSeed { seed, outcome, reasons });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_no_verdict_and_names_the_seed_and_what_it_said() {
        let (conclusion, events) = unless_it_panics(77, || panic!("index {} out of bounds", 9));
        assert_eq!((conclusion.outcome, events.len()), (RunOutcome::Panicked, 0));
        let why = conclusion.why().expect("a reason");
        assert!(why.starts_with("it panicked with seed 77: index 9 out of bounds"), "{why}");
        let mut tally = SeedTally::default();
        tally.add(77, conclusion);
        assert_eq!((tally.panicked, tally.violated, tally.undecided), (1, 0, 0));
        assert_eq!(tally.not_as_expected[0].seed, 77);
    }
}
