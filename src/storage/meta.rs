//! The meta file: what a member must remember besides the entries of its log, and which log counts.
//!
//! One line that names the format and a checksum, then JSON, so that a person may read it:
//!
//! ```text
//! kvlab-meta 2 5f3a09c1
//! {"node":"n2","generation":1,"promise":{"epoch":"3@n1","learner":false}, …}
//! ```
//!
//! It is small and replaced as a whole (written beside, synced, renamed, directory synced), so that a crash leaves
//! the old one or the new one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::StorageError;
use super::gate::LogEra;
use super::home::{Home, META};
use super::segment_name::{FORMAT, SegmentName, SyncedTo};
use crate::replication::Promise;
use crate::types::{Lineage, NodeId, Position, SEQ_MAX};

/// No meta file is longer. A terabyte of log needs a tenth of it.
const META_BYTES_MAX: u64 = 4 << 20;
const TITLE: &str = "kvlab-meta";
/// The highest generation of a log, and number of cuts, that is believed: each full resync, or cut, takes one.
const COUNT_MAX: u64 = 1 << 48;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Meta {
    /// Whose store this is.
    pub(super) node: NodeId,
    /// Which log counts: the one in `log-<generation>`. Replacing this number is what installs a full resync.
    pub(super) generation: u64,
    /// The last promise saved.
    pub(super) promise: Promise,
    /// Up to here the log came from elsewhere or has been cleaned up, and may have gaps; from the next seq on it has
    /// none. `0@n0/0` for a log that began here and is as it was written.
    pub(super) base: Position,
    /// Up to here tombstones may have been dropped: whoever is not in the log is absent as of this.
    pub(super) floor: Position,
    /// The lineage up to `base`. What comes after is in the log itself.
    pub(super) lineage: Lineage,
    /// The highest number of a segment that cleanup has ever read in this log, or that was received; 0 if none. What is
    /// up to `base` is in segments of this or a lower number. A file of such a number that `segments` does not name
    /// has been replaced.
    pub(super) cleaned: u32,
    /// The highest seq that superseded something that cleanup has dropped. Below it the log cannot be cut: older values
    /// would be missing.
    pub(super) superseded: u64,
    /// How often a log of this store has been cut: see [`LogEra`].
    pub(super) cuts: u64,
    /// The log is being cut back to here: whatever `segments` does not hold is to go. A start finishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cut: Option<Position>,
    /// The segments as of when this was written, and up to where each was synced. All but the last were closed.
    pub(super) segments: Vec<SyncedTo>,
}

impl Meta {
    /// Reads the meta file; `None` if there is none.
    pub(super) fn load(home: &Home) -> Result<Option<Self>, StorageError> {
        let path = home.dir.join(META);
        let Some(bytes) = home.read(&path, META_BYTES_MAX)? else { return Ok(None) };
        parse(&path, &bytes).map(Some)
    }

    /// Replaces the meta file, durably and atomically.
    pub(super) fn save(&self, home: &Home) -> Result<(), StorageError> {
        self.prepare(home)?;
        self.put_in_place(home)
    }

    /// The first half of [`save`](Self::save): if it fails, nothing has changed.
    pub(super) fn prepare(&self, home: &Home) -> Result<(), StorageError> {
        debug_assert_eq!(self.check(), Ok(()), "what is saved can be loaded");
        let bytes = self.to_bytes();
        if bytes.len() as u64 > META_BYTES_MAX {
            let (segments, epochs) = (self.segments.len(), self.lineage.spans().len());
            let what = format!("{segments} segments and {epochs} epochs are too many; use larger segments");
            return Err(StorageError::misuse(what));
        }
        home.write_part(META, &bytes)
    }

    /// The second half.
    pub(super) fn put_in_place(&self, home: &Home) -> Result<(), StorageError> {
        home.finish_part(&home.dir, META)
    }

    /// The era that `segments` speaks of.
    pub(super) fn era(&self) -> LogEra {
        LogEra { generation: self.generation, cuts: self.cuts }
    }

