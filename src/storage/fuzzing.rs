//! The decoders of the storage as plain functions of bytes, for the fuzz targets in `tests/fuzz/`.
//!
//! The decoders are private to this room, and the targets are a package of their own. So this module exists only with the
//! feature `fuzzing`, which no normal build has. Each function tries the bytes as they are, and then again with the
//! checksum that would be right: no fuzzer guesses a checksum, and one that matches is no licence to trust the rest.

use std::path::Path;

use bytes::Bytes;

use super::hints::hint::{Hint, bytes_max, title};
use super::log::record::{self, RecordPlace};
use super::log::segment::HEADER_BYTES;
use super::meta;
use super::segment_name::{FORMAT, SegmentName};

/// One record of the log.
///
/// # Panics
/// If what was decoded is not encoded as it was.
pub fn record(bytes: &[u8]) {
    let place = RecordPlace { segment: 7, offset: 28 };
    let _ = record::decode(bytes, place);
    if let Some(fixed) = bytes.first_chunk() {
        let _ = record::outline(fixed);
    }
    if bytes.len() < record::FIXED_BYTES {
        return;
    }
    let mut bytes = bytes.to_vec();
    let length = u32::try_from(bytes.len() - record::PREFIX_BYTES).expect("a short input");
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    let key = (record::u32_at(&bytes, 30) as usize).min(bytes.len() - record::FIXED_BYTES);
    let crc = record::checksum(&bytes[4..record::FIXED_BYTES + key], place);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    let Ok(record) = record::decode(&bytes, place) else { return };
    let outline = record::outline(bytes.first_chunk().expect("has a fixed part")).expect("is a record");
    assert_eq!((outline.bytes, outline.synced, outline.at), (bytes.len(), record.synced, record.at));
    let mut again = Vec::new();
    let Some(entry) = record.to_entry() else { return };
    record::encode(&mut again, &entry, place, record.synced).expect("is within the limits");
    assert_eq!(again, bytes);
}

/// The hint of a segment.
///
/// # Panics
/// If a hint that counts does not fill its segment.
pub fn hint(bytes: &[u8]) {
    let (generation, segment) = (2, SegmentName { number: 7, revision: 3 });
    let _ = Hint::check(&Bytes::copy_from_slice(bytes), generation, segment, HEADER_BYTES);
    // The input is the body and the two numbers of the footer.
    let Some((body, footer)) = bytes.split_last_chunk::<16>() else { return };
    let mut whole = title(generation, segment).to_vec();
    whole.extend_from_slice(body);
    whole.push(255);
    whole.extend_from_slice(footer);
    whole.extend_from_slice(&crc32fast::hash(&whole).to_le_bytes());
    let whole = Bytes::from(whole);
    let segment_bytes = record::u64_at(footer, 8);
    let Ok(hint) = Hint::check(&whole, generation, segment, segment_bytes) else { return };
    assert!(whole.len() as u64 <= bytes_max(segment_bytes));
    assert_eq!(hint.entries().count() as u64, hint.records());
    let filled: u64 = hint.entries().map(|hinted| u64::from(hinted.slot.bytes)).sum();
    assert_eq!(filled + HEADER_BYTES, segment_bytes);
}

/// The meta file.
///
/// # Panics
/// If what was read is not written so that it is read as the same.
pub fn meta(bytes: &[u8]) {
    let path = Path::new("meta");
    let _ = meta::parse(path, bytes);
    let mut whole = format!("kvlab-meta {FORMAT} {:08x}\n", meta::checksum(FORMAT, bytes)).into_bytes();
    whole.extend_from_slice(bytes);
    let Ok(read) = meta::parse(path, &whole) else { return };
    assert_eq!(meta::parse(path, &read.to_bytes()).expect("what was written is read"), read);
}
