//! How a log ends, and up to where it is known to have been synced.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::log::segment::Piece;
use super::log::synced::Marked;
use super::meta::Meta;
use super::segment_name::SegmentName;

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogEnd {
    /// After a whole record.
    Whole,
    /// With so many bytes that are to be cut off its last segment.
    Torn { bytes: u64 },
    /// In a segment without a whole header, which has so many bytes and is to begin again.
    Headless { bytes: u64 },
    /// Before the segment of this number, which is gone and is to begin again.
    Missing(u32),
}

/// Up to where a log is known to have been synced: what the meta file says, or the mark if that is further and speaks
/// of the same era. Segments before this one were synced as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Proven {
    segment: u32,
    bytes: u64,
}

/// What was synced, and so maybe acknowledged, and is not there any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The file in which the log ends now.
    pub file: PathBuf,
    /// Where in it.
    pub ended_at: u64,
    /// The file in which the log was synced last, and up to which byte.
    pub synced_to: (PathBuf, u64),
    /// How many synced bytes are gone; of segments that are gone as a whole, as many as are known of.
    pub bytes: u64,
}

impl Proven {
    /// From both sources.
    pub(super) fn of(meta: &Meta, marked: Option<Marked>) -> Self {
        let last = meta.segments.last().expect("a log has a segment");
        let by_meta = Self { segment: last.segment, bytes: last.bytes };
        let marked = marked.filter(|marked| marked.era == meta.era());
        marked.map_or(by_meta, |Marked { segment, bytes, .. }| by_meta.max(Self { segment, bytes }))
    }

    /// Up to where a segment was synced; a closed one as a whole.
    pub(super) fn of_segment(self, number: u32) -> u64 {
        match number.cmp(&self.segment) {
            Ordering::Less => u64::MAX,
            Ordering::Equal => self.bytes,
            Ordering::Greater => 0,
        }
    }
}

impl LogEnd {
    /// What is missing between this end, of a log in `dir` with this `last` segment, and what was synced of it.
    pub(super) fn forgotten(
        self,
        dir: &Path,
        meta: &Meta,
        last: Option<&Piece>,
        proven: Proven,
    ) -> Option<Forgotten> {
        let path = |number| dir.join(SegmentName::first(number).log());
        let end = match (self, last) {
            (Self::Missing(number), _) => Proven { segment: number, bytes: 0 },
            (_, None) => return None,
            (Self::Headless { .. }, Some(last)) => Proven { segment: last.segment.name.number, bytes: 0 },
            (_, Some(last)) => Proven { segment: last.segment.name.number, bytes: last.bytes },
        };
        if end >= proven {
            return None;
        }
        let file = match (self, last) {
            (Self::Missing(_), _) | (_, None) => path(end.segment),
            (_, Some(last)) => last.segment.file.path.clone(),
        };
        let from = |segment| if segment == end.segment { end.bytes } else { 0 };
        let whole = meta.segments.iter().filter(|it| (end.segment..proven.segment).contains(&it.segment));
        let bytes = whole
            .map(|it| it.bytes.saturating_sub(from(it.segment)))
            .fold(proven.bytes.saturating_sub(from(proven.segment)), u64::saturating_add);
        Some(Forgotten { file, ended_at: end.bytes, synced_to: (path(proven.segment), proven.bytes), bytes })
    }
}
