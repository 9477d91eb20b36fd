//! Who may put files into the log's directory beside the disk thread, and until when.
//!
//! Hints and cleanup write beside the log on a thread of their own. A full resync that is installed meanwhile removes
//! the whole directory, and a cut makes part of what they work on a thing of the past; from that moment nothing may be
//! created there any more for the log as it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::Lock;
use super::error::StorageError;
use super::home::Home;

/// Guards the directory of the log that counts. Held for the creation, renaming or removal of a file, never for the
/// writing of one.
#[derive(Clone, Debug)]
pub(super) struct LogGate {
    era: Arc<Mutex<LogEra>>,
}

/// Which log counts, and how often a part of it has been taken back. What was said of a log in an earlier era (that a
/// file belongs to it, that so many bytes of it are synced) counts for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogEra {
    /// The log's generation.
    pub(super) generation: u64,
    /// How often a log of this store has been cut below what was synced.
    pub(super) cuts: u64,
}

/// Where work beside the log is done.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) home: Home,
    pub(super) gate: LogGate,
    /// The log that it is done for.
    pub(super) era: LogEra,
    /// Nobody else may open the store before it is over.
    pub(super) _lock: Arc<Lock>,
}

/// Why work beside the log ended before its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// The log that it was done for has been replaced or cut, or the node stops.
    Stopped,
    /// There is no room for it; what was written is removed.
    Full(StorageError),
    /// The disk has failed, or what it holds is not what was written. Final for the process.
    Failed(StorageError),
}

impl LogGate {
    /// To the log of `era`.
    pub(super) fn new(era: LogEra) -> Self {
        Self { era: Arc::new(Mutex::new(era)) }
    }

    /// Lets whoever works for the log of `era` in, if that is the one that counts.
    pub(super) fn enter(&self, era: LogEra) -> Result<MutexGuard<'_, LogEra>, Halt> {
        let guard = self.lock();
        if *guard == era { Ok(guard) } else { Err(Halt::Stopped) }
    }

    /// From now on the log of `era` counts; waits for whoever is in.
    pub(super) fn change(&self, era: LogEra) {
        *self.lock() = era;
    }

    fn lock(&self) -> MutexGuard<'_, LogEra> {
        self.era.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<StorageError> for Halt {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full { .. } => Self::Full(error),
            _ => Self::Failed(error),
        }
    }
}
