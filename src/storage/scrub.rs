//! The scrub: reads closed segments from end to end, so that damage is found before the value is needed.
//!
//! It is read in slices, so that whoever drives it sets the pace; where the next slice begins is a [`ScrubCursor`]. What
//! a system keeps in memory of a file is read from there: a scrub finds what a read would find.

use super::damages::damage;
use super::error::StorageError;
use super::gate::LogEra;
use super::log::segment::{Piece, Scan, ScanStep};
use super::segment_name::SegmentName;
use crate::types::Damage;

/// Where a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubCursor {
    /// Of the log that it goes through.
    pub(super) era: LogEra,
    pub(super) segment: SegmentName,
    /// Where in the segment the next record begins.
    pub(super) offset: u64,
}

/// A slice to be read, on a thread that may wait for the disk.
#[derive(Debug)]
pub struct ScrubTask {
    pub(super) era: LogEra,
    pub(super) piece: Piece,
    pub(super) offset: u64,
    pub(super) bytes_max: u64,
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
