//! `kvlab run`: plays a scenario, on the dashboard or line by line, and exits with its verdict.
#![expect(clippy::disallowed_methods, reason = "scenarios are files")]

use std::path::Path;

use anyhow::Context;

use super::support::exit::{CommandError, Exit};
use super::support::live_run::{self, LiveRun};
use super::support::narrator::Narrator;
use super::support::output::{Printer, To};
use super::support::{dashboard, output, recordings, simulated};
use crate::cli::{DisplayOptions, RunArgs};
use crate::cluster::ClusterOptions;
use crate::run::bounds::RunBounds;
use crate::scenario::{self, Conclusion, Embedded, Live, Scenario, summary};
use crate::session::{Session, WorkloadOptions};

/// No scenario file is longer.
const FILE_BYTES_MAX: u64 = 1 << 20;

pub async fn run(args: RunArgs) -> Result<Exit, CommandError> {
    let scenario = find(&args.scenario)?;
    let outputs = recordings::asked_for(&args.recordings)?;
    if args.simulated {
        return simulated::run(&args, scenario, outputs).await;
    }
    let screen = !args.headless && !args.json && output::has_terminal();
    let settings = |dir: &Path, seed| options(&scenario, dir, seed);
    let mut run = LiveRun::start(&scenario.name, &args.run, Some(&scenario), screen, settings).await?;
    let conclusion = if screen {
        on_dashboard(&mut run, &scenario, args.display).await.map(|conclusion| (conclusion, Ok(())))
    } else {
        let to = if args.json { To::Stderr } else { To::Stdout };
        line_by_line(&mut run, &scenario, to).await
    };
    let stopped = live_run::stop(&run.session, &mut run.signals).await;
    let report = run.leave_report().await;
    let recorded = run.record(outputs, args.display).await;
    let (conclusion, told) = conclusion?;

    let run_dir = run.dir.path().display().to_string();
    let evidence = run.session.evidence();
    let played = summary::Played {
        scenario: &scenario,
        called: &args.scenario,
        seed: run.seed,
        evidence: &evidence,
        columns: output::columns(),
        run_dir: Some(&run_dir),
    };
    let json = summary::json(&played, &conclusion).context("the outcome does not become JSON")?;
    live_run::write(run.dir.path(), "outcome.json", &format!("{json}\n"))?;
    if args.json {
        output::print(format!("{json}\n"))?;
        summary::remarks(&scenario, &conclusion).iter().chain(&conclusion.reasons).for_each(output::tell);
    } else {
        output::print(summary::text(&played, &conclusion))?;
    }
    match report {
        Some(report) if args.json => output::tell(format_args!("report: {}", report.display())),
        Some(report) => output::print(format!("report: {}\n", report.display()))?,
        None => {}
    }
    told?;
    if let Err(error) = stopped {
        output::tell(format_args!("warning: {error:#}"));
    }
    recordings::ended(conclusion.outcome.into(), recorded, args.json)
}

/// The scenario of this name or in this file.
fn find(called: &str) -> Result<Scenario, CommandError> {
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

fn read(path: &Path) -> Result<String, CommandError> {
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

fn options(scenario: &Scenario, dir: &Path, seed: u64) -> (ClusterOptions, WorkloadOptions) {
    let plan = &scenario.cluster;
    let cluster = ClusterOptions {
        nodes: plan.nodes,
        dir: dir.to_owned(),
        well_known_ports: false,
        seed,
        bounds: RunBounds::default(),
        settings: plan.settings.clone(),
    };
    (cluster, scenario.load(seed))
}

/// Plays it while lines tell how it goes. Lines that cannot be printed keep nothing from being played: the second part
/// says so.
async fn line_by_line(
    run: &mut LiveRun,
    scenario: &Scenario,
    to: To,
) -> Result<(Conclusion, Result<(), CommandError>), CommandError> {
    let LiveRun { session, events, signals, .. } = run;
    let mut printer = Printer::start(to)?;
    let skipped = |lines: u64| format!("({lines} lines are missing here)");
    let mut narrator = Narrator::new(scenario);
    for line in narrator.opening() {
        printer.line(line, skipped);
    }
    let playing = async {
        let mut stage = Live::new(session.clone());
        tokio::select! {
            conclusion = scenario::play(&mut stage, scenario) => conclusion,
            signal = signals.next() => interrupted(session, format!("interrupted by {signal}")),
        }
    };
    let conclusion = live_run::while_telling(events, playing, |event| {
        for line in event.map(|event| narrator.lines(&event)).unwrap_or_default() {
            printer.line(line, skipped);
        }
    })
    .await;
    Ok((conclusion, printer.finish()))
}

/// Plays it on the dashboard, which stays until the person quits.
async fn on_dashboard(
    run: &mut LiveRun,
    scenario: &Scenario,
    display: DisplayOptions,
) -> Result<Conclusion, CommandError> {
    let events = run.take_events();
    let LiveRun { dir, session, signals, .. } = run;
    let mut stage = Live::new(session.clone());
    let mut conclusion = None;
    let shown = {
        let mut playing = std::pin::pin!(scenario::play(&mut stage, scenario));
        let mut shown = std::pin::pin!(dashboard::show(session.clone(), events, dir.path(), display, false));
        loop {
            tokio::select! {
                played = &mut playing, if conclusion.is_none() => conclusion = Some(played),
                shown = &mut shown => break shown,
                _ = signals.next() => break Ok(()),
            }
        }
    };
    shown?;
    Ok(conclusion.unwrap_or_else(|| interrupted(session, "the run was left before its end".to_owned())))
}

/// What can be said of a run that did not come to its end.
fn interrupted(session: &Session, why: String) -> Conclusion {
    Conclusion::undecided(session.verdict(), session.journal().now(), why)
}
