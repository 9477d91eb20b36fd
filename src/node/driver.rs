//! The core, the store, and the contract between them: one input in, all of its effects carried out in order.
//!
//! The driver does no waiting and knows no sockets. What leaves the process goes to an [`Outlet`]; what goes to the
//! disk is collected as [`Job`]s, for whoever runs the disk thread to take with [`Driver::take_jobs`]. Appends that
//! are collected together become one job, so that a burst of writes costs one completion, not hundreds.

use std::collections::{BTreeMap, VecDeque};

use tracing::warn;

use super::meter::Meter;
use crate::replication::{CHUNK_BYTES, Config, Core, DiskJob, Effect, Input, LogId, Recovered, RequestId};
use crate::storage::{Done, Job, SnapshotPart, SnapshotReader, StorageError, Store};
use crate::types::{Entry, Event, MemberStatus, Message, NodeId, Op, Reply, SnapshotId, Status, Time};

/// Where what leaves the core goes. None of these may come back into the driver before its call returns.
pub(super) trait Outlet {
    /// To a member, best effort.
    fn send(&mut self, to: NodeId, message: Message);
    /// A connection to this member is wanted now, if there is none.
    fn dial(&mut self, to: NodeId);
    /// This member has broken the protocol: its connection is of no use any more.
    fn reject(&mut self, from: NodeId, reason: &str);
    /// To the client that asked.
    fn reply(&mut self, request: RequestId, reply: Reply);
    /// To whoever watches.
    fn event(&mut self, event: Event);
}

/// One member's core and the durable state under it.
///
/// * Every effect of a step is carried out, in order, before the next step.
/// * A read is answered before any other input, from exactly the state that the core has been told of: completions
///   reach the store ([`Store::apply`]) and the core in one go.
pub(super) struct Driver {
    core: Core,
    store: Store,
    /// States being streamed to replicas, at most one for each.
    snapshots: BTreeMap<SnapshotId, SnapshotReader>,
    /// For the disk, in order.
    jobs: Vec<Job>,
    /// Reads answered and not yet heard by the core. These go first.
    reads: VecDeque<Input>,
    /// Snapshots opened, chunks read and damage met, not yet heard by the core.
    chunks: VecDeque<Input>,
    /// The log in use, and up to where it is durable.
    durable: (LogId, u64),
    applied: Meter,
}

