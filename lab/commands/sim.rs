//! `kvlab sim`: random schedules of faults on simulated clusters, each judged. `docs/simulator.md` tells of it.

use std::fmt::Write as _;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

use anyhow::Context as _;
use kvlab::judge;
use kvlab::sim::{Counts, JudgeFinding, SeedOutcome, SeedPanic, SeedViolation, SimOptions, simulate};
use kvlab::storage::Durability;
use kvlab::types::Quirks;
use serde::Serialize;

use super::support::exit::{CommandError, Exit};
use super::support::output;
use super::support::seeds::{self, Played, Tally};
use super::support::signals::Signals;
use crate::cli::SimArgs;
use crate::engine::say_durability;
use crate::explain::Evidence;
use crate::simulation::panicked_at;

/// Violations that are told one by one; of more, the first ones.
const VIOLATIONS_MAX: usize = 20;

pub async fn run(args: SimArgs) -> Result<Exit, CommandError> {
    let options = options(&args);
    let seeds = args.seed.map_or(args.seeds.clone(), |seed| seed..seed.saturating_add(1));
    let mut signals = Signals::listen()?;
    let mut tally = SimTally::new(&args);
    let play = move |seed| play(seed, &options);
    let played = seeds::play(seeds.clone(), play, &mut signals, &mut tally).await?;
    std::mem::replace(&mut tally.printed, Ok(()))?;
    if args.json {
        output::print(format!("{}\n", tally.json(&seeds, &played)?))?;
    } else if !args.trace {
        output::print(tally.text(&played))?;
    }
    Ok(match tally.violations_total {
        _ if tally.panics_total > 0 => Exit::Fault,
        0 if played.signal.is_some() && played.count == 0 => Exit::Unknown,
        0 => Exit::Done,
        _ => Exit::Refused,
    })
}

fn options(args: &SimArgs) -> SimOptions {
    let quirks: Quirks = args.quirks.iter().copied().collect();
    let basis = if quirks.is_empty() { SimOptions::default() } else { SimOptions::for_quirks(quirks) };
    SimOptions {
        nodes: args.nodes.or(basis.nodes),
        chaos: args.chaos.unwrap_or(basis.chaos),
        force: args.force,
        wipes: basis.wipes && !args.no_wipes,
        durability: args.durability,
        trace: args.trace,
        ..basis
    }
}

/// One seed, on its own thread; a panic is told with its place.
fn play(seed: u64, options: &SimOptions) -> SeedOutcome {
    let mut outcome = simulate(seed, options);
    if let (Some(place), Some(panic)) = (panicked_at(), &mut outcome.panic) {
        let _ = write!(panic.message, " (at {place})");
    }
    outcome
}

/// What all seeds so far amount to.
#[derive(Debug)]
struct SimTally<'a> {
    args: &'a SimArgs,
    counts: Counts,
    violations: Vec<BrokenSeed>,
    violations_total: u64,
    panics: Vec<PanickedSeed>,
    panics_total: u64,
    /// Whether the story of a seed could be printed.
    printed: Result<(), CommandError>,
}

/// A seed that ended in a panic: a fault of kvlab's own.
#[derive(Debug, Serialize)]
struct PanickedSeed {
    seed: u64,
    /// Simulated time.
    at_s: f64,
    message: String,
    /// The command that shows it again.
    replay: String,
}

/// A seed that broke a promise.
#[derive(Debug, Serialize)]
struct BrokenSeed {
    seed: u64,
    /// Simulated time.
    at_s: f64,
    what: String,
    /// The judge's, if it was the judge who found it.
    #[serde(flatten)]
    proof: Option<ProofShown>,
    /// The command that shows it again.
    replay: String,
}

/// A proof for people, and for programs.
#[derive(Debug, Serialize)]
struct ProofShown {
    /// Drawn, with the rule that was broken.
    proof: String,
    violation: judge::Violation,
    rule: Option<String>,
}

impl ProofShown {
    fn of(finding: JudgeFinding) -> Self {
        let evidence = Evidence::of_simulation(&finding);
        let rule = evidence.rule(&finding.violation);
        let violation = finding.violation;
        Self { proof: evidence.diagram(&violation).text(output::columns()), violation, rule }
    }
}

#[derive(Debug, Serialize)]
struct Object<'a> {
    from: u64,
    to: u64,
    played: u64,
    stopped_by: Option<&'a str>,
    violations_total: u64,
    violations: &'a [BrokenSeed],
    panics_total: u64,
    panics: &'a [PanickedSeed],
    elapsed_s: f64,
    seeds_per_s: f64,
    counts: &'a Counts,
}

