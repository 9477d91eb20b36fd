//! `kvlab report`, and the report with which every run ends.
#![expect(clippy::disallowed_methods, reason = "the report is written on a thread of its own")]

use std::path::{Path, PathBuf};

use super::support::exit::{Ended, Exit};
use super::support::output;
use super::support::signals::Signals;
use crate::cli::ReportArgs;
use crate::report::source;
use crate::run::directory;

pub fn run(args: &ReportArgs) -> Result<Exit, Ended> {
    let run = directory::find(args.run.as_deref())?;
    let so_far = directory::is_live(&run);
    let report = source::write(&run, so_far, args.out.as_deref())?;
    let remark = if so_far { " (so far: the run goes on)" } else { "" };
    output::print(format!("report: {}{remark}\n", report.display()));
    Ok(Exit::Done)
}

/// Leaves the report of a run that has just ended in its directory; returns where. What cannot be written is a warning
/// and no failure of the run; a signal does not wait for it.
pub async fn leave(run_dir: &Path, signals: &mut Signals) -> Option<PathBuf> {
    let run_dir = run_dir.to_owned();
    let writing = tokio::task::spawn_blocking(move || source::write(&run_dir, false, None));
    let written = tokio::select! {
        written = writing => written.map_err(anyhow::Error::from).flatten(),
        signal = signals.next() => {
            output::tell(format_args!("{signal}: no report is written; `kvlab report` makes it"));
            return None;
        }
    };
    written.inspect_err(|error| output::tell(format_args!("warning: there is no report: {error:#}"))).ok()
}
