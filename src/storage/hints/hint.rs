//! A hint: what the index needs to know of a closed segment, without the values.
//!
//! ```text
//! "KVLABHNT" | version u32 | generation u64 | number u32 | revision u32
//! for each record: kind u8 | length u32 | seq u64 | key length u32 | key
//! before the first record of an epoch: 3 u8 | epoch number u64 | epoch node u8
//! 255 u8 | records u64 | the segment's length u64 | crc32 of all before u32
//! ```
//!
//! Little endian. A hint is written only of a segment that is closed, and so synced whole; it is synced before it
//! gets its name. It counts only if everything about it is right: checksum, the segment that it names, that
//! segment's exact length, and lengths of records that fill the segment from its header to its end. A hint that does
//! not count is said to be bad, the segment is read instead, and the hint is written again. Nothing is guessed.

use bytes::Bytes;

use crate::storage::error::StorageError;
use crate::storage::file::File;
use crate::storage::index::Slot;
use crate::storage::log::record::{self, FIXED_BYTES, Kind, u32_at, u64_at};
use crate::storage::log::segment::HEADER_BYTES;
use crate::storage::segment_name::{FORMAT, SegmentName};
use crate::types::{EPOCH_NUMBER_MAX, Epoch, NodeId, Position, SEQ_MAX};

const MAGIC: &[u8; 8] = b"KVLABHNT";
const TITLE_BYTES: usize = 28;
const EPOCH: u8 = 3;
const EPOCH_BYTES: usize = 10;
/// A record without its key.
const FIXED_HINT_BYTES: usize = 17;
const END: u8 = 255;
/// The end mark, two numbers and the checksum.
const FOOTER_BYTES: usize = 21;
/// What is written at a time.
const WRITE_BYTES: usize = 256 << 10;

/// A hint whose every byte has been checked.
#[derive(Clone, Debug)]
pub(crate) struct Hint {
    segment: SegmentName,
    /// Between title and footer.
    body: Bytes,
    records: u64,
}

/// One record, as a hint tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hinted {
    pub(crate) at: Position,
    pub(crate) kind: Kind,
    pub(crate) key: Bytes,
    /// Where it is.
    pub(crate) slot: Slot,
}

/// Why bytes are not the hint of a segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("it is too short")]
    Short,
    #[error("it is longer than its segment")]
    Long,
    #[error("its checksum does not match")]
    Checksum,
    #[error("it is not a hint of format {FORMAT}")]
    Title,
    #[error("it belongs to another segment")]
    Segment,
    #[error("it is of a segment of {found} bytes, and this one has {bytes}")]
    Length { found: u64, bytes: u64 },
    #[error("its entries make no sense")]
    Entries,
    #[error("record {0} cannot stand where it says")]
    Order(Position),
}

/// The longest hint that a segment of so many bytes can have: an entry is never longer than its record, and an
/// epoch's mark stands for a no-op at least.
pub(crate) fn bytes_max(segment_bytes: u64) -> u64 {
    segment_bytes + (TITLE_BYTES + FOOTER_BYTES + EPOCH_BYTES) as u64
}

impl Hint {
    /// Checks the bytes of the hint of a segment of `generation` that has `segment_bytes`.
    pub(crate) fn check(
        bytes: &Bytes,
        generation: u64,
        segment: SegmentName,
        segment_bytes: u64,
    ) -> Result<Self, Flaw> {
        if bytes.len() < TITLE_BYTES + FOOTER_BYTES {
            return Err(Flaw::Short);
        }
        let (summed, crc) = bytes.split_at(bytes.len() - 4);
        if crc != crc32fast::hash(summed).to_le_bytes() {
            return Err(Flaw::Checksum);
        }
        let title = title(generation, segment);
        if bytes[..12] != title[..12] {
            return Err(Flaw::Title);
        }
        if bytes[..TITLE_BYTES] != title {
            return Err(Flaw::Segment);
        }
        let footer = bytes.len() - FOOTER_BYTES;
        let (records, found) = (u64_at(bytes, footer + 1), u64_at(bytes, footer + 9));
        if found != segment_bytes {
            return Err(Flaw::Length { found, bytes: segment_bytes });
        }
        let end = bytes[footer];
        let hint = Self { segment, body: bytes.slice(TITLE_BYTES..footer), records };
        let mut entries = hint.entries();
        let count = entries.by_ref().count() as u64;
        if end != END || !entries.is_whole() || count != records || entries.offset != segment_bytes {
            return Err(Flaw::Entries);
        }
        Ok(hint)
    }

