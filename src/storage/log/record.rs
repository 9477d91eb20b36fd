//! One record of the log, as bytes.
//!
//! ```text
//! crc32 u32 | length u32 | synced u32 | epoch number u64 | epoch node u8 | seq u64 | kind u8 | key length u32
//!     | crc32 of the value u32 | key | value
//! ```
//!
//! Little endian. `length` counts what follows it. All but the value is the record's *head*. The first checksum covers
//! the head after itself and then the record's place (segment u32, offset u32), which is not stored: a copy of a record
//! elsewhere, for instance within a value, is no record. The value has a checksum of its own, which the head holds: so a
//! record whose value is damaged still says for certain what it is, whose, and where the next begins, and what the value
//! must be to be the right one (see `damages.rs`). `synced` says up to which byte of its segment the log was known to be synced
//! when the record was written; recovery tells a torn tail from corruption by it (see `tail.rs`).

use bytes::Bytes;

use crate::storage::error::StorageError;
use crate::types::{
    EPOCH_NUMBER_MAX, Entry, Epoch, KEY_BYTES_MAX, NodeId, Op, Position, SEQ_MAX, VALUE_BYTES_MAX,
};

/// Checksum and length: what must be read before it is known how much more to read.
pub(crate) const PREFIX_BYTES: usize = 8;
/// A record without key and value.
pub(crate) const FIXED_BYTES: usize = 38;
/// Where the checksum of the value stands.
const VALUE_CRC_AT: usize = 34;
/// The longest record.
pub(crate) const RECORD_BYTES_MAX: usize = FIXED_BYTES + KEY_BYTES_MAX + VALUE_BYTES_MAX;

/// What a record does; the byte that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Noop = 0,
    Put = 1,
    Del = 2,
}

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordPlace {
    /// The segment's number.
    pub(crate) segment: u32,
    /// The byte in the segment.
    pub(crate) offset: u32,
}

/// A record, over the bytes that it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) at: Position,
    pub(crate) synced: u32,
    pub(crate) kind: Kind,
    pub(crate) key: &'a [u8],
    /// `None`: it is not the one that was written.
    pub(crate) value: Option<&'a [u8]>,
    value_bytes: usize,
    value_crc: u32,
}

/// What can be told of a record before its bytes are all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) bytes: usize,
    pub(crate) synced: u32,
    pub(crate) at: Position,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("the file ends within a record")]
    Short,
    #[error("a record of {0} bytes is impossible")]
    Length(u64),
    #[error("a record's checksum does not match")]
    Checksum,
    #[error("the checksum of a record's value does not match")]
    Value,
    #[error("a record of unknown kind {0}")]
    Kind(u8),
    #[error("a record's key length does not fit it")]
    KeyLength,
    #[error("a record's epoch or seq is beyond any that a log can reach")]
    Beyond,
}

/// Appends `entry` to `buffer` as a record for `place`; returns how long the record is.
pub(crate) fn encode(
    buffer: &mut Vec<u8>,
    entry: &Entry,
    place: RecordPlace,
    synced: u32,
) -> Result<u32, StorageError> {
    let (key, value) = (entry.op.key().map_or(&[][..], |key| key), entry.op.value());
    if !entry.op.is_within_limits() {
        let what = format!("{} has a key of {} and a value of {} bytes", entry.at, key.len(), value.len());
        return Err(StorageError::misuse(what));
    }
    let start = buffer.len();
    let bytes = bytes_of(entry);
    buffer.reserve(bytes as usize);
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&(bytes - PREFIX_BYTES as u32).to_le_bytes());
    buffer.extend_from_slice(&synced.to_le_bytes());
    buffer.extend_from_slice(&entry.at.epoch.number.to_le_bytes());
    buffer.push(entry.at.epoch.node.0);
    buffer.extend_from_slice(&entry.at.seq.to_le_bytes());
    buffer.push(Kind::of(&entry.op) as u8);
    buffer.extend_from_slice(&u32::try_from(key.len()).expect("bounded above").to_le_bytes());
    buffer.extend_from_slice(&crc32fast::hash(value).to_le_bytes());
    buffer.extend_from_slice(key);
    let crc = checksum(&buffer[start + 4..], place);
    buffer.extend_from_slice(value);
    buffer[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

/// How long the record of an entry is.
pub(crate) fn bytes_of(entry: &Entry) -> u32 {
    u32::try_from(FIXED_BYTES + entry.op.bytes()).expect("bounded by the limits of key and value")
}

/// How long the record that begins with `prefix` is. Refuses impossible lengths, so that nobody allocates for them.
pub(crate) fn length(prefix: [u8; PREFIX_BYTES]) -> Result<usize, Flaw> {
    let length = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]);
    let bytes = length as usize + PREFIX_BYTES;
    if (FIXED_BYTES..=RECORD_BYTES_MAX).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(Flaw::Length(bytes as u64))
    }
}