impl Driver {
    /// Starts the core on what the disk held.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn start(
        config: Config,
        recovered: Recovered,
        store: Store,
        now: Time,
        outlet: &mut impl Outlet,
    ) -> Result<Self, StorageError> {
        let last = recovered.last.seq;
        let (core, effects) = Core::new(config, recovered, now);
        let mut driver = Self {
            core,
            store,
            snapshots: BTreeMap::new(),
            jobs: Vec::new(),
            reads: VecDeque::new(),
            chunks: VecDeque::new(),
            durable: (LogId::default(), last),
            applied: Meter::default(),
        };
        driver.carry_out(effects, outlet)?;
        driver.answer_core(now, outlet)?;
        Ok(driver)
    }

    /// Takes one input and carries out all that follows from it.
    ///
    /// # Errors
    /// If the store cannot be read: final for the process.
    pub(super) fn handle(
        &mut self,
        now: Time,
        input: Input,
        outlet: &mut impl Outlet,
    ) -> Result<(), StorageError> {
        let effects = self.core.step(now, input);
        self.carry_out(effects, outlet)?;
        self.answer_core(now, outlet)
    }

    /// Takes what the disk has done: into the store first, then to the core.
    ///
    /// # Errors
    /// If the store cannot take it or cannot be read: final for the process.
    pub(super) fn complete(
        &mut self,
        now: Time,
        dones: Vec<Done>,
        outlet: &mut impl Outlet,
    ) -> Result<(), StorageError> {
        for done in dones {
            if let Some(input) = self.store.apply(done)? {
                self.count_applied(now, &input);
                self.handle(now, input, outlet)?;
            }
        }
        self.answer_core(now, outlet)
    }

    /// The node is stopping: every request that waits gets the answer that is true of it now. No request may follow.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub(super) fn stop(&mut self, now: Time, outlet: &mut impl Outlet) -> Result<(), StorageError> {
        let effects = self.core.stop(now);
        self.carry_out(effects, outlet)?;
        self.answer_core(now, outlet)
    }

    /// What the disk is to do, in order. Must reach it before anything that is collected later.
    pub(super) fn take_jobs(&mut self) -> impl Iterator<Item = Job> {
        self.jobs.drain(..)
    }

    /// When the core next wants a [`Input::Tick`].
    pub(super) fn deadline(&self) -> Time {
        self.core.deadline()
    }

    /// The core's state.
    pub(super) fn status(&self, now: Time) -> Status {
        self.core.status(now)
    }

    /// Every member as the core knows it.
    pub(super) fn members(&self, now: Time) -> Vec<MemberStatus> {
        self.core.members(now)
    }

    /// Entries made durable in the last second.
    pub(super) fn applied_per_s(&mut self, now: Time) -> u64 {
        self.applied.per_second(now)
    }

    /// The durable state.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// The durable state, for its housekeeping.
    pub(super) fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Has the disk do something that the core does not hear of.
    pub(super) fn add_job(&mut self, job: Job) {
        self.jobs.push(job);
    }

    /// What the store has been told by others than the core, the core hears now.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub(super) fn tell_core(&mut self, now: Time, outlet: &mut impl Outlet) -> Result<(), StorageError> {
        self.answer_core(now, outlet)
    }

    fn answer_core(&mut self, now: Time, outlet: &mut impl Outlet) -> Result<(), StorageError> {
        loop {
            // What was read may have been damaged.
            self.chunks.extend(self.store.take_damage_news().into_iter().map(Input::Damage));
            let Some(answer) = self.reads.pop_front().or_else(|| self.chunks.pop_front()) else {
                return Ok(());
            };
            let effects = self.core.step(now, answer);
            self.carry_out(effects, outlet)?;
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>, outlet: &mut impl Outlet) -> Result<(), StorageError> {
        for effect in effects {
            match effect {
                Effect::Send { to, message } => outlet.send(to, message),
                Effect::Dial { to } => outlet.dial(to),
                Effect::Reject { from, reason } => outlet.reject(from, &reason),
                Effect::Reply { request, reply } => outlet.reply(request, reply),
                Effect::Event(event) => outlet.event(event),
                Effect::Disk(DiskJob::Append { log, entries }) => self.append(log, entries),
                Effect::Disk(job) => self.jobs.push(job.into()),
                Effect::Read { token, key } => {
                    let found = self.store.lookup(&key)?;
                    self.reads.push_back(Input::ReadDone { token, found });
                }
                Effect::SnapshotOpen { id } => self.snapshot_open(id)?,
                Effect::SnapshotRead { id } => self.snapshot_read(id)?,
                Effect::EntriesRead { to, from, bytes } => {
                    let found = self.store.entries_from(from, bytes)?;
                    self.chunks.push_back(Input::EntriesRead { to, from, found });
                }
                Effect::Repair { entry: Entry { at, op } } => {
                    if let Op::Put { key, value } = op {
                        self.jobs.extend(self.store.repair(at, &key, value));
                    }
                }
                Effect::SnapshotClose { id } => drop(self.snapshots.remove(&id)),
            }
        }
        Ok(())
    }

    fn append(&mut self, log: LogId, mut entries: Vec<Entry>) {
        if let Some(Job::Core(DiskJob::Append { log: same, entries: before })) = self.jobs.last_mut()
            && *same == log
        {
            before.append(&mut entries);
        } else {
            self.jobs.push(Job::Core(DiskJob::Append { log, entries }));
        }
    }

    fn snapshot_open(&mut self, id: SnapshotId) -> Result<(), StorageError> {
        let (reader, at, bytes_total) = self.store.snapshot()?;
        self.snapshots.insert(id, reader);
        self.chunks.push_back(Input::SnapshotOpened { id, at, bytes_total });
        Ok(())
    }

    fn snapshot_read(&mut self, id: SnapshotId) -> Result<(), StorageError> {
        let Some(reader) = self.snapshots.get_mut(&id) else {
            // The core reads only what it has opened and not closed.
            debug_assert!(false, "read of {id:?}, which is not open");
            warn!(?id, "a snapshot that is not open was to be read");
            return Ok(());
        };
        self.chunks.push_back(match self.store.read_snapshot(reader, CHUNK_BYTES)? {
            SnapshotPart::Entries(entries, done) => Input::SnapshotRead { id, entries, done },
            SnapshotPart::Lost => Input::SnapshotLost { id },
        });
        Ok(())
    }

    fn count_applied(&mut self, now: Time, input: &Input) {
        match input {
            Input::Persisted { log, through } => {
                if self.durable.0 == *log {
                    self.applied.add(now, through.saturating_sub(self.durable.1));
                }
                self.durable = (*log, *through);
            }
            // The new log's own entries begin after the state that was installed. `Installed` does not say where
            // that ends; its first completion sets it.
            Input::Installed { log, .. } => self.durable = (*log, u64::MAX),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "tests/driver.rs"]
mod tests;