    /// Its records, in log order.
    pub(crate) fn entries(&self) -> Entries {
        Entries { rest: self.body.clone(), segment: self.segment, epoch: Epoch::ZERO, offset: HEADER_BYTES }
    }

    /// How many they are.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }
}

/// Reads the records of a hint one after the other; ends at the first thing that makes no sense, which
/// [`Hint::check`] has found there to be none of.
#[derive(Debug)]
pub(crate) struct Entries {
    rest: Bytes,
    segment: SegmentName,
    epoch: Epoch,
    /// Where the next record begins in its segment.
    offset: u64,
}

impl Entries {
    /// Whether all has been read.
    fn is_whole(&self) -> bool {
        self.rest.is_empty()
    }
}

impl Iterator for Entries {
    type Item = Hinted;

    fn next(&mut self) -> Option<Hinted> {
        while let Some(mark) = self.rest.first_chunk::<EPOCH_BYTES>().filter(|mark| mark[0] == EPOCH) {
            let epoch = Epoch::new(u64_at(mark, 1), NodeId(mark[9]));
            if epoch <= self.epoch || epoch.number > EPOCH_NUMBER_MAX {
                return None;
            }
            self.epoch = epoch;
            self.rest = self.rest.slice(EPOCH_BYTES..);
        }
        let fixed = self.rest.first_chunk::<FIXED_HINT_BYTES>()?;
        let kind = record::kind_of(fixed[0]).ok()?;
        let (bytes, key) = (u32_at(fixed, 1), u32_at(fixed, 13) as usize);
        let at = Position::new(self.epoch, u64_at(fixed, 5));
        let value = (bytes as usize).checked_sub(FIXED_BYTES + key)?;
        if at.seq > SEQ_MAX
            || !record::shape_fits(kind, key, value)
            || self.rest.len() < FIXED_HINT_BYTES + key
        {
            return None;
        }
        let slot = Slot {
            seq: at.seq,
            segment: self.segment.key(),
            offset: u32::try_from(self.offset).ok()?,
            bytes,
            live: kind == Kind::Put,
        };
        let key = self.rest.slice(FIXED_HINT_BYTES..FIXED_HINT_BYTES + key);
        self.rest = self.rest.slice(FIXED_HINT_BYTES + key.len()..);
        self.offset += u64::from(bytes);
        Some(Hinted { at, kind, key, slot })
    }
}

/// Writes a hint, record after record.
#[derive(Debug)]
pub(crate) struct HintWriter {
    file: File,
    buffer: Vec<u8>,
    written: u64,
    summed: crc32fast::Hasher,
    epoch: Epoch,
    records: u64,
}

impl HintWriter {
    /// Into an empty file, for a segment of `generation`.
    pub(crate) fn new(file: File, generation: u64, segment: SegmentName) -> Self {
        let buffer = title(generation, segment).to_vec();
        let summed = crc32fast::Hasher::new();
        Self { file, buffer, written: 0, summed, epoch: Epoch::ZERO, records: 0 }
    }

