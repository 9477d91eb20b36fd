//! `kvlab run --simulated`: a scenario on simulated clusters, once or on many seeds.

use std::future::Future;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use anyhow::Context as _;
use serde::Serialize;

use super::run::{exit, workload};
use super::support::exit::{CommandError, Exit};
use super::support::narrator::Narrator;
use super::support::signals::Signals;
use super::support::{live_run, output, seeds};
use crate::cli::RunArgs;
use crate::explain::Evidence;
use crate::run::event::{RunOutcome, Stamped, Verdict};
use crate::scenario::{self, Conclusion, Scenario, summary};
use crate::simulation::Simulated;

/// Seeds not as expected that are told one by one; of more, the first ones.
const SEEDS_TOLD_MAX: usize = 20;

pub async fn run(args: &RunArgs, scenario: Scenario) -> Result<Exit, CommandError> {
    workload(&scenario, 0).check()?;
    match args.seeds {
        None => once(args, &scenario),
        Some(count) => many(args, scenario, count).await,
    }
}

/// One seed, told like a live run.
fn once(args: &RunArgs, scenario: &Scenario) -> Result<Exit, CommandError> {
    let seed = args.run.seed.unwrap_or_else(live_run::fresh_seed);
    let (conclusion, told) = play(scenario, seed);
    let evidence = Evidence::of(&told);
    let played = summary::Played {
        scenario,
        called: &args.scenario,
        seed,
        evidence: &evidence,
        columns: output::columns(),
        run_dir: None,
    };
    if args.json {
        let json = summary::json(&played, &conclusion).context("the outcome does not become JSON")?;
        output::print(format!("{json}\n"));
        conclusion.reasons.iter().for_each(output::tell);
    } else {
        let mut narrator = Narrator::new(scenario);
        let opening = narrator.opening();
        let lines = opening.into_iter().chain(told.iter().flat_map(|event| narrator.lines(event)));
        output::print(lines.map(|line| line + "\n").collect::<String>());
        output::print(summary::text(&played, &conclusion));
    }
    Ok(exit(conclusion.outcome))
}

/// Plays one seed. A panic is a broken promise like any other.
fn play(scenario: &Scenario, seed: u64) -> (Conclusion, Vec<Stamped>) {
    let load = workload(scenario, seed);
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut stage = Simulated::new(scenario, load, seed)?;
        let mut conclusion = at_once(scenario::play(&mut stage, scenario));
        if let Some(broken) = stage.broken() {
            conclusion.outcome = RunOutcome::Violated;
            conclusion.reasons.insert(0, format!("seen from inside: {broken}"));
        }
        Ok::<_, String>((conclusion, stage.take_told()))
    }));
    let why = match played {
        Ok(Ok(played)) => return played,
        Ok(Err(why)) => why,
        Err(_) => {
            let place = seeds::panicked_at().map(|place| format!(" at {place}")).unwrap_or_default();
            format!("it panicked{place}")
        }
    };
    let undecided = Conclusion::undecided(Verdict::default(), std::time::Duration::ZERO, why);
    (Conclusion { outcome: RunOutcome::Violated, ..undecided }, Vec::new())
}

/// A future that never waits: nothing on a simulated stage does.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("simulated time does not wait"),
    }
}

async fn many(args: &RunArgs, scenario: Scenario, count: u64) -> Result<Exit, CommandError> {
    let from = args.run.seed.unwrap_or(0);
    let mut signals = Signals::listen()?;
    seeds::quiet_panics();
    let tally = std::cell::RefCell::new(Tally::default());
    let name = scenario.name.clone();
    let played = seeds::play(
        from..from.saturating_add(count),
        move |seed| play(&scenario, seed).0,
        &mut signals,
        |seed, conclusion| {
            tally.borrow_mut().take(seed, conclusion);
            ControlFlow::Continue(())
        },
        || format!("{} as expected", tally.borrow().as_expected),
    )
    .await?;
    let tally = tally.into_inner();
    if args.json {
        let object = Object {
            scenario: &name,
            from,
            to: from.saturating_add(count),
            played: played.count,
            stopped_by: played.signal,
            tally: &tally,
        };
        let json = serde_json::to_string(&object).context("the tally does not become JSON")?;
        output::print(format!("{json}\n"));
    } else {
        output::print(tally.text(&name, &args.scenario, &played));
    }
    Ok(match (&tally, played.signal) {
        (Tally { violated: 1.., .. }, _) => Exit::Refused,
        (Tally { undecided: 1.., .. }, _) => Exit::Unknown,
        (Tally { as_expected: 0, .. }, Some(_)) => Exit::Unknown,
        _ => Exit::Done,
    })
}

#[derive(Debug, Serialize)]
struct Object<'a> {
    scenario: &'a str,
    from: u64,
    to: u64,
    played: u64,
    stopped_by: Option<&'a str>,
    #[serde(flatten)]
    tally: &'a Tally,
}

/// What all seeds so far amount to.
#[derive(Debug, Default, Serialize)]
struct Tally {
    as_expected: u64,
    violated: u64,
    undecided: u64,
    /// The first ones.
    not_as_expected: Vec<Unexpected>,
}

#[derive(Debug, Serialize)]
struct Unexpected {
    seed: u64,
    outcome: RunOutcome,
    reasons: Vec<String>,
}

impl Tally {
    fn take(&mut self, seed: u64, Conclusion { outcome, reasons, .. }: Conclusion) {
        match outcome {
            RunOutcome::AsExpected => self.as_expected += 1,
            RunOutcome::Violated => self.violated += 1,
            RunOutcome::Undecided => self.undecided += 1,
        }
        if outcome != RunOutcome::AsExpected && self.not_as_expected.len() < SEEDS_TOLD_MAX {
            self.not_as_expected.push(Unexpected { seed, outcome, reasons });
        }
    }

    fn text(&self, name: &str, called: &str, played: &seeds::Played) -> String {
        let mut lines = Vec::new();
        for Unexpected { seed, outcome, reasons } in &self.not_as_expected {
            lines.push(format!("seed {seed}: {}", summary::verdict_words(*outcome)));
            lines.extend(reasons.iter().map(|reason| format!("  {reason}")));
            lines.push(format!("  again: kvlab run {called} --simulated --seed {seed}"));
        }
        let told = self.not_as_expected.len() as u64;
        let more = (self.violated + self.undecided).saturating_sub(told);
        if more > 0 {
            lines.push(format!("and {more} more seeds not as expected"));
        }
        let (count, rate) = (played.count, played.per_second());
        lines.push(format!(
            "{name}: {count} seeds, {} as expected, {} violated, {} undecided, {rate:.0} seeds/s",
            self.as_expected, self.violated, self.undecided
        ));
        lines.extend(played.signal.map(|signal| format!("stopped by {signal}")));
        lines.join("\n") + "\n"
    }
}
