//! A full resync on the receiving side: a log of the next generation, written beside the present one, that
//! counts only once the meta file names it.

use crate::storage::error::StorageError;
use crate::storage::home::Home;
use crate::storage::log::log::Log;
use crate::storage::meta::Meta;
use crate::storage::recovery::{self, Contents, Tail};
use crate::types::{Entry, Lineage, Position, SnapshotId};

/// A state being received.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) id: SnapshotId,
    log: Log,
    last: Position,
}

impl Incoming {
    /// Begins with nothing.
    pub(crate) fn begin(
        home: &Home,
        id: SnapshotId,
        generation: u64,
        segment_bytes: u64,
    ) -> Result<Self, StorageError> {
        Ok(Self { id, log: Log::create(home, generation, segment_bytes)?, last: Position::ZERO })
    }

    /// Takes records in. They are written, and synced at [`finish`](Self::finish).
    pub(crate) fn take(&mut self, entries: &[Entry]) -> Result<(), StorageError> {
        for entry in entries {
            if entry.at.seq <= self.last.seq || entry.at.epoch < self.last.epoch {
                let what = format!("record {} follows {}", entry.at, self.last);
                return Err(StorageError::BadSnapshot { what });
            }
            self.log.append(entry)?;
            self.last = entry.at;
        }
        self.log.write()
    }

    /// Makes the state durable and reads it back, exactly as a start would: what would not open then must not be
    /// installed now. `present` is the meta file as it is; returns what is to replace it.
    pub(crate) fn finish(
        mut self,
        home: &Home,
        present: &Meta,
        at: Position,
        lineage: Lineage,
    ) -> Result<(Meta, Contents), StorageError> {
        let bad = |what: String| Err(StorageError::BadSnapshot { what });
        if self.last > at {
            return bad(format!("a state as of {at} holds {}", self.last));
        }
        // What comes later is written to a segment of its own: a torn tail never reaches into the state, of which no
        // partial resync would bring a part back.
        self.log.close_segment(at.seq + 1)?;
        let last = self.log.active().segment.name.number;
        let meta = Meta {
            generation: self.log.generation(),
            base: at,
            // Whatever is not in it is absent as of its position: the sender may have dropped tombstones.
            floor: at,
            cleaned: last - 1,
            superseded: at.seq,
            lineage,
            segments: self.log.synced(),
            ..present.clone()
        };
        if let Err(what) = meta.check() {
            return bad(format!("as of {at}, {what}"));
        }
        match recovery::read_log(home, &meta, Tail::IsWhole) {
            Ok(read) => Ok((meta, read.contents)),
            Err(StorageError::Corrupt { what, .. }) => bad(what),
            Err(other) => Err(other),
        }
    }

    /// Removes what was received.
    pub(crate) fn discard(self, home: &Home) -> Result<(), StorageError> {
        home.remove_log(self.log.generation())
    }
}
