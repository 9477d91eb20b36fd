//! The reading half: lookups in the durable state.

use std::cell::RefCell;

use bytes::Bytes;

use super::cleanup::questions::{AnswerKind, CleanupAnswer, CleanupProgress};
use super::cursors::Cursors;
use super::damages::{Damages, damage};
use super::error::StorageError;
use super::gate::{Ground, LogEra};
use super::hints::task::HintTask;
use super::index::Slot;
use super::install::snapshot::SnapshotReader;
use super::log::record::{self, RecordPlace};
use super::log::segment::HEADER_BYTES;
use super::recovery::Contents;
use super::tally::Held;
use super::writing::job::{Appended, Done, JobOutcome, Swap};
use crate::replication::{Input, LogId};
use crate::types::{Damage, Entry, Found, Lineage, Lookup, Op, Position};

/// The durable state, as of the last [`Done`] that was applied. Lives on the node's thread; reads values from the
/// log, each with its checksum.
///
/// * The index holds what is durable (in the sense of the durability mode) and nothing else.
/// * It changes in [`apply`](Self::apply) only, so whoever looks between two calls sees one state. (A cleanup changes
///   where things are, through [`serve`](Self::serve), and never what is there.)
#[derive(Debug)]
pub struct Store {
    pub(super) contents: Contents,
    /// The log's name, once a job has named it.
    log: Option<LogId>,
    pub(super) ground: Ground,
    pub(super) segment_bytes: u64,
    /// The cleanup under way.
    pub(super) cleaning: Option<Cleaning>,
    /// For the cleanup that waits for its swap.
    pub(super) answer: Option<CleanupAnswer>,
    /// A segment was closed on request.
    closed: bool,
    /// For those who read the log in batches.
    pub(super) cursors: Cursors,
    /// Damaged values that were met. A lookup may meet one, and changes nothing else.
    pub(super) damages: RefCell<Damages>,
}

/// What the store knows of the cleanup under way.
#[derive(Debug)]
pub(super) struct Cleaning {
    /// Of the log that it was begun for.
    pub(super) era: LogEra,
    /// What is above this seq stays.
    pub(super) through: u64,
    pub(super) progress: CleanupProgress,
    /// The highest seq that supersedes something that it drops.
    pub(super) superseded: u64,
    /// A segment is left as it is, since a value in it is damaged. It may hold older values of keys that were deleted since,
    /// which would come back without their tombstones.
    pub(super) tombstones_stay: bool,
}

/// How the disk is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all segments.
    pub log_bytes: u64,
    /// Of these, bytes of records that hold a key's value. The rest is garbage: overwritten values, tombstones,
    /// no-ops, and a few bytes of headers.
    pub live_bytes: u64,
    /// How many segments there are.
    pub segments: u64,
}

impl Usage {
    /// How much of the log is garbage, in percent.
    pub fn garbage_percent(&self) -> u8 {
        let garbage = u128::from(self.log_bytes.saturating_sub(self.live_bytes));
        let percent = garbage * 100 / u128::from(self.log_bytes.max(1));
        u8::try_from(percent).expect("a part of the whole")
    }
}

impl Store {
    pub(super) fn new(contents: Contents, ground: Ground, segment_bytes: u64) -> Self {
        let store = Self {
            contents,
            log: None,
            ground,
            segment_bytes,
            cleaning: None,
            answer: None,
            closed: false,
            cursors: Cursors::default(),
            damages: RefCell::default(),
        };
        store.note_what_was_read();
        store
    }

    /// The durable state of a key. For a key that the store does not know, the version is the position up to which
    /// tombstones may have been dropped, here or where the state came from.
    ///
    /// A value that is damaged is noted, and told by [`take_damage_news`](Self::take_damage_news).
    ///
    /// # Errors
    /// If the disk cannot be read, or the record's head is not what was written.
    pub fn lookup(&self, key: &[u8]) -> Result<Lookup, StorageError> {
        let Some(slot) = self.contents.index.get(key) else {
            return Ok(Lookup::Found(Found { value: None, version: self.contents.floor }));
        };
        let version = Position::new(self.contents.lineage.epoch_of(slot.seq), slot.seq);
        if !slot.live {
            return Ok(Lookup::Found(Found { value: None, version }));
        }
        Ok(match self.read_value(key, slot, version)? {
            Ok(value) => Lookup::Found(Found { value: Some(value), version }),
            Err(damage) => {
                self.damages.borrow_mut().note(damage.clone());
                Lookup::Damaged(Box::new(damage))
            }
        })
    }

    /// The durable state of a key, as [`lookup`](Self::lookup).
    ///
    /// # Errors
    /// As there; and if the value is damaged.
    pub fn get(&self, key: &[u8]) -> Result<Found, StorageError> {
        match self.lookup(key)? {
            Lookup::Found(found) => Ok(found),
            Lookup::Damaged(damage) => Err(StorageError::Damaged(damage)),
        }
    }