/// Reads the record at the beginning of `bytes`; what follows it does not matter. A value that is not the one that was
/// written is left out; anything else that is not as it was written is a flaw.
pub(crate) fn decode(bytes: &[u8], place: RecordPlace) -> Result<Record<'_>, Flaw> {
    let prefix = bytes.first_chunk::<PREFIX_BYTES>().ok_or(Flaw::Short)?;
    let bytes = bytes.get(..length(*prefix)?).ok_or(Flaw::Short)?;
    // Where the head ends is part of what its checksum has to vouch for. A length that cannot be vouches for nothing.
    let key_end = FIXED_BYTES.saturating_add(u32_at(bytes, 30) as usize);
    let head = bytes.get(..key_end).ok_or(Flaw::Checksum)?;
    if u32_at(head, 0) != checksum(&head[4..], place) {
        return Err(Flaw::Checksum);
    }
    let kind = kind_of(head[29])?;
    let (key, value) = (&head[FIXED_BYTES..], &bytes[key_end..]);
    if !shape_fits(kind, key.len(), value.len()) {
        return Err(Flaw::KeyLength);
    }
    let at = position(head).ok_or(Flaw::Beyond)?;
    let value_crc = u32_at(head, VALUE_CRC_AT);
    let (value_bytes, whole) = (value.len(), crc32fast::hash(value) == value_crc);
    if !whole && value.is_empty() {
        return Err(Flaw::Checksum); // nothing is not damaged: the head contradicts itself
    }
    let value = whole.then_some(value);
    Ok(Record { at, synced: u32_at(head, 8), kind, key, value, value_bytes, value_crc })
}

/// What the fixed part of a record says, if it could be one. Cheap: looks at no checksum.
pub(crate) fn outline(fixed: &[u8; FIXED_BYTES]) -> Option<Outline> {
    let bytes = length(*fixed.first_chunk().expect("longer than a prefix")).ok()?;
    let kind = kind_of(fixed[29]).ok()?;
    let key = u32_at(fixed, 30) as usize;
    let value = bytes.checked_sub(FIXED_BYTES + key)?;
    let at = position(fixed)?;
    shape_fits(kind, key, value).then(|| Outline { bytes, synced: u32_at(fixed, 8), at })
}

impl Record<'_> {
    /// Its length in the file.
    pub(crate) fn bytes(&self) -> u32 {
        u32::try_from(FIXED_BYTES + self.key.len() + self.value_bytes)
            .expect("records are shorter than 4 GiB")
    }

    /// Where the value begins, counted from the record's beginning.
    pub(crate) fn value_start(&self) -> usize {
        FIXED_BYTES + self.key.len()
    }

    /// Whether `value` is the one that was written.
    pub(crate) fn wrote(&self, value: &[u8]) -> bool {
        value.len() == self.value_bytes && crc32fast::hash(value) == self.value_crc
    }

    /// An entry of its own. `None`: its value is damaged.
    pub(crate) fn to_entry(self) -> Option<Entry> {
        let copy = Bytes::copy_from_slice;
        let value = self.value?;
        let op = match self.kind {
            Kind::Noop => Op::Noop,
            Kind::Put => Op::Put { key: copy(self.key), value: copy(value) },
            Kind::Del => Op::Del { key: copy(self.key) },
        };
        Some(Entry { at: self.at, op })
    }
}

impl Kind {
    /// What an entry does.
    pub(crate) fn of(op: &Op) -> Self {
        match op {
            Op::Noop => Self::Noop,
            Op::Put { .. } => Self::Put,
            Op::Del { .. } => Self::Del,
        }
    }
}

/// The kind that a byte stands for.
pub(crate) fn kind_of(byte: u8) -> Result<Kind, Flaw> {
    match byte {
        0 => Ok(Kind::Noop),
        1 => Ok(Kind::Put),
        2 => Ok(Kind::Del),
        other => Err(Flaw::Kind(other)),
    }
}

