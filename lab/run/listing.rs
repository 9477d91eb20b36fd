//! The runs as a list: how old and how large each is, what came of it, and which of them may go.
#![expect(clippy::disallowed_methods, reason = "run directories are files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::directory::{self, Runs};
use super::event::{LabEvent, RunOutcome, ScenarioEvent, Stamped, Verdict};
use super::reader;

/// A run in the list.
#[derive(Clone, Debug)]
pub(crate) struct ListedRun {
    /// Its name among the runs.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// When it began.
    pub(crate) began: SystemTime,
    /// All its files.
    pub(crate) bytes: u64,
    /// Its lab lives.
    pub(crate) live: bool,
    /// It is never removed: somebody wants it, or has named its directory.
    pub(crate) kept: bool,
    pub(crate) ended: Ended,
}

/// What came of a run, as far as its last events tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A scenario came to its end.
    Scenario(RunOutcome),
    /// Some promise was broken.
    Broken,
    /// No promise was seen broken, and all was checked.
    Kept,
    /// No promise was seen broken, and not all was checked.
    Undecided,
    /// Its events do not tell.
    NotKnown,
}

/// Which runs may go. Each that is said holds by itself: a run goes if any of them wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cleaning {
    /// Those that began longer ago than this.
    pub(crate) older_than: Option<Duration>,
    /// All but so many of the newest.
    pub(crate) keep: Option<usize>,
    /// The oldest, until all runs together take no more than this.
    pub(crate) max_bytes: Option<u64>,
}

/// All runs, the newest first.
pub(crate) fn list(runs: &Runs) -> Vec<ListedRun> {
    let mut all: Vec<_> = runs.all().into_iter().map(|path| listed(&path)).collect();
    all.sort_by(|a, b| b.began.cmp(&a.began).then_with(|| b.name.cmp(&a.name)));
    all
}

/// Those of the runs, which are sorted, that are to go: never one whose lab lives, or that is kept.
pub(crate) fn to_remove(runs: &[ListedRun], cleaning: Cleaning, now: SystemTime) -> Vec<&ListedRun> {
    let is_old = |run: &ListedRun| {
        let age = now.duration_since(run.began).unwrap_or_default();
        cleaning.older_than.is_some_and(|older_than| age > older_than)
    };
    let mut all_bytes: u64 = runs.iter().map(|run| run.bytes).sum();
    let may_go: Vec<_> = runs.iter().filter(|run| !run.live && !run.kept).collect();
    // The oldest first, so that those go which have to for the sake of room.
    let oldest = may_go.iter().enumerate().rev();
    let mut gone: Vec<_> = oldest
        .filter(|(newer, run)| {
            let goes = is_old(run)
                || cleaning.keep.is_some_and(|keep| *newer >= keep)
                || cleaning.max_bytes.is_some_and(|max| all_bytes > max);
            all_bytes -= if goes { run.bytes } else { 0 };
            goes
        })
        .map(|(_, run)| *run)
        .collect();
    gone.reverse();
    gone
}

fn listed(path: &Path) -> ListedRun {
    ListedRun {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        path: path.to_owned(),
        began: directory::began(path).unwrap_or(SystemTime::UNIX_EPOCH),
        bytes: bytes_in(path),
        live: directory::is_live(path),
        kept: directory::is_kept(path),
        ended: ended(&reader::last_events(path).unwrap_or_default()),
    }
}

/// All files in a directory, those in directories in it as well. What goes meanwhile is not counted.
fn bytes_in(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let bytes = entries.filter_map(|entry| {
        let about = fs::symlink_metadata(entry.path()).ok()?;
        Some(if about.is_dir() { bytes_in(&entry.path()) } else { about.len() })
    });
    bytes.sum()
}

/// By the last of the events.
fn ended(events: &[Stamped]) -> Ended {
    let finished = events.iter().rev().find_map(|stamped| match &stamped.event {
        LabEvent::Scenario(ScenarioEvent::Finished { outcome, .. }) => Some(Ended::Scenario(*outcome)),
        _ => None,
    });
    let said = events.iter().rev().find_map(|stamped| match &stamped.event {
        LabEvent::Verdict(verdict) => Some(by_verdict(verdict)),
        _ => None,
    });
    finished.or(said).unwrap_or(Ended::NotKnown)
}

fn by_verdict(Verdict { promise, .. }: &Verdict) -> Ended {
    let broken = promise.linearizable == Some(false)
        || promise.quorum_writes_lost.is_some_and(|lost| lost > 0)
        || promise.members_equal == Some(false)
        || promise.violations_total > 0;
    let checked = promise.linearizable.is_some()
        && promise.quorum_writes_lost.is_some()
        && promise.members_equal.is_some();
    match (broken, checked) {
        (true, _) => Ended::Broken,
        (false, true) => Ended::Kept,
        (false, false) => Ended::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, hours_ago: u64, bytes: u64) -> ListedRun {
        ListedRun {
            name: name.to_owned(),
            path: name.into(),
            began: at(1000 - hours_ago),
            bytes,
            live: false,
            kept: false,
            ended: Ended::NotKnown,
        }
    }

    fn at(hour: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(hour * 3600)
    }

    #[test]
    fn runs_go_by_age_by_count_and_by_size_and_never_one_that_lives_or_is_kept() {
        let runs = [
            run("new", 1, 10),
            ListedRun { live: true, ..run("live", 50, 10) },
            run("old", 60, 30),
            ListedRun { kept: true, ..run("kept", 70, 500) },
            run("oldest", 80, 20),
        ];
        let gone = |cleaning| -> Vec<String> {
            to_remove(&runs, cleaning, at(1000)).into_iter().map(|run| run.name.clone()).collect()
        };
        let none = Cleaning::default();
        assert_eq!(gone(none), [""; 0]);
        let hours = |hours: u64| Cleaning { older_than: Some(Duration::from_secs(hours * 3600)), ..none };
        assert_eq!(gone(hours(60)), ["oldest"]);
        assert_eq!(gone(hours(0)), ["new", "old", "oldest"]);
        assert_eq!(gone(Cleaning { keep: Some(1), ..none }), ["old", "oldest"]);
        assert_eq!(gone(Cleaning { keep: Some(9), ..none }), [""; 0]);
        assert_eq!(gone(Cleaning { max_bytes: Some(550), ..none }), ["oldest"]);
        assert_eq!(gone(Cleaning { max_bytes: Some(549), ..none }), ["old", "oldest"]);
        assert_eq!(gone(Cleaning { max_bytes: Some(0), ..none }), ["new", "old", "oldest"]);
        let both = Cleaning { keep: Some(2), max_bytes: Some(570), ..none };
        assert_eq!(gone(both), ["oldest"], "what goes anyhow makes room");
    }

    #[test]
    fn the_last_verdict_is_a_word() {
        let mut verdict = Verdict::default();
        assert_eq!(by_verdict(&verdict), Ended::Undecided);
        (verdict.promise.linearizable, verdict.promise.quorum_writes_lost) = (Some(true), Some(0));
        assert_eq!(by_verdict(&verdict), Ended::Undecided, "they were not compared");
        verdict.promise.members_equal = Some(true);
        assert_eq!(by_verdict(&verdict), Ended::Kept);
        verdict.promise.quorum_writes_lost = Some(1);
        assert_eq!(by_verdict(&verdict), Ended::Broken);
        assert_eq!(ended(&[]), Ended::NotKnown);
    }
}
