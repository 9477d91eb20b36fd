//! Cleanup: closed segments are written anew without what nobody needs, while writes go on.
//!
//! A cleanup goes through the closed segments in the order of the log, a *group* of neighbours at a time, as many as
//! become one segment. For each group it
//!
//! 1. reads the records in slices and asks the [`Store`](super::Store), which alone has the index, which to keep;
//! 2. writes those to a new file beside the old ones, with its hint; syncs both, renames both, syncs the directory;
//! 3. has the [`Writer`](super::Writer) swap: the log is synced and the meta file replaced by one that names the new
//!    segment instead of the old ones. *This is the instant.* A crash before it leaves the old segments, a crash after
//!    it the new one; whichever do not count are removed by the next start;
//! 4. has the store point the index to the new places, in slices; both files are readable until that is done;
//! 5. removes the old files. Streams of a full resync that have them open read on.
//!
//! # Where it runs
//!
//! On a thread of its own ([`Keeper`](super::Keeper)). Copying must not stand between two group commits, so it cannot
//! be the disk thread; the node's thread has the sockets. What those two do for it is small: a few thousand lookups, one
//! replacement of the meta file for each group. It holds one slice, one write buffer, the hint and the dropped keys of
//! one group, each with a bound, so its memory does not depend on the log. It syncs what it writes every few
//! megabytes, so that no commit's sync has to carry all of it.
//!
//! # What may go
//!
//! Only entries up to the *bound*: the seq that the node knew to be committed when the cleanup began.
//!
//! * A **no-op**. Epochs that are not in the log any more are in the meta file's lineage.
//! * A record **superseded** by a newer one of its key that is in the index, and so durable in the sense of the
//!   durability mode; the sync before the swap makes it durable in every sense.
//! * A **tombstone** that is its key's newest record: every older record of its key goes with it or has gone before,
//!   since the groups are cleaned from the beginning of the log, and a group that is left alone has nothing to drop.
//!   The meta file that swaps the group also raises the *floor*: the store answers for a key that it does not know
//!   "absent as of the floor", so that an older copy elsewhere never wins a quorum read.
//!
//! Why the bound: entries above it may yet be discarded by a full resync, and must be in `rollback/` then, overwritten
//! or not. What is committed no safe promotion discards. A *forced* one may; then `rollback/` has the last value of
//! each key and a line that says up to where cleanup had dropped others. The backlog is in memory and does not care.
//! Quorum reads ask for newest versions only, and those stay, or are covered by the floor, which is never above what
//! is committed.

mod copy;
pub(super) mod keeper;
mod plan;

use bytes::Bytes;

use self::copy::{Copied, Copy};
pub use self::plan::NothingToDo;
pub(super) use self::plan::{Group, plan, policy_wants};
use super::error::StorageError;
use super::gate::{Ground, Halt};
use super::hints::hint::Hint;
use super::home::ignore_missing;
use super::index::Slot;
use super::install::snapshot::SnapshotReader;
use super::log::record::{self, Kind};
use super::log::segment::HEADER_BYTES;
use super::writing::job::Swap;
use crate::types::{Entry, Position};

/// How much is read before the store is asked, in bytes of [`Entry::weight`]: at most 4096 records.
const SLICE_BYTES: usize = 256 << 10;
/// How many places are told to the store at a time.
const SLICE_RECORDS: usize = 4096;
/// Keys of tombstones dropped in one group, in bytes of [`Entry::weight`], must be kept until the index has forgotten
/// them. Tombstones beyond this stay for the next cleanup.
const DROPPED_BYTES_MAX: usize = 16 << 20;

/// When cleanup begins by itself. Looked at by whoever drives the store; what counts are the closed segments that are
/// known to be committed as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanupPolicy {
    /// Garbage must be at least this part of the closed segments; above 1: never.
    pub ratio: f64,
    /// And at least so many bytes.
    pub bytes: u64,
}

impl Default for CleanupPolicy {
    /// Half, and 64 MiB.
    fn default() -> Self {
        Self { ratio: 0.5, bytes: 64 << 20 }
    }
}

