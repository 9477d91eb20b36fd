//! One cleanup, group after group.

use super::copy::{Copied, Copy, Kept};
use super::plan::Group;
use super::questions::{AnswerKind, CleanupAnswer, CleanupProgress, CleanupRequest, RecordFate, RequestKind};
use crate::storage::error::StorageError;
use crate::storage::gate::{Ground, Halt};
use crate::storage::hints::hint::Hint;
use crate::storage::home::ignore_missing;
use crate::storage::install::snapshot::{Item, SnapshotReader};
use crate::storage::log::record::Kind;
use crate::storage::log::segment::HEADER_BYTES;
use crate::storage::writing::job::Swap;
use crate::types::Damage;

/// How much is read before the store is asked, in bytes of records: at most 7000 of them, and one that may be long.
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
    /// Segments that were left as they are, since a value in them is damaged.
    pub left_damaged: u64,
}

/// What a group has become.
enum GroupCopy {
    /// All that was to be kept of it is written.
    Whole(Kept),
    /// These values of it are damaged: it stays as it is.
    Damaged(Vec<Damage>),
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
        let outcome = match self.copy_group(group, &mut copy, ask) {
            Ok(GroupCopy::Whole(kept)) => copy.finish(kept, group.first),
            Ok(GroupCopy::Damaged(damaged)) => {
                copy.remove()?;
                cleaned.left_damaged += group.inputs.len() as u64;
                return expect_go(ask(CleanupRequest(RequestKind::Damaged(damaged)))?.0);
            }
            Err(halt) => Err(halt),
        };
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

    /// Reads the group and writes what is to be kept. Ends where that is damaged.
    fn copy_group(&mut self, group: &Group, copy: &mut Copy, ask: Ask<'_>) -> Result<GroupCopy, Halt> {
        let mut kept = Kept::default();
        let mut reader = SnapshotReader::new(group.inputs.clone());
        self.progress.done += HEADER_BYTES * group.inputs.len() as u64;
        loop {
            let (items, last) = next_slice(&mut reader)?;
            self.progress.done += items.iter().map(Item::record_bytes).sum::<u64>();
            let records = items.iter().map(Item::record).collect();
            let judge = RequestKind::Judge { records, progress: self.progress };
            let verdicts = match ask(CleanupRequest(judge))?.0 {
                AnswerKind::Verdicts(verdicts) if verdicts.len() == items.len() => verdicts,
                other => return Err(expect_go(other).expect_err("verdicts were asked for")),
            };
            let mut damaged = Vec::new();
            for (item, verdict) in items.into_iter().zip(verdicts) {
                match item {
                    Item::Damaged(..) if verdict == RecordFate::Drop => kept.drop_damaged(),
                    Item::Damaged(damage, _) => damaged.push(damage),
                    Item::Entry(entry) if kept.drops(&entry, verdict) => {}
                    Item::Entry(entry) => {
                        kept.records += 1;
                        copy.add(&entry)?;
                    }
                }
            }
            if !damaged.is_empty() {
                return Ok(GroupCopy::Damaged(damaged));
            }
            if last {
                return Ok(GroupCopy::Whole(kept));
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

/// The next records of a group, and whether none follow.
fn next_slice(reader: &mut SnapshotReader) -> Result<(Vec<Item>, bool), StorageError> {
    let (mut items, mut bytes) = (Vec::new(), 0);
    while bytes < SLICE_BYTES as u64 {
        let Some(item) = reader.next_item()? else { return Ok((items, true)) };
        bytes += item.record_bytes();
        items.push(item);
    }
    Ok((items, false))
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
