//! The writing end of a log: records into a buffer, the buffer into the last segment, and on to the next segment
//! when one is full.

use std::sync::Arc;

use super::record::{self, RecordPlace};
use super::segment::{self, HEADER_BYTES, Piece};
use crate::storage::error::StorageError;
use crate::storage::home::Home;
use crate::storage::index::Slot;
use crate::storage::segment_name::{SegmentName, SyncedTo};
use crate::types::{Entry, Op};

/// The buffer is written when it has grown to this, however large the batch.
const WRITE_BYTES: usize = 1 << 20;

/// See the module. Any error is final: how much of the buffer is on disk is not known after it.
///
/// * `written` of the last segment's bytes are in its file, the buffer follows them.
/// * `synced` of them are durable; of all other segments, every byte is.
#[derive(Debug)]
pub(crate) struct Log {
    home: Home,
    generation: u64,
    segment_bytes: u64,
    /// Segments with the bytes that they have, or will have once the buffer is written.
    pieces: Vec<Piece>,
    buffer: Vec<u8>,
    written: u64,
    synced: u64,
}

impl Log {
    /// Creates the directory and the first segment of an empty log.
    pub(crate) fn create(home: &Home, generation: u64, segment_bytes: u64) -> Result<Self, StorageError> {
        let dir = home.log_dir(generation);
        home.disk.create_dir(&dir).map_err(|e| StorageError::io("create directory", &dir, e))?;
        home.sync_dir(&home.dir)?;
        let segment = segment::create(&*home.disk, &dir, generation, 1, 1)?;
        let piece = Piece { segment: Arc::new(segment), bytes: HEADER_BYTES };
        Ok(Self::resume(home, generation, segment_bytes, vec![piece]))
    }

    /// Goes on where a durable log ends.
    pub(crate) fn resume(home: &Home, generation: u64, segment_bytes: u64, pieces: Vec<Piece>) -> Self {
        let end = pieces.last().expect("a log has a segment").bytes;
        Self {
            home: home.clone(),
            generation,
            segment_bytes,
            pieces,
            buffer: Vec::new(),
            written: end,
            synced: end,
        }
    }

    /// Appends a record. It is in the file after [`write`](Self::write), durable after [`sync`](Self::sync).
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<Slot, StorageError> {
        let end = self.active().bytes;
        if end >= self.segment_bytes && end > HEADER_BYTES {
            self.next_segment(entry.at.seq)?;
        }
        let synced = small(self.synced);
        let piece = self.pieces.last_mut().expect("a log has a segment");
        let (name, offset) = (piece.segment.name, small(piece.bytes));
        let place = RecordPlace { segment: name.number, offset };
        let bytes = record::encode(&mut self.buffer, entry, place, synced)?;
        piece.bytes += u64::from(bytes);
        if self.buffer.len() >= WRITE_BYTES {
            self.write()?;
        }
        let live = matches!(entry.op, Op::Put { .. });
        Ok(Slot { seq: entry.at.seq, segment: name.key(), offset, bytes, live })
    }

    /// Writes the buffer to the file.
    pub(crate) fn write(&mut self) -> Result<(), StorageError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.active().segment.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(WRITE_BYTES);
        Ok(())
    }

    /// Writes the buffer and makes all of the log durable.
    pub(crate) fn sync(&mut self) -> Result<(), StorageError> {
        self.write()?;
        if self.synced < self.written {
            self.active().segment.file.sync()?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Whether something written is not synced.
    pub(crate) fn is_dirty(&self) -> bool {
        self.synced < self.active().bytes
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// All segments. Their bytes count what is still in the buffer.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The segment that is written to.
    pub(crate) fn active(&self) -> &Piece {
        self.pieces.last().expect("a log has a segment")
    }

    /// Up to where the segment that is written to is durable.
    pub(crate) fn synced_end(&self) -> SyncedTo {
        SyncedTo::new(self.active().segment.name, self.synced)
    }

    /// What is durable of each segment.
    pub(crate) fn synced(&self) -> Vec<SyncedTo> {
        let all = |piece: &Piece| SyncedTo::new(piece.segment.name, piece.bytes);
        let mut synced: Vec<_> = self.pieces.iter().map(all).collect();
        *synced.last_mut().expect("a log has a segment") = self.synced_end();
        synced
    }

    /// Begins the next segment, `first` being the next seq, unless the last one is empty.
    pub(crate) fn close_segment(&mut self, first: u64) -> Result<(), StorageError> {
        if self.active().bytes > HEADER_BYTES { self.next_segment(first) } else { Ok(()) }
    }

    /// The segments as they would be with one, or none, in the place of consecutive closed ones. `None`: those are
    /// not there.
    pub(crate) fn with_replaced(&self, old: &[SegmentName], new: Option<&Piece>) -> Option<Vec<Piece>> {
        let start = self.pieces.iter().position(|piece| Some(&piece.segment.name) == old.first())?;
        let there = self.pieces[start..self.pieces.len() - 1].iter().map(|piece| piece.segment.name);
        if !there.take(old.len()).eq(old.iter().copied()) {
            return None;
        }
        let mut pieces = self.pieces.clone();
        pieces.splice(start..start + old.len(), new.cloned());
        Some(pieces)
    }

    /// Takes the segments of [`with_replaced`](Self::with_replaced) for its own.
    pub(crate) fn replace(&mut self, pieces: Vec<Piece>) {
        debug_assert_eq!(pieces.last().map(|last| last.segment.name), Some(self.active().segment.name));
        self.pieces = pieces;
    }

    /// Closes the last segment, synced whatever the durability mode (so that only the last one can be torn), and
    /// opens the next.
    fn next_segment(&mut self, first: u64) -> Result<(), StorageError> {
        self.sync()?;
        let dir = self.home.log_dir(self.generation);
        let number = self.active().segment.name.number + 1;
        let segment = segment::create(&*self.home.disk, &dir, self.generation, number, first)?;
        self.pieces.push(Piece { segment: Arc::new(segment), bytes: HEADER_BYTES });
        self.written = HEADER_BYTES;
        self.synced = HEADER_BYTES;
        Ok(())
    }
}

fn small(offset: u64) -> u32 {
    u32::try_from(offset).expect("segments are shorter than 4 GiB")
}
