//! The store's part in a scrub: which slice is next, and how far a round is.

use super::damage::rot_in;
use super::error::StorageError;
use super::log::segment::{HEADER_BYTES, Piece};
use super::scrub::{ScrubCursor, ScrubTask};
use super::store::Store;

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
