//! Output that appears whole or not at all.
#![expect(clippy::disallowed_methods, reason = "what is written out is a file")]

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A file that is in its place only once all of it is written; or standard output.
#[derive(Debug)]
pub(crate) struct Whole {
    out: BufWriter<Out>,
    /// Where it is written, and where it belongs.
    file: Option<(PathBuf, PathBuf)>,
}

#[derive(Debug)]
enum Out {
    Stdout(io::Stdout),
    File(File),
}

impl Whole {
    /// To this file; to standard output if none is named, or `-`.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(crate) fn create(out: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = out.filter(|path| *path != Path::new("-")) else {
            return Ok(Self { out: BufWriter::new(Out::Stdout(io::stdout())), file: None });
        };
        Self::at(path)
    }

    /// To this file, whatever its name.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(crate) fn at(path: &Path) -> anyhow::Result<Self> {
        // What is no plain file, as /dev/null, is written in place.
        if std::fs::metadata(path).is_ok_and(|about| !about.is_file()) {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            return Ok(Self { out: BufWriter::new(Out::File(file)), file: None });
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", std::process::id()));
        let fresh = path.with_file_name(name);
        let file = File::create(&fresh).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { out: BufWriter::new(Out::File(file)), file: Some((fresh, path.to_owned())) })
    }

    /// Writes more.
    ///
    /// # Errors
    /// If it cannot be written. A reader of standard output that has gone away is no error.
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
        if let Some((fresh, path)) = self.file.take() {
            std::fs::rename(&fresh, &path).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    fn or_gone(&self, written: io::Result<()>) -> anyhow::Result<()> {
        match (written, &self.file) {
            (Err(error), None) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            (written, file) => written.with_context(|| match file {
                Some((_, path)) => format!("cannot write {}", path.display()),
                None => "cannot write the output".to_owned(),
            }),
        }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some((fresh, _)) = &self.file {
            let _ = std::fs::remove_file(fresh);
        }
    }
}

impl io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(file) => file.flush(),
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
            let mut whole = Whole::create(Some(&path)).expect("created");
            whole.write(text).expect("written");
            if finish {
                whole.finish().expect("finished");
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
