//! `kvlab runs`: the runs as a list, and which of them go or stay.
#![expect(clippy::disallowed_methods, reason = "runs have ages")]

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::support::exit::{CommandError, Exit};
use super::support::output;
use super::support::table::row;
use crate::cli::{RunsAction, RunsArgs, RunsCleanArgs};
use crate::run::directory::{self, Runs};
use crate::run::event::RunOutcome;
use crate::run::listing::{self, Cleaning, Ended, ListedRun};
use crate::text::words;

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Object {
    runs: Vec<Listed>,
    bytes: u64,
}

/// One run of it.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    path: String,
    began_unix_s: u64,
    age_s: u64,
    bytes: u64,
    live: bool,
    kept: bool,
    /// `null`: its events do not tell.
    verdict: Option<&'static str>,
}

pub fn run(args: &RunsArgs) -> Result<Exit, CommandError> {
    match &args.action {
        None => list(args.json),
        Some(RunsAction::Clean(args)) => clean(args),
        Some(RunsAction::Keep(args)) => {
            let run = directory::find(Some(&args.run))?;
            if !directory::is_run(&run) {
                return Err(Exit::Usage.because(format!("{} is no run's directory", run.display())));
            }
            directory::keep(&run, !args.undo)?;
            let (name, how) = (run.display(), if args.undo { "no longer kept" } else { "kept" });
            output::print(format!("{name} is {how}\n"))?;
            Ok(Exit::Done)
        }
    }
}

fn list(json: bool) -> Result<Exit, CommandError> {
    let runs = listing::list(&Runs::from_env()?);
    let now = SystemTime::now();
    let bytes = runs.iter().map(|run| run.bytes).sum();
    if json {
        let runs = runs.iter().map(|run| listed(run, now)).collect();
        let object = serde_json::to_string(&Object { runs, bytes }).expect("plain data becomes JSON");
        output::print(format!("{object}\n"))?;
        return Ok(Exit::Done);
    }
    let mut out = String::new();
    if runs.is_empty() {
        out.push_str("there are no runs yet; start one with `kvlab up`\n");
    } else {
        row(&mut out, &WIDTHS, ["name", "age", "size", "state", "verdict"]);
        runs.iter().for_each(|run| row(&mut out, &WIDTHS, cells(run, now)));
        let _ = writeln!(out, "{} in all", words::bytes(bytes));
    }
    output::print(out)?;
    Ok(Exit::Done)
}

const WIDTHS: [usize; 5] = [42, 11, 11, 12, 0];

fn cells(run: &ListedRun, now: SystemTime) -> [String; 5] {
    let state = match (run.live, run.kept) {
        (true, true) => "live, kept",
        (true, false) => "live",
        (false, true) => "kept",
        (false, false) => "ended",
    };
    let verdict = verdict(run.ended).unwrap_or("not known");
    let verdict = if run.live { format!("{verdict}, so far") } else { verdict.to_owned() };
    [run.name.clone(), words::long(age(run, now)), words::bytes(run.bytes), state.to_owned(), verdict]
}

fn listed(run: &ListedRun, now: SystemTime) -> Listed {
    Listed {
        name: run.name.clone(),
        path: run.path.display().to_string(),
        began_unix_s: run.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        age_s: age(run, now).as_secs(),
        bytes: run.bytes,
        live: run.live,
        kept: run.kept,
        verdict: verdict(run.ended),
    }
}

fn age(run: &ListedRun, now: SystemTime) -> Duration {
    now.duration_since(run.began).unwrap_or_default()
}

/// In a few words, which `--json` has as well.
fn verdict(ended: Ended) -> Option<&'static str> {
    Some(match ended {
        Ended::Scenario(RunOutcome::AsExpected) => "as expected",
        Ended::Scenario(RunOutcome::Violated) => "violated",
        Ended::Scenario(RunOutcome::Undecided) | Ended::Undecided => "undecided",
        Ended::Scenario(RunOutcome::Panicked) => "fault of kvlab",
        Ended::Broken => "promise broken",
        Ended::Kept => "promises kept",
        Ended::NotKnown => return None,
    })
}

fn clean(args: &RunsCleanArgs) -> Result<Exit, CommandError> {
    let runs = Runs::from_env()?;
    let cleaning = Cleaning { older_than: args.older_than, keep: args.keep, max_bytes: args.max_size };
    let (all, now) = (listing::list(&runs), SystemTime::now());
    let (mut out, mut bytes, mut exit) = (String::new(), 0, Exit::Done);
    let (would, mut count) = (if args.dry_run { "would remove" } else { "removed" }, 0);
    for run in listing::to_remove(&all, cleaning, now) {
        if !args.dry_run
            && let Err(error) = runs.remove(&run.name)
        {
            output::tell(format_args!("{} stays: {error}", run.path.display()));
            exit = Exit::Refused;
            continue;
        }
        (bytes, count) = (bytes + run.bytes, count + 1);
        let _ = writeln!(
            out,
            "{would} {} ({}, {})",
            run.name,
            words::long(age(run, now)),
            words::bytes(run.bytes)
        );
    }
    let _ = writeln!(out, "{would} {count} of {} runs, {}", all.len(), words::bytes(bytes));
    output::print(out)?;
    Ok(exit)
}