/// One cleanup, from [`Store::begin_cleanup`](super::Store::begin_cleanup) to its end. Does nothing by itself:
/// [`run`](Self::run) it on a thread that may wait for the disk.
#[derive(Debug)]
pub struct Cleanup {
    pub(in crate::storage) ground: Ground,
    pub(in crate::storage) groups: Vec<Group>,
    pub(in crate::storage) progress: Progress,
}

/// How far a cleanup is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of segments gone through.
    pub done: u64,
    /// Bytes to go through in all.
    pub total: u64,
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

/// What a cleanup asks of the store, which has the index: see [`Store::serve`](super::Store::serve).
#[derive(Debug)]
pub struct CleanupRequest(pub(in crate::storage) Request);

/// The store's answer.
#[derive(Debug)]
pub struct CleanupAnswer(pub(in crate::storage) Answer);

#[derive(Debug)]
pub(in crate::storage) enum Request {
    /// Which of these records are to be kept?
    Judge { records: Vec<(Position, Option<Bytes>)>, progress: Progress },
    /// Put the new segment in the place of the old ones.
    Swap(Box<Swap>),
    /// Records have moved; keys of dropped tombstones need not be remembered.
    Move { moved: Vec<(Bytes, Slot)>, forgotten: Vec<(Bytes, u64)> },
    /// Everything has moved.
    Moved,
}

#[derive(Debug)]
pub(in crate::storage) enum Answer {
    Verdicts(Vec<Verdict>),
    Go,
    /// The log has been replaced.
    Stop,
    /// There was no room for the meta file; nothing is swapped.
    Full(StorageError),
}

/// What is to become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Verdict {
    Keep,
    Drop,
    /// It is its key's newest record, and a tombstone.
    DropTombstone,
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
            generation: self.ground.generation,
            old: group.inputs.iter().map(|piece| piece.segment.name).collect(),
            new: copied.new.clone(),
            base: group.base,
            floor: copied.dropped.iter().map(|(_, seq)| *seq).max().unwrap_or(0),
        };
        match ask(CleanupRequest(Request::Swap(Box::new(swap))))?.0 {
            Answer::Full(error) => return Err(copy.discard(Halt::Full(error))),
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
            let judge = Request::Judge { records, progress: self.progress };
            let verdicts = match ask(CleanupRequest(judge))?.0 {
                Answer::Verdicts(verdicts) if verdicts.len() == entries.len() => verdicts,
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
        let dir = home.log_dir(self.ground.generation);
        let _inside = self.ground.gate.enter(self.ground.generation)?;
        for piece in &group.inputs {
            let name = piece.segment.name;
            ignore_missing(home.remove(&dir.join(name.hint())))?;
            ignore_missing(home.remove(&dir.join(name.log())))?;
        }
        Ok(home.sync_dir(&dir)?)
    }
}

/// What has become of the records of a group.
#[derive(Debug, Default)]
struct Kept {
    records: u64,
    dropped: Vec<(Bytes, u64)>,
    dropped_bytes: usize,
    records_dropped: u64,
}

impl Kept {
    /// Whether a record is left out; notes it if so.
    fn drops(&mut self, entry: &Entry, verdict: Verdict) -> bool {
        let drops = match (verdict, entry.op.key()) {
            (Verdict::Keep, _) => false,
            (Verdict::Drop, _) => true,
            (Verdict::DropTombstone, None) => false,
            (Verdict::DropTombstone, Some(_)) if self.dropped_bytes >= DROPPED_BYTES_MAX => false,
            (Verdict::DropTombstone, Some(key)) => {
                self.dropped_bytes += entry.weight();
                self.dropped.push((key.clone(), entry.at.seq));
                true
            }
        };
        self.records_dropped += u64::from(drops);
        drops
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
            return expect_go(ask(CleanupRequest(Request::Moved))?.0);
        }
        expect_go(ask(CleanupRequest(Request::Move { moved, forgotten }))?.0)?;
    }
}

fn expect_go(answer: Answer) -> Result<(), Halt> {
    match answer {
        Answer::Go => Ok(()),
        Answer::Stop => Err(Halt::Stopped),
        Answer::Full(error) => Err(Halt::Full(error)),
        Answer::Verdicts(_) => {
            Err(Halt::Failed(StorageError::misuse("a cleanup was answered what it had not asked")))
        }
    }
}
