//! What a disk should do, in plain collections. Golden scripts are told on it; the real one is compared with it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::replication::{
    CutOutcome, DamageNews, DiskJob as Job, EntriesFound, Input, LogId, Promise, Recovered, Rollback,
};
use crate::storage::SnapshotPart;
use crate::types::{Damage, Entry, Found, Lineage, Lookup, Op, Position, SnapshotId};

use crate::sim::disk::{Crash, SimDisk};

/// A disk of plain collections: each job is carried out whole, and only when asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelDisk {
    /// Jobs that are durable and not yet applied. Nobody looks between the two.
    written: VecDeque<Job>,
    /// The log as the running process names it; `None` until it has appended.
    log: Option<LogId>,
    records: Vec<Entry>,
    last: Position,
    lineage: Lineage,
    promise: Promise,
    /// Newest version of each key, tombstones among them.
    index: BTreeMap<Bytes, (Option<Bytes>, Position)>,
    /// Up to here, tombstones have been dropped.
    floor: Position,
    /// Storage says that it has dropped what was superseded up to here.
    cut_floor: u64,
    installing: Option<(SnapshotId, Vec<Entry>)>,
    views: BTreeMap<SnapshotId, VecDeque<Entry>>,
    rollbacks: Vec<Entry>,
    /// Seqs of versions whose values are damaged, and are their keys' newest.
    rotten: BTreeSet<u64>,
    /// Those of them that were met by the running process, and what it has not heard of them. A look may meet one.
    met: RefCell<(BTreeSet<u64>, Vec<DamageNews>)>,
}

impl ModelDisk {
    /// An empty disk.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn append(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            assert_eq!(entry.at.seq, self.last.seq + 1, "entry {} does not follow {}", entry.at, self.last);
            self.lineage.extend(entry.at);
            self.last = entry.at;
            self.take_in(entry);
        }
    }

    fn take_in(&mut self, entry: Entry) {
        if let Some((_, before)) = entry.op.key().and_then(|key| self.index.get(key)).cloned() {
            self.no_longer(before.seq, DamageNews::Gone(before));
        }
        match &entry.op {
            Op::Noop => {}
            Op::Put { key, value } => {
                self.index.insert(key.clone(), (Some(value.clone()), entry.at));
            }
            Op::Del { key } => {
                self.index.insert(key.clone(), (None, entry.at));
            }
        }
        self.records.push(entry);
    }

    /// A damaged value was met.
    fn meet(&self, at: Position, key: &Bytes) -> Damage {
        let damage = Damage { at, key: key.clone(), file: "log".to_owned(), offset: at.seq };
        let (met, news) = &mut *self.met.borrow_mut();
        if met.insert(at.seq) {
            news.push(DamageNews::Found(damage.clone()));
        }
        damage
    }

    /// A damaged value is none any more.
    fn no_longer(&mut self, seq: u64, why: DamageNews) {
        let (met, news) = self.met.get_mut();
        if self.rotten.remove(&seq) && met.remove(&seq) {
            news.push(why);
        }
    }

    fn install(
        &mut self,
        records: Vec<Entry>,
        at: Position,
        lineage: Lineage,
        fork: Position,
    ) -> Option<Rollback> {
        assert!(lineage.contains(at, at.seq), "a state as of {at} is not on its own lineage {lineage:?}");
        assert!(self.lineage.contains(fork, self.last.seq), "fork {fork} is not on the old lineage");
        assert!(lineage.contains(fork, at.seq), "fork {fork} is not on the new lineage");
        let discarded: Vec<_> = self.records.iter().filter(|r| r.at.seq > fork.seq).cloned().collect();
        let rollback = discarded.first().map(|first| Rollback {
            entries: discarded.len() as u64,
            file: format!("rollback/{}-{}.jsonl", first.at.epoch, first.at.seq),
        });
        self.rollbacks.extend(discarded);
        self.records.clear();
        self.index.clear();
        for seq in std::mem::take(&mut self.rotten) {
            self.rotten.insert(seq);
            self.no_longer(seq, DamageNews::Gone(Position::new(self.lineage.epoch_of(seq), seq)));
        }
        for record in records {
            assert!(record.at <= at, "record {} of a state as of {at}", record.at);
            self.take_in(record);
        }
        self.last = at;
        self.lineage = lineage;
        // The state leaves out what its sender had dropped, so whatever it does not hold is absent as of `at`.
        self.floor = at;
        self.cut_floor = at.seq;
        rollback
    }
}

