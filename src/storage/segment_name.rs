//! How segments are named: as a file, in the index, and in the meta file.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The version of the storage format; in every segment, in every hint and in the meta file.
pub(super) const FORMAT: u32 = 2;
/// Set in a [`SegmentKey`] of an odd revision; numbers stay below it.
const ODD_REVISION: u32 = 1 << 31;

/// Which file of a log: no two files have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    /// The log is its segments in the order of their numbers.
    pub(super) number: u32,
    /// How often cleanup has written a segment of this number anew.
    pub(super) revision: u32,
}

/// How the index names a segment, in 32 bits: its number, and whether its revision is odd. Of one number, only a
/// revision and the next are ever in use together, while the index moves from the one to the other.
pub(super) type SegmentKey = u32;

/// What is known to be durable of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncedTo {
    /// The segment's number.
    pub(super) segment: u32,
    /// Its revision; left out if it is as it was first written.
    #[serde(default, skip_serializing_if = "is_first")]
    pub(super) revision: u32,
    /// Bytes from its beginning.
    pub(super) bytes: u64,
}

impl SyncedTo {
    /// So much of that segment.
    pub(super) fn new(name: SegmentName, bytes: u64) -> Self {
        Self { segment: name.number, revision: name.revision, bytes }
    }

    /// Which segment.
    pub(super) fn name(self) -> SegmentName {
        SegmentName { number: self.segment, revision: self.revision }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_first(revision: &u32) -> bool {
    *revision == 0
}

impl SegmentName {
    /// The highest number of a segment.
    pub(super) const NUMBER_MAX: u32 = ODD_REVISION - 1;

    /// Whether there may be a segment of this name, and one of the next revision.
    pub(super) fn is_within_bounds(self) -> bool {
        self.number <= Self::NUMBER_MAX && self.revision < u32::MAX
    }

    /// A segment as it was first written.
    pub(super) fn first(number: u32) -> Self {
        Self { number, revision: 0 }
    }

    /// The name of its file.
    pub(super) fn log(self) -> String {
        format!("{self}.log")
    }

    /// The name of its hint's file.
    pub(super) fn hint(self) -> String {
        format!("{self}.hint")
    }

    /// The segment whose file is called so.
    pub(super) fn of_log(file: &str) -> Option<Self> {
        Self::parse(file.strip_suffix(".log")?).filter(|name| name.log() == file)
    }

    /// The segment whose hint is called so.
    pub(super) fn of_hint(file: &str) -> Option<Self> {
        Self::parse(file.strip_suffix(".hint")?).filter(|name| name.hint() == file)
    }

    /// How the index names it.
    pub(super) fn key(self) -> SegmentKey {
        if self.revision % 2 == 1 { self.number | ODD_REVISION } else { self.number }
    }

    /// The number in a key.
    pub(super) fn number_in(key: SegmentKey) -> u32 {
        key & !ODD_REVISION
    }

    fn parse(stem: &str) -> Option<Self> {
        let (number, revision) = stem.split_once('-').unwrap_or((stem, "0"));
        let name = Self { number: number.parse().ok()?, revision: revision.parse().ok()? };
        name.is_within_bounds().then_some(name)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision {
            0 => write!(f, "{:08}", self.number),
            revision => write!(f, "{:08}-{revision}", self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for number in [0, 1, 42, 99_999_999, 100_000_000, ODD_REVISION - 1] {
            for revision in [0, 1, 2, u32::MAX - 1] {
                let name = SegmentName { number, revision };
                assert_eq!(SegmentName::of_log(&name.log()), Some(name));
                assert_eq!(SegmentName::of_hint(&name.hint()), Some(name));
                assert_eq!(
                    (SegmentName::of_log(&name.hint()), SegmentName::of_hint(&name.log())),
                    (None, None)
                );
                assert_eq!(SegmentName::number_in(name.key()), number);
                assert_ne!(name.key(), SegmentName { number, revision: revision ^ 1 }.key());
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
            "00000001-4294967295.log",
        ] {
            assert_eq!(SegmentName::of_log(name), None, "{name}");
        }
    }
}
