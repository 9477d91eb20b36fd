//! `kvlab node`: one store process.
//!
//! Exit 0: told to stop (SIGTERM, SIGINT, or its standard input ended). 1: the disk failed, or the parent is gone.
//! 2: it could not start.
#![expect(clippy::disallowed_methods, reason = "reads the token's file")]

use std::fmt::Display;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use kvlab::node::{Limits, NodeOptions, Stop, Token, serve};
use kvlab::storage::{CleanupPolicy, Durability, SEGMENT_BYTES, SEGMENT_BYTES_MAX};
use kvlab::types::{NodeId, Quirk, Ready};
use rustix::fs::{FileType, fstat};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use crate::scenario;

/// The cluster token, for those who would rather not write it to a file.
const TOKEN_VARIABLE: &str = "KVLAB_TOKEN";
/// What is logged, as a filter of `tracing`: `info`, `kvlab=debug`, ...
const LOG_VARIABLE: &str = "KVLAB_LOG";

/// Run one store process.
///
/// Prints one line of JSON with its addresses when it is ready, and logs to standard error. It stops on SIGTERM or
/// SIGINT (answers what it has begun, then flushes its disk; a second signal does not wait for answers), and when its
/// standard input ends, if that is a pipe or a socket. A terminal, a file or /dev/null as standard input does not
/// matter to it.
#[derive(Args, Clone, Debug)]
pub(crate) struct NodeArgs {
    /// This node: n1, n2, ...
    #[arg(long, value_name = "NODE")]
    id: NodeId,
    /// All members of the cluster, this node among them: n1,n2,n3
    #[arg(long, value_name = "NODES", value_delimiter = ',', required = true)]
    members: Vec<NodeId>,
    /// The data directory; made if it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to take clients (port 0: any)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    client: SocketAddr,
    /// Where to take the other members (port 0: any)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    peer: SocketAddr,
    /// The client address to tell others, if it is not the one that is bound
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// Where another member is reached, once for each: n2=127.0.0.1:4002
    #[arg(long = "link", value_name = "NODE=HOST:PORT", value_parser = parse_link)]
    links: Vec<(NodeId, String)>,
    /// The cluster is new: an empty data directory is no loss. (Otherwise a member that starts on an empty directory
    /// has forgotten what it promised, and neither votes nor counts until it has caught up.)
    #[arg(long)]
    bootstrap: bool,
    /// When a write counts as durable: always (synced), interval=10ms, os
    #[arg(long, value_name = "MODE", default_value = "always", value_parser = parse_durability)]
    durability: Durability,
    /// Let the data directory grow to this many bytes; beyond that, refuse writes as on a full disk, until there is room
    #[arg(long, value_name = "BYTES")]
    disk_max: Option<u64>,
    /// Refuse eventual reads when the last heartbeat is older than this
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    stale_after: Duration,
    /// Refuse eventual reads when more operations than this are missing here
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    stale_lag: u64,
    /// Keep this many bytes of the log's end in memory for replicas that come back
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    backlog_bytes: usize,
    /// Close a segment of the log when it has grown past this many bytes, and begin the next
    #[arg(long, value_name = "BYTES", default_value_t = SEGMENT_BYTES,
          value_parser = clap::value_parser!(u64).range(SEGMENT_BYTES_LEAST..=SEGMENT_BYTES_MAX))]
    segment_bytes: u64,
    /// Clean up by itself when this part of the closed segments is garbage: 0.5 is half; off: never
    #[arg(long, value_name = "RATIO", default_value = "0.5", value_parser = parse_ratio)]
    cleanup_ratio: f64,
    /// Clean up by itself only when there are at least this many bytes of garbage
    #[arg(long, value_name = "BYTES", default_value_t = CleanupPolicy::default().bytes)]
    cleanup_bytes: u64,
    /// Make a famous mistake on purpose, by name (see docs/museum.md); may be given more than once
    #[arg(long = "quirk", value_name = "NAME", value_parser = scenario::quirk)]
    quirks: Vec<Quirk>,
    /// A file with the token that everyone who connects must show. The variable KVLAB_TOKEN does as well
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Client connections at most
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().connections_max)]
    connections_max: u32,
    /// Requests of one connection that may wait for their answers
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().in_flight_max)]
    in_flight_max: u32,
    /// Close a connection whose frame has begun and does not go on for this long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    frame_timeout: Duration,
    /// When told to stop, wait this long for the answers of what was begun
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    drain_timeout: Duration,
    /// How to log
    #[arg(long, value_name = "FORM", default_value = "text")]
    log: LogForm,
    /// End at once when this process, which must be the parent, ends (Linux)
    #[arg(long, value_name = "PID", hide = true)]
    parent_death: Option<i32>,
}

