#![allow(clippy::todo, missing_docs, unused_variables, missing_debug_implementations)]
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::replication::{Entry, Found, Lineage, LogId, Position, Promise, Recovered, Rollback, SnapshotId};

/// `always | interval | os`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Sync every batch before it counts as durable (default).
    Always,
    /// Written counts as durable; synced at least this often.
    Interval(Duration),
    /// Written counts as durable; the operating system syncs when it likes.
    Os,
}

/// The disk as storage needs it: the real one, and one in memory that loses unsynced bytes on `crash()`.
pub trait Disk: Send + Sync + std::fmt::Debug {}

#[derive(Clone, Debug)]
pub struct Options {
    pub durability: Durability,
    /// A segment is closed when it has grown past this. Default 64 MiB.
    pub segment_bytes: u64,
}

/// What opening found, besides the state: for the node's log and events.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    pub recovered: Recovered,
    /// The directory held no store before.
    pub fresh: bool,
    /// A torn tail was cut: file, offset, bytes dropped.
    pub torn: Option<(PathBuf, u64, u64)>,
    pub keys: u64,
    pub log_bytes: u64,
}

#[derive(Debug)]
pub enum Job {
    Append { log: LogId, entries: Vec<Entry> },
    Save { promise: Promise },
    InstallBegin { id: SnapshotId },
    InstallChunk { id: SnapshotId, entries: Vec<Entry> },
    InstallCommit { id: SnapshotId, log: LogId, at: Position, lineage: Lineage, fork: Position },
    InstallAbort { id: SnapshotId },
}

/// Opaque parts (index updates, new files) are for `Store::apply`; `as_input` says what the core hears.
#[derive(Debug)]
pub struct Done {}

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    // NotDirectory, Locked{dir}, Corrupt{file, offset, what}, Io{op, path, source}, Full{..}, WrongNode{..}, Version{..}
    #[error("todo")]
    Todo,
}

#[derive(Debug)]
pub struct Store {}
#[derive(Debug)]
pub struct Writer {}
#[derive(Debug)]
pub struct SnapshotReader {}

/// Opens (or creates) the store in `dir`; takes the lock file; recovers.
pub fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: Options,
) -> Result<(Store, Writer, Opened), StorageError> {
    todo!()
}

pub fn real_disk() -> Arc<dyn Disk> {
    todo!()
}

impl Store {
    /// The durable state of a key (value read from the log).
    pub fn get(&self, key: &[u8]) -> Result<Found, StorageError> {
        todo!()
    }
    /// Takes what the writer has made durable into the index. Returns what the core is to hear, if anything.
    pub fn apply(&mut self, done: Done) -> Result<Option<crate::replication::Input>, StorageError> {
        todo!()
    }
    /// A frozen view of the durable state as of now: its position, how many bytes will come.
    pub fn snapshot(&self) -> Result<(SnapshotReader, Position, u64), StorageError> {
        todo!()
    }
    pub fn keys(&self) -> u64 {
        todo!()
    }
    pub fn log_bytes(&self) -> u64 {
        todo!()
    }
}

impl SnapshotReader {
    /// The next records in log order, at most `bytes_max` of `Entry::weight` or one record; true: no more follow.
    pub fn next_chunk(&mut self, bytes_max: usize) -> Result<(Vec<Entry>, bool), StorageError> {
        todo!()
    }
}

impl Writer {
    /// Carries out a batch: all appends of the batch share one sync. Any error is final for the process.
    pub fn execute(&mut self, jobs: Vec<Job>) -> Result<Vec<Done>, StorageError> {
        todo!()
    }
    /// For `interval`: syncs what is written. Also at a graceful end.
    pub fn sync(&mut self) -> Result<(), StorageError> {
        todo!()
    }
}

/// The disk thread: runs `writer` until the sender of jobs is gone. Bounded queue; group commit by draining the
/// queue into one batch. `deliver` is called on the disk thread with each batch's outcome, an `Err` at most once, last.
pub struct DiskThread {}

impl DiskThread {
    pub fn spawn(writer: Writer, deliver: impl Fn(Result<Vec<Done>, StorageError>) + Send + 'static) -> Self {
        todo!()
    }
    /// Never blocks: the core bounds what is under way.
    pub fn submit(&self, job: Job) {
        todo!()
    }
    /// Waits until everything submitted is done and synced, and the thread has ended.
    pub fn finish(self) {
        todo!()
    }
}
