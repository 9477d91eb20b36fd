//! A simulated disk: what of a member survives a crash.
//!
//! The queue of jobs that are still on their way lives with the node ([`SimNode`](super::node::SimNode)). A disk
//! makes a batch of them durable at once ([`SimDisk::write`]), as the disk thread does, and then takes them into the
//! state that reads are answered from, one after the other ([`SimDisk::apply`]), as a node's driver does.
//!
//! * [`StoredDisk`] is the storage of a node, on a file system in memory that loses what was not synced. A crash cuts
//!   it off at any of its operations on the disk. Simulations run on it.
//! * `ModelDisk` is what storage should amount to, in plain collections. Golden scripts run on it: they say how
//!   many jobs, and how many entries of the next, survive a crash.
//! * `MirrorDisk` is both, and panics where they differ. Tests run on it.

mod stored;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use bytes::Bytes;

use crate::replication::{DamageNews, DiskJob as Job, EntriesFound, Input, Promise, Recovered};
use crate::storage::{Loss, SnapshotPart};
use crate::types::{Entry, Lineage, Lookup, Position, SnapshotId};

pub(crate) use self::stored::StoredDisk;

/// One member's disk.
pub(crate) trait SimDisk: fmt::Debug {
    /// Makes jobs durable, as one batch. Nothing of it shows before [`apply`](Self::apply).
    fn write(&mut self, jobs: Vec<Job>);

    /// Takes the oldest job that was written and not applied into the state that reads are answered from. Returns
    /// what the core is to hear, if anything.
    fn apply(&mut self) -> Option<Input>;

    /// The process dies while these jobs wait, none of them written. Afterwards the disk holds what is found when it
    /// is next opened.
    fn crash(&mut self, jobs: VecDeque<Job>, crash: Crash);

    /// Tears the last record of a process that is dead, at a byte that follows from the seed.
    fn tear_tail(&mut self, seed: u64);

    /// What the applied state holds for a key.
    fn lookup(&self, key: &[u8]) -> Lookup;

    /// What there is to tell of damaged values since this was last asked.
    fn take_damage(&mut self) -> Vec<DamageNews>;

    /// Writes the right value of an entry over the damaged one, at once.
    fn repair(&mut self, entry: Entry);

    /// A byte of the value of this version rots, in a record that is not written to any more. Returns whether it is
    /// there, is whole, and may rot.
    fn rot(&mut self, at: Position, seed: u64) -> bool;

    /// Reads everything, so that all damage is found.
    fn scrub(&mut self);

    /// How many damaged values it knows of.
    fn damaged(&self) -> u64;

    /// Opens a frozen view of the applied state. Returns its position and how many bytes will come.
    fn open_view(&mut self, id: SnapshotId) -> (Position, u64);

    /// The view's next records, at most `bytes_max` of weight or one record, and whether none follow.
    fn read_view(&mut self, id: SnapshotId, bytes_max: usize) -> SnapshotPart;

    /// Forgets a view.
    fn close_view(&mut self, id: SnapshotId);

    /// Durable entries from a seq on: at most `bytes_max` of weight, or one.
    fn entries_from(&mut self, from: u64, bytes_max: usize) -> EntriesFound;

    /// What a member starts with: forgets what a process held in memory, and reads the rest.
    fn recover(&mut self) -> Recovered;

    /// Loses everything; what its rollback files held is still told by [`rollbacks`](Self::rollbacks).
    fn wipe(&mut self);

    /// Drops what nobody needs of the entries up to the seq `through`, leaving a floor behind. Returns whether there
    /// was anything.
    fn cleanup(&mut self, through: u64) -> bool;

    /// Where the applied log ends.
    fn last(&self) -> Position;

    /// The applied log's lineage.
    fn lineage(&self) -> &Lineage;

    /// The applied promise.
    fn promise(&self) -> Promise;

    /// The records of the applied log, ascending; there may be gaps where a full resync left things out.
    fn records(&self) -> Vec<Entry>;

    /// Every live key and its value.
    fn contents(&self) -> BTreeMap<Bytes, Bytes>;

    /// Entries that installations have discarded.
    fn rollbacks(&self) -> Vec<Entry>;

    /// Up to where rollback files say that entries had been dropped by cleanup before.
    fn cleaned(&self) -> Vec<Position>;

    /// How often a torn end of the log has been cut.
    fn tears(&self) -> u64;
}

/// How a process dies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    /// So many of the jobs under way had been written, as one batch, and nobody has heard of it.
    pub(crate) survivors: usize,
    /// How far the batch after that has come: so many operations on the disk; on the model, so many entries.
    pub(crate) torn: usize,
    /// What becomes of bytes and names that were not synced.
    pub(crate) loss: Loss,
    /// It was not writing but cleaning up what is committed through this seq, and `torn` says how far it has come.
    pub(crate) cleaning: Option<u64>,
    /// It dies because a sync of the jobs under way has failed, after so many that went well: what that sync should have
    /// made durable is dropped.
    pub(crate) sync_fails: Option<usize>,
    /// It dies again while it recovers, after so many operations on the disk.
    pub(crate) again: Option<usize>,
}

impl Crash {
    /// Nothing of what was under way survives, and nothing else happens.
    pub(crate) const CLEAN: Self =
        Self { survivors: 0, torn: 0, loss: Loss::Whole, cleaning: None, sync_fails: None, again: None };
}