    /// No cut goes below this seq.
    pub(super) fn cut_floor(&self) -> u64 {
        self.base.seq.max(self.superseded)
    }

    /// Whether a file of the log that `segments` does not name is none of its segments: cleanup has replaced it, or has
    /// written it and not come to swap it in.
    pub(super) fn has_replaced(&self, name: SegmentName) -> bool {
        let known = self.segments.binary_search_by_key(&name, |known| known.name()).is_ok();
        !known && (name.revision > 0 || name.number <= self.cleaned)
    }

    /// What must hold whatever the checksum says, and before anything is saved that will be checked for it.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let (base, spans) = (self.base, self.lineage.spans());
        if Lineage::from_spans(spans.to_vec()).is_none() {
            return Err("the lineage does not ascend");
        }
        if !self.lineage.contains(base, base.seq) || spans.last().is_some_and(|span| span.1 > base.seq) {
            return Err("the base is not the end of the lineage");
        }
        if !self.lineage.contains(self.floor, base.seq) {
            return Err("the floor is not below the base");
        }
        if self.cut.is_some_and(|fork| fork.seq < self.cut_floor()) {
            return Err("the log is to be cut below its base, or below what cleanup has dropped");
        }
        if self.segments.is_empty() || !self.segments.windows(2).all(|w| w[0].segment < w[1].segment) {
            return Err("the segments do not ascend");
        }
        // Each of these is counted on from.
        let named = self.segments.iter().all(|known| known.name().is_within_bounds());
        let counted = [self.generation, self.cuts].into_iter().all(|count| count <= COUNT_MAX);
        if !counted || !named || self.cleaned > SegmentName::NUMBER_MAX || self.superseded > SEQ_MAX {
            return Err("a number in it is beyond any that a log can reach");
        }
        Ok(())
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut body = serde_json::to_vec(self).expect("plain data becomes JSON");
        body.push(b'\n');
        let mut bytes = format!("{TITLE} {FORMAT} {:08x}\n", checksum(FORMAT, &body)).into_bytes();
        bytes.append(&mut body);
        bytes
    }
}

/// Reads the bytes of a meta file.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Meta, StorageError> {
    let corrupt = |what: &str| StorageError::corrupt(path, 0, what);
    let title = || {
        let end = bytes.iter().position(|&byte| byte == b'\n')?;
        let (line, body) = (std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]);
        let (version, crc) = line.strip_prefix(TITLE)?.strip_prefix(' ')?.split_once(' ')?;
        let crc = u32::from_str_radix(crc, 16).ok().filter(|n| format!("{n:08x}") == crc)?;
        Some((version.parse().ok()?, crc, body))
    };
    let Some((version, crc, body)) = title() else { return Err(corrupt("this is not a kvlab meta file")) };
    if crc != checksum(version, body) {
        return Err(corrupt("the meta file's checksum does not match"));
    }
    if version != FORMAT {
        return Err(StorageError::Version { file: path.to_owned(), found: version, known: FORMAT });
    }
    let meta: Meta = serde_json::from_slice(body).map_err(|e| corrupt(&e.to_string()))?;
    meta.check().map_err(corrupt)?;
    Ok(meta)
}