    /// The segment's next record.
    pub(crate) fn add(
        &mut self,
        at: Position,
        kind: Kind,
        key: &[u8],
        bytes: u32,
    ) -> Result<(), StorageError> {
        if at.epoch != self.epoch {
            self.epoch = at.epoch;
            self.buffer.push(EPOCH);
            self.buffer.extend_from_slice(&at.epoch.number.to_le_bytes());
            self.buffer.push(at.epoch.node.0);
        }
        self.buffer.push(kind as u8);
        self.buffer.extend_from_slice(&bytes.to_le_bytes());
        self.buffer.extend_from_slice(&at.seq.to_le_bytes());
        let key_bytes = u32::try_from(key.len()).expect("keys are short");
        self.buffer.extend_from_slice(&key_bytes.to_le_bytes());
        self.buffer.extend_from_slice(key);
        self.records += 1;
        if self.buffer.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    /// All records are told of: makes the hint durable. Its name is not, yet.
    pub(crate) fn finish(&mut self, segment_bytes: u64) -> Result<(), StorageError> {
        self.buffer.push(END);
        self.buffer.extend_from_slice(&self.records.to_le_bytes());
        self.buffer.extend_from_slice(&segment_bytes.to_le_bytes());
        let mut summed = self.summed.clone();
        summed.update(&self.buffer);
        self.buffer.extend_from_slice(&summed.finalize().to_le_bytes());
        self.write()?;
        self.file.sync()
    }

    fn write(&mut self) -> Result<(), StorageError> {
        self.summed.update(&self.buffer);
        self.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// What a hint begins with.
pub(in crate::storage) fn title(generation: u64, segment: SegmentName) -> [u8; TITLE_BYTES] {
    let mut title = [0; TITLE_BYTES];
    title[..8].copy_from_slice(MAGIC);
    title[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    title[12..20].copy_from_slice(&generation.to_le_bytes());
    title[20..24].copy_from_slice(&segment.number.to_le_bytes());
    title[24..].copy_from_slice(&segment.revision.to_le_bytes());
    title
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::storage::disk::{Disk, MemoryDisk};

    const NAME: SegmentName = SegmentName { number: 7, revision: 3 };

    type Told = (u64, Kind, Vec<u8>, u32);

    /// Records of rising epochs, as a segment has them.
    fn told() -> impl Strategy<Value = Vec<Told>> {
        let one = (0..3u64, 0..3u8, prop::collection::vec(any::<u8>(), 0..40), 0..500u32);
        prop::collection::vec(one, 0..40).prop_map(|list| {
            let mut epoch = 1;
            let record = |(rise, kind, mut key, value): (u64, u8, Vec<u8>, u32)| {
                epoch += rise / 2;
                let kind = [Kind::Noop, Kind::Put, Kind::Del][usize::from(kind)];
                if kind == Kind::Noop {
                    key.clear();
                }
                let value = if kind == Kind::Put { value } else { 0 };
                (epoch, kind, key, value)
            };
            list.into_iter().map(record).collect()
        })
    }

    /// The bytes of their hint, and the length of their segment.
    fn write(records: &[Told]) -> (Vec<u8>, u64) {
        let disk = MemoryDisk::new(0);
        let path = Path::new("/hint");
        let mut writer = HintWriter::new(File::create(&disk, path).unwrap(), 2, NAME);
        let mut offset = HEADER_BYTES;
        for (seq, (epoch, kind, key, value)) in (1..).zip(records) {
            let bytes = u32::try_from(FIXED_BYTES + key.len()).unwrap() + value;
            writer.add(Position::new(Epoch::new(*epoch, NodeId(1)), seq), *kind, key, bytes).unwrap();
            offset += u64::from(bytes);
        }
        writer.finish(offset).unwrap();
        let file = disk.open(path).unwrap();
        let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
        file.read_at(&mut bytes, 0).unwrap();
        (bytes, offset)
    }

    /// Anything, with a title and a checksum that are right.
    fn well_summed(body: &[u8], records: u64, segment_bytes: u64) -> Bytes {
        let mut bytes = title(2, NAME).to_vec();
        bytes.extend_from_slice(body);
        bytes.push(END);
        bytes.extend_from_slice(&records.to_le_bytes());
        bytes.extend_from_slice(&segment_bytes.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes.into()
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(records in told()) {
            let (bytes, segment_bytes) = write(&records);
            prop_assert!(bytes.len() as u64 <= bytes_max(segment_bytes));
            let hint = Hint::check(&bytes.into(), 2, NAME, segment_bytes).unwrap();
            prop_assert_eq!(hint.records(), records.len() as u64);
            let mut offset = HEADER_BYTES;
            for (hinted, (seq, (epoch, kind, key, value))) in hint.entries().zip((1..).zip(&records)) {
                prop_assert_eq!(hinted.at, Position::new(Epoch::new(*epoch, NodeId(1)), seq));
                prop_assert_eq!((hinted.kind, &hinted.key[..]), (*kind, &key[..]));
                prop_assert_eq!((hinted.slot.seq, hinted.slot.segment), (seq, NAME.key()));
                prop_assert_eq!(u64::from(hinted.slot.offset), offset);
                prop_assert_eq!(hinted.slot.bytes as usize, FIXED_BYTES + key.len() + *value as usize);
                prop_assert_eq!(hinted.slot.live, *kind == Kind::Put);
                offset += u64::from(hinted.slot.bytes);
            }
            prop_assert_eq!(offset, segment_bytes);
        }

        #[test]
        fn any_flipped_bit_and_any_cut_shows(records in told(), at: prop::sample::Index, bit in 0..8u8) {
            let (bytes, segment_bytes) = write(&records);
            let at = at.index(bytes.len());
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            prop_assert!(Hint::check(&flipped.into(), 2, NAME, segment_bytes).is_err());
            prop_assert!(Hint::check(&bytes[..at].to_vec().into(), 2, NAME, segment_bytes).is_err());
        }

        #[test]
        fn arbitrary_bytes_are_no_hint_and_no_panic(bytes: Vec<u8>, segment_bytes: u64) {
            prop_assert!(Hint::check(&bytes.into(), 2, NAME, segment_bytes).is_err());
        }

        // A checksum that matches is no licence to trust the rest.
        #[test]
        fn well_summed_nonsense_is_refused_without_panic(
            records in told(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            junk in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let (bytes, segment_bytes) = write(&records);
            let mut body = bytes[TITLE_BYTES..bytes.len() - FOOTER_BYTES].to_vec();
            for (at, byte) in changes.into_iter().filter(|_| !body.is_empty()).collect::<Vec<_>>() {
                let at = at.index(body.len());
                body[at] = byte;
            }
            body.extend(junk);
            let count = records.len() as u64;
            if let Ok(hint) = Hint::check(&well_summed(&body, count, segment_bytes), 2, NAME, segment_bytes) {
                prop_assert_eq!(hint.entries().count() as u64, count);
                let filled: u64 = hint.entries().map(|hinted| u64::from(hinted.slot.bytes)).sum();
                prop_assert_eq!(filled + HEADER_BYTES, segment_bytes);
            }
        }
    }

    #[test]
    fn the_hint_of_another_segment_is_told_apart() {
        let (bytes, segment_bytes) = write(&[(1, Kind::Put, b"key".to_vec(), 4)]);
        let check = |generation, segment, segment_bytes| {
            Hint::check(&bytes.clone().into(), generation, segment, segment_bytes).map(|hint| hint.records())
        };
        assert_eq!(check(2, NAME, segment_bytes), Ok(1));
        assert_eq!(check(3, NAME, segment_bytes), Err(Flaw::Segment));
        assert_eq!(check(2, SegmentName { number: 8, ..NAME }, segment_bytes), Err(Flaw::Segment));
        assert_eq!(check(2, SegmentName { revision: 2, ..NAME }, segment_bytes), Err(Flaw::Segment));
        let longer = Err(Flaw::Length { found: segment_bytes, bytes: segment_bytes + 1 });
        assert_eq!(check(2, NAME, segment_bytes + 1), longer);
    }

    #[test]
    fn the_layout_is_as_documented() {
        let (bytes, _) = write(&[(3, Kind::Del, b"k".to_vec(), 0)]);
        let mut expected = b"KVLABHNT".to_vec();
        expected.extend([2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0]);
        expected.extend([3, 3, 0, 0, 0, 0, 0, 0, 0, 1]);
        expected.extend([2, 39, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, b'k']);
        expected.extend([255, 1, 0, 0, 0, 0, 0, 0, 0, 67, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend(crc32fast::hash(&expected).to_le_bytes());
        assert_eq!(bytes, expected);
    }
}