impl Tally<SeedOutcome> for SimTally<'_> {
    /// Also prints what is to be printed of an outcome at once.
    fn take(&mut self, _: u64, outcome: SeedOutcome) -> ControlFlow<()> {
        let SeedOutcome { seed, violation, panic, counts, trace } = outcome;
        self.counts += counts;
        let broken = violation.map(|SeedViolation { at, what, finding }| BrokenSeed {
            seed,
            at_s: at.as_secs_f64(),
            what,
            proof: finding.map(|finding| ProofShown::of(*finding)),
            replay: replay(seed, self.args),
        });
        if self.args.trace {
            self.printed = output::print(story(seed, &trace, broken.as_ref(), panic.as_ref()));
        }
        if let Some(SeedPanic { at, message }) = panic {
            self.panics_total += 1;
            if self.panics.len() < VIOLATIONS_MAX {
                let replay = replay(seed, self.args);
                self.panics.push(PanickedSeed { seed, at_s: at.as_secs_f64(), message, replay });
            }
        }
        let Some(broken) = broken else { return ControlFlow::Continue(()) };
        self.violations_total += 1;
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(broken);
        }
        if self.args.all { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn line(&self) -> String {
        let Counts { faults, writes, reads, unknown, .. } = self.counts;
        format!("{faults} faults  {} operations", writes + reads + unknown)
    }
}

impl<'a> SimTally<'a> {
    fn new(args: &'a SimArgs) -> Self {
        Self {
            args,
            counts: Counts::default(),
            violations: Vec::new(),
            violations_total: 0,
            panics: Vec::new(),
            panics_total: 0,
            printed: Ok(()),
        }
    }

    fn text(&self, played: &Played) -> String {
        let mut out = String::new();
        for broken in &self.violations {
            let BrokenSeed { seed, at_s, what, proof, replay } = broken;
            let _ = writeln!(out, "seed {seed} BROKE A PROMISE at {at_s:.6} s: {what}");
            if let Some(ProofShown { proof, .. }) = proof {
                let _ = writeln!(out, "\n{}", proof.trim_end());
            }
            let _ = writeln!(out, "\nreplay: {replay}\n");
        }
        for PanickedSeed { seed, at_s, message, replay } in &self.panics {
            let _ = writeln!(
                out,
                "seed {seed} PANICKED at {at_s:.6} s, a fault of kvlab's own: {message}\n\nreplay: {replay}\n"
            );
        }
        let more = self.panics_total - self.panics.len() as u64;
        if more > 0 {
            let _ = writeln!(out, "and {more} more seeds that panicked\n");
        }
        let more = self.violations_total - self.violations.len() as u64;
        if more > 0 {
            let _ = writeln!(out, "and {more} more seeds that broke a promise\n");
        }
        let Counts { faults, epochs, writes, reads, unknown, installs, cuts, rollbacks, .. } = self.counts;
        let Counts { tears, torn, wipes, failed_syncs, graduations, .. } = self.counts;
        let (count, rate) = (played.count, played.per_second());
        let verdict = match (self.violations_total, self.panics_total) {
            (0, 0) => "clean".to_owned(),
            (broken, 0) => format!("{broken} BROKEN"),
            (0, panics) => format!("{panics} PANICKED"),
            (broken, panics) => format!("{broken} BROKEN, {panics} PANICKED"),
        };
        let _ = writeln!(out, "{count} seeds, {verdict}, {rate:.0} seeds/s");
        let _ = writeln!(
            out,
            "  {faults} faults, {epochs} epochs; {writes} writes and {reads} reads answered, {unknown} of unknown \
             outcome;\n  {cuts} logs cut and {installs} full resyncs, {rollbacks} with a rollback; {tears} torn ends, \
             {torn} of what was synced;\n  {wipes} disks wiped, {failed_syncs} failed syncs, {graduations} learners that \
             count again"
        );
        if self.counts.undecided > 0 {
            let _ = writeln!(out, "  {} keys that the judge could not decide", self.counts.undecided);
        }
        if self.counts.harm > 0 && self.violations_total == 0 {
            let _ =
                writeln!(out, "  {} reads after a forced promotion that no order explains", self.counts.harm);
        }
        if let Some(signal) = played.signal {
            let _ = writeln!(out, "  stopped by {signal}");
        }
        out
    }

    fn json(&self, seeds: &Range<u64>, played: &Played) -> anyhow::Result<String> {
        serde_json::to_string(&Object {
            from: seeds.start,
            to: seeds.end,
            played: played.count,
            stopped_by: played.signal,
            violations_total: self.violations_total,
            violations: &self.violations,
            panics_total: self.panics_total,
            panics: &self.panics,
            elapsed_s: tenths(played.took),
            seeds_per_s: played.per_second().round(),
            counts: &self.counts,
        })
        .context("the tally does not become JSON")
    }
}

fn tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// The whole story of a seed. Nothing in it depends on when or where it is told.
fn story(seed: u64, trace: &[String], broken: Option<&BrokenSeed>, panic: Option<&SeedPanic>) -> String {
    let mut out = format!("seed {seed}\n");
    for line in trace {
        out += line;
        out.push('\n');
    }
    match broken {
        // The trace ends with it.
        None if panic.is_some() => {}
        None => out += "clean\n",
        Some(BrokenSeed { proof: Some(ProofShown { proof, .. }), .. }) => {
            let _ = writeln!(out, "\n{}", proof.trim_end());
        }
        Some(_) => {}
    }
    out
}

