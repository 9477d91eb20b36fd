//! `history.jsonl`: a buffer in front, a thread behind, so that no client ever waits for the disk unless the
//! disk is far behind.
#![expect(clippy::disallowed_methods, reason = "the history is a file, written by a thread of its own")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow};
use tokio::sync::oneshot;

/// The name of the file in the run directory.
pub(crate) const HISTORY_FILE: &str = "history.jsonl";
/// A chunk is handed to the thread when it has grown to this.
const CHUNK_BYTES: usize = 32 << 10;
/// Chunks that wait for the disk. When all of them do, clients wait as well: the history has no holes.
const CHUNKS_MAX: usize = 128;

/// The writing end. Dropping it ends the thread, after everything has been written.
#[derive(Debug)]
pub(crate) struct HistoryFile {
    chunk: Vec<u8>,
    /// `None` once the end has begun.
    chunks: Option<mpsc::SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Job {
    Write(Vec<u8>),
    Flush(oneshot::Sender<Result<(), String>>),
}

impl HistoryFile {
    /// Creates the file in `dir`.
    pub(crate) fn create(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(HISTORY_FILE);
        let file = File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let (chunks, jobs) = mpsc::sync_channel(CHUNKS_MAX);
        let name = path.display().to_string();
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || write_all(file, &name, &jobs))
            .context("cannot start the history's thread")?;
        Ok(Self { chunk: Vec::with_capacity(CHUNK_BYTES), chunks: Some(chunks), thread: Some(thread) })
    }

    /// Adds to the chunk that is being filled, by way of `write`.
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.chunk);
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
fn write_all(mut file: File, name: &str, jobs: &mpsc::Receiver<Job>) {
    let mut outcome: Result<(), String> = Ok(());
    for job in jobs {
        match job {
            Job::Write(bytes) => {
                if outcome.is_ok() {
                    outcome =
                        file.write_all(&bytes).map_err(|error| format!("{name} is not complete: {error}"));
                }
            }
            Job::Flush(done) => {
                let _ = done.send(outcome.clone());
            }
        }
    }
}
