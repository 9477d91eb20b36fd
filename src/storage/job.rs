//! What the disk is asked to do, and what it has done.

use bytes::Bytes;

use super::cleanup::Swap;
use super::error::StorageError;
use super::index::Slot;
use super::recovery::Contents;
use super::segment::Piece;
use crate::replication::{LogId, Promise, Rollback};
use crate::types::{Entry, Lineage, Position, SnapshotId};

/// Something for the [`Writer`](super::Writer); the effects of the same names, word for word.
#[derive(Clone, Debug)]
pub enum Job {
    /// Append to the log.
    Append {
        /// The log; entries for one that has been replaced are dropped.
        log: LogId,
        /// Contiguous entries that follow what was appended before.
        entries: Vec<Entry>,
    },
    /// Make a promise durable, in every durability mode.
    Save {
        /// What to save.
        promise: Promise,
    },
    /// Begin to receive a state beside the present one. Discards what was begun before.
    InstallBegin {
        /// Names the installation.
        id: SnapshotId,
    },
    /// Add records to the state being received.
    InstallChunk {
        /// Which; must have been begun.
        id: SnapshotId,
        /// Records, in log order.
        entries: Vec<Entry>,
    },
    /// Put the received state in place of the present one.
    InstallCommit {
        /// Which; must have been begun.
        id: SnapshotId,
        /// The name of the new log. From now on only appends that name it count.
        log: LogId,
        /// Where it ends.
        at: Position,
        /// Its lineage up to there.
        lineage: Lineage,
        /// The last position that the present log shares with it; what follows goes to `rollback/` first.
        fork: Position,
    },
    /// Give up an installation, if it was begun.
    InstallAbort {
        /// Which.
        id: SnapshotId,
    },
    /// Something for cleanup, which the core never hears of.
    Tidy(Tidy),
}

/// See [`Job::Tidy`].
#[derive(Clone, Debug)]
pub struct Tidy(pub(super) TidyJob);

#[derive(Clone, Debug)]
pub(super) enum TidyJob {
    /// Close the last segment, so that a cleanup can take it too.
    CloseSegment,
    /// Put a new segment in the place of old ones.
    Swap(Box<Swap>),
}

/// A job that is done, one for each job, in their order. For [`Store::apply`](super::Store::apply), which tells
/// what the core is to hear of it.
#[derive(Debug)]
pub struct Done(pub(super) Outcome);

#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing that anybody need hear of.
    Quiet,
    Appended(Appended),
    Saved(Promise),
    /// Written beside the present state; not yet synced, and not yet the state.
    ChunkStored(SnapshotId),
    Installed {
        id: SnapshotId,
        log: LogId,
        rollback: Option<Rollback>,
        generation: u64,
        contents: Box<Contents>,
    },
    /// Another segment was begun.
    Closed {
        generation: u64,
        grown: Piece,
    },
    /// A cleanup's swap stands.
    Swapped {
        swap: Box<Swap>,
        floor: Position,
    },
    /// It does not: the log has been replaced, or (with the error) there was no room.
    NotSwapped(Option<StorageError>),
}

/// Entries that are durable.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) log: LogId,
    /// The position of the last.
    pub(super) last: Position,
    /// Those that opened an epoch.
    pub(super) opened: Vec<Position>,
    /// Keys and where their records are, in order.
    pub(super) slots: Vec<(Bytes, Slot)>,
    /// The segments that grew or began, with their new lengths, and how many of the records each took.
    pub(super) grown: Vec<(Piece, u64)>,
    pub(super) records: u64,
}

impl Job {
    /// Closes the last segment, if there is anything in it, so that a cleanup can take it too.
    pub fn close_segment() -> Self {
        Self::Tidy(Tidy(TidyJob::CloseSegment))
    }

    pub(super) fn swap(swap: Box<Swap>) -> Self {
        Self::Tidy(Tidy(TidyJob::Swap(swap)))
    }

    /// How many bytes of memory it holds, roughly.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Append { entries, .. } | Self::InstallChunk { entries, .. } => {
                entries.iter().map(Entry::weight).sum()
            }
            _ => 0,
        }
    }
}
