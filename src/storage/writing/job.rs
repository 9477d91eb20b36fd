//! What the disk is asked to do, and what it has done.

use bytes::Bytes;

use crate::replication::{CutOutcome, DiskJob, Input, LogId, Rollback};
use crate::storage::damages::Repair;
use crate::storage::error::StorageError;
use crate::storage::gate::LogEra;
use crate::storage::index::Slot;
use crate::storage::log::segment::Piece;
use crate::storage::recovery::Contents;
use crate::storage::segment_name::SegmentName;
use crate::storage::tally::Held;
use crate::types::{Entry, Position, SnapshotId};

/// Something for the [`Writer`](crate::storage::Writer).
#[derive(Clone, Debug)]
pub enum Job {
    /// What the core asks for.
    Core(DiskJob),
    /// Close the last segment, if there is anything in it, so that a cleanup can take it too.
    CloseSegment,
    /// Put a cleanup's new segment in the place of the old ones.
    Swap(Box<Swap>),
    /// Write a right value over a damaged one.
    Repair(Box<Repair>),
}

/// A group of segments that a cleanup has written anew, ready to be swapped.
#[derive(Clone, Debug)]
pub struct Swap {
    pub(in crate::storage) era: LogEra,
    /// Consecutive segments.
    pub(in crate::storage) old: Vec<SegmentName>,
    /// What comes in their place; `None`: nothing was left.
    pub(in crate::storage) new: Option<Held>,
    /// Nothing was dropped after this seq.
    pub(in crate::storage) base: u64,
    /// The highest tombstone that was dropped; 0: none.
    pub(in crate::storage) floor: u64,
    /// The highest seq that superseded something that was dropped, or tombstone that was; 0: none.
    pub(in crate::storage) superseded: u64,
}

/// A job that is done, one for each job, in their order. For [`Store::apply`](crate::storage::Store::apply), which tells
/// what the core is to hear of it.
#[derive(Debug)]
pub struct Done(pub(in crate::storage) JobOutcome);

#[derive(Debug)]
pub(crate) enum JobOutcome {
    /// Nothing that anybody need hear of.
    Quiet,
    Appended(Appended),
    /// All that the core is to hear of it. It changes nothing that the store answers.
    Told(Input),
    Installed {
        id: SnapshotId,
        log: LogId,
        rollback: Option<Rollback>,
        era: LogEra,
        contents: Box<Contents>,
    },
    /// The log's name has changed. With contents, it was cut, and this is what it holds.
    Cut {
        log: LogId,
        outcome: CutOutcome,
        era: LogEra,
        contents: Option<Box<Contents>>,
    },
    /// Another segment was begun.
    Closed {
        era: LogEra,
        grown: Piece,
    },
    /// A cleanup's swap stands.
    Swapped {
        swap: Box<Swap>,
        base: Position,
        floor: Position,
    },
    /// It does not: the log has been replaced or cut, or (with the error) there was no room.
    NotSwapped(Option<StorageError>),
    /// A damaged value is whole again, durably; or what was offered is not the one that was written there.
    Repaired {
        era: LogEra,
        at: Position,
        whole: bool,
    },
}

/// Entries that are durable.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) log: LogId,
    /// The position of the last.
    pub(crate) last: Position,
    /// Those that opened an epoch.
    pub(crate) opened: Vec<Position>,
    /// Keys and where their records are, in order.
    pub(crate) slots: Vec<(Bytes, Slot)>,
    /// The segments that grew or began, with their new lengths, and how many of the records each took.
    pub(crate) grown: Vec<(Piece, u64)>,
    pub(crate) records: u64,
}

impl Job {
    /// How many bytes of memory it holds, roughly.
    pub(in crate::storage) fn weight(&self) -> usize {
        match self {
            Self::Core(DiskJob::Append { entries, .. } | DiskJob::InstallChunk { entries, .. }) => {
                entries.iter().map(Entry::weight).sum()
            }
            Self::Repair(repair) => repair.value.len(),
            _ => 0,
        }
    }
}

impl From<DiskJob> for Job {
    fn from(job: DiskJob) -> Self {
        Self::Core(job)
    }
}
