//! The data directory: what is where in it, and how its small files are read and replaced.
//!
//! ```text
//! lock                      held by the process that has the store open
//! meta                      promise, lineage, which log counts (see meta.rs)
//! synced                    up to where the log is synced (see synced.rs)
//! log-00000001/             the log of generation 1: a full resync starts the next generation beside it
//!   00000001.log            its segments
//!   00000001.hint           what the index needs of a closed one
//!   00000002-1.log          written anew by cleanup
//! rollback/1@n1-412.jsonl   entries that a full resync or a cut discarded
//! ```

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, Lock, LockOutcome};
use super::error::StorageError;
use super::file::File;

/// The meta file's name.
pub(super) const META: &str = "meta";
/// The directory of rollback files.
pub(super) const ROLLBACK: &str = "rollback";
/// What a file is called until it is whole.
const PART: &str = ".part";
const LOCK: &str = "lock";

/// The data directory on its disk.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
}

/// The name of the directory that holds a log.
pub(super) fn log_name(generation: u64) -> String {
    format!("log-{generation:08}")
}

/// The generation in the name of a log's directory.
pub(super) fn generation_of(name: &str) -> Option<u64> {
    let generation = name.strip_prefix("log-")?.parse().ok()?;
    (log_name(generation) == name).then_some(generation)
}

impl Home {
    /// The directory, created if it is not there, and its lock.
    pub(super) fn enter(disk: Arc<dyn Disk>, dir: &Path) -> Result<(Self, Lock), StorageError> {
        let home = Self { disk, dir: dir.to_owned() };
        home.ensure_dir(dir)?;
        let path = dir.join(LOCK);
        match home.disk.lock(&path).map_err(|e| StorageError::io("lock", &path, e))? {
            LockOutcome::Taken(lock) => Ok((home, lock)),
            LockOutcome::Held(pid) => Err(StorageError::Locked { dir: home.dir, pid }),
        }
    }

    /// Where a generation's log is.
    pub(super) fn log_dir(&self, generation: u64) -> PathBuf {
        self.dir.join(log_name(generation))
    }

    /// Creates a directory that may be there already, durably, with the directories above it.
    pub(super) fn ensure_dir(&self, dir: &Path) -> Result<(), StorageError> {
        let parent = match dir.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return Ok(()),
        };
        match self.disk.create_dir(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if self.disk.list(dir).is_err_and(|e| e.kind() == ErrorKind::NotADirectory) {
                    return Err(StorageError::NotDirectory { dir: dir.to_owned() });
                }
                // An earlier start may have created it and died before its name was durable; but a directory
                // whose parent we may not even read was made by somebody else.
                return match self.disk.sync_dir(parent) {
                    Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
                    other => other.map_err(|e| StorageError::io("sync", parent, e)),
                };
            }
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                return Err(StorageError::NotDirectory { dir: dir.to_owned() });
            }
            Err(error) if error.kind() == ErrorKind::NotFound && parent != Path::new(".") => {
                self.ensure_dir(parent)?;
                self.disk.create_dir(dir).map_err(|e| StorageError::io("create directory", dir, e))?;
            }
            Err(error) => return Err(StorageError::io("create directory", dir, error)),
        }
        self.sync_dir(parent)
    }

    /// The names in a directory.
    pub(super) fn list(&self, dir: &Path) -> Result<Vec<String>, StorageError> {
        self.disk.list(dir).map_err(|e| StorageError::io("list", dir, e))
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_dir(&self, dir: &Path) -> Result<(), StorageError> {
        self.disk.sync_dir(dir).map_err(|e| StorageError::io("sync", dir, e))
    }

    /// A whole file of at most `bytes_max`; `None` if it is not there.
    pub(super) fn read(&self, path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, StorageError> {
        match File::open(&*self.disk, path) {
            Ok(file) => file.read_all(bytes_max).map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a whole file that is to take the place of the one called `name`, beside it, and syncs it. Nothing has
    /// changed before [`finish_part`](Self::finish_part); after a crash the one or the other is there, whole.
    pub(super) fn write_part(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let file = File::create(&*self.disk, &Self::part(&self.dir, name))?;
        file.write_at(bytes, 0)?;
        file.sync()
    }

    /// Where a file is written before [`finish_part`](Self::finish_part) gives it its name.
    pub(super) fn part(dir: &Path, name: &str) -> PathBuf {
        dir.join(format!("{name}{PART}"))
    }

    /// Gives a file that is whole and synced its name, durably.
    pub(super) fn finish_part(&self, dir: &Path, name: &str) -> Result<(), StorageError> {
        self.name_part(dir, name)?;
        self.sync_dir(dir)
    }

    /// Gives a file that is whole and synced its name; durable after [`sync_dir`](Self::sync_dir).
    pub(super) fn name_part(&self, dir: &Path, name: &str) -> Result<(), StorageError> {
        let part = Self::part(dir, name);
        self.disk.rename(&part, &dir.join(name)).map_err(|e| StorageError::io("rename", &part, e))
    }

    /// Removes a file; durable after [`sync_dir`](Self::sync_dir).
    pub(super) fn remove(&self, path: &Path) -> Result<(), StorageError> {
        self.disk.remove_file(path).map_err(|e| StorageError::io("remove", path, e))
    }

    /// Removes the files in `dir` that never became whole.
    pub(super) fn remove_parts(&self, dir: &Path) -> Result<(), StorageError> {
        for name in self.list(dir)? {
            if name.ends_with(PART) {
                self.remove(&dir.join(name))?;
            }
        }
        Ok(())
    }

    /// Removes the directory of a log that does not count (any more).
    pub(super) fn remove_log(&self, generation: u64) -> Result<(), StorageError> {
        let dir = self.log_dir(generation);
        for name in self.list(&dir)? {
            self.remove(&dir.join(name))?;
        }
        self.disk.remove_dir(&dir).map_err(|e| StorageError::io("remove", &dir, e))?;
        self.sync_dir(&self.dir)
    }

    /// The generations of the logs that are there, counting or not.
    pub(super) fn generations(&self) -> Result<Vec<u64>, StorageError> {
        Ok(self.list(&self.dir)?.iter().filter_map(|name| generation_of(name)).collect())
    }
}

/// A file that was to be removed and was not there.
pub(super) fn ignore_missing(removed: Result<(), StorageError>) -> Result<(), StorageError> {
    match removed {
        Err(error) if error.is_missing() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_read_back_from_names() {
        for generation in [1, 99_999_999, 100_000_000, u64::MAX] {
            assert_eq!(generation_of(&log_name(generation)), Some(generation));
        }
        for name in ["log-1", "log-+0000001", "log-", "log-00000001.old", "rollback"] {
            assert_eq!(generation_of(name), None, "{name}");
        }
    }
}
