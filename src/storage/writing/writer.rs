//! The writing half: batches of jobs, carried out in order.

use std::sync::Arc;

use super::job::{Appended, Done, Job, JobOutcome, Swap};
use crate::replication::{CutOutcome, DiskJob, Input, LogId};
use crate::storage::cutting::{self, Shortening};
use crate::storage::damages::Repair;
use crate::storage::disk::{Lock, RoomPatience};
use crate::storage::error::StorageError;
use crate::storage::gate::{Ground, LogEra, LogGate};
use crate::storage::home::{Home, META, ignore_missing};
use crate::storage::install::incoming::Incoming;
use crate::storage::install::rollback;
use crate::storage::log::log::Log;
use crate::storage::log::record::{self, RecordPlace};
use crate::storage::log::synced::{SyncMark, SyncedEnd};
use crate::storage::meta::Meta;
use crate::storage::options::{Durability, Options};
use crate::storage::recovery::{self, Contents, Tail};
use crate::storage::segment_name::SyncedTo;
use crate::storage::sweep::sweep_log;
use crate::types::{Entry, Lineage, Position, SnapshotId};

/// Carries out [`Job`]s. Lives on the disk thread, or is driven directly by a simulator.
///
/// * What is on disk is always what a prefix of the jobs leaves, whenever the power goes. In the modes that do
///   not sync each batch, the end of the log may be missing from it, but nothing before a save.
/// * On the disk thread it waits where there is no room. After any error it does nothing any more: what it wrote since
///   the last sync may or may not be there.
#[derive(Debug)]
pub struct Writer {
    home: Home,
    options: Options,
    meta: Meta,
    log: Log,
    /// The log's name, once a job has named it.
    log_id: Option<LogId>,
    last: Position,
    lineage: Lineage,
    incoming: Option<Incoming>,
    /// No log has had this generation yet.
    next_generation: u64,
    /// The position that was last when everything was last synced.
    synced_last: Position,
    /// Says up to where the log is synced, for whoever finds the directory after a kill.
    mark: SyncMark,
    /// Whether, and on which thread, it waits for room.
    patience: Arc<RoomPatience>,
    failed: Option<String>,
    gate: LogGate,
    _lock: Arc<Lock>,
}

impl Writer {
    pub(in crate::storage) fn new(
        ground: Ground,
        patience: Arc<RoomPatience>,
        options: Options,
        meta: Meta,
        contents: &Contents,
    ) -> Result<Self, StorageError> {
        let Ground { home, gate, _lock, .. } = ground;
        let mark = SyncMark::open(&home)?;
        let log = Log::resume(&home, meta.generation, options.segment_bytes, contents.segments.pieces());
        let mut writer = Self {
            next_generation: meta.generation + 1,
            home,
            options,
            meta,
            log,
            log_id: None,
            last: contents.last,
            lineage: contents.lineage.clone(),
            incoming: None,
            synced_last: contents.last,
            mark,
            patience,
            failed: None,
            gate,
            _lock,
        };
        writer.mark_synced()?;
        Ok(writer)
    }

    /// Carries out a batch in order: consecutive appends share their writes and one sync. Returns one [`Done`] for
    /// each job, all of them durable in the sense of the durability mode.
    ///
    /// # Errors
    /// Any error is final, for this and every later call: end the process. Nothing of the batch may be
    /// acknowledged then.
    pub fn execute(&mut self, jobs: Vec<Job>) -> Result<Vec<Done>, StorageError> {
        self.guarded(|writer| {
            let mut done = Vec::with_capacity(jobs.len());
            for job in jobs {
                done.push(Done(writer.carry_out(job)?));
            }
            writer.settle()?;
            writer.mark_synced()?;
            Ok(done)
        })
    }

