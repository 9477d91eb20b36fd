//! An open file that knows its path: what the disk refuses becomes an error that names it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::error::StorageError;

/// See the module. Clones share the open file.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    file: Arc<dyn DiskFile>,
}

impl File {
    /// Opens a file that exists.
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, StorageError> {
        Self::named("open", path, disk.open(path))
    }

    /// Creates an empty file, or empties the one that is there.
    pub(super) fn create(disk: &dyn Disk, path: &Path) -> Result<Self, StorageError> {
        Self::named("create", path, disk.create(path))
    }

    /// The same file, which has been renamed.
    pub(super) fn renamed(&self, path: PathBuf) -> Self {
        Self { path, file: self.file.clone() }
    }

    /// Reads as much of `buffer` as the file has.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, StorageError> {
        self.failed("read", self.file.read_at(buffer, offset))
    }

    /// All of it. More than `bytes_max` is corruption, and is found before anything is allocated.
    pub(super) fn read_all(&self, bytes_max: u64) -> Result<Vec<u8>, StorageError> {
        let len = self.size()?;
        if len > bytes_max {
            let what = format!("the file has {len} bytes, more than the {bytes_max} that it may have");
            return Err(self.corrupt(bytes_max, what));
        }
        let mut bytes = vec![0; usize::try_from(len).expect("bounded above")];
        let read = self.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Writes all of `bytes`.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), StorageError> {
        self.failed("write", self.file.write_at(bytes, offset))
    }

    /// Makes everything written, and the length, durable.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        self.failed("sync", self.file.sync())
    }

    /// The length in bytes.
    pub(super) fn size(&self) -> Result<u64, StorageError> {
        self.failed("read", self.file.size())
    }

    /// Cuts it to `len` bytes.
    pub(super) fn truncate(&self, len: u64) -> Result<(), StorageError> {
        self.failed("truncate", self.file.truncate(len))
    }

    /// Corruption at `offset`.
    pub(super) fn corrupt(&self, offset: u64, what: impl Into<String>) -> StorageError {
        StorageError::corrupt(&self.path, offset, what)
    }

    fn named(
        op: &'static str,
        path: &Path,
        file: io::Result<Arc<dyn DiskFile>>,
    ) -> Result<Self, StorageError> {
        let file = file.map_err(|e| StorageError::io(op, path, e))?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn failed<T>(&self, op: &'static str, done: io::Result<T>) -> Result<T, StorageError> {
        done.map_err(|e| StorageError::io(op, &self.path, e))
    }
}
