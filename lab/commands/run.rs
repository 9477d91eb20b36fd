//! `kvlab run`: plays a scenario, on the dashboard or line by line, and exits with its verdict.
#![expect(clippy::disallowed_methods, reason = "scenarios are files, and a run keeps a copy")]

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::broadcast;

use super::support::exit::{Ended, Exit};
use super::support::narrator::Narrator;
use super::support::output::{Printer, To};
use super::support::signals::Signals;
use super::support::start::{self, Prepared};
use super::support::{dashboard, logging, output, simulated};
use crate::cli::{DisplayOptions, RunArgs};
use crate::cluster::ClusterOptions;
use crate::report::source::SCENARIO_FILE;
use crate::run::event::{ScenarioHeader, Stamped};
use crate::scenario::report;
use crate::scenario::{self, Embedded, Live, Outcome, Scenario};
use crate::session::{Session, WorkloadOptions};

/// No scenario file is longer.
const FILE_BYTES_MAX: u64 = 1 << 20;

pub async fn run(args: RunArgs) -> Result<Exit, Ended> {
    let scenario = find(&args.scenario)?;
    if args.simulated {
        return simulated::run(&args, scenario).await;
    }
    let screen = !args.headless && !args.json && output::has_terminal();
    let mut signals = Signals::listen()?;
    let plan = &scenario.cluster;
    let mut prepared =
        start::prepare(&scenario.name, &args.run, plan.nodes, plan.settings.quirks, Some(header(&scenario)))?;
    if screen {
        logging::to_file(prepared.dir.path())?;
    } else {
        logging::to_stderr();
    }
    keep(&prepared, SCENARIO_FILE, &scenario.source)?;
    let (cluster, workload) = options(&scenario, &prepared);
    let session = start::session(&prepared, cluster, workload, &mut signals).await?;

    let outcome = if screen {
        // The receiver that has the run's first events; what comes after is of no use to anyone else.
        let later = prepared.events.resubscribe();
        let events = std::mem::replace(&mut prepared.events, later);
        on_dashboard(&session, &scenario, &mut signals, events, (prepared.dir.path(), args.display)).await
    } else {
        let to = if args.json { To::Stderr } else { To::Stdout };
        line_by_line(&session, &scenario, &mut signals, &mut prepared.events, to).await
    };
    let stopped = start::stop(&session, &mut signals).await;
    let left = super::report::leave(prepared.dir.path(), &mut signals).await;
    let outcome = outcome?;

    let run_dir = prepared.dir.path().display().to_string();
    let evidence = session.evidence();
    let run = report::Run {
        scenario: &scenario,
        called: &args.scenario,
        seed: prepared.seed,
        evidence: &evidence,
        columns: output::columns(),
        run_dir: Some(&run_dir),
    };
    let json = report::json(&run, &outcome).context("the outcome does not become JSON")?;
    keep(&prepared, "outcome.json", &format!("{json}\n"))?;
    if args.json {
        output::print(format!("{json}\n"));
        report::remarks(&scenario, &outcome).iter().chain(&outcome.reasons).for_each(output::tell);
    } else {
        output::print(report::text(&run, &outcome));
    }
    match left {
        Some(left) if args.json => output::tell(format_args!("report: {}", left.display())),
        Some(left) => output::print(format!("report: {}\n", left.display())),
        None => {}
    }
    if let Err(error) = stopped {
        output::tell(format_args!("warning: {error:#}"));
    }
    Ok(outcome.outcome.into())
}

/// The scenario of this name or in this file.
fn find(called: &str) -> Result<Scenario, Ended> {
    let bad = |e: scenario::BadScenario| Exit::Usage.because(e);
    let path = Path::new(called);
    if let Some(embedded) = Embedded::named(called) {
        return Scenario::parse(embedded.name, &embedded.file(), embedded.source).map_err(bad);
    }
    let is_path = called.contains('/') || path.extension().is_some_and(|e| e == "toml");
    let is_museum = called.starts_with(scenario::MUSEUM) && path.extension().is_none();
    if (!is_path || is_museum) && !path.exists() {
        return Err(super::scenarios::unknown(called));
    }
    let text = read(path)?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Scenario::parse(&name, called, &text).map_err(bad)
}

fn read(path: &Path) -> Result<String, Ended> {
    let cannot = |why: String| Exit::Usage.because(format!("cannot read {}: {why}", path.display()));
    let about = std::fs::metadata(path).map_err(|e| cannot(e.to_string()))?;
    if !about.is_file() {
        return Err(cannot("it is not a file".to_owned()));
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(cannot(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|e| cannot(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        cannot(format!("line {line} is not UTF-8 text"))
    })
}

fn keep(prepared: &Prepared, name: &str, text: &str) -> Result<(), Ended> {
    let path = prepared.dir.path().join(name);
    Ok(std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?)
}

fn header(scenario: &Scenario) -> ScenarioHeader {
    ScenarioHeader {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        episode: scenario.episode.clone(),
        story: scenario.story.clone(),
        crc32: scenario.crc32(),
        steps: scenario.outline(),
    }
}

fn options(scenario: &Scenario, prepared: &Prepared) -> (ClusterOptions, WorkloadOptions) {
    let plan = &scenario.cluster;
    let cluster = ClusterOptions {
        nodes: plan.nodes,
        dir: prepared.dir.path().to_owned(),
        well_known_ports: false,
        seed: prepared.seed,
        settings: plan.settings.clone(),
    };
    (cluster, scenario.load(prepared.seed))
}

/// Plays it while lines tell how it goes.
async fn line_by_line(
    session: &Session,
    scenario: &Scenario,
    signals: &mut Signals,
    events: &mut broadcast::Receiver<Stamped>,
    to: To,
) -> Result<Outcome, Ended> {
    let mut printer = Printer::start(to)?;
    let skipped = |lines: u64| format!("({lines} lines are missing here)");
    let mut narrator = Narrator::new(scenario);
    for line in narrator.opening() {
        printer.line(line, skipped);
    }
    let playing = async {
        let mut stage = Live::new(session.clone());
        tokio::select! {
            outcome = scenario::play(&mut stage, scenario) => outcome,
            signal = signals.next() => interrupted(session, format!("interrupted by {signal}")),
        }
    };
    let outcome = start::while_telling(events, playing, |event| {
        for line in event.map(|event| narrator.lines(&event)).unwrap_or_default() {
            printer.line(line, skipped);
        }
    })
    .await;
    printer.finish();
    Ok(outcome)
}

/// Plays it on the dashboard, which stays until the person quits.
async fn on_dashboard(
    session: &Session,
    scenario: &Scenario,
    signals: &mut Signals,
    events: broadcast::Receiver<Stamped>,
    (run_dir, display): (&Path, DisplayOptions),
) -> Result<Outcome, Ended> {
    let mut stage = Live::new(session.clone());
    let mut outcome = None;
    let shown = {
        let mut playing = std::pin::pin!(scenario::play(&mut stage, scenario));
        let mut shown = std::pin::pin!(dashboard::show(session.clone(), events, run_dir, display));
        loop {
            tokio::select! {
                played = &mut playing, if outcome.is_none() => outcome = Some(played),
                shown = &mut shown => break shown,
                _ = signals.next() => break Ok(()),
            }
        }
    };
    shown?;
    Ok(outcome.unwrap_or_else(|| interrupted(session, "the run was left before its end".to_owned())))
}

/// What can be said of a run that did not come to its end.
fn interrupted(session: &Session, why: String) -> Outcome {
    let elapsed: Duration = session.journal().now();
    Outcome::undecided(session.verdict(), elapsed, why)
}
