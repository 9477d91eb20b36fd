//! What can be typed, done: one file per subcommand says what was asked for and what is printed. [`support`] is what they
//! share.

mod check;
mod cleanup;
mod export;
mod follow;
mod kv;
mod node;
mod pages;
mod promote;
mod record;
mod report;
mod run;
mod runs;
mod scenarios;
mod shrink;
mod sim;
mod status;
mod support;
mod topology;
mod up;

use std::io::IsTerminal as _;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::Command;
use crate::commands::support::exit::{CommandError, Exit};

/// Threads of the lab beside the main one: links, workload and watches share them.
const WORKER_THREADS: usize = 2;
/// What is still at work when a command has ended gets this long.
const LAST_WORK_WITHIN: Duration = Duration::from_millis(200);

/// Says what is wrong with what was typed, or the help that was asked for.
pub fn say(what: &clap::Error) -> ExitCode {
    if what.use_stderr() || std::io::stdout().is_terminal() {
        // Nobody can be told if it cannot be told.
        let _ = what.print();
        return ExitCode::from(u8::try_from(what.exit_code()).unwrap_or(2));
    }
    ended(support::output::print(what.render().to_string()).map(|()| Exit::Done))
}

/// Does what was asked for, and says how it ended.
pub fn dispatch(command: Command) -> ExitCode {
    ended(match command {
        // A node is a program of its own: it has its own runtime and its own log.
        Command::Node(args) => return node::run(*args),
        Command::Scenarios(args) => scenarios::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Picture(args) => record::gone(&args),
        Command::Report(args) => report::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Shrink(args) => shrink::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Up(args) => on_runtime(up::run(args)),
        Command::Run(args) => on_runtime(run::run(args)),
        Command::Sim(args) => on_runtime(sim::run(args)),
        Command::Put(args) => on_runtime(kv::put(args)),
        Command::Get(args) => on_runtime(kv::get(args)),
        Command::Del(args) => on_runtime(kv::del(args)),
        Command::Status(args) => on_runtime(status::run(args)),
        Command::Topology(args) => on_runtime(topology::run(args)),
        Command::Promote(args) => on_runtime(promote::run(args)),
        Command::Follow(args) => on_runtime(follow::run(args)),
        Command::Cleanup(args) => on_runtime(cleanup::run(args)),
        Command::Runs(args) => runs::run(&args),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
    })
}

fn ended(ended: Result<Exit, CommandError>) -> ExitCode {
    match ended {
        Ok(exit) => exit.code(),
        Err(error) if error.exit == Exit::Unread => error.exit.code(),
        Err(error) => {
            support::output::tell(format_args!("error: {error}"));
            error.exit.code()
        }
    }
}

fn on_runtime(command: impl Future<Output = Result<Exit, CommandError>>) -> Result<Exit, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("lab")
        .enable_all()
        .build()
        .map_err(|e| Exit::Usage.because(format!("cannot start the asynchronous runtime: {e}")))?;
    // One instance of the runtime's code for all commands.
    let command: Pin<Box<dyn Future<Output = _>>> = Box::pin(command);
    let ended = runtime.block_on(command);
    runtime.shutdown_timeout(LAST_WORK_WITHIN);
    ended
}
