//! The lab's own log. Nothing of it is ever printed over a dashboard: there it goes to `lab.log` of the run.
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Mutex;

use anyhow::Context;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::run::log_file::LogFile;

/// Filters the log, and that of a node: `debug`, `kvlab=trace`, ...
const LOG_VARIABLE: &str = "KVLAB_LOG";
/// The log's name in the run directory.
const LOG_FILE: &str = "lab.log";

/// Logs to standard error: for commands without a dashboard.
pub fn to_stderr() {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter(LevelFilter::WARN))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    // It can fail only if a log was started before.
    let _ = log.try_init();
}

/// Logs to a file in the run directory: while a dashboard owns the terminal.
pub fn to_file(run_dir: &Path, bytes_max: u64) -> anyhow::Result<()> {
    let path = run_dir.join(LOG_FILE);
    let file =
        LogFile::create(&path, bytes_max).with_context(|| format!("cannot create {}", path.display()))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter(LevelFilter::INFO))
        .with_writer(Mutex::new(file))
        .with_ansi(false)
        .log_internal_errors(false);
    let _ = log.try_init();
    Ok(())
}

/// What is logged: as the environment says, else from this level on.
pub fn filter(default: LevelFilter) -> EnvFilter {
    EnvFilter::builder().with_env_var(LOG_VARIABLE).with_default_directive(default.into()).from_env_lossy()
}