/// With smaller segments than this, a log is more files than entries.
const SEGMENT_BYTES_LEAST: u64 = 4 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogForm {
    /// Lines for people
    Text,
    /// Lines of JSON
    Json,
}

/// Runs the node until it is told to stop.
pub(crate) fn run(args: NodeArgs) -> ExitCode {
    start_log(args.log);
    if let Some(parent) = args.parent_death
        && let Err(error) = die_with(parent)
    {
        return end_with(&format_args!("{error:#}"), 1);
    }
    let options = match options(args) {
        Ok(options) => options,
        Err(error) => return end_with(&format_args!("{error:#}"), 2),
    };
    match run_node(options) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let code = if error.is_setup() { 2 } else { 1 };
            end_with(&error, code)
        }
        Err(error) => end_with(&format_args!("{error:#}"), 2),
    }
}

/// The outer error: the process could not be set up. The inner one: the node's own.
fn run_node(options: NodeOptions) -> anyhow::Result<Result<(), kvlab::node::NodeError>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let (stop, stopped) = watch::channel(Stop::NotYet);
    stop_at_end_of_input(&stop)?;
    let outcome = runtime.block_on(async {
        let signals = Signals::install()?;
        let outcome = tokio::select! {
            outcome = serve(options, stopped, print_ready) => outcome,
            never = signals.pass_to(&stop) => match never {},
        };
        anyhow::Ok(outcome)
    });
    // A name being resolved for a link must not keep the process.
    runtime.shutdown_background();
    outcome
}

fn print_ready(ready: &Ready) {
    let line = serde_json::to_string(ready).expect("plain data becomes JSON");
    let mut out = io::stdout().lock();
    // Whoever started the node may not care; if it is gone, that shows on standard input.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    info!(node = %ready.node, client = ready.client, peer = ready.peer, "ready");
}

/// One message: what, where, the way out.
fn end_with(error: &dyn Display, code: u8) -> ExitCode {
    error!("{error}");
    ExitCode::from(code)
}

fn start_log(form: LogForm) {
    let filter = EnvFilter::builder()
        .with_env_var(LOG_VARIABLE)
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        // A node whose log cannot be written goes on.
        .log_internal_errors(false);
    // It can fail only if a log was started before, in a test of this program.
    let _ = match form {
        LogForm::Text => log.try_init(),
        LogForm::Json => log.json().flatten_event(true).try_init(),
    };
}

fn options(args: NodeArgs) -> anyhow::Result<NodeOptions> {
    let token = token(args.token_file.as_deref())?;
    let mut links = std::collections::BTreeMap::new();
    for (to, addr) in args.links {
        if let Some(before) = links.insert(to, addr) {
            bail!("--link {to} is given twice ({before} first); a member is reached in one place");
        }
    }
    let limits = Limits {
        connections_max: args.connections_max,
        in_flight_max: args.in_flight_max,
        frame_timeout: args.frame_timeout,
        drain_timeout: args.drain_timeout,
        ..Limits::default()
    };
    Ok(NodeOptions {
        client_addr: args.client,
        peer_addr: args.peer,
        advertise: args.advertise,
        links,
        bootstrap: args.bootstrap,
        durability: args.durability,
        disk_max: args.disk_max,
        stale_after: args.stale_after,
        stale_lag: args.stale_lag,
        backlog_bytes: args.backlog_bytes,
        segment_bytes: args.segment_bytes,
        cleanup: CleanupPolicy { ratio: args.cleanup_ratio, bytes: args.cleanup_bytes },
        quirks: args.quirks.into_iter().collect(),
        token,
        limits,
        ..NodeOptions::new(args.id, args.members, args.data)
    })
}

