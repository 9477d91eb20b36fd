//! `kvlab report`: makes the report of a run again.

use super::support::exit::{CommandError, Exit};
use super::support::output;
use crate::cli::ReportArgs;
use crate::report::source;
use crate::run::directory;

pub fn run(args: &ReportArgs) -> Result<Exit, CommandError> {
    let run = directory::find(args.run.as_deref())?;
    let so_far = directory::is_live(&run);
    let report = source::write(&run, so_far, args.out.as_deref())?;
    let remark = if so_far { " (so far: the run goes on)" } else { "" };
    output::print(format!("report: {}{remark}\n", report.display()))?;
    Ok(Exit::Done)
}
