//! What a run wrote, read again: files of JSON objects, a line each.
//!
//! A last line without its end, left by a lab that was killed or one that is still writing, is passed over: what
//! stands before it is whole.
#![expect(clippy::disallowed_methods, reason = "reads the files of a run")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde::de::DeserializeOwned;

use super::event::{EVENTS_VERSION, LabEvent, Stamped};

/// No line is longer: far above what an event or an operation with the longest value takes.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Hands every line's object to `take`, the first first; `what` names one in messages (`an event of a run`). Empty
/// lines are skipped.
///
/// # Errors
/// If the file cannot be read, or a line is no such object, with file, line and why; or what `take` says.
pub(crate) fn each<T: DeserializeOwned>(
    path: &Path,
    what: &str,
    mut take: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        read.with_context(|| format!("cannot read {}", path.display()))?;
        if line.is_empty() {
            break;
        }
        let whole = line.ends_with(b"\n");
        if !whole && line.len() as u64 >= LINE_BYTES_MAX {
            bail!("{}:{number}: the line is longer than {LINE_BYTES_MAX} bytes", path.display());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(object) => take(object).map_err(|error| anyhow!("{}:{number}: {error:#}", path.display()))?,
            Err(_) if !whole => break,
            Err(error) => bail!("{}:{number}: not {what}: {error}", path.display()),
        }
    }
    Ok(())
}

/// Hands every event of a run to `take`, in order; the first is the header.
///
/// # Errors
/// If the file cannot be read, a line is no event, or the file begins with no header of a version known here.
pub(crate) fn each_event(path: &Path, mut take: impl FnMut(Stamped)) -> anyhow::Result<()> {
    let mut begun = false;
    each(path, "an event of a run", |event: Stamped| {
        match &event.event {
            _ if begun => {}
            LabEvent::Header(header) if (1..=EVENTS_VERSION).contains(&header.version) => begun = true,
            LabEvent::Header(header) => bail!(
                "written by kvlab {} in format {}; this one reads formats up to {EVENTS_VERSION}",
                header.kvlab,
                header.version
            ),
            _ => bail!("not the events of a run: it does not begin with a header"),
        }
        take(event);
        Ok(())
    })?;
    if !begun {
        bail!("{}: not the events of a run: it does not begin with a header", path.display());
    }
    Ok(())
}

/// The events of a run, in order.
///
/// # Errors
/// As [`each_event`].
pub(crate) fn events(path: &Path) -> anyhow::Result<Vec<Stamped>> {
    let mut events = Vec::new();
    each_event(path, |event| events.push(event))?;
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<u64>, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("n.jsonl");
        std::fs::write(&path, text).expect("written");
        let mut numbers = Vec::new();
        let all = each(&path, "a number", |n: u64| {
            numbers.push(n);
            Ok(())
        });
        all.map(|()| numbers)
            .map_err(|error| format!("{error:#}").replace(&dir.path().display().to_string(), ""))
    }

    #[test]
    fn a_last_line_without_its_end_is_passed_over_and_any_other_is_an_error_with_its_place() {
        assert_eq!(read("1\n2\n"), Ok(vec![1, 2]));
        assert_eq!(read("1\n\n2\n{\"a"), Ok(vec![1, 2]));
        assert_eq!(read("1\n2"), Ok(vec![1, 2]), "it is whole all the same");
        assert_eq!(read(""), Ok(vec![]));
        let error = read("1\nx\n3\n").expect_err("no number");
        assert!(error.starts_with("/n.jsonl:2: not a number: expected value"), "{error}");
    }

    #[test]
    fn events_begin_with_a_header() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("events.jsonl");
        let said = |text: &str| {
            std::fs::write(&path, text).expect("written");
            format!("{:#}", events(&path).expect_err("no events of a run"))
        };
        assert!(said("").contains("does not begin with a header"));
        let notice = "{\"t_us\":1,\"event\":\"notice\",\"level\":\"info\",\"text\":\"x\"}\n";
        assert!(said(notice).contains("events.jsonl:1: not the events of a run"));
    }
}