/// The command that plays a seed again, with everything that it depends on.
fn replay(seed: u64, args: &SimArgs) -> String {
    let mut line = format!("kvlab sim --seed {seed} --trace");
    if let Some(nodes) = args.nodes {
        let _ = write!(line, " --nodes {nodes}");
    }
    if let Some(chaos) = args.chaos {
        let _ = write!(line, " --chaos {}ms", chaos.as_millis());
    }
    for quirk in &args.quirks {
        let _ = write!(line, " --quirk {quirk}");
    }
    if args.durability != Durability::Always {
        let _ = write!(line, " --durability {}", say_durability(args.durability));
    }
    for (flag, on) in [("--force", args.force), ("--no-wipes", args.no_wipes)] {
        if on {
            let _ = write!(line, " {flag}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(line: &str) -> SimArgs {
        match Cli::try_parse_from(line.split_whitespace()).expect(line).command {
            Command::Sim(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn ghost() -> judge::Violation {
        let read = judge::Operation {
            client: 7,
            node: None,
            op: judge::OpKind::Get,
            key: "k".to_owned(),
            value: Some("ghost".into()),
            consistency: judge::Consistency::Quorum,
            began: judge::Stamp { i: 1, t_ns: 0 },
            ended: None,
        };
        let kind = judge::ViolationKind::NeverWritten { read: Box::new(read) };
        judge::Violation { key: "k".to_owned(), i: 1, linearizability: true, kind }
    }

    fn broken(seed: u64) -> SeedOutcome {
        let finding = Some(Box::new(JudgeFinding { violation: ghost(), member_events: Vec::new() }));
        let violation =
            SeedViolation { at: Duration::from_millis(1500), what: "it is broken".to_owned(), finding };
        let counts = Counts { faults: 7, ..Counts::default() };
        SeedOutcome {
            seed,
            violation: Some(violation),
            panic: None,
            counts,
            trace: vec!["a line".to_owned()],
        }
    }

    #[test]
    fn a_broken_seed_is_told_with_its_proof_and_the_command_that_replays_it() {
        let args = args("kvlab sim --force --nodes 5 --chaos 2s");
        let mut tally = SimTally::new(&args);
        assert!(tally.take(77, broken(77)).is_break());
        let played = Played { count: 78, took: Duration::from_secs(1), signal: None };
        let text = tally.text(&played);
        for expected in [
            "seed 77 BROKE A PROMISE at 1.500000 s: it is broken",
            "client 7  ├─ read \"ghost\"? ─┄",
            "nobody had begun to write that",
            "replay: kvlab sim --seed 77 --trace --nodes 5 --chaos 2000ms --force",
            "78 seeds, 1 BROKEN, 78 seeds/s",
            "7 faults",
        ] {
            assert!(text.contains(expected), "{expected:?} in {text}");
        }
        let json = tally.json(&(0..100), &played).expect("JSON");
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["violations"][0]["seed"], 77);
        assert_eq!(json["violations"][0]["violation"]["kind"]["kind"], "never-written");
        assert_eq!(json["counts"]["faults"], 7);
    }

    #[test]
    fn a_panic_is_no_violation_and_the_seeds_go_on() {
        let args = args("kvlab sim");
        let mut tally = SimTally::new(&args);
        let panic = SeedPanic { at: Duration::from_millis(20), message: "index out of bounds".to_owned() };
        let outcome = SeedOutcome { violation: None, panic: Some(panic), ..broken(9) };
        assert!(tally.take(9, outcome).is_continue());
        let played = Played { count: 10, took: Duration::from_secs(1), signal: None };
        let text = tally.text(&played);
        for expected in [
            "seed 9 PANICKED at 0.020000 s, a fault of kvlab's own: index out of bounds",
            "replay: kvlab sim --seed 9 --trace",
            "10 seeds, 1 PANICKED, 10 seeds/s",
        ] {
            assert!(text.contains(expected), "{expected:?} in {text}");
        }
        let json = tally.json(&(0..10), &played).expect("JSON");
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!((&json["violations_total"], &json["panics"][0]["seed"]), (&0.into(), &9.into()));
    }

    #[test]
    fn violations_told_are_bounded_and_counted() {
        let args = args("kvlab sim");
        let mut tally = SimTally::new(&args);
        (0..30).for_each(|seed| assert!(tally.take(seed, broken(seed)).is_break()));
        assert_eq!((tally.violations.len(), tally.violations_total), (VIOLATIONS_MAX, 30));
        let played = Played { count: 30, took: Duration::from_secs(1), signal: Some("SIGINT") };
        assert!(tally.text(&played).contains("and 10 more seeds"));
        assert!(tally.text(&played).contains("stopped by SIGINT"));
    }

    #[test]
    fn what_is_played_again_is_the_same() {
        for line in
            ["kvlab sim", "kvlab sim --no-wipes --durability os", "kvlab sim --nodes 2 --chaos 1s --force"]
        {
            let asked = args(line);
            let again = args(&replay(3, &asked));
            assert_eq!(again.seed, Some(3));
            let options = |args: &SimArgs| format!("{:?}", SimOptions { trace: false, ..options(args) });
            assert_eq!(options(&again), options(&asked), "{line}");
        }
    }
}