fn token(file: Option<&Path>) -> anyhow::Result<Option<Token>> {
    let secret = match file {
        Some(file) => Some(
            fs::read_to_string(file)
                .with_context(|| format!("cannot read the cluster token from {}", file.display()))?,
        ),
        None => std::env::var(TOKEN_VARIABLE).ok(),
    };
    // A file usually ends with a newline that is not meant.
    Ok(secret.map(|secret| Token::new(secret.trim())).transpose()?)
}

/// Has the kernel kill this process when `parent` ends.
#[cfg(target_os = "linux")]
fn die_with(parent: i32) -> anyhow::Result<()> {
    use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::KILL))
        .context("cannot ask to end with the parent process")?;
    // The parent may have ended before that; then nobody would tell.
    if getppid().map(Pid::as_raw_nonzero).map(std::num::NonZero::get) == Some(parent) {
        Ok(())
    } else {
        bail!("process {parent}, given as --parent-death, is not (or no longer) the parent");
    }
}

/// Other systems have no such signal: there, the end of standard input has to do.
#[cfg(not(target_os = "linux"))]
fn die_with(_parent: i32) -> anyhow::Result<()> {
    Ok(())
}

/// Stops the node when standard input ends, if that is something that ends when its other side does.
fn stop_at_end_of_input(stop: &watch::Sender<Stop>) -> anyhow::Result<()> {
    let input = fstat(io::stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if !matches!(input, Ok(FileType::Fifo | FileType::Socket)) {
        return Ok(());
    }
    let stop = stop.clone();
    // A thread of its own: a read that waits cannot be taken back, and the process ends without it.
    thread::Builder::new()
        .name("stdin".into())
        .spawn(move || {
            let mut sink = [0; 256];
            while io::stdin().lock().read(&mut sink).is_ok_and(|bytes| bytes > 0) {}
            info!("standard input ended");
            stop.send_replace(Stop::AtOnce);
        })
        .context("cannot watch standard input")?;
    Ok(())
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> anyhow::Result<Self> {
        let install = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: install(SignalKind::terminate())?,
            interrupt: install(SignalKind::interrupt())?,
        })
    }

    /// The first asks for a drain, the second for an end.
    async fn pass_to(mut self, stop: &watch::Sender<Stop>) -> std::convert::Infallible {
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            };
            info!(signal = name, "told to stop");
            stop.send_modify(|stop| *stop = if *stop == Stop::NotYet { Stop::Drain } else { Stop::AtOnce });
        }
    }
}

fn parse_link(text: &str) -> anyhow::Result<(NodeId, String)> {
    let (to, addr) = text.split_once('=').context("expected NODE=HOST:PORT, like n2=127.0.0.1:4002")?;
    Ok((to.parse()?, addr.to_owned()))
}

pub(crate) fn parse_durability(text: &str) -> anyhow::Result<Durability> {
    match text.split_once('=') {
        None if text == "always" => Ok(Durability::Always),
        None if text == "os" => Ok(Durability::Os),
        Some(("interval", time)) => Ok(Durability::Interval(parse_duration(time)?)),
        _ => bail!("expected always, interval=TIME (like interval=10ms) or os"),
    }
}

/// `0.5`, or `off`.
fn parse_ratio(text: &str) -> anyhow::Result<f64> {
    let ratio = if text == "off" { Some(f64::INFINITY) } else { text.parse().ok() };
    ratio
        .filter(|ratio| (0.0..=1.0).contains(ratio) || *ratio == f64::INFINITY && text == "off")
        .with_context(|| format!("{text:?} is neither a number from 0 to 1 nor off"))
}

