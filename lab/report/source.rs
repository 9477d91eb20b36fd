//! Reads a run directory and writes its report. The file appears only when it is complete.
#![expect(clippy::disallowed_methods, reason = "reads a run's records and writes the report")]

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kvlab::judge::JudgeOptions;

use super::{HistoryJudge, Records, html};
use crate::run::history::{HISTORY_FILE, HistoryReader, Unreadable};
use crate::run::journal::EVENTS_FILE;
use crate::run::output_file::OutputFile;
use crate::run::reader;

/// The report's name in the run directory.
pub const REPORT_FILE: &str = "report.html";
/// Of a history up to this size, some two hours of usual load, the judge remembers every value; of a longer one as much
/// as a live run's judge does, or a report would take all memory there is.
const REMEMBERED_BYTES_MAX: u64 = 400 << 20;
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
    let mut file = OutputFile::at(&out)?;
    file.write(&html)?;
    file.finish()?;
    Ok(out)
}

/// Reads the records of a run: all of it, or as much as a lab that was killed has left.
///
/// # Errors
/// If there are no events of a run.
pub fn read(run_dir: &Path, so_far: bool) -> anyhow::Result<Records> {
    let mut records = Records { so_far, ..Records::default() };
    reader::each_event(&run_dir.join(EVENTS_FILE), |event| records.observe(event))
        .with_context(|| format!("{} is no run directory", run_dir.display()))?;
    let path = run_dir.join(HISTORY_FILE);
    let long = fs::metadata(&path).is_ok_and(|about| about.len() > REMEMBERED_BYTES_MAX);
    let mut judge = if long { HistoryJudge::new(JudgeOptions::default()) } else { HistoryJudge::default() };
    if let Err(why) = read_history(&path, &mut judge) {
        judge.refuse(format!("the history could not be read to its end: {why}"));
    }
    records.history = judge.finish();
    records.scenario = match fs::read_to_string(run_dir.join(SCENARIO_FILE)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(format!("# it cannot be read: {error}")),
    };
    Ok(records)
}

/// Shows the judge a history, or as much of it as can be read. A last line that is cut is passed over. Says why it did
/// not go on without the directory: whoever reads the page elsewhere has no use for where the run lay.
fn read_history(path: &Path, judge: &mut HistoryJudge) -> Result<(), String> {
    let file = File::open(path).map_err(|error| format!("cannot read {HISTORY_FILE}: {error}"))?;
    let mut events = HistoryReader::new(BufReader::new(file));
    loop {
        match events.next() {
            Ok(Some(event)) => judge.observe(&event),
            Ok(None) | Err(Unreadable::Cut(_)) => return Ok(()),
            Err(Unreadable::Line(error)) => {
                return Err(format!(
                    "{HISTORY_FILE}:{}: not an event of a history: {}",
                    error.line, error.found
                ));
            }
            Err(Unreadable::Io { error, .. }) => return Err(format!("cannot read {HISTORY_FILE}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::report::tests::fixture;
    use crate::run::event::{LabEvent, ScenarioEvent, Stamped};
    use crate::screen::tests::fixture::{Player, split_brain};

    fn lines<T: serde::Serialize>(objects: &[T]) -> String {
        objects.iter().fold(String::new(), |mut text, object| {
            let _ = writeln!(text, "{}", serde_json::to_string(object).expect("JSON"));
            text
        })
    }

    fn run(events: &str, history: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join(EVENTS_FILE), events).expect("written");
        if let Some(history) = history {
            fs::write(dir.path().join(HISTORY_FILE), history).expect("written");
        }
        dir
    }

    fn events() -> Vec<Stamped> {
        split_brain(Player::Scenario)
    }

    #[test]
    fn a_lab_that_was_killed_leaves_lines_without_their_end() {
        let mut history = fixture::History::default();
        history.put(1, "q0", "a", kvlab::judge::Phase::Ok).get(2, "q0", Some("a"));
        let cut = |text: &str| text[..text.len() - 9].to_owned();
        let mut events = events();
        let finished = |s: &Stamped| matches!(s.event, LabEvent::Scenario(ScenarioEvent::Finished { .. }));
        events.truncate(events.iter().position(finished).expect("it comes to its end") + 1);
        let dir = run(&cut(&lines(&events)), Some(&cut(&lines(&history.events()))));
        let report = write(dir.path(), false, None).expect("a report");
        let html = fs::read_to_string(&report).expect("it is there");
        assert_eq!(report, dir.path().join(REPORT_FILE));
        assert!(html.contains("INTERRUPTED"), "the cut line said how it ended");
        let read = read(dir.path(), false).expect("records");
        assert_eq!((read.history.operations.total, read.history.refused.as_deref()), (2, None));
        let names: Vec<_> =
            fs::read_dir(dir.path()).expect("a directory").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names.len(), 3, "nothing half-made is left: {names:?}");
    }

    #[test]
    fn a_history_that_cannot_be_read_is_judged_up_to_there() {
        let mut history = fixture::History::default();
        history.put(1, "q0", "a", kvlab::judge::Phase::Ok);
        let dir = run(&lines(&events()), Some(&(lines(&history.events()) + "{\"i\":\nmore\n")));
        let records = read(dir.path(), false).expect("records");
        let why = records.history.refused.clone().expect("a reason");
        assert!(why.contains("its end: history.jsonl:3: not an event of a history"), "{why}");
        assert_eq!(records.history.operations.total, 1);
        let gone = read(run(&lines(&events()), None).path(), false).expect("records");
        assert!(gone.history.refused.is_some_and(|why| why.contains("history.jsonl")));
    }

    #[test]
    fn what_is_no_run_directory_is_refused() {
        let dir = run("", None);
        let error = format!("{:#}", write(dir.path(), false, None).expect_err("no events"));
        assert!(error.contains("is no run directory") && error.contains("header"), "{error}");
        let nowhere = Path::new("/nonexistent/report.html");
        let dir = run(&lines(&events()), None);
        let error = format!("{:#}", write(dir.path(), false, Some(nowhere)).expect_err("no place"));
        assert!(error.starts_with("cannot write /nonexistent/report.html"), "{error}");
    }
}
