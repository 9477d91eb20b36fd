//! Who may put files into the log's directory beside the disk thread, and until when.
//!
//! Hints and cleanup write beside the log on a thread of their own. A full resync that is installed meanwhile removes
//! the whole directory; from that moment nothing may be created in it any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::Lock;
use super::error::StorageError;
use super::home::Home;

/// Guards the directory of the log that counts. Held for the creation, renaming or removal of a file, never for the
/// writing of one.
#[derive(Clone, Debug)]
pub(super) struct LogGate {
    generation: Arc<Mutex<u64>>,
}

/// Where work beside the log is done.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) home: Home,
    pub(super) gate: LogGate,
    /// The log that it is done for.
    pub(super) generation: u64,
    /// Nobody else may open the store before it is over.
    pub(super) _lock: Arc<Lock>,
}

/// Why work beside the log ended before its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// The log that it was done for has been replaced, or the node stops.
    Stopped,
    /// There is no room for it; what was written is removed.
    Full(StorageError),
    /// The disk has failed, or what it holds is not what was written. Final for the process.
    Failed(StorageError),
}

impl LogGate {
    /// To the log of `generation`.
    pub(super) fn new(generation: u64) -> Self {
        Self { generation: Arc::new(Mutex::new(generation)) }
    }

    /// Lets whoever works for `generation` in, if that is the log that counts.
    pub(super) fn enter(&self, generation: u64) -> Result<MutexGuard<'_, u64>, Halt> {
        let guard = self.lock();
        if *guard == generation { Ok(guard) } else { Err(Halt::Stopped) }
    }

    /// From now on the log of `generation` counts; waits for whoever is in.
    pub(super) fn change(&self, generation: u64) {
        *self.lock() = generation;
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.generation.lock().unwrap_or_else(PoisonError::into_inner)
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
