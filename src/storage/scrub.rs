//! The scrub: reads closed segments from end to end, so that damage is found before the value is needed.
//!
//! It is read in slices, so that whoever drives it sets the pace; where the next slice begins is a [`ScrubCursor`]. What
//! a system keeps in memory of a file is read from there: a scrub finds what a read would find.

use super::damage::rot_in;
use super::damages::damage;
use super::error::StorageError;
use super::gate::LogEra;
use super::log::segment::{HEADER_BYTES, Piece, Scan, ScanStep};
use super::segment_name::SegmentName;
use super::store::Store;
use crate::types::Damage;

/// Where a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubCursor {
    /// Of the log that it goes through.
    era: LogEra,
    segment: SegmentName,
    /// Where in the segment the next record begins.
    offset: u64,
}

/// A slice to be read, on a thread that may wait for the disk.
#[derive(Debug)]
pub struct ScrubTask {
    era: LogEra,
    piece: Piece,
    offset: u64,
    bytes_max: u64,
}

/// What became of a slice.
#[derive(Debug)]
pub struct Scrubbed {
    /// Where the next begins.
    pub next: ScrubCursor,
    /// How much was read: at least one record.
    pub bytes: u64,
    /// Damaged values in it.
    pub damaged: Vec<Damage>,
}

impl ScrubTask {
    /// Reads the slice. A record that it begins is read whole.
    ///
    /// # Errors
    /// If the disk cannot be read, or a record's head is not what was written: final for the process.
    pub(super) fn run(&self, may_continue: &dyn Fn() -> bool) -> Result<Scrubbed, StorageError> {
        let read_bytes = usize::try_from(self.bytes_max).unwrap_or(usize::MAX);
        let mut scan = Scan::slowly(self.piece.clone(), self.offset, read_bytes);
        let mut damaged = Vec::new();
        while scan.offset() < self.offset.saturating_add(self.bytes_max) && may_continue() {
            match scan.next()? {
                ScanStep::End => break,
                ScanStep::Record(offset, record) if record.value.is_none() => {
                    damaged.push(damage(&self.piece, offset, record.at, record.key));
                }
                ScanStep::Record(..) => {}
                ScanStep::Bad(offset, flaw) => {
                    return Err(self.piece.segment.file.corrupt(offset, flaw.to_string()));
                }
            }
        }
        let (era, segment, offset) = (self.era, self.piece.segment.name, scan.offset());
        let next = ScrubCursor { era, segment, offset };
        Ok(Scrubbed { next, bytes: offset - self.offset, damaged })
    }
}

impl Store {
    /// The slice that a round goes on with; without a cursor, the first. `None`: the round is over. A segment that
    /// cleanup has replaced meanwhile is read again from its beginning; a log that was replaced or cut, as a whole.
    pub fn scrub_slice(&self, cursor: Option<ScrubCursor>, bytes_max: u64) -> Option<ScrubTask> {
        let era = self.ground.era;
        let cursor = cursor.filter(|cursor| cursor.era == era);
        let left = |piece: &&Piece| match cursor {
            None => true,
            Some(cursor) if piece.segment.name == cursor.segment => cursor.offset < piece.bytes,
            Some(cursor) => piece.segment.name > cursor.segment,
        };
        let piece = self.contents.segments.closed().iter().map(|held| &held.piece).find(left)?.clone();
        let same = cursor.filter(|cursor| cursor.segment == piece.segment.name);
        let offset = same.map_or(HEADER_BYTES, |cursor| cursor.offset);
        Some(ScrubTask { era, piece, offset, bytes_max })
    }

    /// How far a round is: bytes of closed segments gone through, and of all.
    pub fn scrub_progress(&self, cursor: Option<ScrubCursor>) -> (u64, u64) {
        let cursor = cursor.filter(|cursor| cursor.era == self.ground.era);
        let pieces = || self.contents.segments.closed().iter().map(|held| &held.piece);
        let done = |piece: &Piece| match cursor {
            Some(cursor) if piece.segment.name == cursor.segment => cursor.offset.min(piece.bytes),
            Some(cursor) if piece.segment.name < cursor.segment => piece.bytes,
            _ => 0,
        };
        (pieces().map(done).sum(), pieces().map(|piece| piece.bytes).sum())
    }
}

/// A whole round, here and now, of the last segment too: for a simulator, and for tests.
///
/// # Errors
/// As a [slice](ScrubTask).
pub fn scrub_at_once(store: &mut Store) -> Result<(), StorageError> {
    let pieces = store.contents.segments.pieces();
    for piece in pieces {
        let (era, bytes_max) = (store.ground.era, u64::MAX);
        let task = ScrubTask { era, piece, offset: HEADER_BYTES, bytes_max };
        let scrubbed = task.run(&|| true)?;
        store.note_damage(scrubbed.damaged);
    }
    Ok(())
}

/// One byte of the value of the record of `seq` rots, as by [`rot_value`](super::rot_value), in a store that is open and
/// whose segments are all synced: for a simulator. Returns whether there is such a value in a closed segment, and it was
/// whole.
///
/// # Errors
/// As a [slice](ScrubTask).
pub fn rot_value_of(store: &Store, seq: u64, seed: u64) -> Result<bool, StorageError> {
    for held in store.contents.segments.closed() {
        if let Some(rotten) = rot_in(&held.piece, seq, seed)? {
            return Ok(rotten.was_whole);
        }
    }
    Ok(false)
}
