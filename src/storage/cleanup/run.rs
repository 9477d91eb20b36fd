//! One cleanup, group after group.

use super::copy::{Copied, Copy, Kept};
use super::plan::Group;
use super::questions::{AnswerKind, CleanupAnswer, CleanupProgress, CleanupRequest, RequestKind};
use crate::storage::error::StorageError;
use crate::storage::gate::{Ground, Halt};
use crate::storage::hints::hint::Hint;
use crate::storage::home::ignore_missing;
use crate::storage::install::snapshot::SnapshotReader;
use crate::storage::log::record::{self, Kind};
use crate::storage::log::segment::HEADER_BYTES;
use crate::storage::writing::job::Swap;

/// How much is read before the store is asked, in bytes of [`Entry::weight`]: at most 4096 records.
const SLICE_BYTES: usize = 256 << 10;
/// How many places are told to the store at a time.
const SLICE_RECORDS: usize = 4096;

/// One cleanup, from [`Store::begin_cleanup`](crate::storage::Store::begin_cleanup) to its end. Does nothing by itself:
/// [`run`](Self::run) it on a thread that may wait for the disk.
#[derive(Debug)]
pub struct Cleanup {
    pub(in crate::storage) ground: Ground,
    pub(in crate::storage) groups: Vec<Group>,
    pub(in crate::storage) progress: CleanupProgress,
}

/// What a cleanup has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Bytes of the segments that it has replaced.
    pub before: u64,
    /// Bytes of those in their place.
    pub after: u64,
    /// Records that are gone, tombstones among them.
    pub dropped: u64,
}

/// Has the store and the disk thread do something, and waits for it.
type Ask<'a> = &'a mut dyn FnMut(CleanupRequest) -> Result<CleanupAnswer, Halt>;

impl Cleanup {
    /// How many bytes it will go through.
    pub fn bytes_total(&self) -> u64 {
        self.progress.total
    }

    /// Goes through all groups. What it has swapped stays swapped however it ends.
    pub(in crate::storage) fn run(mut self, ask: Ask<'_>) -> Result<Cleaned, Halt> {
        let mut cleaned = Cleaned::default();
        for group in std::mem::take(&mut self.groups) {
            self.clean_group(&group, &mut cleaned, ask)?;
        }
        Ok(cleaned)
    }

    fn clean_group(&mut self, group: &Group, cleaned: &mut Cleaned, ask: Ask<'_>) -> Result<(), Halt> {
        let mut copy = Copy::begin(&self.ground, group.output)?;
        let outcome = self.copy_group(group, &mut copy, ask).and_then(|kept| copy.finish(kept, group.first));
        let copied = match outcome {
            Ok(copied) => copied,
            Err(halt) => return Err(copy.discard(halt)),
        };
        let swap = Swap {
            era: self.ground.era,
            old: group.inputs.iter().map(|piece| piece.segment.name).collect(),
            new: copied.new.clone(),
            base: group.base,
            floor: copied.dropped.iter().map(|(_, seq)| *seq).max().unwrap_or(0),
            superseded: 0, // the store knows
        };
        match ask(CleanupRequest(RequestKind::Swap(Box::new(swap))))?.0 {
            AnswerKind::Full(error) => return Err(copy.discard(Halt::Full(error))),
            other => expect_go(other)?,
        }
        cleaned.before += group.bytes();
        cleaned.after += copied.new.as_ref().map_or(0, |held| held.piece.bytes);
        cleaned.dropped += copied.records_dropped;
        tell_places(copied, ask)?;
        self.remove_old(group)
    }

    /// Reads the group and writes what is to be kept. Returns what was not.
    fn copy_group(&mut self, group: &Group, copy: &mut Copy, ask: Ask<'_>) -> Result<Kept, Halt> {
        let mut kept = Kept::default();
        let mut reader = SnapshotReader::new(group.inputs.clone());
        self.progress.done += HEADER_BYTES * group.inputs.len() as u64;
        loop {
            let (entries, last) = reader.next_chunk(SLICE_BYTES)?;
            self.progress.done += entries.iter().map(|entry| u64::from(record::bytes_of(entry))).sum::<u64>();
            let records = entries.iter().map(|entry| (entry.at, entry.op.key().cloned())).collect();
            let judge = RequestKind::Judge { records, progress: self.progress };
            let verdicts = match ask(CleanupRequest(judge))?.0 {
                AnswerKind::Verdicts(verdicts) if verdicts.len() == entries.len() => verdicts,
                other => return Err(expect_go(other).expect_err("verdicts were asked for")),
            };
            for (entry, verdict) in entries.iter().zip(verdicts) {
                if kept.drops(entry, verdict) {
                    continue;
                }
                kept.records += 1;
                copy.add(entry)?;
            }
            if last {
                return Ok(kept);
            }
        }
    }

    /// The old files count no more.
    fn remove_old(&self, group: &Group) -> Result<(), Halt> {
        let home = &self.ground.home;
        let dir = home.log_dir(self.ground.era.generation);
        let _inside = self.ground.gate.enter(self.ground.era)?;
        for piece in &group.inputs {
            let name = piece.segment.name;
            ignore_missing(home.remove(&dir.join(name.hint())))?;
            ignore_missing(home.remove(&dir.join(name.log())))?;
        }
        Ok(home.sync_dir(&dir)?)
    }
}

/// Tells the store where everything is now.
fn tell_places(copied: Copied, ask: Ask<'_>) -> Result<(), Halt> {
    let mut entries = copied.hint.iter().flat_map(Hint::entries).filter(|hinted| hinted.kind != Kind::Noop);
    let mut dropped = copied.dropped.into_iter();
    loop {
        let moved: Vec<_> =
            entries.by_ref().take(SLICE_RECORDS).map(|hinted| (hinted.key, hinted.slot)).collect();
        let forgotten: Vec<_> = dropped.by_ref().take(SLICE_RECORDS).collect();
        if moved.is_empty() && forgotten.is_empty() {
            return expect_go(ask(CleanupRequest(RequestKind::Moved))?.0);
        }
        expect_go(ask(CleanupRequest(RequestKind::Move { moved, forgotten }))?.0)?;
    }
}

fn expect_go(answer: AnswerKind) -> Result<(), Halt> {
    match answer {
        AnswerKind::Go => Ok(()),
        AnswerKind::Stop => Err(Halt::Stopped),
        AnswerKind::Full(error) => Err(Halt::Full(error)),
        AnswerKind::Verdicts(_) => {
            Err(Halt::Failed(StorageError::misuse("a cleanup was answered what it had not asked")))
        }
    }
}