    /// Makes everything written durable: for [`Durability::Interval`], and at a graceful end.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn sync(&mut self) -> Result<(), StorageError> {
        self.guarded(|writer| {
            writer.sync_log()?;
            writer.mark_synced()
        })
    }

    /// For the thread that it runs on: whether to wait for room, and when to stop that.
    pub(in crate::storage) fn patience(&self) -> &Arc<RoomPatience> {
        &self.patience
    }

    /// Whether something counts as durable that a loss of power would take.
    pub fn is_dirty(&self) -> bool {
        self.log.is_dirty()
    }

    /// How often to call [`sync`](Self::sync), if at all.
    pub fn sync_every(&self) -> Option<std::time::Duration> {
        match self.options.durability {
            Durability::Interval(every) => Some(every),
            Durability::Always | Durability::Os => None,
        }
    }

    /// Up to where the log is durable whatever happens to the power. Moves with [`execute`](Self::execute) and
    /// [`sync`](Self::sync).
    pub fn synced(&self) -> SyncedEnd {
        let end = self.log.synced_end();
        let LogEra { generation, cuts } = self.meta.era();
        SyncedEnd { generation, cuts, segment: end.segment, bytes: end.bytes, last: self.synced_last }
    }

    /// Lets nothing happen after a failure.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if let Some(first) = &self.failed {
            return Err(StorageError::Stopped { first: first.clone() });
        }
        // Also if `work` panics.
        self.failed = Some("a panic".to_owned());
        let result = work(self);
        self.failed = result.as_ref().err().map(ToString::to_string);
        result
    }

    fn carry_out(&mut self, job: Job) -> Result<JobOutcome, StorageError> {
        match job {
            Job::Core(job) => self.carry_out_for_core(job),
            Job::CloseSegment => {
                self.log.close_segment(self.last.seq + 1)?;
                Ok(JobOutcome::Closed { era: self.meta.era(), grown: self.log.active().clone() })
            }
            Job::Swap(swap) => self.swap(swap),
            Job::Repair(repair) => self.repair(&repair),
        }
    }

    fn carry_out_for_core(&mut self, job: DiskJob) -> Result<JobOutcome, StorageError> {
        match job {
            DiskJob::Append { log, .. } if *self.log_id.get_or_insert(log) != log => {}
            DiskJob::Append { log, entries } => return self.append(log, &entries).map(JobOutcome::Appended),
            DiskJob::Save { promise } => {
                // What was appended before must not be missing where the promise is there.
                self.sync_log()?;
                self.meta.promise = promise;
                self.meta.segments = self.log.synced();
                self.meta.save(&self.home)?;
                return Ok(JobOutcome::Told(Input::Saved { promise }));
            }
            DiskJob::Cut { log, fork } => return self.cut(log, fork),
            DiskJob::InstallBegin { id } => {
                if let Some(previous) = self.incoming.take() {
                    previous.discard(&self.home)?;
                }
                let (generation, segment_bytes) = (self.next_generation, self.options.segment_bytes);
                self.next_generation += 1;
                self.incoming = Some(Incoming::begin(&self.home, id, generation, segment_bytes)?);
            }
            DiskJob::InstallChunk { id, entries } => {
                let incoming = self.incoming.as_mut().filter(|incoming| incoming.id == id);
                incoming.ok_or_else(|| not_begun(id))?.take(&entries)?;
                return Ok(JobOutcome::Told(Input::ChunkStored { id }));
            }
            DiskJob::InstallCommit { id, log, at, lineage, fork } => {
                return self.install(id, log, at, lineage, fork);
            }
            DiskJob::InstallAbort { id } => {
                if let Some(incoming) = self.incoming.take_if(|incoming| incoming.id == id) {
                    incoming.discard(&self.home)?;
                }
            }
        }
        Ok(JobOutcome::Quiet)
    }

    fn append(&mut self, log: LogId, entries: &[Entry]) -> Result<Appended, StorageError> {
        let segments_before = self.log.pieces().len();
        let mut slots = Vec::with_capacity(entries.len());
        let mut opened = Vec::new();
        let mut counts = vec![0];
        for entry in entries {
            if entry.at.seq != self.last.seq + 1 || entry.at.epoch < self.last.epoch {
                let what = format!("entry {} cannot be appended after {}", entry.at, self.last);
                return Err(StorageError::misuse(what));
            }
            let segments = self.log.pieces().len();
            let slot = self.log.append(entry)?;
            if self.log.pieces().len() > segments {
                self.synced_last = self.last; // the segment before was synced when it was closed
            }
            counts.resize(self.log.pieces().len() - segments_before + 1, 0);
            *counts.last_mut().expect("there is one for the last segment") += 1;
            if entry.at.epoch != self.last.epoch {
                self.lineage.extend(entry.at);
                opened.push(entry.at);
            }
            slots.extend(entry.op.key().map(|key| (key.clone(), slot)));
            self.last = entry.at;
        }
        let grown = self.log.pieces()[segments_before - 1..].iter().cloned().zip(counts).collect();
        Ok(Appended { log, last: self.last, opened, slots, grown, records: entries.len() as u64 })
    }

    /// The received state takes the place of the present one. Until the meta file is replaced, a crash leaves the
    /// old state; from then on, the new one.
    fn install(
        &mut self,
        id: SnapshotId,
        log: LogId,
        at: Position,
        lineage: Lineage,
        fork: Position,
    ) -> Result<JobOutcome, StorageError> {
        let incoming = self.incoming.take_if(|incoming| incoming.id == id).ok_or_else(|| not_begun(id))?;
        self.log.write()?;
        let (meta, contents) = incoming.finish(&self.home, &self.meta, at, lineage)?;
        // The core has found the fork by the same rule; whoever is more careful is right.
        let shared = self.lineage.fork_point(self.last.seq, &contents.lineage, at.seq);
        let after = fork.seq.min(shared.seq);
        let rollback = rollback::keep(&self.home, self.log.pieces(), after, self.last.seq, &self.lineage)?;
        meta.save(&self.home)?;

        let old = std::mem::replace(&mut self.meta, meta).generation;
        self.resume(&contents);
        self.log_id = Some(log);
        // From here on nobody puts anything into the old directory any more.
        let era = self.meta.era();
        self.gate.change(era);
        self.home.remove_log(old)?;
        Ok(JobOutcome::Installed { id, log, rollback, era, contents: Box::new(contents) })
    }

    /// Cuts the log back to `fork`: see [`cutting`] for the order, and for what a crash leaves.
    fn cut(&mut self, log: LogId, fork: Position) -> Result<JobOutcome, StorageError> {
        if !self.lineage.contains(fork, self.last.seq) {
            let what = format!("a log up to {} cannot be cut at {fork}, which is not on it", self.last);
            return Err(StorageError::misuse(what));
        }
        self.log_id = Some(log);
        let unchanged = |outcome| JobOutcome::Cut { log, outcome, era: self.meta.era(), contents: None };
        if fork.seq < self.meta.cut_floor() {
            return Ok(unchanged(CutOutcome::BelowCleanup));
        }
        if fork == self.last {
            let unchanged = unchanged(CutOutcome::Done(None));
            self.sync_log()?;
            return Ok(unchanged);
        }
        self.sync_log()?;
        let rollback = rollback::keep(&self.home, self.log.pieces(), fork.seq, self.last.seq, &self.lineage)?;
        let segments = cutting::segments_up_to(self.log.pieces(), fork.seq, self.meta.cleaned)?;
        self.meta.cut = Some(fork);
        self.meta.cuts += 1;
        self.meta.segments = segments;
        self.meta.save(&self.home)?;
        // From here on nobody puts anything into the directory that was meant for the log as it was.
        self.gate.change(self.meta.era());
        sweep_log(&self.home, &self.meta)?;
        cutting::make(&self.home, &self.meta, Shortening::Anew)?;
        self.meta.cut = None;
        self.meta.save(&self.home)?;
        let contents = recovery::read_log(&self.home, &self.meta, Tail::IsWhole)?.contents;
        if contents.last != fork {
            let what = format!("the log was cut at {fork} and ends in {}", contents.last);
            return Err(self.log.active().segment.file.corrupt(0, what));
        }
        self.resume(&contents);
        let (era, contents) = (self.meta.era(), Some(Box::new(contents)));
        Ok(JobOutcome::Cut { log, outcome: CutOutcome::Done(rollback), era, contents })
    }

    /// Goes on where this log ends, which is durable.
    fn resume(&mut self, contents: &Contents) {
        let (generation, segment_bytes) = (self.meta.generation, self.options.segment_bytes);
        self.log = Log::resume(&self.home, generation, segment_bytes, contents.segments.pieces());
        self.last = contents.last;
        self.synced_last = contents.last;
        self.lineage = contents.lineage.clone();
    }

    /// No cut goes below this seq.
    pub fn cut_floor(&self) -> u64 {
        self.meta.cut_floor()
    }

    /// A cleanup's new segment takes the place of the old ones, the base and the floor rise: one new meta file.
    fn swap(&mut self, swap: Box<Swap>) -> Result<JobOutcome, StorageError> {
        if swap.era != self.meta.era() {
            return Ok(JobOutcome::NotSwapped(None));
        }
        // What supersedes the dropped records must not be lost where they are gone.
        self.sync_log()?;
        let new = swap.new.as_ref().map(|held| &held.piece);
        let Some(pieces) = self.log.with_replaced(&swap.old, new) else {
            let what = format!("segments {:?} are not there to be replaced", swap.old);
            return Err(StorageError::misuse(what));
        };
        let position = |seq| Position::new(self.lineage.epoch_of(seq), seq);
        let base = self.meta.base.max(position(swap.base));
        let spans = self.lineage.spans().iter().copied().filter(|&(_, first)| first <= base.seq).collect();
        let segments = pieces.iter().map(|piece| SyncedTo::new(piece.segment.name, piece.bytes)).collect();
        let meta = Meta {
            base,
            floor: self.meta.floor.max(position(swap.floor)),
            lineage: Lineage::from_spans(spans).expect("the beginning of a lineage is one"),
            cleaned: swap.old.iter().map(|old| old.number).fold(self.meta.cleaned, u32::max),
            superseded: self.meta.superseded.max(swap.superseded),
            segments,
            ..self.meta.clone()
        };
        // A cleanup makes room: it does not wait for it.
        match self.patience.clone().at_once(|| meta.prepare(&self.home)) {
            Ok(()) => {}
            Err(full @ StorageError::Full { .. }) => {
                ignore_missing(self.home.remove(&Home::part(&self.home.dir, META)))?;
                return Ok(JobOutcome::NotSwapped(Some(full)));
            }
            Err(error) => return Err(error),
        }
        meta.put_in_place(&self.home)?;
        self.log.replace(pieces);
        let (base, floor) = (meta.base, meta.floor);
        self.meta = meta;
        Ok(JobOutcome::Swapped { swap, base, floor })
    }

    /// Writes a right value where the damaged one stands. The record's head decides whether it is the right one; it says
    /// so again when the value has been read back.
    fn repair(&self, repair: &Repair) -> Result<JobOutcome, StorageError> {
        let Repair { era, piece, offset, at, key, value } = repair;
        let file = &piece.segment.file;
        let place = RecordPlace { segment: piece.segment.name.number, offset: *offset };
        let mut bytes = vec![0; record::FIXED_BYTES + key.len() + value.len()];
        // `None`: this is another record, or another value.
        let mut is_whole = || {
            let read = file.read_at(&mut bytes, u64::from(*offset))?;
            let record = record::decode(&bytes[..read], place).ok();
            let record = record.filter(|it| it.at == *at && it.key == key && it.wrote(value));
            Ok::<_, StorageError>(record.map(|it| (it.value_start(), it.value.is_some())))
        };
        let mut whole = false;
        if *era == self.meta.era()
            && let Some((start, good)) = is_whole()?
        {
            if !good {
                file.write_at(value, u64::from(*offset) + start as u64)?;
                file.sync()?;
            }
            whole = good || is_whole()?.is_some_and(|(_, good)| good);
        }
        Ok(JobOutcome::Repaired { era: *era, at: *at, whole })
    }

    /// What must have happened to appended entries before they count.
    fn settle(&mut self) -> Result<(), StorageError> {
        match self.options.durability {
            Durability::Always => self.sync_log(),
            Durability::Interval(_) | Durability::Os => self.log.write(),
        }
    }

    /// Before anything is acknowledged that a sync has made durable: a mark that is behind what was acknowledged
    /// would make a loss of power look worse than it is.
    fn mark_synced(&mut self) -> Result<(), StorageError> {
        self.mark.say(&self.synced())
    }

    fn sync_log(&mut self) -> Result<(), StorageError> {
        self.log.sync()?;
        self.synced_last = self.last;
        Ok(())
    }
}

fn not_begun(id: SnapshotId) -> StorageError {
    StorageError::misuse(format!("installation {} was not begun", id.0))
}
