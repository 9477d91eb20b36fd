//! The mark: up to where the log is synced, left where it can be read after the process has been killed.
//!
//! ```text
//! kvlab-synced 2 5f3a09c1 00000000000000000002 00000000000000000000 0000000003 00000000000000002871
//!                checksum generation           cuts                 segment    bytes of it
//! ```
//!
//! One line of fixed length in the file `synced`, written over in place after each sync and before anything that the
//! sync made durable is acknowledged. It is never synced itself: the system keeps it when the process is killed,
//! and that is when it is wanted. Two read it:
//!
//! * A start: a log that ends before its mark has lost what was acknowledged (`mending.rs`).
//! * Whoever plays a loss of power cuts the log back to it ([`cut_to_synced`](crate::storage::cut_to_synced)).
//!
//! It may be behind by what was synced and not yet acknowledged, and after a loss of power by more: an earlier mark may
//! be back, or none. It is never ahead, because it names the log's era: a log that was replaced, or cut, begins the next
//! one, in the meta file, before anything is taken from it, and a mark of any other era counts for nothing.

use std::path::PathBuf;

use crate::storage::error::StorageError;
use crate::storage::file::File;
use crate::storage::gate::LogEra;
use crate::storage::home::{Home, log_name};
use crate::storage::segment_name::SegmentName;
use crate::types::Position;

/// The mark's file.
pub(crate) const SYNCED: &str = "synced";
const TITLE: &str = "kvlab-synced 2";
/// How long a mark is.
const LINE_BYTES: u64 = 98;

/// Up to where the log is durable whatever happens to the power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncedEnd {
    /// The log's generation.
    pub generation: u64,
    /// How often a log of this store had been cut.
    pub cuts: u64,
    /// The last segment. All earlier ones are synced whole.
    pub segment: u32,
    /// How many of its bytes are synced.
    pub bytes: u64,
    /// The last position in them.
    pub last: Position,
}

impl SyncedEnd {
    /// The last segment's file, relative to the data directory.
    pub fn file(&self) -> PathBuf {
        PathBuf::from(log_name(self.generation)).join(SegmentName::first(self.segment).log())
    }
}

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    /// The log's era.
    pub(crate) era: LogEra,
    /// The segment that was written to. Those before it are synced whole.
    pub(crate) segment: u32,
    /// How many of its bytes are synced.
    pub(crate) bytes: u64,
}

/// The writing side.
#[derive(Debug)]
pub(crate) struct SyncMark {
    file: File,
    said: Option<Marked>,
}

impl SyncMark {
    /// The mark of a store that is being opened. What an earlier process has left stands until the first
    /// [`say`](Self::say).
    pub(crate) fn open(home: &Home) -> Result<Self, StorageError> {
        let path = home.dir.join(SYNCED);
        let file = match File::open(&*home.disk, &path) {
            Err(error) if error.is_missing() => File::create(&*home.disk, &path),
            opened => opened,
        }?;
        // What is longer than a mark is none, and would stay longer when one is written over its beginning.
        if file.size()? > LINE_BYTES {
            file.truncate(LINE_BYTES)?;
        }
        Ok(Self { file, said: None })
    }

    /// Notes how far the log is synced, if that has changed.
    pub(crate) fn say(&mut self, end: &SyncedEnd) -> Result<(), StorageError> {
        let now = Marked {
            era: LogEra { generation: end.generation, cuts: end.cuts },
            segment: end.segment,
            bytes: end.bytes,
        };
        if self.said != Some(now) {
            self.file.write_at(now.line().as_bytes(), 0)?;
            self.said = Some(now);
        }
        Ok(())
    }
}

impl Marked {
    /// Reads the mark. `None`: there is none that can be relied on.
    pub(crate) fn read(home: &Home) -> Result<Option<Self>, StorageError> {
        match home.read(&home.dir.join(SYNCED), LINE_BYTES) {
            Ok(bytes) => Ok(bytes.and_then(|bytes| Self::parse(&bytes))),
            Err(StorageError::Corrupt { .. }) => Ok(None), // longer than any
            Err(error) => Err(error),
        }
    }

    pub(crate) fn line(&self) -> String {
        let body = self.body();
        format!("{TITLE} {:08x} {body}\n", crc32fast::hash(body.as_bytes()))
    }

    fn body(&self) -> String {
        let LogEra { generation, cuts } = self.era;
        format!("{generation:020} {cuts:020} {:010} {:020}", self.segment, self.bytes)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(bytes).ok()?;
        let (_, body) = line.strip_prefix(TITLE)?.strip_prefix(' ')?.strip_suffix('\n')?.split_once(' ')?;
        let mut words = body.split(' ');
        let marked = Self {
            era: LogEra { generation: words.next()?.parse().ok()?, cuts: words.next()?.parse().ok()? },
            segment: words.next()?.parse().ok()?,
            bytes: words.next()?.parse().ok()?,
        };
        // Whole, with its checksum, and in no other form.
        (marked.line() == line).then_some(marked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKED: Marked = Marked { era: LogEra { generation: 2, cuts: 1 }, segment: 3, bytes: 2871 };

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        for marked in [
            MARKED,
            Marked {
                era: LogEra { generation: u64::MAX, cuts: u64::MAX },
                segment: u32::MAX,
                bytes: u64::MAX,
            },
        ] {
            assert_eq!(Marked::parse(marked.line().as_bytes()), Some(marked));
        }
        let line = MARKED.line();
        assert!(
            line.ends_with(" 00000000000000000002 00000000000000000001 0000000003 00000000000000002871\n"),
            "{line}"
        );
        assert_eq!(line.len(), Marked { segment: u32::MAX, ..MARKED }.line().len(), "written over in place");
        assert_eq!(line.len() as u64, LINE_BYTES);
    }

    #[test]
    fn a_mark_with_any_bit_flipped_or_any_byte_missing_is_none() {
        let line = MARKED.line().into_bytes();
        for bit in 0..line.len() * 8 {
            let mut bad = line.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Marked::parse(&bad), None, "bit {bit}");
        }
        for len in 0..line.len() {
            assert_eq!(Marked::parse(&line[..len]), None, "cut at {len}");
        }
        assert_eq!(Marked::parse(&[&line[..], b"\n"].concat()), None);
    }
}
