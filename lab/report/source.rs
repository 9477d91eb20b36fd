//! Reads a run directory and writes its report. The file appears only when it is complete.
#![expect(clippy::disallowed_methods, reason = "reads a run's records and writes the report")]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kvlab::judge::JudgeOptions;

use super::records::JudgedHistory;
use super::{HistoryJudge, Records, html};
use crate::run::history::{HistoryParts, HistoryReader, Kept, Unreadable};
use crate::run::output_file::OutputFile;
use crate::run::reader::EventReader;

/// What the history is called in messages.
const HISTORY: &str = "history.jsonl";
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
    let is_none = || format!("{} is no run directory", run_dir.display());
    let events = EventReader::open(run_dir).with_context(is_none)?;
    if let Some(beginning) = events.beginning() {
        records.begin_at(beginning)?;
    }
    events.each(|event| records.observe(event)).with_context(is_none)?;
    records.history = read_history(run_dir);
    records.scenario = match fs::read_to_string(run_dir.join(SCENARIO_FILE)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(format!("# it cannot be read: {error}")),
    };
    Ok(records)
}

/// The history judged, or as much of it as can be read. A last line that is cut is passed over. Says why it did not go
/// on without the directory: whoever reads the page elsewhere has no use for where the run lay.
fn read_history(run_dir: &Path) -> JudgedHistory {
    let opened = HistoryParts::of_run(run_dir).and_then(|parts| Ok((parts.again()?, parts)));
    let (first, parts) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let mut judge = HistoryJudge::default();
            judge.refuse(format!("the history could not be read to its end: cannot read {HISTORY}: {error}"));
            return judge.finish();
        }
    };
    let long = parts.bytes() > REMEMBERED_BYTES_MAX;
    let mut judge = if long { HistoryJudge::new(JudgeOptions::default()) } else { HistoryJudge::default() };
    let kept = Kept::of(first);
    if let Ok(Some(kept)) = kept.as_ref() {
        judge.begin_at(kept);
    }
    if let Err(why) = show(&parts, &mut judge) {
        judge.refuse(format!("the history could not be read to its end: {why}"));
    }
    judge.finish()
}

/// Shows the judge every event, to the end or as far as they can be read.
fn show(parts: &HistoryParts, judge: &mut HistoryJudge) -> Result<(), String> {
    let parts = parts.again().map_err(|error| format!("cannot read {HISTORY}: {error}"))?;
    let mut events = HistoryReader::new(parts);
    loop {
        match events.next() {
            Ok(Some(event)) => judge.observe(&event),
            Ok(None) | Err(Unreadable::Cut(_)) => return Ok(()),
            Err(Unreadable::Line(error)) => {
                return Err(format!("{HISTORY}:{}: not an event of a history: {}", error.line, error.found));
            }
            Err(Unreadable::Io { error, .. }) => return Err(format!("cannot read {HISTORY}: {error}")),
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
        fs::write(dir.path().join("events.jsonl"), events).expect("written");
        if let Some(history) = history {
            fs::write(dir.path().join(HISTORY), history).expect("written");
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
