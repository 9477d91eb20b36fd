//! `history.jsonl`: a buffer in front, a thread behind, so that no client ever waits for the disk unless the
//! disk is far behind.
#![expect(clippy::disallowed_methods, reason = "the history is a file, written by a thread of its own")]

use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow};
use tokio::sync::oneshot;

use super::part_line::PartLine;
use crate::run::parts::{PartWriter, RecordFile};

/// A chunk is handed to the thread when it has grown to this.
const CHUNK_BYTES: usize = 32 << 10;
/// Chunks that wait for the disk. When all of them do, clients wait as well: the history has no holes.
const CHUNKS_MAX: usize = 128;

/// The writing end. Dropping it ends the thread, after everything has been written.
#[derive(Debug)]
pub(crate) struct HistoryFile {
    chunk: Vec<u8>,
    /// The number of the part that is being written, its bytes so far, and those of them at its beginning.
    part: u64,
    written: u64,
    beginning: u64,
    /// Of one part; `None`: there is one part.
    part_bytes: Option<u64>,
    /// `None` once the end has begun.
    chunks: Option<mpsc::SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Job {
    Write(Vec<u8>),
    NextPart,
    Flush(oneshot::Sender<Result<(), String>>),
}

impl HistoryFile {
    /// Creates the file in `dir`. `bytes_max`: of all its parts together.
    pub(crate) fn create(dir: &Path, bytes_max: Option<u64>) -> anyhow::Result<Self> {
        let parts = PartWriter::create(dir, RecordFile::History, bytes_max)?;
        let part_bytes = parts.part_bytes();
        let (chunks, jobs) = mpsc::sync_channel(CHUNKS_MAX);
        let name = dir.join(RecordFile::History.name()).display().to_string();
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || write_all(parts, &name, &jobs))
            .context("cannot start the history's thread")?;
        let (chunk, chunks, thread) = (Vec::with_capacity(CHUNK_BYTES), Some(chunks), Some(thread));
        Ok(Self { chunk, part: 1, written: 0, beginning: 0, part_bytes, chunks, thread })
    }

    /// How many bytes a part may have if this one is full: what comes next belongs into the next.
    pub(crate) fn full(&self) -> Option<u64> {
        // One with a large beginning holds as much again, or there would be nothing but beginnings.
        self.part_bytes.filter(|&part| self.written >= part.max(self.beginning.saturating_mul(2)))
    }

    /// The number of the next part.
    pub(crate) fn next_number(&self) -> u64 {
        self.part + 1
    }

    /// Begins the next part with this line.
    pub(crate) fn next_part(&mut self, line: &PartLine) {
        self.hand_over();
        self.send(Job::NextPart);
        (self.part, self.written) = (self.part + 1, 0);
        self.append(|bytes| {
            serde_json::to_writer(&mut *bytes, line).expect("plain data becomes JSON");
            bytes.push(b'\n');
        });
        self.beginning = self.written;
    }

    /// Adds to the chunk that is being filled, by way of `write`.
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.chunk.len();
        write(&mut self.chunk);
        self.written += (self.chunk.len() - before) as u64;
        if self.chunk.len() >= CHUNK_BYTES {
            self.hand_over();
        }
    }

    /// Hands over what there is, however little. Called often enough that a crash of the lab costs little.
    pub(crate) fn hand_over(&mut self) {
        if !self.chunk.is_empty() {
            let full = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
            self.send(Job::Write(full));
        }
    }

    /// Everything appended so far is in the file when the future resolves; an error if any of it could not be written.
    pub(crate) fn flush(&mut self) -> impl Future<Output = anyhow::Result<()>> + use<> {
        self.hand_over();
        let (done, flushed) = oneshot::channel();
        self.send(Job::Flush(done));
        async {
            let written = flushed.await.map_err(|_| anyhow!("the history's thread has ended"))?;
            written.map_err(|error| anyhow!(error))
        }
    }

    fn send(&self, job: Job) {
        // The thread goes on taking jobs after an error, so that only a panic in it could refuse one; the next
        // flush then says so.
        let _ = self.chunks.as_ref().map(|chunks| chunks.send(job));
    }
}

impl Drop for HistoryFile {
    fn drop(&mut self) {
        self.hand_over();
        self.chunks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// After an error nothing more is written: a file that ends early is a history, one with a hole is not.
fn write_all(mut parts: PartWriter, name: &str, jobs: &mpsc::Receiver<Job>) {
    let mut outcome: Result<(), String> = Ok(());
    for job in jobs {
        let written = match job {
            Job::Flush(done) => {
                let _ = done.send(outcome.clone());
                continue;
            }
            _ if outcome.is_err() => continue,
            Job::Write(bytes) => parts.write(&bytes).and_then(|()| parts.flush()),
            Job::NextPart => parts.next_part(),
        };
        outcome = written.map_err(|error| format!("{name} is not complete: {error}"));
    }
}
