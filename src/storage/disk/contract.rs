//! The contract that every disk keeps.

use std::any::Any;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file system, or something that behaves like one.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates an empty file, or empties the one that is there. Its name is durable after
    /// [`sync_dir`](Self::sync_dir).
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates one directory; its parent must exist, it must not.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted. Names that are not UTF-8 are not ours and are left out.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Moves a file within its directory, replacing what has the new name, atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name. Open handles go on reading.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock at `path` for as long as the returned guard lives. It ends with the process at the latest.
    fn lock(&self, path: &Path) -> io::Result<LockOutcome>;
}

/// An open file. All methods take a position; there is no cursor, so many may read while one writes.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads from `offset` until `buffer` is full or the file ends; returns how many bytes were read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. On error a part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes everything written, and the length, durable.
    fn sync(&self) -> io::Result<()>;

    /// The length in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Cuts the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// Whether a lock was to be had.
#[derive(Debug)]
pub enum LockOutcome {
    /// Yes.
    Taken(Lock),
    /// No; it is held by this process, if known.
    Held(Option<u32>),
}

/// A lock that is released on drop.
pub struct Lock {
    _guard: Box<dyn Any + Send + Sync>,
}

impl Lock {
    /// A lock that lasts until `guard` is dropped.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        Self { _guard: Box::new(guard) }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}