/// Of a meta file's version and body.
pub(super) fn checksum(version: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::Epoch;

    fn meta() -> Meta {
        let epochs = [Epoch::new(1, NodeId(1)), Epoch::new(3, NodeId(2))];
        Meta {
            node: NodeId(2),
            generation: 4,
            promise: Promise { epoch: Epoch::new(5, NodeId(3)), learner: true },
            base: Position::new(epochs[1], 20),
            lineage: Lineage::from_spans(vec![(epochs[0], 1), (epochs[1], 11)]).unwrap(),
            floor: Position::new(epochs[0], 7),
            cleaned: 1,
            superseded: 21,
            cuts: 2,
            cut: None,
            segments: vec![
                SyncedTo { segment: 1, revision: 3, bytes: 100 },
                SyncedTo::new(SegmentName::first(2), 28),
            ],
        }
    }

    fn read(bytes: &[u8]) -> Result<Meta, StorageError> {
        parse(Path::new("meta"), bytes)
    }

    fn epochs_of(meta: &Meta) -> Vec<Epoch> {
        meta.lineage.spans().iter().map(|span| span.0).collect()
    }

    #[test]
    fn numbers_that_could_not_be_counted_on_from_are_refused() {
        let beyond: [fn(&mut Meta); 6] = [
            |meta| meta.generation = u64::MAX,
            |meta| meta.cuts = u64::MAX,
            |meta| meta.superseded = u64::MAX,
            |meta| meta.cleaned = u32::MAX,
            |meta| meta.segments[1].segment = u32::MAX,
            |meta| meta.segments[1].revision = u32::MAX,
        ];
        for change in beyond {
            let mut meta = meta();
            change(&mut meta);
            let error = read(&meta.to_bytes()).expect_err("refused").to_string();
            assert!(error.contains("beyond any that a log can reach"), "{error}");
        }
    }

    #[test]
    fn what_was_saved_is_loaded() {
        assert_eq!(read(&meta().to_bytes()).unwrap(), meta());
    }

    #[test]
    fn what_could_not_be_loaded_is_not_saved() {
        let disk = std::sync::Arc::new(super::super::MemoryDisk::new(0));
        let home = Home { disk, dir: "/".into() };
        meta().save(&home).unwrap();
        let segments = (0..200_000).map(|segment| SyncedTo::new(SegmentName::first(segment), 100)).collect();
        assert!(matches!(Meta { segments, ..meta() }.save(&home), Err(StorageError::Misuse { .. })));
        assert_eq!(Meta::load(&home).unwrap(), Some(meta()));
    }

    #[test]
    fn every_flipped_bit_shows() {
        let bytes = meta().to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(read(&bad), Err(StorageError::Corrupt { .. })), "bit {bit}");
        }
    }

    #[test]
    fn every_cut_shows() {
        let bytes = meta().to_bytes();
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_later_format_is_named() {
        let body = b"{}";
        let mut bytes = format!("{TITLE} 3 {:08x}\n", checksum(3, body)).into_bytes();
        bytes.extend(body);
        assert!(matches!(read(&bytes), Err(StorageError::Version { found: 3, .. })));
    }

    #[test]
    fn contradictions_are_refused() {
        let sum = |meta: &Meta| read(&meta.to_bytes()).is_ok();
        assert!(sum(&meta()));
        assert!(!sum(&Meta { base: Position::new(Epoch::new(1, NodeId(1)), 20), ..meta() }));
        assert!(!sum(&Meta { base: Position::new(Epoch::new(1, NodeId(1)), 5), ..meta() }));
        assert!(!sum(&Meta { lineage: Lineage::default(), ..meta() }));
        assert!(!sum(&Meta { segments: Vec::new(), ..meta() }));
        assert!(!sum(&Meta { floor: Position::new(epochs_of(&meta())[1], 21), ..meta() }), "above the base");
        assert!(!sum(&Meta { floor: Position::new(epochs_of(&meta())[1], 7), ..meta() }), "off the lineage");
        assert!(sum(&Meta { cut: Some(Position::new(epochs_of(&meta())[1], 21)), ..meta() }));
        assert!(
            !sum(&Meta { cut: Some(Position::new(epochs_of(&meta())[1], 20)), ..meta() }),
            "below the floor"
        );
        let twice = vec![SyncedTo::new(SegmentName::first(2), 28); 2];
        assert!(!sum(&Meta { segments: twice, ..meta() }));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes: Vec<u8>, titled: bool) {
            let mut input = if titled { b"kvlab-meta 2 ".to_vec() } else { Vec::new() };
            input.extend(bytes);
            prop_assert!(read(&input).is_err());
        }
    }
}
