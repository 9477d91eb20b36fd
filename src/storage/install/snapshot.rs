//! A frozen view of the log, read in chunks.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::storage::damages;
use crate::storage::error::StorageError;
use crate::storage::gate::LogEra;
use crate::storage::log::record;
use crate::storage::log::segment::{Piece, Scan, ScanStep};
use crate::types::{Damage, Entry, Position};

/// The records of the log up to its durable end as of [`Store::snapshot`](crate::storage::Store::snapshot). Records never
/// change, but for damaged values that get their right ones back, and the files stay open, so this is one state however
/// long the reading takes.
#[derive(Debug)]
pub struct SnapshotReader {
    scan: Option<Scan>,
    rest: VecDeque<Piece>,
    /// Read, and not taken: too large for the chunk that it was read for, or damaged.
    next: Option<Item>,
    /// The log that it is of, and where that ended.
    as_of: (LogEra, Position),
}

/// One record of a view.
#[derive(Debug)]
pub(in crate::storage) enum Item {
    Entry(Entry),
    /// Its value is damaged, and the record is so many bytes long.
    Damaged(Damage, u32),
}

impl Item {
    /// Where it stands, and the key that it is about.
    pub(in crate::storage) fn record(&self) -> (Position, Option<Bytes>) {
        match self {
            Self::Entry(entry) => (entry.at, entry.op.key().cloned()),
            Self::Damaged(damage, _) => (damage.at, Some(damage.key.clone())),
        }
    }

    /// How long its record is.
    pub(in crate::storage) fn record_bytes(&self) -> u64 {
        u64::from(match self {
            Self::Entry(entry) => record::bytes_of(entry),
            Self::Damaged(_, bytes) => *bytes,
        })
    }
}

impl SnapshotReader {
    pub(in crate::storage) fn new(pieces: Vec<Piece>) -> Self {
        Self { scan: None, rest: pieces.into(), next: None, as_of: (LogEra::default(), Position::ZERO) }
    }

    /// The state of a log of this era that ends there.
    pub(in crate::storage) fn as_of(pieces: Vec<Piece>, era: LogEra, last: Position) -> Self {
        Self { as_of: (era, last), ..Self::new(pieces) }
    }

    /// Only what is in the pieces from the one on that may hold `seq`.
    pub(in crate::storage) fn from_seq(pieces: &[Piece], seq: u64) -> Self {
        let start = pieces.partition_point(|piece| piece.segment.first <= seq).saturating_sub(1);
        Self::new(pieces[start..].to_vec())
    }

    /// The era of the log that this is a state of, and where that ends.
    pub(in crate::storage) fn state(&self) -> (LogEra, Position) {
        self.as_of
    }

    /// The next records in log order: at most `bytes_max` of [`Entry::weight`], or one record. `true`: no more follow.
    ///
    /// # Errors
    /// If the disk cannot be read, or a record is not what was written. What stands before a damaged value comes first,
    /// and the call after the error goes on behind it.
    pub fn next_chunk(&mut self, bytes_max: usize) -> Result<(Vec<Entry>, bool), StorageError> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        while let Some(item) = self.next_item()? {
            match item {
                Item::Entry(entry) if entries.is_empty() || bytes + entry.weight() <= bytes_max => {
                    bytes += entry.weight();
                    entries.push(entry);
                }
                Item::Damaged(damage, _) if entries.is_empty() => {
                    return Err(StorageError::Damaged(Box::new(damage)));
                }
                other => {
                    self.put_back(other);
                    return Ok((entries, false));
                }
            }
        }
        Ok((entries, true))
    }

    /// The next record, damaged or not.
    pub(in crate::storage) fn next_item(&mut self) -> Result<Option<Item>, StorageError> {
        if let Some(item) = self.next.take() {
            return Ok(Some(item));
        }
        loop {
            if self.scan.is_none() {
                self.scan = self.rest.pop_front().map(Scan::new);
            }
            let Some(scan) = &mut self.scan else { return Ok(None) };
            let piece = scan.piece().clone();
            match scan.next()? {
                ScanStep::Record(offset, record) => {
                    return Ok(Some(record.to_entry().map_or_else(
                        || {
                            Item::Damaged(
                                damages::damage(&piece, offset, record.at, record.key),
                                record.bytes(),
                            )
                        },
                        Item::Entry,
                    )));
                }
                ScanStep::End => self.scan = None,
                ScanStep::Bad(offset, flaw) => {
                    return Err(piece.segment.file.corrupt(offset, flaw.to_string()));
                }
            }
        }
    }

    /// What was read and is to be read again.
    pub(in crate::storage) fn put_back(&mut self, item: Item) {
        debug_assert!(self.next.is_none(), "one at a time");
        self.next = Some(item);
    }
}