impl ModelDisk {
    /// Carries out a job. Returns what the core is to hear of it, if anything.
    pub(super) fn execute(&mut self, job: Job) -> Option<Input> {
        match job {
            Job::Append { log, entries } => {
                assert_eq!(*self.log.get_or_insert(log), log, "an append to a log that has been replaced");
                assert!(!entries.is_empty(), "an append of nothing");
                self.append(entries);
                Some(Input::Persisted { log, through: self.last.seq })
            }
            Job::Save { promise } => {
                self.promise = promise;
                Some(Input::Saved { promise })
            }
            Job::Cut { log, fork } => {
                assert_ne!(self.log, Some(log), "a cut log with the name of the old one");
                self.log = Some(log);
                Some(Input::LogCut { log, outcome: self.cut(fork) })
            }
            Job::InstallBegin { id } => {
                self.installing = Some((id, Vec::new()));
                None
            }
            Job::InstallChunk { id, entries } => {
                let (begun, records) = self.installing.as_mut().expect("a chunk without an installation");
                assert_eq!(*begun, id, "a chunk of another installation");
                records.extend(entries);
                Some(Input::ChunkStored { id })
            }
            Job::InstallCommit { id, log, at, lineage, fork } => {
                let (begun, records) = self.installing.take().expect("a commit without an installation");
                assert_eq!(begun, id, "a commit of another installation");
                assert_ne!(self.log, Some(log), "a new log with the name of the old one");
                self.log = Some(log);
                let rollback = self.install(records, at, lineage, fork);
                Some(Input::Installed { id, log, rollback })
            }
            Job::InstallAbort { id } => {
                self.installing.take_if(|(begun, _)| *begun == id);
                None
            }
        }
    }

    /// Cuts the log back to `fork`, unless that is below what was dropped.
    fn cut(&mut self, fork: Position) -> CutOutcome {
        assert!(self.lineage.contains(fork, self.last.seq), "fork {fork} is not on the log");
        if fork.seq < self.floor.seq.max(self.cut_floor) {
            return CutOutcome::BelowCleanup;
        }
        let all = std::mem::take(&mut self.records);
        let (stay, go): (Vec<_>, Vec<_>) = all.into_iter().partition(|record| record.at.seq <= fork.seq);
        let rollback = go.first().map(|first| Rollback {
            entries: go.len() as u64,
            file: format!("rollback/{}-{}.jsonl", first.at.epoch, first.at.seq),
        });
        self.rollbacks.extend(go);
        self.index.clear();
        stay.into_iter().for_each(|entry| self.take_in(entry));
        self.last = fork;
        let spans = self.lineage.spans().iter().copied().filter(|&(_, first)| first <= fork.seq).collect();
        self.lineage = Lineage::from_spans(spans).expect("the beginning of a lineage is one");
        CutOutcome::Done(rollback)
    }

    /// No cut goes below this seq.
    pub(super) fn set_cut_floor(&mut self, seq: u64) {
        self.cut_floor = seq;
    }

    /// A start takes what the log says for promised.
    pub(super) fn raise_promise(&mut self, promise: Promise) {
        self.promise = promise;
    }

    /// Storage has dropped the others: none of them may be missed.
    pub(super) fn keep_only(&mut self, records: Vec<Entry>) {
        let before = self.contents();
        assert!(records.iter().all(|kept| self.records.contains(kept)), "cleanup keeps what was there");
        self.records = records;
        let newest = |entries: &[Entry]| {
            let mut contents = BTreeMap::new();
            for entry in entries {
                match &entry.op {
                    Op::Noop => None,
                    Op::Put { key, value } => contents.insert(key.clone(), value.clone()),
                    Op::Del { key } => contents.remove(key),
                };
            }
            contents
        };
        assert_eq!(newest(&self.records), before, "cleanup changes no lookup");
    }

    /// A crash in the middle of `job`: its first `entries` entries, if it has any, reach the disk.
    pub(super) fn tear(&mut self, job: Job, entries: usize) {
        if let Job::Append { entries: mut whole, .. } = job {
            whole.truncate(entries);
            self.append(whole);
        }
    }
}

impl SimDisk for ModelDisk {
    fn write(&mut self, jobs: Vec<Job>) {
        self.written.extend(jobs);
    }

    fn apply(&mut self) -> Option<Input> {
        let job = self.written.pop_front().expect("nothing is applied that was not written");
        self.execute(job)
    }

    fn crash(&mut self, mut jobs: VecDeque<Job>, crash: Crash) {
        self.written.clear();
        for job in jobs.drain(..crash.survivors.min(jobs.len())) {
            self.execute(job);
        }
        if let Some(job) = jobs.pop_front() {
            self.tear(job, crash.torn);
        }
    }

