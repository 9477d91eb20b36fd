//! Logs that are bounded: `n1.log` is what was written last, `n1.1.log` what was written before.
#![expect(clippy::disallowed_methods, reason = "logs are files")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A longer line is cut where the older half begins.
const LINE_BYTES_MAX: u64 = 4 << 10;

/// A log that this process writes: when it has grown to half of its bound, what is there becomes the older half.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
    half: u64,
}

impl LogFile {
    /// Creates the log, or empties the one that is there.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(crate) fn create(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self { path: path.to_owned(), file, written: 0, half: bytes_max / 2 })
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written > 0 && self.written.saturating_add(bytes.len() as u64) > self.half {
            fs::rename(&self.path, older(&self.path))?;
            self.file = File::create(&self.path)?;
            self.written = 0;
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The name of the older half of a log.
pub(crate) fn older(log: &Path) -> PathBuf {
    log.with_extension("1.log")
}

/// Halves a log that another process writes, at the end of the file wherever that is: what is there becomes the older
/// half once it has grown to half of the bound. What is written in between may be lost.
///
/// # Errors
/// If files cannot be written.
pub(crate) fn halve(log: &Path, bytes_max: u64) -> io::Result<()> {
    match fs::metadata(log) {
        Ok(about) if about.len() > bytes_max / 2 => {}
        _ => return Ok(()),
    }
    // The other process has the file open: it can be copied and emptied, not exchanged.
    let mut from = BufReader::new(File::open(log)?);
    let skipped = from.get_ref().metadata()?.len().saturating_sub(bytes_max / 2);
    if skipped > 0 {
        // On to the next whole line, if there is one.
        from.seek(SeekFrom::Start(skipped - 1))?;
        from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut Vec::new())?;
    }
    io::copy(&mut from, &mut File::create(older(log))?)?;
    OpenOptions::new().write(true).open(log)?.set_len(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(path: &Path) -> u64 {
        fs::metadata(path).map_or(0, |about| about.len())
    }

    #[test]
    fn a_log_of_ours_stays_within_its_bound_and_keeps_the_last_lines() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lab.log");
        let mut log = LogFile::create(&path, 1000).expect("created");
        for n in 0..500 {
            writeln!(log, "line {n}").expect("written");
            assert!(size(&path) + size(&older(&path)) <= 1000);
        }
        let all = fs::read_to_string(older(&path)).expect("read") + &fs::read_to_string(&path).expect("read");
        let lines: Vec<&str> = all.lines().collect();
        assert_eq!(lines.last(), Some(&"line 499"));
        assert!(lines.len() > 45 && lines.windows(2).all(|two| two[0] < two[1]), "{lines:?}");
        assert_eq!(older(&path).file_name().and_then(|name| name.to_str()), Some("lab.1.log"));
    }

    #[test]
    fn the_log_of_another_process_is_halved_while_it_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("n1.log");
        let mut log = OpenOptions::new().create(true).append(true).open(&path).expect("opened");
        let mut most = 0;
        for n in 0..500 {
            writeln!(log, "line {n}").expect("written");
            halve(&path, 1000).expect("halved");
            most = most.max(size(&path) + size(&older(&path)));
        }
        assert!((900..=1020).contains(&most), "{most}");
        let all = fs::read_to_string(older(&path)).expect("read") + &fs::read_to_string(&path).expect("read");
        assert!(all.ends_with("line 499\n") && all.starts_with("line "), "{all}");
        halve(&dir.path().join("n2.log"), 1000).expect("there is none");
        // What has grown far beyond the bound is cut as well.
        fs::write(&path, "x".repeat(4900) + "\n" + &"y".repeat(99)).expect("written");
        halve(&path, 1000).expect("halved");
        assert_eq!((size(&path), size(&older(&path))), (0, 99));
    }
}
