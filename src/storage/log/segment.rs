//! A segment: one file of the log. A header, then records to the end.
//!
//! ```text
//! "KVLABLOG" | version u32 | generation u64 | number u32 | crc32 of these u32
//! ```
//!
//! Cleanup writes a segment anew under the same number and the next *revision*; the meta file says which counts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{self, Flaw, Place, Record};
use crate::storage::disk::{Disk, DiskFile};
use crate::storage::error::StorageError;

/// The version of the storage format; in every segment and in the meta file.
pub(in crate::storage) const FORMAT: u32 = 1;
/// The header's length.
pub(in crate::storage) const HEADER_BYTES: u64 = 28;
const MAGIC: &[u8; 8] = b"KVLABLOG";
/// Set in a [`SegmentKey`] of an odd revision; numbers stay below it.
const ODD_REVISION: u32 = 1 << 31;
/// How much a scan reads at a time, unless one record needs more.
const READ_BYTES: usize = 256 << 10;

/// Which file of a log: no two files have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::storage) struct Name {
    /// The log is its segments in the order of their numbers.
    pub(in crate::storage) number: u32,
    /// How often cleanup has written a segment of this number anew.
    pub(in crate::storage) revision: u32,
}

/// How the index names a segment, in 32 bits: its number, and whether its revision is odd. Of one number, only a
/// revision and the next are ever in use together, while the index moves from the one to the other.
pub(in crate::storage) type SegmentKey = u32;

/// One open segment.
#[derive(Debug)]
pub(in crate::storage) struct Segment {
    pub(in crate::storage) name: Name,
    /// No record in it has a lower seq than this.
    pub(in crate::storage) first: u64,
    pub(in crate::storage) path: PathBuf,
    pub(in crate::storage) file: Arc<dyn DiskFile>,
}

/// A segment and how much of it counts.
#[derive(Clone, Debug)]
pub(in crate::storage) struct Piece {
    pub(in crate::storage) segment: Arc<Segment>,
    /// Bytes from the beginning of the file, the header among them.
    pub(in crate::storage) bytes: u64,
}

/// Reads the records of a piece one after the other.
#[derive(Debug)]
pub(in crate::storage) struct Scan {
    piece: Piece,
    /// Where the next record begins.
    offset: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    buffered_at: u64,
}

/// What a scan finds next.
#[derive(Debug)]
pub(in crate::storage) enum Step<'a> {
    /// A good record and where it begins.
    Record(u32, Record<'a>),
    /// The piece ends after a whole record.
    End,
    /// Something else, from this byte on.
    Bad(u64, Flaw),
}

impl Name {
    /// A segment as it was first written.
    pub(in crate::storage) fn first(number: u32) -> Self {
        Self { number, revision: 0 }
    }

    /// The name of its file.
    pub(in crate::storage) fn log(self) -> String {
        format!("{self}.log")
    }

    /// The name of its hint's file.
    pub(in crate::storage) fn hint(self) -> String {
        format!("{self}.hint")
    }

    /// The segment whose file is called so.
    pub(in crate::storage) fn of_log(file: &str) -> Option<Self> {
        Self::parse(file.strip_suffix(".log")?).filter(|name| name.log() == file)
    }

    /// The segment whose hint is called so.
    pub(in crate::storage) fn of_hint(file: &str) -> Option<Self> {
        Self::parse(file.strip_suffix(".hint")?).filter(|name| name.hint() == file)
    }

    /// How the index names it.
    pub(in crate::storage) fn key(self) -> SegmentKey {
        if self.revision % 2 == 1 { self.number | ODD_REVISION } else { self.number }
    }

    /// The number in a key.
    pub(in crate::storage) fn number_in(key: SegmentKey) -> u32 {
        key & !ODD_REVISION
    }

    fn parse(stem: &str) -> Option<Self> {
        let (number, revision) = stem.split_once('-').unwrap_or((stem, "0"));
        let number = number.parse().ok().filter(|number| *number < ODD_REVISION)?;
        Some(Self { number, revision: revision.parse().ok()? })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision {
            0 => write!(f, "{:08}", self.number),
            revision => write!(f, "{:08}-{revision}", self.number),
        }
    }
}

/// Creates an empty segment in `dir`, durably, to be written to.
pub(in crate::storage) fn create(
    disk: &dyn Disk,
    dir: &Path,
    generation: u64,
    number: u32,
    first: u64,
) -> Result<Segment, StorageError> {
    let name = Name::first(number);
    let path = dir.join(name.log());
    let file = disk.create(&path).map_err(|e| StorageError::io("create", &path, e))?;
    file.write_at(&header(generation, number), 0).map_err(|e| StorageError::io("write", &path, e))?;
    file.sync().map_err(|e| StorageError::io("sync", &path, e))?;
    disk.sync_dir(dir).map_err(|e| StorageError::io("sync", dir, e))?;
    Ok(Segment { name, first, path, file })
}

