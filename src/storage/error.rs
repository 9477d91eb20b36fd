//! What may go wrong between the store and its disk.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::is_full;
use crate::types::{Damage, NodeId};

/// Why the store cannot be opened, read or written. Each message says what, where, and the way out.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The path of the data directory is taken by something else.
    #[error("{}: is not a directory; name another with --data", dir.display())]
    NotDirectory {
        /// The data directory.
        dir: PathBuf,
    },
    /// Another process has the directory open.
    #[error("{}: data directory in use{}; stop that node or name another directory", dir.display(), by_process(*pid))]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// Who holds it, if known.
        pid: Option<u32>,
    },
    /// The directory holds another member's store. Its promises are not this node's to keep.
    #[error("{}: holds the store of {owner}, not of {asked}; name another directory", dir.display())]
    WrongNode {
        /// The data directory.
        dir: PathBuf,
        /// Whose store it is.
        owner: NodeId,
        /// Who asked for it.
        asked: NodeId,
    },
    /// A file was written by a version of kvlab that this one does not know.
    #[error(
        "{}: has storage format {found}, but this program knows format {known} only; \
         use the program that wrote it", file.display()
    )]
    Version {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Bytes that were once whole are not so any more. The store does not guess what they were.
    #[error(
        "{}: corrupt at byte {offset}: {what}; \
         restore the data directory from a copy, or wipe it and let the node be resynchronised", file.display()
    )]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A value is not the one that was written, and its record's head is whole: the store goes on, and others are asked
    /// for it.
    #[error("{}: the value of record {} at byte {} is damaged; another member may have it", .0.file, .0.at, .0.offset)]
    Damaged(Box<Damage>),
    /// The state that a primary sent contradicts itself; nothing of it was installed.
    #[error("full resync refused, the old state stands: {what}")]
    BadSnapshot {
        /// The contradiction.
        what: String,
    },
    /// There is no room left. The end of the log may be torn; the next start cuts that.
    #[error(
        "{}: disk full while writing; nothing acknowledged is lost; make room and start the node again",
        path.display()
    )]
    Full {
        /// What was being written.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system refused something. After a failed write or sync the end of the log is unknown; the next start
    /// reads what is there.
    #[error("{}: cannot {op}: {source}; nothing acknowledged is lost", path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// An earlier failure ended this writer: what it wrote since its last sync may or may not be on disk, so
    /// trying again would be a guess.
    #[error("the writer has stopped after an earlier failure: {first}")]
    Stopped {
        /// The message of that failure.
        first: String,
    },
    /// A job breaks the writer's contract; nothing of it was written.
    #[error("the driver asked for the impossible: {what}")]
    Misuse {
        /// How.
        what: String,
    },
    /// A panic on the disk thread: a bug in kvlab.
    #[error("the disk thread panicked; please report this: {what}")]
    Panicked {
        /// The panic's message.
        what: String,
    },
}

impl StorageError {
    /// An error of the system, with what was tried on what.
    pub(super) fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        // A sync that fails leaves more in doubt than a write that found no room, whatever its reason.
        if is_full(&source) && op != "sync" {
            Self::Full { path, source }
        } else {
            Self::Io { op, path, source }
        }
    }

    /// Whether there is no file of that name.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Corruption in a file.
    pub(super) fn corrupt(file: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_owned(), offset, what: what.into() }
    }

    /// A broken contract between driver and writer.
    pub(super) fn misuse(what: impl Into<String>) -> Self {
        Self::Misuse { what: what.into() }
    }
}

fn by_process(pid: Option<u32>) -> String {
    pid.map_or_else(|| " by another process".to_owned(), |pid| format!(" by process {pid}"))
}