/// Whether a record of this kind may have a key and a value of such lengths.
pub(crate) fn shape_fits(kind: Kind, key: usize, value: usize) -> bool {
    match kind {
        Kind::Noop => key == 0 && value == 0,
        Kind::Put => key <= KEY_BYTES_MAX && value <= VALUE_BYTES_MAX,
        Kind::Del => key <= KEY_BYTES_MAX && value == 0,
    }
}

/// `None` if it is beyond what may come from outside: nothing that is reckoned with it shall wrap.
fn position(bytes: &[u8]) -> Option<Position> {
    let at = Position::new(Epoch::new(u64_at(bytes, 12), NodeId(bytes[20])), u64_at(bytes, 21));
    (at.epoch.number <= EPOCH_NUMBER_MAX && at.seq <= SEQ_MAX).then_some(at)
}

/// Of a head after its checksum, and of the place.
pub(in crate::storage) fn checksum(body: &[u8], place: RecordPlace) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(&place.segment.to_le_bytes());
    hasher.update(&place.offset.to_le_bytes());
    hasher.finalize()
}

/// The number in four bytes, little end first.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The number in eight bytes, little end first.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: RecordPlace = RecordPlace { segment: 7, offset: 28 };

    fn entry(number: u64, node: u8, seq: u64, op: Op) -> Entry {
        Entry { at: Position::new(Epoch::new(number, NodeId(node)), seq), op }
    }

    fn ops() -> impl Strategy<Value = Op> {
        let bytes = |max| prop::collection::vec(any::<u8>(), 0..max).prop_map(Bytes::from);
        prop_oneof![
            Just(Op::Noop),
            (bytes(80), bytes(300)).prop_map(|(key, value)| Op::Put { key, value }),
            bytes(80).prop_map(|key| Op::Del { key }),
        ]
    }

    fn entries() -> impl Strategy<Value = Entry> {
        (0..=EPOCH_NUMBER_MAX, any::<u8>(), 0..=SEQ_MAX, ops()).prop_map(|(e, n, s, op)| entry(e, n, s, op))
    }

    #[test]
    fn a_position_that_no_log_reaches_is_refused_whatever_its_checksum_says() {
        for (number, seq) in [(EPOCH_NUMBER_MAX + 1, 1), (1, SEQ_MAX + 1), (u64::MAX, u64::MAX)] {
            let mut bytes = Vec::new();
            encode(&mut bytes, &entry(number, 1, seq, Op::Noop), PLACE, 0).unwrap();
            assert_eq!(decode(&bytes, PLACE), Err(Flaw::Beyond));
            assert_eq!(outline(bytes.first_chunk().unwrap()), None);
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(entry in entries(), synced: u32, junk: Vec<u8>) {
            let mut bytes = Vec::new();
            let written = encode(&mut bytes, &entry, PLACE, synced).unwrap();
            prop_assert_eq!(written as usize, bytes.len());
            prop_assert_eq!(written, bytes_of(&entry));
            let fixed = bytes.first_chunk::<FIXED_BYTES>().unwrap();
            let outline = outline(fixed).unwrap();
            prop_assert_eq!(outline, Outline { bytes: bytes.len(), synced, at: entry.at });

            bytes.extend(junk);
            let record = decode(&bytes, PLACE).unwrap();
            prop_assert_eq!(record.bytes(), written);
            prop_assert_eq!(record.synced, synced);
            prop_assert_eq!(record.to_entry(), Some(entry));
        }

        #[test]
        fn any_flipped_bit_shows_and_only_those_of_a_value_leave_the_head(
            entry in entries(),
            bit: prop::sample::Index,
        ) {
            let mut bytes = Vec::new();
            encode(&mut bytes, &entry, PLACE, 9).unwrap();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let head = bytes.len() - entry.op.value().len();
            if bit / 8 < head {
                prop_assert!(decode(&bytes, PLACE).is_err());
                return Ok(());
            }
            let record = decode(&bytes, PLACE).unwrap();
            prop_assert_eq!((record.at, record.synced, record.value), (entry.at, 9, None));
            prop_assert_eq!(Some(record.key), entry.op.key().map(|key| &key[..]));
            prop_assert_eq!(record.bytes(), bytes_of(&entry));
            prop_assert!(record.to_entry().is_none());
            prop_assert!(record.wrote(entry.op.value()) && !record.wrote(&bytes[head..]));
        }

        #[test]
        fn any_cut_shows(entry in entries(), cut: prop::sample::Index) {
            let mut bytes = Vec::new();
            encode(&mut bytes, &entry, PLACE, 0).unwrap();
            bytes.truncate(cut.index(bytes.len()));
            prop_assert_eq!(decode(&bytes, PLACE), Err(Flaw::Short));
        }

        #[test]
        fn arbitrary_bytes_are_no_record_and_no_panic(bytes: Vec<u8>) {
            prop_assert!(decode(&bytes, PLACE).is_err());
            if let Some(prefix) = bytes.first_chunk() {
                prop_assert!(length(*prefix).is_ok_and(|n| n <= RECORD_BYTES_MAX) || length(*prefix).is_err());
            }
            if let Some(fixed) = bytes.first_chunk() {
                let _ = outline(fixed);
            }
        }

        // A checksum that matches is no licence to trust the rest.
        #[test]
        fn well_summed_nonsense_is_refused_without_panic(
            mut bytes in prop::collection::vec(any::<u8>(), FIXED_BYTES..200),
            key: prop::sample::Index,
        ) {
            let length = u32::try_from(bytes.len() - PREFIX_BYTES).unwrap();
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
            let key = key.index(bytes.len() - FIXED_BYTES + 1);
            bytes[30..34].copy_from_slice(&u32::try_from(key).unwrap().to_le_bytes());
            let crc = checksum(&bytes[4..FIXED_BYTES + key], PLACE);
            bytes[..4].copy_from_slice(&crc.to_le_bytes());
            if let Ok(record) = decode(&bytes, PLACE) {
                prop_assert_eq!(record.bytes() as usize, bytes.len());
            }
        }
    }

    #[test]
    fn a_record_elsewhere_is_no_record() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &entry(1, 1, 1, Op::Noop), PLACE, 0).unwrap();
        assert!(decode(&bytes, PLACE).is_ok());
        assert_eq!(decode(&bytes, RecordPlace { offset: 29, ..PLACE }), Err(Flaw::Checksum));
        assert_eq!(decode(&bytes, RecordPlace { segment: 8, ..PLACE }), Err(Flaw::Checksum));
    }

    #[test]
    fn the_layout_is_as_documented() {
        let mut bytes = Vec::new();
        let op = Op::Put { key: Bytes::from_static(b"k"), value: Bytes::from_static(b"vw") };
        encode(&mut bytes, &entry(3, 2, 258, op), PLACE, 28).unwrap();
        let mut head =
            vec![33, 0, 0, 0, 28, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 2, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0];
        head.extend(crc32fast::hash(b"vw").to_le_bytes());
        head.push(b'k');
        assert_eq!(bytes[4..4 + head.len()], head);
        assert_eq!(bytes[4 + head.len()..], *b"vw");
        let mut summed = head;
        summed.extend([7, 0, 0, 0, 28, 0, 0, 0]);
        assert_eq!(bytes[..4], crc32fast::hash(&summed).to_le_bytes());
    }

    #[test]
    fn limits_hold_on_both_sides() {
        let mut bytes = Vec::new();
        let put = |key: usize, value: usize| {
            entry(1, 1, 1, Op::Put { key: vec![0; key].into(), value: vec![0; value].into() })
        };
        encode(&mut bytes, &put(KEY_BYTES_MAX, VALUE_BYTES_MAX), PLACE, 0).unwrap();
        assert_eq!(bytes.len(), RECORD_BYTES_MAX);
        assert!(decode(&bytes, PLACE).is_ok());
        assert!(encode(&mut bytes, &put(KEY_BYTES_MAX + 1, 0), PLACE, 0).is_err());
        assert!(encode(&mut bytes, &put(0, VALUE_BYTES_MAX + 1), PLACE, 0).is_err());
        assert_eq!(bytes.len(), RECORD_BYTES_MAX, "a refused entry leaves nothing behind");

        let mut prefix = [0; PREFIX_BYTES];
        for (length_field, fits) in [(0, false), (29, false), (30, true), (u32::MAX, false)] {
            prefix[4..].copy_from_slice(&u32::to_le_bytes(length_field));
            assert_eq!(length(prefix).is_ok(), fits, "{length_field}");
        }
    }
}