/// The header of a segment.
pub(in crate::storage) fn header(generation: u64, number: u32) -> [u8; HEADER_BYTES as usize] {
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
    pub(in crate::storage) fn check_header(&self, generation: u64) -> Result<(), StorageError> {
        let mut bytes = [0; HEADER_BYTES as usize];
        let read = self.read_at(&mut bytes, 0)?;
        let corrupt = |offset, what: String| Err(StorageError::corrupt(&self.path, offset, what));
        if read < bytes.len() {
            return corrupt(read as u64, "the file ends within the segment header".to_owned());
        }
        if &bytes[..8] != MAGIC {
            return corrupt(0, "this is not a segment of a kvlab log".to_owned());
        }
        if bytes[24..] != crc32fast::hash(&bytes[..24]).to_le_bytes() {
            return corrupt(24, "the segment header's checksum does not match".to_owned());
        }
        let found = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
        if found != FORMAT {
            return Err(StorageError::Version { file: self.path.clone(), found, known: FORMAT });
        }
        if bytes != header(generation, self.name.number) {
            return corrupt(12, "the segment belongs to another log, or to another place in it".to_owned());
        }
        Ok(())
    }

    /// Reads as much of `buffer` as the file has.
    pub(in crate::storage) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, StorageError> {
        self.file.read_at(buffer, offset).map_err(|e| StorageError::io("read", &self.path, e))
    }

    /// Corruption at `offset`.
    pub(in crate::storage) fn corrupt(&self, offset: u64, what: impl Into<String>) -> StorageError {
        StorageError::corrupt(&self.path, offset, what)
    }
}

impl Scan {
    /// From the first record on.
    pub(in crate::storage) fn new(piece: Piece) -> Self {
        Self { piece, offset: HEADER_BYTES, buffer: Vec::new(), buffered_at: HEADER_BYTES }
    }

    /// The next record.
    pub(in crate::storage) fn next(&mut self) -> Result<Step<'_>, StorageError> {
        let at = self.offset;
        if at == self.piece.bytes {
            return Ok(Step::End);
        }
        // Bounded by the piece's end before anything is allocated for a length that the file only claims.
        let bytes =
            match self.buffer(record::PREFIX_BYTES)?.first_chunk().map(|prefix| record::length(*prefix)) {
                None => return Ok(Step::Bad(at, Flaw::Short)),
                Some(Err(flaw)) => return Ok(Step::Bad(at, flaw)),
                Some(Ok(bytes)) if bytes as u64 > self.piece.bytes - at => {
                    return Ok(Step::Bad(at, Flaw::Short));
                }
                Some(Ok(bytes)) => bytes,
            };
        let segment = self.piece.segment.name.number;
        let offset =
            u32::try_from(at).map_err(|_| self.piece.segment.corrupt(at, "a segment cannot be this long"))?;
        self.buffer(bytes)?;
        self.offset += bytes as u64;
        let start = usize::try_from(at - self.buffered_at).expect("within the buffer");
        match record::decode(&self.buffer[start..], Place { segment, offset }) {
            Ok(record) => Ok(Step::Record(offset, record)),
            Err(flaw) => {
                self.offset = at;
                Ok(Step::Bad(at, flaw))
            }
        }
    }

    /// The piece that it reads.
    pub(in crate::storage) fn piece(&self) -> &Piece {
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
            let more = wanted.max(READ_BYTES).saturating_sub(have);
            let more = usize::try_from(left).unwrap_or(usize::MAX).min(more);
            self.buffer.resize(have + more, 0);
            let read =
                self.piece.segment.read_at(&mut self.buffer[have..], self.buffered_at + have as u64)?;
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
    fn names_and_numbers_agree() {
        for number in [0, 1, 42, 99_999_999, 100_000_000, ODD_REVISION - 1] {
            for revision in [0, 1, 2, u32::MAX] {
                let name = Name { number, revision };
                assert_eq!(Name::of_log(&name.log()), Some(name));
                assert_eq!(Name::of_hint(&name.hint()), Some(name));
                assert_eq!((Name::of_log(&name.hint()), Name::of_hint(&name.log())), (None, None));
                assert_eq!(Name::number_in(name.key()), number);
                assert_ne!(name.key(), Name { number, revision: revision ^ 1 }.key());
            }
        }
        for name in [
            "1.log",
            "+0000001.log",
            "00000001.log~",
            "log",
            "-0000001.log",
            "00000001-0.log",
            "00000001-01.log",
            "00000001-.log",
            "2147483648.log",
        ] {
            assert_eq!(Name::of_log(name), None, "{name}");
        }
    }

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
        assert!(matches!(segment.check_header(1), Err(StorageError::Version { found: 9, known: 1, .. })));
    }
}
