//! `kvlab up`: a cluster to look at and to break, until the person quits or a signal comes.

use std::time::Duration;

use kvlab::types::WriteLevel;
use serde::Serialize;
use tokio::sync::Notify;

use super::support::exit::{Ended, Exit};
use super::support::output::{Printer, To};
use super::support::signals::Signals;
use super::support::start::{self, Prepared};
use super::support::{dashboard, logging, output};
use crate::cli::{Switch, UpArgs};
use crate::cluster::ClusterOptions;
use crate::engine::NodeSettings;
use crate::run::directory::{ClusterFile, NodeAddresses};
use crate::run::event::{LabEvent, Level, Stamped};
use crate::scenario::report;
use crate::session::{Session, WorkloadOptions};

/// Client tasks of the background load.
const CLIENTS: u32 = 6;
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

pub async fn run(args: UpArgs) -> Result<Exit, Ended> {
    let screen = !args.headless;
    if screen && !output::has_terminal() {
        return Err(Exit::Usage.because(
            "the dashboard needs a terminal, and this is none; run it in one, or add --headless for JSON lines",
        ));
    }
    let mut signals = Signals::listen()?;
    let mut prepared =
        start::prepare("up", &args.run, args.nodes, args.quirks.iter().copied().collect(), None)?;
    if screen {
        logging::to_file(prepared.dir.path())?;
    } else {
        logging::to_stderr();
    }
    let (cluster, workload) = options(&args, &prepared);
    let session = start::session(&prepared, cluster, workload, &mut signals).await?;
    if screen {
        let shown = tokio::select! {
            shown = dashboard::show(session.clone(), prepared.events, prepared.dir.path(), args.display) => shown,
            _ = signals.next() => Ok(()),
        };
        let stopped = start::stop(&session, &mut signals).await;
        let left = super::report::leave(prepared.dir.path(), &mut signals).await;
        shown?;
        stopped?;
        let (run_dir, seed) = (prepared.dir.path().display(), prepared.seed);
        output::print(report::facts(&session.verdict(), &session.evidence(), output::columns()));
        output::print(format!("\nrun directory: {run_dir} (seed {seed})\n"));
        if let Some(left) = left {
            output::print(format!("report: {}\n", left.display()));
        }
    } else {
        let printed = print_until_signal(&session, &mut prepared, &mut signals).await;
        if let Some(left) = super::report::leave(prepared.dir.path(), &mut signals).await {
            output::tell(format_args!("report: {}", left.display()));
        }
        printed?;
    }
    Ok(Exit::Done)
}

fn options(args: &UpArgs, prepared: &Prepared) -> (ClusterOptions, WorkloadOptions) {
    let cluster = ClusterOptions {
        nodes: args.nodes,
        dir: prepared.dir.path().to_owned(),
        well_known_ports: true,
        seed: prepared.seed,
        settings: NodeSettings {
            durability: args.durability,
            stale_after: args.stale_after,
            stale_lag: args.stale_lag,
            backlog_bytes: args.backlog_bytes,
            segment_bytes: args.segment_bytes,
            cleanup_bytes: args.cleanup_bytes,
            quirks: args.quirks.iter().copied().collect(),
        },
    };
    let workload = WorkloadOptions {
        clients: CLIENTS,
        rate: args.rate,
        levels: vec![WriteLevel::Async, WriteLevel::Quorum],
        registers: REGISTERS,
        ledger: true,
        seed: prepared.seed,
        on: args.load == Switch::On,
    };
    (cluster, workload)
}

/// One line with every address, then every event, until a signal comes or nobody reads.
async fn print_until_signal(
    session: &Session,
    prepared: &mut Prepared,
    signals: &mut Signals,
) -> Result<(), Ended> {
    let nodes = ClusterFile::read(prepared.dir.path())?.nodes;
    let addresses = Addresses {
        ready: true,
        version: env!("CARGO_PKG_VERSION"),
        seed: prepared.seed,
        run_dir: prepared.dir.path().display().to_string(),
        nodes: &nodes,
    };
    let mut printer = Printer::start(To::Stdout)?;
    let journal = prepared.journal.clone();
    let notice = |missed: u64| missing(missed, journal.now());
    printer.line(json(&addresses), notice);

    let unread = Notify::new();
    let until_stopped = async {
        tokio::select! {
            _ = signals.next() => {}
            () = unread.notified() => {}
        }
        start::stop(session, signals).await
    };
    let stopped = start::while_telling(&mut prepared.events, until_stopped, |event| {
        match event {
            Ok(event) => printer.line(json(&event), notice),
            Err(missed) => printer.line(notice(missed), notice),
        }
        if printer.is_gone() {
            unread.notify_one();
        }
    })
    .await;
    printer.finish();
    Ok(stopped?)
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data becomes JSON")
}

/// The line that stands for events that could not be printed.
fn missing(events: u64, now: Duration) -> String {
    let text = format!("{events} events are missing here: the reader is too slow");
    let t_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    json(&Stamped { t_us, event: LabEvent::Notice { level: Level::Warn, text } })
}
