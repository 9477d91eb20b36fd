//! An output file that appears whole or not at all.
#![expect(clippy::disallowed_methods, reason = "what is written out is a file")]

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A file that is in its place only once all of it is written; or standard output. Bytes are written to it as well.
pub(crate) struct OutputFile {
    out: BufWriter<Box<dyn Write + Send>>,
    /// What it is called in messages.
    name: String,
    /// Where it is written, and where it belongs. `None`: it is written in place.
    moves: Option<(PathBuf, PathBuf)>,
}

/// Whoever read the output has had enough of it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("nobody reads the output")]
pub(crate) struct ReaderGone;

impl OutputFile {
    /// To this file; to standard output if none is named, or `-`.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(crate) fn create(out: Option<&Path>) -> anyhow::Result<Self> {
        match out.filter(|path| *path != Path::new("-")) {
            Some(path) => Self::at(path),
            None => Ok(Self {
                out: BufWriter::new(Box::new(io::stdout())),
                name: "the output".to_owned(),
                moves: None,
            }),
        }
    }

    /// To this file, whatever its name.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(crate) fn at(path: &Path) -> anyhow::Result<Self> {
        // What is no plain file, as /dev/null, is written in place.
        let in_place = std::fs::metadata(path).is_ok_and(|about| !about.is_file());
        let mut fresh = path.file_name().unwrap_or_default().to_owned();
        fresh.push(format!(".{}", std::process::id()));
        let moves = (!in_place).then(|| (path.with_file_name(fresh), path.to_owned()));
        let (name, written) = (path.display().to_string(), moves.as_ref().map_or(path, |(fresh, _)| fresh));
        let file = File::create(written).with_context(|| format!("cannot write {name}"))?;
        Ok(Self { out: BufWriter::new(Box::new(file)), name, moves })
    }

    /// Writes more.
    ///
    /// # Errors
    /// If it cannot be written: [`ReaderGone`] if nobody reads it any more.
    pub(crate) fn write(&mut self, text: &str) -> anyhow::Result<()> {
        let written = self.out.write_all(text.as_bytes());
        self.or_gone(written)
    }

    /// It is complete.
    ///
    /// # Errors
    /// If it cannot be put in its place.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        let flushed = self.out.flush();
        self.or_gone(flushed)?;
        if let Some((fresh, path)) = &self.moves {
            self.or_gone(std::fs::rename(fresh, path))?;
        }
        self.moves = None;
        Ok(())
    }

    fn or_gone(&self, written: io::Result<()>) -> anyhow::Result<()> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
            written => written.with_context(|| format!("cannot write {}", self.name)),
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some((fresh, _)) = &self.moves {
            let _ = std::fs::remove_file(fresh);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_finished_leaves_what_was_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("out.edn");
        let written = |text: &str, finish: bool| {
            let mut file = OutputFile::create(Some(&path)).expect("created");
            file.write(text).expect("written");
            if finish {
                file.finish().expect("finished");
            }
        };
        written("one", false);
        assert!(!path.exists());
        written("two", true);
        written("three", false);
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "two");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