    /// Without its last record, and a learner because of it: as storage finds a log that ends before its mark.
    fn tear_tail(&mut self, _seed: u64) {
        let Some(before) = self.last.seq.checked_sub(1) else { return };
        let fork = Position::new(self.lineage.epoch_of(before), before);
        let rollbacks = self.rollbacks.clone();
        self.cut(fork);
        self.rollbacks = rollbacks; // a tear keeps nothing
        self.promise.learner = true;
    }

    fn entries_from(&mut self, from: u64, bytes_max: usize) -> EntriesFound {
        if from <= self.floor.seq {
            return EntriesFound::Gone;
        }
        let is_rotten = |entry: &Entry| self.rotten.contains(&entry.at.seq);
        if let Some(entry) = self.records.iter().find(|entry| entry.at.seq == from && is_rotten(entry)) {
            entry.op.key().iter().for_each(|key| drop(self.meet(entry.at, key)));
            return EntriesFound::Damaged;
        }
        let mut taken = 0;
        let fits = |entry: &&Entry| {
            let first = taken == 0;
            taken += entry.weight();
            first || taken <= bytes_max
        };
        let entries: Vec<_> = self
            .records
            .iter()
            .filter(|r| r.at.seq >= from)
            .take_while(fits)
            .take_while(|entry| !is_rotten(entry))
            .cloned()
            .collect();
        if entries.is_empty() { EntriesFound::Gone } else { EntriesFound::Entries(entries) }
    }

    fn lookup(&self, key: &[u8]) -> Lookup {
        match self.index.get_key_value(key) {
            Some((key, (_, version))) if self.rotten.contains(&version.seq) => {
                Lookup::Damaged(Box::new(self.meet(*version, key)))
            }
            Some((_, (value, version))) => Found { value: value.clone(), version: *version }.into(),
            None => Found { value: None, version: self.floor }.into(),
        }
    }

    fn take_damage(&mut self) -> Vec<DamageNews> {
        std::mem::take(&mut self.met.get_mut().1)
    }

    fn repair(&mut self, entry: Entry) {
        let (at, is_it) = (entry.at, self.records.contains(&entry));
        match is_it {
            true => self.no_longer(at.seq, DamageNews::Repaired(at)),
            false => self.met.get_mut().1.push(DamageNews::NotRepaired(at)),
        }
    }

    fn rot(&mut self, at: Position, _seed: u64) -> bool {
        self.index.values().any(|(value, version)| value.is_some() && *version == at)
            && self.rotten.insert(at.seq)
    }

    fn scrub(&mut self) {
        let keys: Vec<Bytes> = self.index.keys().cloned().collect();
        keys.iter().for_each(|key| drop(self.lookup(key)));
    }

    fn damaged(&self) -> u64 {
        self.met.borrow().0.len() as u64
    }

    fn open_view(&mut self, id: SnapshotId) -> (Position, u64) {
        let mut records: Vec<Entry> = self
            .index
            .iter()
            .map(|(key, (value, at))| {
                let key = key.clone();
                let op = match value.clone() {
                    Some(value) => Op::Put { key, value },
                    None => Op::Del { key },
                };
                Entry { at: *at, op }
            })
            .collect();
        records.sort_by_key(|record| record.at.seq);
        let bytes = records.iter().map(|record| record.weight() as u64).sum();
        self.views.insert(id, records.into());
        (self.last, bytes)
    }

    fn read_view(&mut self, id: SnapshotId, bytes_max: usize) -> SnapshotPart {
        let mut view = self.views.remove(&id).expect("a read of a view that is not open");
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while let Some(record) = view.front() {
            if self.rotten.contains(&record.at.seq)
                && let Some(key) = record.op.key()
            {
                self.meet(record.at, key);
                break;
            }
            bytes += record.weight();
            if bytes > bytes_max && !chunk.is_empty() {
                break;
            }
            chunk.extend(view.pop_front());
        }
        let done = view.is_empty();
        self.views.insert(id, view);
        SnapshotPart::Entries(chunk, done)
    }

    fn close_view(&mut self, id: SnapshotId) {
        self.views.remove(&id);
    }

    fn recover(&mut self) -> Recovered {
        self.log = None;
        self.installing = None;
        self.views.clear();
        self.met.take();
        let (last, lineage) = (self.last, self.lineage.clone());
        Recovered { last, lineage, promise: self.promise, wiped: false }
    }

