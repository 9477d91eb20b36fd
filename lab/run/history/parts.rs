//! The parts of a history as one text.
#![expect(clippy::disallowed_methods, reason = "histories are files")]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, Take};
use std::path::Path;
use std::sync::Arc;

use crate::run::parts::RecordFile;

/// Bytes read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// The files of a history, read one after another: as far as they went when they were opened, so that whoever reads
/// them twice sees the same.
#[derive(Debug)]
pub(crate) struct HistoryParts {
    files: Arc<[(File, u64)]>,
    next: usize,
    current: BufReader<Take<File>>,
}

impl HistoryParts {
    /// Every part that is kept of the history of the run in this directory.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub(crate) fn of_run(run_dir: &Path) -> io::Result<Self> {
        Self::of(RecordFile::History.open(run_dir)?.into_iter().map(|part| part.file))
    }

    /// One file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn of_file(path: &Path) -> io::Result<Self> {
        Self::of([File::open(path)?])
    }

    fn of(files: impl IntoIterator<Item = File>) -> io::Result<Self> {
        let with_length = |file: File| Ok((file.metadata()?.len(), file));
        let files: io::Result<Vec<_>> = files.into_iter().map(with_length).collect();
        Self::from_start(files?.into_iter().map(|(length, file)| (file, length)).collect())
    }

    fn from_start(files: Arc<[(File, u64)]>) -> io::Result<Self> {
        let current = reader(files.first().ok_or(io::ErrorKind::NotFound)?)?;
        Ok(Self { files, next: 1, current })
    }

    /// The same from its beginning. Both cannot be read at once.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn again(&self) -> io::Result<Self> {
        Self::from_start(Arc::clone(&self.files))
    }

    /// How many bytes there are.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes).sum()
    }
}

fn reader((file, bytes): &(File, u64)) -> io::Result<BufReader<Take<File>>> {
    let mut file = file.try_clone()?;
    file.rewind()?;
    Ok(BufReader::with_capacity(BUFFER_BYTES, file.take(*bytes)))
}

impl Read for HistoryParts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut ready = self.fill_buf()?;
        let read = ready.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for HistoryParts {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.fill_buf()?.is_empty() {
            let Some(next) = self.files.get(self.next) else { break };
            self.current = reader(next)?;
            self.next += 1;
        }
        self.current.fill_buf()
    }

    fn consume(&mut self, taken: usize) {
        self.current.consume(taken);
    }
}
