//! Records in parts: a file that has grown is closed under a number, and the record goes on in a new one.
//!
//! ```text
//! events.000004.jsonl    the oldest part that is kept
//! events.000005.jsonl
//! events.jsonl           the newest part, which is being written
//! ```
//!
//! Numbers begin at 1 and are never used again, so a reader sees by the first of them how much is gone. A record
//! without a bound has one part and no number.
#![expect(clippy::disallowed_methods, reason = "records are files")]

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A bounded record has so many parts: the newest and the closed ones before it. When one is closed the oldest goes, so
/// at least three quarters of the bound are there once it is reached.
const PARTS: u64 = 8;
/// How often parts are listed anew because one was closed meanwhile.
const LISTINGS_MAX: usize = 16;

/// A record of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordFile {
    /// Everything that happened.
    Events,
    /// What clients asked and were told.
    History,
}

/// A part that has been opened for reading.
#[derive(Debug)]
pub(crate) struct Part {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
}

/// Writes a record, part by part.
#[derive(Debug)]
pub(crate) struct PartWriter {
    dir: PathBuf,
    record: RecordFile,
    out: BufWriter<File>,
    number: u64,
    written: u64,
    /// How much of that stands at its beginning, before what is recorded.
    beginning: u64,
    /// Of one part; `None`: the first part is the only one.
    part_bytes: Option<u64>,
}

