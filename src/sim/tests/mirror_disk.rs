//! Storage and what it should amount to, side by side: whatever the one says, the other must say as well.
//!
//! After a crash nobody knows what of the jobs under way is there. But it must be what *some prefix* of them leaves,
//! entries of an append counted one by one; the model is brought there.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::replication::{
    CutOutcome, DamageNews, DiskJob as Job, EntriesFound, Input, Promise, Recovered, Rollback,
};
use crate::storage::{Options, SnapshotPart};
use crate::types::{Entry, Lineage, Lookup, Op, Position, SnapshotId};

use super::model_disk::ModelDisk;
use crate::sim::disk::{Crash, SimDisk, StoredDisk};

/// See the module.
#[derive(Debug)]
pub(crate) struct MirrorDisk {
    stored: StoredDisk,
    model: ModelDisk,
}

impl MirrorDisk {
    /// Both empty.
    pub(crate) fn new(options: Options, seed: u64) -> Self {
        Self { stored: StoredDisk::new(options, seed), model: ModelDisk::new() }
    }

    fn compare(&self) {
        assert_eq!(self.stored.last(), self.model.last());
        assert_eq!(self.stored.lineage(), self.model.lineage());
        assert_eq!(promised(&self.stored), promised(&self.model));
    }

    /// The model's states on the way through these jobs.
    fn prefixes(&self, jobs: VecDeque<Job>) -> Vec<ModelDisk> {
        let mut states = vec![self.model.clone()];
        for job in jobs {
            let before = states.last().expect("there is one").clone();
            if let Job::Append { entries, .. } = &job {
                for count in 1..entries.len() {
                    let mut torn = before.clone();
                    torn.tear(job.clone(), count);
                    states.push(torn);
                }
            }
            let mut after = before;
            after.execute(job);
            states.push(after);
        }
        states
    }
}

impl SimDisk for MirrorDisk {
    fn write(&mut self, jobs: Vec<Job>) {
        self.model.set_cut_floor(self.stored.cut_floor());
        self.model.write(jobs.clone());
        self.stored.write(jobs);
    }

    fn apply(&mut self) -> Option<Input> {
        let heard = self.stored.apply();
        match (self.model.apply(), &heard) {
            // A second rollback from one place goes to a file of another name.
            (
                Some(Input::Installed { id, log, rollback }),
                Some(Input::Installed { id: its_id, log: its_log, rollback: its }),
            ) => {
                let count = |rollback: &Option<Rollback>| rollback.as_ref().map(|r| r.entries);
                assert_eq!((id, log, count(&rollback)), (*its_id, *its_log, count(its)));
            }
            (
                Some(Input::LogCut { log, outcome: CutOutcome::Done(rollback) }),
                Some(Input::LogCut { log: its_log, outcome: CutOutcome::Done(its) }),
            ) => {
                let count = |rollback: &Option<Rollback>| rollback.as_ref().map(|r| r.entries);
                assert_eq!((log, count(&rollback)), (*its_log, count(its)));
            }
            (model, heard) => assert_eq!(&model, heard),
        }
        self.compare();
        heard
    }

    fn crash(&mut self, jobs: VecDeque<Job>, crash: Crash) {
        self.model.crash(VecDeque::new(), Crash::CLEAN);
        self.model.set_cut_floor(self.stored.cut_floor());
        let submitted = jobs.clone();
        self.stored.crash(jobs, crash);
        let records = self.stored.records();
        let same = |model: &ModelDisk| {
            model.last() == self.stored.last()
                && promised(model) == promised(&self.stored)
                && (model.records() == records || crash.cleaning.is_some())
        };
        let found = self.prefixes(submitted).into_iter().find(same);
        let Some(model) = found else {
            panic!("{crash:?} leaves {:?} of what no prefix of the jobs leaves", self.stored)
        };
        self.model = model;
        if crash.cleaning.is_some() {
            self.model.keep_only(records);
        }
        // What the log says is promised needs no saying.
        self.model.raise_promise(self.stored.promise());
        self.compare();
    }

    /// Of a received state nothing is torn: it is a segment of its own, and closed.
    fn tear_tail(&mut self, seed: u64) {
        self.stored.tear_tail(seed);
        if self.stored.last() < self.model.last() {
            self.model.tear_tail(seed);
        }
        self.model.raise_promise(self.stored.promise());
        self.compare();
    }

    fn lookup(&self, key: &[u8]) -> Lookup {
        let (lookup, model) = (self.stored.lookup(key), self.model.lookup(key));
        let (Lookup::Found(found), Lookup::Found(model)) = (&lookup, &model) else {
            panic!("nothing rots here: {lookup:?}, {model:?}")
        };
        assert_eq!(found.value, model.value);
        // How far a member can vouch for an absent key is the one thing in which they differ.
        assert!(found.value.is_none() || found.version == model.version);
        lookup
    }

    fn take_damage(&mut self) -> Vec<DamageNews> {
        self.stored.take_damage()
    }

    fn repair(&mut self, entry: Entry) {
        self.stored.repair(entry);
    }

    fn rot(&mut self, _at: Position, _seed: u64) -> bool {
        false // one that breaks its word is nothing to compare with
    }

    fn scrub(&mut self) {
        self.stored.scrub();
    }

    fn damaged(&self) -> u64 {
        self.stored.damaged()
    }

    fn entries_from(&mut self, from: u64, bytes_max: usize) -> EntriesFound {
        let found = self.stored.entries_from(from, bytes_max);
        if matches!(found, EntriesFound::Entries(_)) {
            assert_eq!(found, self.model.entries_from(from, bytes_max));
        }
        found
    }

    fn open_view(&mut self, id: SnapshotId) -> (Position, u64) {
        self.stored.open_view(id)
    }

    fn read_view(&mut self, id: SnapshotId, bytes_max: usize) -> SnapshotPart {
        self.stored.read_view(id, bytes_max)
    }

    fn close_view(&mut self, id: SnapshotId) {
        self.stored.close_view(id);
    }

    fn recover(&mut self) -> Recovered {
        self.model.recover();
        self.stored.recover()
    }

    fn wipe(&mut self) {
        self.model.wipe();
        self.stored.wipe();
    }

    fn cleanup(&mut self, through: u64) -> bool {
        let cleaned = self.stored.cleanup(through);
        self.model.keep_only(self.stored.records());
        self.compare();
        cleaned
    }

    fn cleaned(&self) -> Vec<Position> {
        self.stored.cleaned()
    }

    fn last(&self) -> Position {
        self.stored.last()
    }

    fn lineage(&self) -> &Lineage {
        self.stored.lineage()
    }

    fn promise(&self) -> Promise {
        self.stored.promise()
    }

    fn records(&self) -> Vec<Entry> {
        let records = self.stored.records();
        assert_eq!(records, self.model.records());
        records
    }

    fn contents(&self) -> BTreeMap<Bytes, Bytes> {
        let contents = self.stored.contents();
        assert_eq!(contents, self.model.contents());
        contents
    }

    fn rollbacks(&self) -> Vec<Entry> {
        let entries = self.stored.rollbacks();
        // A crash after the file was written and before the installation stood leaves it twice.
        let has = |entry: &Entry| entry.op == Op::Noop || entries.contains(entry);
        assert!(self.model.rollbacks().iter().all(has), "what was discarded is in a file");
        entries
    }

    fn tears(&self) -> u64 {
        self.stored.tears()
    }
}

/// The highest of what is saved and what the log says.
fn promised(disk: &dyn SimDisk) -> Promise {
    let promise = disk.promise();
    Promise { epoch: promise.epoch.max(disk.last().epoch), ..promise }
}
