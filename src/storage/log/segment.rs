//! A segment: one file of the log. A header, then records to the end.
//!
//! ```text
//! "KVLABLOG" | version u32 | generation u64 | number u32 | crc32 of these u32
//! ```
//!
//! Cleanup writes a segment anew under the same number and the next *revision*; the meta file says which counts.

use std::path::Path;
use std::sync::Arc;

use super::record::{self, Flaw, Record, RecordPlace};
use crate::storage::disk::Disk;
use crate::storage::error::StorageError;
use crate::storage::file::File;
use crate::storage::segment_name::{FORMAT, SegmentName};

/// The header's length.
pub(crate) const HEADER_BYTES: u64 = 28;
const MAGIC: &[u8; 8] = b"KVLABLOG";
/// How much a scan reads at a time, unless one record needs more.
const READ_BYTES: usize = 256 << 10;

/// One open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    /// No record in it has a lower seq than this.
    pub(crate) first: u64,
    pub(crate) file: File,
}

/// A segment and how much of it counts.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) segment: Arc<Segment>,
    /// Bytes from the beginning of the file, the header among them.
    pub(crate) bytes: u64,
}

/// Reads the records of a piece one after the other.
#[derive(Debug)]
pub(crate) struct Scan {
    piece: Piece,
    /// Where the next record begins.
    offset: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    buffered_at: u64,
    /// How much it reads at a time, unless one record needs more.
    read_bytes: usize,
}

/// What a scan finds next.
#[derive(Debug)]
pub(crate) enum ScanStep<'a> {
    /// A record whose head is good, and where it begins. Its value may be damaged.
    Record(u32, Record<'a>),
    /// The piece ends after a whole record.
    End,
    /// Something else, from this byte on.
    Bad(u64, Flaw),
}

/// Creates an empty segment in `dir`, durably, to be written to.
pub(crate) fn create(
    disk: &dyn Disk,
    dir: &Path,
    generation: u64,
    number: u32,
    first: u64,
) -> Result<Segment, StorageError> {
    let name = SegmentName::first(number);
    let file = File::create(disk, &dir.join(name.log()))?;
    file.write_at(&header(generation, number), 0)?;
    file.sync()?;
    disk.sync_dir(dir).map_err(|e| StorageError::io("sync", dir, e))?;
    Ok(Segment { name, first, file })
}

