//! `kvlab node`: one store process.
//!
//! Exit 0: told to stop (SIGTERM, SIGINT, or its standard input ended). 1: the disk failed, or the parent is gone.
//! 2: it could not start.
#![expect(clippy::disallowed_methods, reason = "has a thread that reads standard input")]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, bail, ensure};
use kvlab::node::{Limits, NodeConditions, NodeOptions, Stop, Token, serve};
use kvlab::storage::CleanupPolicy;
use kvlab::types::Ready;
use rustix::fs::{FileType, fstat};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;
use tracing::{error, info, warn};

use super::support::orders::Orders;
use super::support::{logging, reach};
use crate::cli::{LogForm, NodeArgs};
use crate::cluster::raise_open_files;
use crate::engine::NodeOrder;
use crate::run::token;

/// Lines of standard input that are no orders, of which the log tells each; it tells how many more there are at the end.
const NONSENSE_TOLD_MAX: u64 = 20;

/// Runs the node until it is told to stop.
pub(crate) fn run(args: NodeArgs) -> ExitCode {
    start_log(args.log);
    if let Some(parent) = args.parent_death
        && let Err(error) = die_with(parent)
    {
        return end_with(&format_args!("{error:#}"), 1);
    }
    let options = match token(&args).and_then(|token| options(args, token)) {
        Ok(options) => options,
        Err(error) => return end_with(&format_args!("{error:#}"), 2),
    };
    // Two ports' strangers and a thousand clients are more than the usual soft limit.
    raise_open_files();
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
    heed_standard_input(&stop, options.conditions.clone())?;
    let outcome = runtime.block_on(async {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        let signals = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let outcome = tokio::select! {
            outcome = serve(options, stopped, print_ready) => outcome,
            never = stop_at_signals(signals, &stop) => match never {},
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
    let log = tracing_subscriber::fmt()
        .with_env_filter(logging::filter(LevelFilter::INFO))
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

fn options(args: NodeArgs, token: Option<Token>) -> anyhow::Result<NodeOptions> {
    let mut links = BTreeMap::new();
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
        scrub_rate: args.scrub_rate,
        quirks: args.quirks.into_iter().collect(),
        token,
        conditions: args.conditions.then(NodeConditions::new),
        limits,
        ..NodeOptions::new(args.id, args.members, args.data)
    })
}

/// The cluster's token, from where the node was told to take it.
fn token(args: &NodeArgs) -> anyhow::Result<Option<Token>> {
    match &args.token_file {
        _ if args.token_stdin => Orders::new(io::stdin().lock()).token().map(Some),
        Some(file) => token::from_file(file).map(Some),
        None => reach::token_of_environment(),
    }
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

/// Takes orders from standard input, and stops the node when it ends, if that is something that ends when its other side
/// does.
fn heed_standard_input(stop: &watch::Sender<Stop>, conditions: Option<NodeConditions>) -> anyhow::Result<()> {
    let input = fstat(io::stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if !matches!(input, Ok(FileType::Fifo | FileType::Socket)) {
        ensure!(conditions.is_none(), "--conditions needs a pipe or a socket as standard input");
        return Ok(());
    }
    let stop = stop.clone();
    // A thread of its own: a read that waits cannot be taken back, and the process ends without it.
    thread::Builder::new()
        .name("stdin".into())
        .spawn(move || {
            heed(&mut Orders::new(io::stdin().lock()), conditions.as_ref());
            stop.send_replace(Stop::AtOnce);
        })
        .context("cannot watch standard input")?;
    Ok(())
}

/// Takes orders until there are no more.
fn heed(orders: &mut Orders<impl io::BufRead>, conditions: Option<&NodeConditions>) {
    let mut nonsense = 0;
    // Whatever cannot be read any further has ended.
    while let Ok(Some(order)) = orders.next() {
        let why = match (order, conditions) {
            (Ok(NodeOrder::Condition(condition)), Some(conditions)) => {
                warn!(%condition, "a fault was set");
                conditions.set(condition);
                continue;
            }
            (Ok(NodeOrder::Condition(_)), None) => "a fault, and --conditions was not given".to_owned(),
            (Ok(NodeOrder::Token(_)), _) => "a token, which is taken at the start only".to_owned(),
            (Err(error), _) => error.to_string(),
        };
        nonsense = u64::saturating_add(nonsense, 1);
        if nonsense <= NONSENSE_TOLD_MAX {
            warn!("standard input: {why}");
        }
    }
    if nonsense > NONSENSE_TOLD_MAX {
        warn!("standard input: {} more lines that are no orders", nonsense - NONSENSE_TOLD_MAX);
    }
    info!("standard input ended");
}

/// Passes on SIGTERM and SIGINT: the first asks for a drain, the second for an end.
async fn stop_at_signals(
    (mut terminate, mut interrupt): (Signal, Signal),
    stop: &watch::Sender<Stop>,
) -> std::convert::Infallible {
    loop {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "told to stop");
        stop.send_modify(|stop| *stop = if *stop == Stop::NotYet { Stop::Drain } else { Stop::AtOnce });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use kvlab::storage::Durability;
    use kvlab::types::{DiskCondition, NodeId, Quirk};

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::engine::{Engine, KvlabNode, Launch, NodeSettings};

    fn parse(line: &str) -> Result<NodeOptions, String> {
        let words = ["kvlab", "node"].into_iter().chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Node(args) = cli.command else { panic!("{line}") };
        token(&args).and_then(|token| options(*args, token)).map_err(|error| format!("{error:#}"))
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

    /// What the lab's engine writes on a node's command line and what the node reads from it are the same.
    #[test]
    fn what_the_lab_tells_a_node_arrives() {
        let told = |settings: &NodeSettings| {
            let launch = Launch {
                node: NodeId(1),
                members: vec![NodeId(1), NodeId(2)],
                data: "/run/n1".into(),
                client: ([127, 0, 0, 1], 7001).into(),
                peer: ([127, 0, 0, 1], 9001).into(),
                links: vec![(NodeId(2), ([127, 0, 0, 1], 9002).into())],
                bootstrap: true,
                lab_pid: 77,
                settings: settings.clone(),
            };
            let token = Token::new("s3cret").expect("a token");
            let command = KvlabNode::of_this_program(token).expect("this program").command(&launch);
            let words = std::iter::once("kvlab".as_ref()).chain(command.get_args());
            let cli = Cli::try_parse_from(words).expect("understood");
            let Command::Node(args) = cli.command else { panic!("{command:?}") };
            assert_eq!((args.parent_death, args.token_stdin, args.conditions), (Some(77), true, true));
            let options = options(*args, None).expect("options");
            assert_eq!((options.id, &options.members), (launch.node, &launch.members));
            assert_eq!(options.data_dir, launch.data);
            assert_eq!((options.client_addr, options.peer_addr), (launch.client, launch.peer));
            assert_eq!(options.links, [(NodeId(2), "127.0.0.1:9002".to_owned())].into());
            assert!(options.bootstrap);
            options
        };
        for durability in
            [Durability::Always, Durability::Os, Durability::Interval(Duration::from_micros(1_500))]
        {
            let settings = NodeSettings {
                durability: Some(durability),
                stale_after: Some(Duration::from_micros(7_250)),
                stale_lag: Some(7),
                backlog_bytes: Some(4097),
                segment_bytes: Some(8193),
                cleanup_bytes: Some(0),
                scrub_rate: Some(70_000),
                quirks: [Quirk::VoteAmnesia, Quirk::NoFence].into_iter().collect(),
            };
            let told = told(&settings);
            let arrived = NodeSettings {
                durability: Some(told.durability),
                stale_after: Some(told.stale_after),
                stale_lag: Some(told.stale_lag),
                backlog_bytes: Some(told.backlog_bytes as u64),
                segment_bytes: Some(told.segment_bytes),
                cleanup_bytes: Some(told.cleanup.bytes),
                scrub_rate: Some(told.scrub_rate),
                quirks: told.quirks,
            };
            assert_eq!(arrived, settings);
        }
        let (untold, default) =
            (told(&NodeSettings::default()), NodeOptions::new(NodeId(1), vec![NodeId(1)], "/run/n1".into()));
        assert_eq!(untold.durability, default.durability);
        assert_eq!((untold.stale_after, untold.stale_lag), (default.stale_after, default.stale_lag));
        assert_eq!(
            (untold.backlog_bytes, untold.segment_bytes),
            (default.backlog_bytes, default.segment_bytes)
        );
        assert_eq!((untold.cleanup, untold.quirks), (default.cleanup, default.quirks));
        assert_eq!(untold.scrub_rate, default.scrub_rate);
    }

    #[test]
    fn orders_are_obeyed_by_a_node_that_takes_them_and_nonsense_is_passed_over() {
        let long = "x".repeat(3 * crate::engine::ORDER_BYTES_MAX);
        let input = format!("disk slow 0us\n{long}\ndisk full\nclock rate 2000\n\nclock jump 5000000us");
        heed(&mut Orders::new(input.as_bytes()), None);
        let conditions = NodeConditions::new();
        heed(&mut Orders::new(input.as_bytes()), Some(&conditions));
        assert_eq!(conditions.disk_condition(), DiskCondition::Full);
        let clock = conditions.clock_shows();
        assert!(clock >= Duration::from_secs(5), "it has jumped: {clock:?}");
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
    fn the_scrub_is_as_fast_as_told() {
        let rate = |more: &str| parse(&format!("{BASE} {more}")).expect(more).scrub_rate;
        assert_eq!(rate(""), 1 << 20);
        assert_eq!(rate("--scrub-rate 1000"), 1000);
        assert_eq!((rate("--scrub-rate off"), rate("--scrub-rate 0")), (0, 0));
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
        wrong("--token-file a --token-stdin", "cannot be used with");
        assert!(parse("--id one --members n1 --data d").expect_err("id").contains("a node like n1"));
    }
}