    /// Takes what the writer has made durable into the index. Returns what the core is to hear of it, if anything.
    ///
    /// # Errors
    /// If `done` does not follow what was applied before: outcomes are applied in their order, each once.
    pub fn apply(&mut self, done: Done) -> Result<Option<Input>, StorageError> {
        Ok(match done.0 {
            JobOutcome::Quiet => None,
            JobOutcome::Told(input) => Some(input),
            JobOutcome::Appended(appended) => self.apply_appended(appended)?,
            JobOutcome::Installed { id, log, rollback, era, contents } => {
                self.replace(*contents, log, era);
                Some(Input::Installed { id, log, rollback })
            }
            JobOutcome::Cut { log, outcome, era, contents } => {
                match contents {
                    Some(contents) => self.replace(*contents, log, era),
                    None => self.log = Some(log),
                }
                Some(Input::LogCut { log, outcome })
            }
            JobOutcome::Closed { era, grown } => {
                if era == self.ground.era {
                    self.contents.segments.grow(grown);
                }
                self.closed = true;
                None
            }
            JobOutcome::Swapped { swap, base, floor } => self.apply_swapped(*swap, base, floor)?,
            JobOutcome::Repaired { era, at, whole } => {
                let damages = self.damages.get_mut();
                // In another era it may have been written where nobody looks any more.
                if whole && era == self.ground.era {
                    damages.repaired(at);
                } else {
                    damages.not_repaired(at);
                }
                None
            }
            JobOutcome::NotSwapped(error) => {
                self.answer = Some(CleanupAnswer(error.map_or(AnswerKind::Stop, AnswerKind::Full)));
                None
            }
        })
    }

    /// A frozen view of the durable state as of now: its records, its position, and how many bytes will come
    /// (counted by [`Entry::weight`]). Neither later writes, nor a later full resync, nor a cut, nor a cleanup disturb it.
    ///
    /// # Errors
    /// None so far; opening files may come.
    pub fn snapshot(&self) -> Result<(SnapshotReader, Position, u64), StorageError> {
        let per_record = Entry { at: Position::ZERO, op: Op::Noop }.weight() - record::FIXED_BYTES;
        let segments = &self.contents.segments;
        let headers = segments.all().len() as u64 * HEADER_BYTES;
        let bytes = self.log_bytes() - headers + segments.records() * per_record as u64;
        let (era, last) = (self.ground.era, self.contents.last);
        Ok((SnapshotReader::as_of(segments.pieces(), era, last), last, bytes))
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
        self.contents.segments.bytes()
    }

    /// How the disk is used.
    pub fn usage(&self) -> Usage {
        let segments = self.contents.segments.all();
        Usage {
            log_bytes: self.log_bytes(),
            live_bytes: self.contents.segments.live(),
            segments: segments.len() as u64,
        }
    }

    /// Hints that closed segments lack: each is told once.
    pub fn take_hint_tasks(&mut self) -> Vec<HintTask> {
        let ground = &self.ground;
        let lacking = self.contents.segments.closed_mut().iter_mut().filter(|held| !held.hinted);
        let task = |held: &mut Held| {
            held.hinted = true;
            HintTask::new(ground.clone(), held.piece.clone())
        };
        lacking.map(task).collect()
    }

    /// Whether a segment was closed by [`Job::CloseSegment`](super::writing::job::Job::CloseSegment) since this was last asked.
    pub fn take_closed(&mut self) -> bool {
        std::mem::take(&mut self.closed)
    }

    /// Another log counts from now on, or less of the one that did.
    fn replace(&mut self, contents: Contents, log: LogId, era: LogEra) {
        self.contents = contents;
        self.log = Some(log);
        let replaced = self.ground.era.generation != era.generation;
        self.ground.era = era;
        self.cursors = Cursors::default();
        let mut damages = self.damages.take();
        match replaced {
            true => damages.clear(),
            // What was cut off is gone; the rest is where it was.
            false => damages.retain(|damage| self.is_needed(damage)),
        }
        self.damages = RefCell::new(damages);
        self.note_what_was_read();
    }

    fn apply_swapped(
        &mut self,
        swap: Swap,
        base: Position,
        floor: Position,
    ) -> Result<Option<Input>, StorageError> {
        if !self.contents.segments.replace(&swap.old, swap.new) {
            return Err(StorageError::misuse(format!(
                "segments {:?} are not there to be replaced",
                swap.old
            )));
        }
        self.contents.base = base;
        self.contents.floor = floor;
        self.answer = Some(CleanupAnswer(AnswerKind::Go));
        Ok(None)
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
        for (piece, records) in appended.grown {
            contents.segments.grow(piece);
            contents.segments.count(records);
        }
        let damages = self.damages.get_mut();
        for (key, slot) in appended.slots {
            let before = contents.index.note(&key, slot);
            contents.segments.moved(slot, before);
            if let Some(before) = before.filter(|_| !damages.is_empty()) {
                damages.gone(before.seq);
            }
        }
        contents.last = appended.last;
        Ok(Some(Input::Persisted { log: appended.log, through: appended.last.seq }))
    }

    /// Reads a value, and checks that it is the one meant.
    fn read_value(
        &self,
        key: &[u8],
        slot: Slot,
        version: Position,
    ) -> Result<Result<Bytes, Damage>, StorageError> {
        let piece = self.contents.segments.piece(slot.segment).expect("the index points into the log");
        let mut bytes = vec![0; slot.bytes as usize];
        let read = piece.segment.file.read_at(&mut bytes, slot.offset.into())?;
        let place = RecordPlace { segment: piece.segment.name.number, offset: slot.offset };
        let record = record::decode(&bytes[..read], place)
            .map_err(|flaw| piece.segment.file.corrupt(slot.offset.into(), flaw.to_string()))?;
        if record.at != version || record.key != key {
            let what = format!("this is record {}, not {version} of the key looked up", record.at);
            return Err(piece.segment.file.corrupt(slot.offset.into(), what));
        }
        if record.value.is_none() {
            return Ok(Err(damage(piece, slot.offset, version, key)));
        }
        let start = record.value_start();
        Ok(Ok(Bytes::from(bytes).slice(start..)))
    }
}
