//! `kvlab run --simulated`: a scenario on simulated clusters, once or on many seeds.

use std::ops::ControlFlow;

use anyhow::Context as _;
use serde::Serialize;

use super::exit::{CommandError, Exit};
use super::narrator::Narrator;
use super::seeds::{self, Played, Tally};
use super::signals::Signals;
use super::{live_run, output, recordings};
use crate::cli::RunArgs;
use crate::explain::Evidence;
use crate::record::{Outputs, Source};
use crate::scenario::{Conclusion, Scenario, summary};
use crate::simulation::{SeedTally, UnexpectedSeed, play_seed};

pub async fn run(args: &RunArgs, scenario: Scenario, outputs: Option<Outputs>) -> Result<Exit, CommandError> {
    scenario.load(0).check()?;
    match args.seeds {
        None => once(args, &scenario, outputs),
        Some(count) => many(args, scenario, count).await,
    }
}

/// One seed, told like a live run.
fn once(args: &RunArgs, scenario: &Scenario, outputs: Option<Outputs>) -> Result<Exit, CommandError> {
    let seed = args.run.seed.unwrap_or_else(live_run::fresh_seed);
    let (conclusion, events) = play_seed(scenario, seed);
    let evidence = Evidence::of(&events);
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
        output::print(format!("{json}\n"))?;
        conclusion.reasons.iter().for_each(output::tell);
    } else {
        let mut narrator = Narrator::new(scenario);
        let opening = narrator.opening();
        let lines = opening.into_iter().chain(events.iter().flat_map(|event| narrator.lines(event)));
        output::print(lines.map(|line| line + "\n").collect::<String>())?;
        output::print(summary::text(&played, &conclusion))?;
    }
    let recording = recordings::of_run(args.display);
    let recorded = outputs.map(|outputs| recordings::make(&recording, Source::Events(&events), outputs));
    recordings::ended(conclusion.outcome.into(), recorded.unwrap_or_else(|| Ok(Vec::new())), args.json)
}

async fn many(args: &RunArgs, scenario: Scenario, count: u64) -> Result<Exit, CommandError> {
    let from = args.run.seed.unwrap_or(0);
    let seeds = from..from.saturating_add(count);
    let mut signals = Signals::listen()?;
    let mut tally = SeedTally::default();
    let name = scenario.name.clone();
    let play = move |seed| play_seed(&scenario, seed).0;
    let played = seeds::play(seeds.clone(), play, &mut signals, &mut tally).await?;
    if args.json {
        let object = Object {
            scenario: &name,
            from: seeds.start,
            to: seeds.end,
            played: played.count,
            stopped_by: played.signal,
            tally: &tally,
        };
        let json = serde_json::to_string(&object).context("the tally does not become JSON")?;
        output::print(format!("{json}\n"))?;
    } else {
        output::print(text(&tally, &name, &args.scenario, &played))?;
    }
    Ok(match (&tally, played.signal) {
        (SeedTally { panicked: 1.., .. }, _) => Exit::Fault,
        (SeedTally { violated: 1.., .. }, _) => Exit::Refused,
        (SeedTally { undecided: 1.., .. }, _) => Exit::Unknown,
        (SeedTally { as_expected: 0, .. }, Some(_)) => Exit::Unknown,
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
    tally: &'a SeedTally,
}

impl Tally<Conclusion> for SeedTally {
    fn take(&mut self, seed: u64, conclusion: Conclusion) -> ControlFlow<()> {
        self.add(seed, conclusion);
        ControlFlow::Continue(())
    }

    fn line(&self) -> String {
        format!("{} as expected", self.as_expected)
    }
}

fn text(tally: &SeedTally, name: &str, called: &str, played: &Played) -> String {
    let mut lines = Vec::new();
    for UnexpectedSeed { seed, outcome, reasons } in &tally.not_as_expected {
        lines.push(format!("seed {seed}: {}", summary::verdict_words(*outcome)));
        lines.extend(reasons.iter().map(|reason| format!("  {reason}")));
        lines.push(format!("  again: kvlab run {called} --simulated --seed {seed}"));
    }
    let told = tally.not_as_expected.len() as u64;
    let more = (tally.violated + tally.undecided + tally.panicked).saturating_sub(told);
    if more > 0 {
        lines.push(format!("and {more} more seeds not as expected"));
    }
    let SeedTally { as_expected, violated, undecided, panicked, .. } = tally;
    let panicked = if *panicked > 0 { format!(", {panicked} PANICKED") } else { String::new() };
    let (count, rate) = (played.count, played.per_second());
    lines.push(format!(
        "{name}: {count} seeds, {as_expected} as expected, {violated} violated, {undecided} undecided{panicked}, \
         {rate:.0} seeds/s"
    ));
    lines.extend(played.signal.map(|signal| format!("stopped by {signal}")));
    lines.join("\n") + "\n"
}
