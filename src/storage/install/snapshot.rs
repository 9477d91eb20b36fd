//! A frozen view of the log, read in chunks.

use std::collections::VecDeque;

use crate::storage::error::StorageError;
use crate::storage::log::segment::{Piece, Scan, ScanStep};
use crate::types::Entry;

/// The records of the log up to its durable end as of [`Store::snapshot`](crate::storage::Store::snapshot). Records never
/// change, and the files stay open, so this is one state however long the reading takes.
#[derive(Debug)]
pub struct SnapshotReader {
    scan: Option<Scan>,
    rest: VecDeque<Piece>,
    /// Read, but too large for the chunk that it was read for.
    next: Option<Entry>,
}

impl SnapshotReader {
    pub(in crate::storage) fn new(pieces: Vec<Piece>) -> Self {
        Self { scan: None, rest: pieces.into(), next: None }
    }

    /// Only what is in the pieces from the one on that may hold `seq`.
    pub(in crate::storage) fn from_seq(pieces: &[Piece], seq: u64) -> Self {
        let start = pieces.partition_point(|piece| piece.segment.first <= seq).saturating_sub(1);
        Self::new(pieces[start..].to_vec())
    }

    /// The next records in log order: at most `bytes_max` of [`Entry::weight`], or one record. `true`: no more follow.
    ///
    /// # Errors
    /// If the disk cannot be read, or a record is not what was written.
    pub fn next_chunk(&mut self, bytes_max: usize) -> Result<(Vec<Entry>, bool), StorageError> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        while let Some(entry) = self.take_next()? {
            if !entries.is_empty() && bytes + entry.weight() > bytes_max {
                self.next = Some(entry);
                return Ok((entries, false));
            }
            bytes += entry.weight();
            entries.push(entry);
        }
        Ok((entries, true))
    }

    /// The next record.
    pub(in crate::storage) fn take_next(&mut self) -> Result<Option<Entry>, StorageError> {
        if let Some(entry) = self.next.take() {
            return Ok(Some(entry));
        }
        loop {
            if self.scan.is_none() {
                self.scan = self.rest.pop_front().map(Scan::new);
            }
            let Some(scan) = &mut self.scan else { return Ok(None) };
            match scan.next()? {
                ScanStep::Record(_, record) => return Ok(Some(record.to_entry())),
                ScanStep::End => self.scan = None,
                ScanStep::Bad(offset, flaw) => {
                    return Err(scan.piece().segment.file.corrupt(offset, flaw.to_string()));
                }
            }
        }
    }
}