    fn wipe(&mut self) {
        // What a wiped disk had rolled back is gone from the disk, but the simulator still wants to account for it.
        *self = Self { rollbacks: std::mem::take(&mut self.rollbacks), ..Self::default() };
    }

    fn cleanup(&mut self, _through: u64) -> bool {
        self.index.retain(|_, (value, _)| value.is_some());
        self.floor = self.last;
        true
    }

    fn cleaned(&self) -> Vec<Position> {
        Vec::new()
    }

    fn last(&self) -> Position {
        self.last
    }

    fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    fn promise(&self) -> Promise {
        self.promise
    }

    fn records(&self) -> Vec<Entry> {
        self.records.clone()
    }

    fn contents(&self) -> BTreeMap<Bytes, Bytes> {
        self.index.iter().filter_map(|(key, (value, _))| Some((key.clone(), value.clone()?))).collect()
    }

    fn rollbacks(&self) -> Vec<Entry> {
        self.rollbacks.clone()
    }

    /// It tears between entries only, which leaves nothing to cut.
    fn tears(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Epoch, NodeId};

    const ONE: Epoch = Epoch::new(1, NodeId(1));
    const TWO: Epoch = Epoch::new(2, NodeId(2));

    fn put(epoch: Epoch, seq: u64, key: &'static str, value: &'static str) -> Entry {
        Entry { at: Position::new(epoch, seq), op: Op::Put { key: key.into(), value: value.into() } }
    }

    fn append(entries: Vec<Entry>) -> Job {
        Job::Append { log: LogId(0), entries }
    }

    fn found(disk: &ModelDisk, key: &[u8]) -> Found {
        disk.lookup(key).found().expect("nothing is damaged").clone()
    }

    #[test]
    fn a_torn_append_leaves_a_prefix() {
        let mut disk = ModelDisk::new();
        disk.tear(append(vec![put(ONE, 1, "a", "1"), put(ONE, 2, "a", "2")]), 1);
        let recovered = disk.recover();
        assert_eq!(recovered.last, Position::new(ONE, 1));
        assert_eq!(found(&disk, b"a").value.as_deref(), Some(&b"1"[..]));
    }

    #[test]
    fn an_installation_replaces_everything_and_keeps_what_it_discards() {
        let mut disk = ModelDisk::new();
        disk.execute(append(vec![put(ONE, 1, "a", "1"), put(ONE, 2, "b", "2")]));
        let id = SnapshotId(1);
        disk.execute(Job::InstallBegin { id });
        disk.execute(Job::InstallChunk { id, entries: vec![put(TWO, 2, "c", "3")] });
        assert_eq!(
            found(&disk, b"b").value.as_deref(),
            Some(&b"2"[..]),
            "the old state is whole until the end"
        );
        let lineage = Lineage::from_spans(vec![(ONE, 1), (TWO, 2)]).unwrap();
        let done = disk.execute(Job::InstallCommit {
            id,
            log: LogId(1),
            at: Position::new(TWO, 3),
            lineage,
            fork: Position::new(ONE, 1),
        });
        let rollback = Rollback { entries: 1, file: "rollback/1@n1-2.jsonl".to_owned() };
        assert_eq!(done, Some(Input::Installed { id, log: LogId(1), rollback: Some(rollback) }));
        assert_eq!(found(&disk, b"b"), Found { value: None, version: Position::new(TWO, 3) });
        assert_eq!(disk.rollbacks(), vec![put(ONE, 2, "b", "2")]);
    }

    #[test]
    fn an_interrupted_installation_is_forgotten() {
        let mut disk = ModelDisk::new();
        disk.execute(append(vec![put(ONE, 1, "a", "1")]));
        disk.execute(Job::InstallBegin { id: SnapshotId(1) });
        let recovered = disk.recover();
        assert_eq!(recovered.last, Position::new(ONE, 1));
        assert_eq!(disk.contents().len(), 1);
    }

    #[test]
    fn cleanup_leaves_a_floor() {
        let mut disk = ModelDisk::new();
        let del = Entry { at: Position::new(ONE, 2), op: Op::Del { key: "a".into() } };
        disk.execute(append(vec![put(ONE, 1, "a", "1"), del]));
        disk.execute(append(vec![put(ONE, 3, "b", "2")]));
        assert_eq!(found(&disk, b"a").version, Position::new(ONE, 2));
        disk.cleanup(u64::MAX);
        assert_eq!(found(&disk, b"a"), Found { value: None, version: Position::new(ONE, 3) });
    }
}