/// The header of a segment.
pub(crate) fn header(generation: u64, number: u32) -> [u8; HEADER_BYTES as usize] {
    let mut bytes = [0; HEADER_BYTES as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..20].copy_from_slice(&generation.to_le_bytes());
    bytes[20..24].copy_from_slice(&number.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..24]);
    bytes[24..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

impl Segment {
    /// Checks the header.
    pub(crate) fn check_header(&self, generation: u64) -> Result<(), StorageError> {
        let mut bytes = [0; HEADER_BYTES as usize];
        let read = self.file.read_at(&mut bytes, 0)?;
        let corrupt = |offset, what: &str| Err(self.file.corrupt(offset, what));
        if read < bytes.len() {
            return corrupt(read as u64, "the file ends within the segment header");
        }
        if &bytes[..8] != MAGIC {
            return corrupt(0, "this is not a segment of a kvlab log");
        }
        if bytes[24..] != crc32fast::hash(&bytes[..24]).to_le_bytes() {
            return corrupt(24, "the segment header's checksum does not match");
        }
        let found = record::u32_at(&bytes, 8);
        if found != FORMAT {
            return Err(StorageError::Version { file: self.file.path.clone(), found, known: FORMAT });
        }
        if bytes != header(generation, self.name.number) {
            return corrupt(12, "the segment belongs to another log, or to another place in it");
        }
        Ok(())
    }
}

impl Scan {
    /// From the first record on.
    pub(crate) fn new(piece: Piece) -> Self {
        Self::starting_at(piece, HEADER_BYTES)
    }

    /// From the record on that begins at byte `offset`.
    pub(crate) fn starting_at(piece: Piece, offset: u64) -> Self {
        Self::slowly(piece, offset, READ_BYTES)
    }

    /// As above, and reads `read_bytes` at a time, at most what is usual.
    pub(crate) fn slowly(piece: Piece, offset: u64, read_bytes: usize) -> Self {
        let read_bytes = read_bytes.min(READ_BYTES);
        Self { piece, offset, buffer: Vec::new(), buffered_at: offset, read_bytes }
    }

    /// Where the next record begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> Result<ScanStep<'_>, StorageError> {
        let at = self.offset;
        if at == self.piece.bytes {
            return Ok(ScanStep::End);
        }
        // Bounded by the piece's end before anything is allocated for a length that the file only claims.
        let bytes =
            match self.buffer(record::PREFIX_BYTES)?.first_chunk().map(|prefix| record::length(*prefix)) {
                None => return Ok(ScanStep::Bad(at, Flaw::Short)),
                Some(Err(flaw)) => return Ok(ScanStep::Bad(at, flaw)),
                Some(Ok(bytes)) if bytes as u64 > self.piece.bytes - at => {
                    return Ok(ScanStep::Bad(at, Flaw::Short));
                }
                Some(Ok(bytes)) => bytes,
            };
        let segment = self.piece.segment.name.number;
        let offset = u32::try_from(at)
            .map_err(|_| self.piece.segment.file.corrupt(at, "a segment cannot be this long"))?;
        self.buffer(bytes)?;
        self.offset += bytes as u64;
        let start = usize::try_from(at - self.buffered_at).expect("within the buffer");
        match record::decode(&self.buffer[start..], RecordPlace { segment, offset }) {
            Ok(record) => Ok(ScanStep::Record(offset, record)),
            Err(flaw) => {
                self.offset = at;
                Ok(ScanStep::Bad(at, flaw))
            }
        }
    }

    /// The piece that it reads.
    pub(crate) fn piece(&self) -> &Piece {
        &self.piece
    }

    /// Bytes from `offset` on: at least `wanted`, unless the piece or the file ends before.
    fn buffer(&mut self, wanted: usize) -> Result<&[u8], StorageError> {
        let start = usize::try_from(self.offset - self.buffered_at).expect("within the buffer");
        if self.buffer.len() < start + wanted {
            self.buffer.drain(..start.min(self.buffer.len()));
            self.buffered_at = self.offset;
            let have = self.buffer.len();
            let left = self.piece.bytes - self.offset - have as u64;
            let more = wanted.max(self.read_bytes).saturating_sub(have);
            let more = usize::try_from(left).unwrap_or(usize::MAX).min(more);
            self.buffer.resize(have + more, 0);
            let read =
                self.piece.segment.file.read_at(&mut self.buffer[have..], self.buffered_at + have as u64)?;
            self.buffer.truncate(have + read);
        }
        let start = usize::try_from(self.offset - self.buffered_at).expect("within the buffer");
        Ok(&self.buffer[start..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::disk::MemoryDisk;

    #[test]
    fn headers_are_checked_in_every_byte() {
        let disk = MemoryDisk::new(0);
        let segment = create(&disk, Path::new("/"), 3, 5, 1).unwrap();
        segment.check_header(3).unwrap();
        assert!(matches!(segment.check_header(4), Err(StorageError::Corrupt { .. })));
        let good = header(3, 5);
        for (at, &byte) in good.iter().enumerate() {
            segment.file.write_at(&[byte ^ 0x40], at as u64).unwrap();
            assert!(matches!(segment.check_header(3), Err(StorageError::Corrupt { .. })), "byte {at}");
            segment.file.write_at(&[byte], at as u64).unwrap();
        }
        segment.file.truncate(27).unwrap();
        assert!(matches!(segment.check_header(3), Err(StorageError::Corrupt { offset: 27, .. })));
    }

    #[test]
    fn a_later_format_is_named() {
        let disk = MemoryDisk::new(0);
        let segment = create(&disk, Path::new("/"), 1, 1, 1).unwrap();
        let mut later = header(1, 1);
        later[8] = 9;
        let crc = crc32fast::hash(&later[..24]);
        later[24..].copy_from_slice(&crc.to_le_bytes());
        segment.file.write_at(&later, 0).unwrap();
        assert!(matches!(
            segment.check_header(1),
            Err(StorageError::Version { found: 9, known: FORMAT, .. })
        ));
    }
}
