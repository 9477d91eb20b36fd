//! From a run directory to its report: reading, and writing so that nobody ever finds half of one.
#![expect(clippy::disallowed_methods, reason = "reads a run's records and writes the report")]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kvlab::judge::HistoryEvent;

use super::{Judging, Records, html};
use crate::history::HISTORY_FILE;
use crate::journal::EVENTS_FILE;
use crate::records;

/// The report's name in the run directory.
pub const REPORT_FILE: &str = "report.html";
/// The scenario that was played, in the run directory.
pub const SCENARIO_FILE: &str = "scenario.toml";

/// Makes the report of a run. `so_far`: the run still goes on. Returns where it lies: `out`, or in the run directory.
///
/// # Errors
/// If there are no events of a run, or the report cannot be written. A history that is missing or cannot be read to
/// its end is none: the report says so.
pub fn write(run_dir: &Path, so_far: bool, out: Option<&Path>) -> anyhow::Result<PathBuf> {
    let records = read(run_dir, so_far)?;
    let name = run_dir.canonicalize().unwrap_or_else(|_| run_dir.to_owned());
    let name = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let html = html(&records, &name)?;
    let out = out.map_or_else(|| run_dir.join(REPORT_FILE), Path::to_owned);
    let mut fresh = out.clone().into_os_string();
    fresh.push(".new");
    let written = fs::write(&fresh, html).and_then(|()| fs::rename(&fresh, &out));
    written
        .inspect_err(|_| drop(fs::remove_file(&fresh)))
        .with_context(|| format!("cannot write {}", out.display()))?;
    Ok(out)
}

/// Reads the records of a run: all of it, or as much as a lab that was killed has left.
///
/// # Errors
/// If there are no events of a run.
pub fn read(run_dir: &Path, so_far: bool) -> anyhow::Result<Records> {
    let mut records = Records { so_far, ..Records::default() };
    records::each_event(&run_dir.join(EVENTS_FILE), |event| records.observe(event))
        .with_context(|| format!("{} is no run directory", run_dir.display()))?;
    let mut judging = Judging::default();
    let history =
        records::each(&run_dir.join(HISTORY_FILE), "an event of a history", |event: HistoryEvent| {
            judging.observe(&event);
            Ok(())
        });
    if let Err(error) = history {
        judging.refuse(format!("the history could not be read to its end: {error:#}"));
    }
    records.history = judging.finish();
    records.scenario = match fs::read_to_string(run_dir.join(SCENARIO_FILE)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(format!("# it cannot be read: {error}")),
    };
    Ok(records)
}