/// `250ms`, `5s`, `1.5s`, `2m`.
fn parse_duration(text: &str) -> anyhow::Result<Duration> {
    let expected = || format!("{text:?} is not a time like 250ms, 5s or 2m");
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).with_context(expected)?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => bail!(expected()),
    };
    let number: f64 = number.parse().ok().with_context(expected)?;
    Duration::try_from_secs_f64(number * seconds).ok().with_context(expected)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        node: NodeArgs,
    }

    fn parse(line: &str) -> Result<NodeOptions, String> {
        let words = std::iter::once("node").chain(line.split_whitespace());
        let program = Program::try_parse_from(words).map_err(|error| error.to_string())?;
        options(program.node).map_err(|error| format!("{error:#}"))
    }

    const BASE: &str =
        "--id n1 --members n1,n2,n3 --data /tmp/n1 --link n2=127.0.0.1:4002 --link n3=n3.example:4003";

    #[test]
    fn a_whole_command_line_becomes_options() {
        let more = "--client 127.0.0.1:7001 --bootstrap --durability interval=10ms --stale-after 1500ms --stale-lag 7";
        let options = parse(&format!("{BASE} {more}")).expect("options");
        assert_eq!(options.validate(), Ok(()));
        assert_eq!(options.members, [NodeId(1), NodeId(2), NodeId(3)]);
        assert_eq!(options.links[&NodeId(3)], "n3.example:4003");
        assert_eq!(options.client_addr.port(), 7001);
        assert!(options.bootstrap);
        assert_eq!(options.durability, Durability::Interval(Duration::from_millis(10)));
        assert_eq!((options.stale_after, options.stale_lag), (Duration::from_millis(1500), 7));
    }

    #[test]
    fn cleanup_begins_by_itself_as_told() {
        let cleanup = |more: &str| parse(&format!("{BASE} {more}")).expect(more).cleanup;
        assert_eq!(cleanup(""), CleanupPolicy { ratio: 0.5, bytes: 64 << 20 });
        let told = cleanup("--cleanup-ratio 0.25 --cleanup-bytes 1000");
        assert_eq!(told, CleanupPolicy { ratio: 0.25, bytes: 1000 });
        assert!(cleanup("--cleanup-ratio off").ratio > 1.0);
    }

    #[test]
    fn what_is_wrong_is_said_with_what_was_expected() {
        let wrong = |more: &str, expected: &str| {
            let error = parse(&format!("{BASE} {more}")).expect_err(more);
            assert!(error.contains(expected), "{more}: {error}");
        };
        wrong("--durability sometimes", "always, interval=TIME");
        wrong("--stale-after 5", "is not a time like");
        wrong("--stale-after -5s", "unexpected argument");
        for ratio in ["1.5", "-1", "nan", "inf", "half"] {
            wrong(&format!("--cleanup-ratio={ratio}"), "a number from 0 to 1 nor off");
        }
        wrong("--segment-bytes 4095", "4095 is not in 4096..=1073741824");
        wrong("--link n4", "NODE=HOST:PORT");
        wrong("--link x=127.0.0.1:1", "a node like n1");
        wrong("--link n2=127.0.0.1:1", "given twice");
        wrong("--client nowhere", "invalid");
        wrong("--unknown", "unexpected argument");
        wrong("--token-file /does/not/exist", "cannot read the cluster token");
        assert!(parse("--id one --members n1 --data d").expect_err("id").contains("a node like n1"));
    }

    #[test]
    fn times_have_units() {
        for (text, ms) in [("250ms", 250), ("5s", 5_000), ("1.5s", 1_500), ("2m", 120_000), ("0s", 0)] {
            assert_eq!(parse_duration(text).expect(text), Duration::from_millis(ms), "{text}");
        }
        for text in ["", "5", "s", "5 s", "-1s", "1e400s", "5d", "NaNs"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
