//! What a cleanup asks of the store, which alone has the index, and what it is told.

use bytes::Bytes;

use crate::storage::error::StorageError;
use crate::storage::index::Slot;
use crate::storage::writing::job::Swap;
use crate::types::{Damage, Position};

/// How far a cleanup is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanupProgress {
    /// Bytes of segments gone through.
    pub done: u64,
    /// Bytes to go through in all.
    pub total: u64,
}

/// What a cleanup asks of the store, which has the index: see [`Store::serve`](crate::storage::Store::serve).
#[derive(Debug)]
pub struct CleanupRequest(pub(in crate::storage) RequestKind);

/// The store's answer.
#[derive(Debug)]
pub struct CleanupAnswer(pub(in crate::storage) AnswerKind);

#[derive(Debug)]
pub(crate) enum RequestKind {
    /// Which of these records are to be kept?
    Judge { records: Vec<(Position, Option<Bytes>)>, progress: CleanupProgress },
    /// Put the new segment in the place of the old ones.
    Swap(Box<Swap>),
    /// Records have moved; keys of dropped tombstones need not be remembered.
    Move { moved: Vec<(Bytes, Slot)>, forgotten: Vec<(Bytes, u64)> },
    /// Everything has moved.
    Moved,
    /// These values are damaged; what holds them is left as it is.
    Damaged(Vec<Damage>),
}

#[derive(Debug)]
pub(crate) enum AnswerKind {
    Verdicts(Vec<RecordFate>),
    Go,
    /// The log has been replaced or cut.
    Stop,
    /// There was no room for the meta file; nothing is swapped.
    Full(StorageError),
}

/// What is to become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordFate {
    Keep,
    Drop,
    /// It is its key's newest record, and a tombstone.
    DropTombstone,
}
