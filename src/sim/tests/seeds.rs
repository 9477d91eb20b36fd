//! Thousands of seeds. `KVLAB_SEEDS=0..5000` chooses which; `KVLAB_TRACE=1` prints how a failing one went.

use std::ops::Range;
use std::time::Duration;

use crate::sim::{Counts, SeedOutcome, SimOptions, simulate};
use crate::storage::Durability;

/// Seeds of an ordinary test run: some seconds, unoptimised.
const SEEDS: Range<u64> = 0..80;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("KVLAB_SEEDS") else { return SEEDS };
    let (from, to) = text.split_once("..").expect("KVLAB_SEEDS is like 0..5000");
    from.parse().expect("a seed")..to.parse().expect("a seed")
}

/// Plays all seeds and fails with those that broke a promise. Returns what went on in all of them.
fn hold(options: &SimOptions) -> Vec<SeedOutcome> {
    let trace = std::env::var_os("KVLAB_TRACE").is_some();
    let options = SimOptions { trace, ..options.clone() };
    let outcomes: Vec<_> = seeds().map(|seed| simulate(seed, &options)).collect();
    let bad = |outcome: &&SeedOutcome| outcome.violation.is_some() || outcome.panic.is_some();
    let broken: Vec<_> = outcomes.iter().filter(bad).collect();
    let report = |outcome: &&SeedOutcome| {
        let violation = outcome.violation.as_ref().map(ToString::to_string);
        let panicked = outcome.panic.as_ref().map(|panic| format!("panicked {panic}"));
        let violation = violation.or(panicked).expect("a broken seed");
        let trace = &outcome.trace;
        let trace = trace[trace.len().saturating_sub(trace_lines())..].join("\n");
        format!("seed {}: {violation}\n{trace}", outcome.seed)
    };
    let reports: Vec<_> = broken.iter().take(20).map(report).collect();
    assert!(
        broken.is_empty(),
        "{} of {} seeds broke a promise (replay one with KVLAB_TRACE=1 KVLAB_SEEDS=N..N+1)\n{}",
        broken.len(),
        outcomes.len(),
        reports.join("\n")
    );
    outcomes
}

fn total(outcomes: &[SeedOutcome], of: impl Fn(&Counts) -> u64) -> u64 {
    outcomes.iter().map(|outcome| of(&outcome.counts)).sum()
}

#[test]
fn promises_hold_whatever_happens() {
    let outcomes = hold(&SimOptions::default());
    let sum = |of: fn(&Counts) -> u64| total(&outcomes, of);
    println!(
        "{} seeds: {} steps, {} faults, {} epochs, {} writes, {} reads, {} unknown, {} committed, {} installs, {} \
         rollbacks, {} torn ends, {} wipes, {} graduations, {} values rotted, {} repaired, {} undecided keys",
        outcomes.len(),
        sum(|c| c.steps),
        sum(|c| c.faults),
        sum(|c| c.epochs),
        sum(|c| c.writes),
        sum(|c| c.reads),
        sum(|c| c.unknown),
        sum(|c| c.committed),
        sum(|c| c.installs),
        sum(|c| c.rollbacks),
        sum(|c| c.tears),
        sum(|c| c.wipes),
        sum(|c| c.graduations),
        sum(|c| c.rots),
        sum(|c| c.repairs),
        sum(|c| c.undecided),
    );
    if outcomes.len() >= 80 {
        let happened = [
            ("epochs", sum(|c| c.epochs)),
            ("writes", sum(|c| c.writes)),
            ("reads", sum(|c| c.reads)),
            ("unknown outcomes", sum(|c| c.unknown)),
            ("rollbacks", sum(|c| c.rollbacks)),
            ("torn ends of logs", sum(|c| c.tears)),
            ("graduations", sum(|c| c.graduations)),
            ("values rotted", sum(|c| c.rots)),
            ("damaged values repaired", sum(|c| c.repairs)),
        ];
        for (what, count) in happened {
            assert!(count >= outcomes.len() as u64 / 40, "{count} {what}: these seeds prove little");
        }
    }
}

#[test]
fn storage_amounts_to_what_it_should() {
    let outcomes = hold(&SimOptions { mirror: true, ..SimOptions::default() });
    let installs = total(&outcomes, |counts| counts.installs);
    assert!(installs > 0 || outcomes.len() < 80, "nothing was installed: these seeds prove little");
}

#[test]
fn processes_may_be_killed_whenever_they_do_not_sync() {
    for durability in [Durability::Os, Durability::Interval(Duration::from_millis(10))] {
        hold(&SimOptions { durability, ..SimOptions::default() });
    }
}

#[test]
fn what_force_may_not_break() {
    let outcomes = hold(&SimOptions { force: true, wipes: false, ..SimOptions::default() });
    let harm = total(&outcomes, |counts| counts.harm);
    println!("{} seeds: {harm} reads that no order explains", outcomes.len());
    if outcomes.len() >= 80 {
        assert!(harm > 0, "force harms linearizability, or the judge sees nothing");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let options = SimOptions { trace: true, ..SimOptions::default() };
    for seed in [1, 2, 3] {
        let (once, again) = (simulate(seed, &options), simulate(seed, &options));
        assert!(once.trace.len() > 300, "something happens");
        assert_eq!(once, again);
    }
}

/// How much of a failing seed's trace to print: `KVLAB_TRACE=LINES`.
fn trace_lines() -> usize {
    std::env::var("KVLAB_TRACE").ok().and_then(|lines| lines.parse().ok()).unwrap_or(0)
}
