//! `kvlab up`: a cluster to look at and to break, until the person quits or a signal comes.

use std::path::Path;
use std::time::Duration;

use kvlab::types::WriteLevel;
use serde::Serialize;
use tokio::sync::Notify;

use super::support::exit::{CommandError, Exit};
use super::support::live_run::{self, LiveRun};
use super::support::output::{Printer, To};
use super::support::{dashboard, output, recordings};
use crate::cli::{Switch, UpArgs};
use crate::cluster::ClusterOptions;
use crate::engine::NodeSettings;
use crate::run::bounds::RunBounds;
use crate::run::directory::{ClusterFile, NodeAddresses};
use crate::run::event::{LabEvent, Level, Stamped};
use crate::scenario::summary;
use crate::session::WorkloadOptions;

/// Client tasks of the background load.
const CLIENTS: u32 = 6;
/// A lab may run for days, on a laptop's disk: its nodes close files and clean up sooner than a store by itself would.
/// The load writes the same keys again and again, so that a node's data stay within a few times this.
const SEGMENT_BYTES: u64 = 8 << 20;
/// See [`SEGMENT_BYTES`].
const CLEANUP_BYTES: u64 = 8 << 20;
/// Contended keys of each family.
const REGISTERS: u32 = 8;

/// The first line of `up --headless`.
#[derive(Debug, Serialize)]
struct Addresses<'a> {
    /// Always true; tells this line from events.
    ready: bool,
    version: &'static str,
    seed: u64,
    run_dir: String,
    nodes: &'a [NodeAddresses],
}

pub async fn run(args: UpArgs) -> Result<Exit, CommandError> {
    let screen = !args.headless;
    if screen && !output::has_terminal() {
        return Err(Exit::Usage.because(
            "the dashboard needs a terminal, and this is none; run it in one, or add --headless for JSON lines",
        ));
    }
    let outputs = recordings::asked_for(&args.recordings)?;
    let mut run =
        LiveRun::start("up", &args.run, None, screen, |dir, seed| options(&args, dir, seed)).await?;
    if !screen {
        let printed = print_until_signal(&mut run).await;
        if let Some(report) = run.leave_report().await {
            output::tell(format_args!("report: {}", report.display()));
        }
        let recorded = run.record(outputs, args.display).await;
        printed?;
        return recordings::ended(Exit::Done, recorded, true);
    }
    let events = run.take_events();
    let shown = tokio::select! {
        shown = dashboard::show(run.session.clone(), events, run.dir.path(), args.display, true) => shown,
        _ = run.signals.next() => Ok(()),
    };
    let stopped = live_run::stop(&run.session, &mut run.signals).await;
    let report = run.leave_report().await;
    let recorded = run.record(outputs, args.display).await;
    shown?;
    stopped?;
    let (run_dir, seed) = (run.dir.path().display(), run.seed);
    let (verdict, evidence) = (run.session.verdict(), run.session.evidence());
    output::print(summary::facts(&verdict, &evidence, output::columns()))?;
    output::print(format!("\nrun directory: {run_dir} (seed {seed})\n"))?;
    if let Some(report) = report {
        output::print(format!("report: {}\n", report.display()))?;
    }
    recordings::ended(Exit::Done, recorded, false)
}

fn options(args: &UpArgs, dir: &Path, seed: u64) -> (ClusterOptions, WorkloadOptions) {
    let cluster = ClusterOptions {
        nodes: args.nodes,
        dir: dir.to_owned(),
        well_known_ports: true,
        seed,
        bounds: RunBounds::default(),
        settings: NodeSettings {
            durability: args.durability,
            stale_after: args.stale_after,
            stale_lag: args.stale_lag,
            backlog_bytes: args.backlog_bytes,
            segment_bytes: args.segment_bytes.or(Some(SEGMENT_BYTES)),
            cleanup_bytes: args.cleanup_bytes.or(Some(CLEANUP_BYTES)),
            scrub_rate: args.scrub_rate,
            quirks: args.quirks.iter().copied().collect(),
        },
    };
    let workload = WorkloadOptions {
        clients: CLIENTS,
        rate: args.rate,
        levels: vec![WriteLevel::Async, WriteLevel::Quorum],
        registers: REGISTERS,
        ledger: true,
        seed,
        on: args.load == Switch::On,
    };
    (cluster, workload)
}

/// One line with every address, then every event, until a signal comes or nobody reads.
async fn print_until_signal(run: &mut LiveRun) -> Result<(), CommandError> {
    let LiveRun { dir, seed, session, events, signals } = run;
    let nodes = ClusterFile::read(dir.path())?.nodes;
    let addresses = Addresses {
        ready: true,
        version: env!("CARGO_PKG_VERSION"),
        seed: *seed,
        run_dir: dir.path().display().to_string(),
        nodes: &nodes,
    };
    let mut printer = Printer::start(To::Stdout)?;
    let notice = |missed: u64| missing(missed, session.journal().now());
    printer.line(json(&addresses), notice);

    let unread = Notify::new();
    let until_stopped = async {
        tokio::select! {
            _ = signals.next() => {}
            () = unread.notified() => {}
        }
        live_run::stop(session, signals).await
    };
    let stopped = live_run::while_telling(events, until_stopped, |event| {
        match event {
            Ok(event) => printer.line(json(&event), notice),
            Err(missed) => printer.line(notice(missed), notice),
        }
        if printer.is_gone() {
            unread.notify_one();
        }
    })
    .await;
    stopped?;
    printer.finish()
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data becomes JSON")
}

/// The line that stands for events that could not be printed.
fn missing(events: u64, now: Duration) -> String {
    let text = format!("{events} events are missing here: the reader is too slow");
    json(&Stamped::at(now, LabEvent::Notice { level: Level::Warn, text }))
}
