//! One file per subcommand, and what they share: how a run is started ([`start`]), how a live cluster is reached
//! ([`reach`]), how a command ends ([`exit`]).

mod check;
mod cleanup;
mod export;
mod follow;
mod kv;
mod node;
mod picture;
mod promote;
mod report;
mod run;
mod scenarios;
mod shrink;
mod sim;
mod status;
mod support;
mod topology;
mod up;

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::Command;
use crate::commands::support::exit::{Ended, Exit};

/// Threads of the lab beside the main one: links, workload and watches share them.
const WORKER_THREADS: usize = 2;
/// What is still at work when a command has ended gets this long.
const LAST_WORK_WITHIN: Duration = Duration::from_millis(200);

/// Does what was asked for, and says how it ended.
pub fn dispatch(command: Command) -> ExitCode {
    let ended = match command {
        // A node is a program of its own: it has its own runtime and its own log.
        Command::Node(args) => return node::run(*args),
        Command::Scenarios(args) => scenarios::run(&args),
        Command::Picture(args) => picture::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Shrink(args) => shrink::run(&args),
        Command::Export(args) => export::run(&args),
        command => with_runtime(command),
    };
    match ended {
        Ok(exit) => exit.code(),
        Err(ended) => {
            support::output::tell(format_args!("error: {ended}"));
            ended.exit.code()
        }
    }
}

fn with_runtime(command: Command) -> Result<Exit, Ended> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("lab")
        .enable_all()
        .build()
        .map_err(|e| Exit::Usage.because(format!("cannot start the asynchronous runtime: {e}")))?;
    let ended = runtime.block_on(async {
        match command {
            Command::Up(args) => up::run(args).await,
            Command::Run(args) => run::run(args).await,
            Command::Sim(args) => sim::run(args).await,
            Command::Put(args) => kv::put(args).await,
            Command::Get(args) => kv::get(args).await,
            Command::Del(args) => kv::del(args).await,
            Command::Status(args) => status::run(args).await,
            Command::Topology(args) => topology::run(args).await,
            Command::Promote(args) => promote::run(args).await,
            Command::Follow(args) => follow::run(args).await,
            Command::Cleanup(args) => cleanup::run(args).await,
            Command::Node(_)
            | Command::Scenarios(_)
            | Command::Picture(_)
            | Command::Report(_)
            | Command::Check(_)
            | Command::Shrink(_)
            | Command::Export(_) => {
                unreachable!("they need no runtime")
            }
        }
    });
    runtime.shutdown_timeout(LAST_WORK_WITHIN);
    ended
}