impl RecordFile {
    /// The name of its newest part.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Events => "events.jsonl",
            Self::History => "history.jsonl",
        }
    }

    fn closed_name(self, number: u64) -> String {
        let stem = self.name().trim_end_matches(".jsonl");
        format!("{stem}.{number:06}.jsonl")
    }

    /// The number in the name of a closed part.
    fn number_of(self, name: &str) -> Option<u64> {
        let number = name.strip_prefix(self.name().trim_end_matches("jsonl"))?.strip_suffix(".jsonl")?;
        number.parse().ok().filter(|&number| self.closed_name(number) == name)
    }

    /// The numbers of the closed parts in `dir`, ascending.
    fn closed(self, dir: &Path) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(dir)? {
            numbers.extend(self.number_of(&entry?.file_name().to_string_lossy()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Opens every part that is kept, the oldest first. A part that is closed or removed meanwhile is no hole: the parts
    /// follow each other without a gap.
    ///
    /// # Errors
    /// If there is none, or one cannot be read.
    pub(crate) fn open(self, dir: &Path) -> io::Result<Vec<Part>> {
        for _ in 0..LISTINGS_MAX {
            let closed = self.closed(dir)?;
            let path = dir.join(self.name());
            let newest = match File::open(&path) {
                Ok(file) => Some(file),
                // A lab that was killed just then has closed a part and not begun the next.
                Err(error) if error.kind() == ErrorKind::NotFound && !closed.is_empty() => None,
                Err(error) => return Err(error),
            };
            if self.closed(dir)?.last() != closed.last() {
                continue;
            }
            let mut parts = Vec::with_capacity(closed.len() + 1);
            for &number in &closed {
                let path = dir.join(self.closed_name(number));
                match File::open(&path) {
                    Ok(file) => parts.push(Part { number, path, file }),
                    // The oldest ones go while we look.
                    Err(error) if error.kind() == ErrorKind::NotFound => parts.clear(),
                    Err(error) => return Err(error),
                }
            }
            let number = closed.last().map_or(1, |last| last + 1);
            parts.extend(newest.map(|file| Part { number, path, file }));
            // What stands before a gap belongs to no record that ends now.
            let after_gap = parts.windows(2).rposition(|two| two[0].number + 1 != two[1].number);
            return Ok(parts.split_off(after_gap.map_or(0, |at| at + 1)));
        }
        Err(io::Error::other("its parts change too fast to be read"))
    }

    /// Whether there is such a record in `dir`.
    pub(crate) fn is_in(self, dir: &Path) -> bool {
        dir.join(self.name()).is_file() || self.closed(dir).is_ok_and(|closed| !closed.is_empty())
    }
}

impl PartWriter {
    /// Creates the first part in `dir`. `bytes_max`: of all parts together; each holds an eighth, or one line that is
    /// longer than that.
    ///
    /// # Errors
    /// If it exists already or cannot be created.
    pub(crate) fn create(dir: &Path, record: RecordFile, bytes_max: Option<u64>) -> anyhow::Result<Self> {
        let path = dir.join(record.name());
        let file = File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let (dir, out, part_bytes) =
            (dir.to_owned(), BufWriter::new(file), bytes_max.map(|bytes| bytes / PARTS));
        Ok(Self { dir, record, out, number: 1, written: 0, beginning: 0, part_bytes })
    }

    /// How many bytes a part may have; `None`: as many as there are.
    pub(crate) fn part_bytes(&self) -> Option<u64> {
        self.part_bytes
    }

    /// Whether this part has room for so many bytes more. One with a large beginning holds as much again, or there would
    /// be nothing but beginnings.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let room = |part: u64| part.max(self.beginning.saturating_mul(2));
        self.part_bytes.is_none_or(|part| self.written.saturating_add(bytes as u64) <= room(part))
    }

    /// What was written so far is the beginning of this part.
    pub(crate) fn begin(&mut self) {
        self.beginning = self.written;
    }

    /// Closes this part and begins the next; the oldest goes if there are too many.
    ///
    /// # Errors
    /// If files cannot be written, named or removed.
    pub(crate) fn next_part(&mut self) -> io::Result<()> {
        self.out.flush()?;
        let newest = self.dir.join(self.record.name());
        if let Some(oldest) = (self.number + 1).checked_sub(PARTS).filter(|&number| number > 0) {
            match fs::remove_file(self.dir.join(self.record.closed_name(oldest))) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&newest, self.dir.join(self.record.closed_name(self.number)))?;
        self.out = BufWriter::new(File::create_new(&newest)?);
        (self.number, self.written, self.beginning) = (self.number + 1, 0, 0);
        Ok(())
    }

    /// Adds to this part, whether there is room or not.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written = self.written.saturating_add(bytes.len() as u64);
        self.out.write_all(bytes)
    }

    /// What was written so far is in the hands of the operating system when this returns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn text(part: &mut Part) -> String {
        let mut text = String::new();
        part.file.read_to_string(&mut text).expect("read");
        text
    }

    #[test]
    fn the_oldest_parts_go_and_the_bound_holds() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = PartWriter::create(dir.path(), RecordFile::History, Some(800)).expect("created");
        let mut most = 0;
        for n in 0..1000 {
            let line = format!("{n:09}\n");
            if !writer.has_room(line.len()) {
                writer.next_part().expect("the next part");
            }
            writer.write(line.as_bytes()).expect("written");
            writer.flush().expect("flushed");
            let bytes = |entry: fs::DirEntry| entry.metadata().expect("a file").len();
            most = most.max(fs::read_dir(dir.path()).expect("files").flatten().map(bytes).sum::<u64>());
        }
        assert!((700..=800).contains(&most), "{most}");
        let mut parts = RecordFile::History.open(dir.path()).expect("parts");
        assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), (93..=100).collect::<Vec<_>>());
        let all: String = parts.iter_mut().map(text).collect();
        let numbers: Vec<u64> = all.lines().map(|line| line.parse().expect("a number")).collect();
        assert_eq!(numbers, (920..1000).collect::<Vec<_>>(), "nothing is missing from there on");
    }

    #[test]
    fn without_a_bound_there_is_one_part() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = PartWriter::create(dir.path(), RecordFile::Events, None).expect("created");
        assert!(writer.has_room(usize::MAX));
        writer.write(b"x\n").expect("written");
        writer.flush().expect("flushed");
        let parts = RecordFile::Events.open(dir.path()).expect("parts");
        assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), [1]);
        let error = PartWriter::create(dir.path(), RecordFile::Events, None).expect_err("it is there");
        assert!(error.to_string().contains("events.jsonl"), "{error}");
        assert!(RecordFile::Events.is_in(dir.path()) && !RecordFile::History.is_in(dir.path()));
        assert!(RecordFile::History.open(dir.path()).is_err());
    }

    #[test]
    fn what_a_killed_lab_left_between_two_parts_is_read_and_what_stands_before_a_gap_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let numbers = || -> Vec<u64> {
            let parts = RecordFile::Events.open(dir.path()).expect("parts");
            parts.iter().map(|part| part.number).collect()
        };
        for number in [3, 4] {
            fs::write(dir.path().join(RecordFile::Events.closed_name(number)), "").expect("written");
        }
        for name in ["events.5.jsonl", "events.x.jsonl", "events.000009.json"] {
            fs::write(dir.path().join(name), "").expect("written");
        }
        assert_eq!(numbers(), [3, 4]);
        fs::write(dir.path().join("events.jsonl"), "").expect("written");
        assert_eq!(numbers(), [3, 4, 5]);
        fs::write(dir.path().join(RecordFile::Events.closed_name(1)), "").expect("written");
        assert_eq!(numbers(), [3, 4, 5]);
    }
}
