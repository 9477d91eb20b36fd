//! The reading half: lookups in the durable state.

use std::sync::Arc;

use bytes::Bytes;

use super::disk::Lock;
use super::error::StorageError;
use super::index::Slot;
use super::job::{Appended, Done, Outcome};
use super::record::{self, Place};
use super::recovery::Contents;
use super::segment::HEADER_BYTES;
use super::snapshot::SnapshotReader;
use crate::replication::{Entry, Found, Input, Lineage, LogId, Op, Position};

/// The durable state, as of the last [`Done`] that was applied. Lives on the node's thread; reads values from the
/// log, each with its checksum.
///
/// * The index holds what is durable (in the sense of the durability mode) and nothing else.
/// * It changes in [`apply`](Self::apply) only, so whoever looks between two calls sees one state.
#[derive(Debug)]
pub struct Store {
    contents: Contents,
    /// The log's name, once a job has named it.
    log: Option<LogId>,
    _lock: Arc<Lock>,
}

impl Store {
    pub(super) fn new(contents: Contents, lock: Arc<Lock>) -> Self {
        Self { contents, log: None, _lock: lock }
    }

    /// The durable state of a key. For a key that the store does not know, the version is the position up to which
    /// it has dropped tombstones: so far it drops none, and that is `Position::ZERO`.
    ///
    /// # Errors
    /// If the disk cannot be read, or the record is not what was written.
    pub fn get(&self, key: &[u8]) -> Result<Found, StorageError> {
        let Some(slot) = self.contents.index.get(key) else { return Ok(Found::default()) };
        let version = Position::new(self.contents.lineage.epoch_of(slot.seq), slot.seq);
        let value = if slot.live { Some(self.read_value(key, slot, version)?) } else { None };
        Ok(Found { value, version })
    }

    /// Takes what the writer has made durable into the index. Returns what the core is to hear of it, if anything.
    ///
    /// # Errors
    /// If `done` does not follow what was applied before: outcomes are applied in their order, each once.
    pub fn apply(&mut self, done: Done) -> Result<Option<Input>, StorageError> {
        Ok(match done.0 {
            Outcome::Quiet => None,
            Outcome::Saved(promise) => Some(Input::Saved { promise }),
            Outcome::ChunkStored(id) => Some(Input::ChunkStored { id }),
            Outcome::Appended(appended) => self.apply_appended(appended)?,
            Outcome::Installed { id, log, rollback, contents } => {
                self.contents = *contents;
                self.log = Some(log);
                Some(Input::Installed { id, log, rollback })
            }
        })
    }

    /// A frozen view of the durable state as of now: its records, its position, and how many bytes will come
    /// (counted by [`Entry::weight`]). Neither later writes nor a later full resync disturb it.
    ///
    /// # Errors
    /// None so far; opening files may come.
    pub fn snapshot(&self) -> Result<(SnapshotReader, Position, u64), StorageError> {
        let per_record = Entry { at: Position::ZERO, op: Op::Noop }.weight() - record::FIXED_BYTES;
        let headers = self.contents.pieces.len() as u64 * HEADER_BYTES;
        let bytes = self.log_bytes() - headers + self.contents.records * per_record as u64;
        Ok((SnapshotReader::new(self.contents.pieces.clone()), self.contents.last, bytes))
    }

    /// Where the durable log ends.
    pub fn last(&self) -> Position {
        self.contents.last
    }

    /// The durable log's history of primaries.
    pub fn lineage(&self) -> &Lineage {
        &self.contents.lineage
    }

    /// Keys that have a value; tombstones do not count.
    pub fn keys(&self) -> u64 {
        self.contents.index.live()
    }

    /// Bytes of all segments.
    pub fn log_bytes(&self) -> u64 {
        self.contents.pieces.iter().map(|piece| piece.bytes).sum()
    }

    fn apply_appended(&mut self, appended: Appended) -> Result<Option<Input>, StorageError> {
        if *self.log.get_or_insert(appended.log) != appended.log {
            return Ok(None);
        }
        let contents = &mut self.contents;
        if appended.last.seq != contents.last.seq + appended.records {
            let what = format!("entries up to {} were applied after {}", appended.last, contents.last);
            return Err(StorageError::misuse(what));
        }
        for position in appended.opened {
            contents.lineage.extend(position);
        }
        for (key, slot) in appended.slots {
            contents.index.note(&key, slot);
        }
        for grown in appended.grown {
            match contents.pieces.last_mut() {
                Some(last) if last.segment.number == grown.segment.number => *last = grown,
                _ => contents.pieces.push(grown),
            }
        }
        contents.last = appended.last;
        contents.records += appended.records;
        Ok(Some(Input::Persisted { log: appended.log, through: appended.last.seq }))
    }

    /// Reads a value, and checks that it is the one meant.
    fn read_value(&self, key: &[u8], slot: Slot, version: Position) -> Result<Bytes, StorageError> {
        let piece = self.contents.piece(slot.segment).expect("the index points into the log");
        let mut bytes = vec![0; slot.bytes as usize];
        let read = piece.segment.read_at(&mut bytes, slot.offset.into())?;
        let place = Place { segment: slot.segment, offset: slot.offset };
        let record = record::decode(&bytes[..read], place)
            .map_err(|flaw| piece.segment.corrupt(slot.offset.into(), flaw.to_string()))?;
        if record.at != version || record.key != key {
            let what = format!("this is record {}, not {version} of the key looked up", record.at);
            return Err(piece.segment.corrupt(slot.offset.into(), what));
        }
        let start = record.value_start();
        Ok(Bytes::from(bytes).slice(start..))
    }
}
