//! The storage of a node on a file system in memory: the same code, cut off at any of its operations.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use crate::replication::{DamageNews, DiskJob, EntriesFound, Input, Promise, Recovered};
use crate::storage::{
    Disk, Done, Job, Loss, MemoryDisk, Opened, Options, SnapshotPart, SnapshotReader, StorageError, Store,
    Writer, clean_at_once, open, rot_value_of, scrub_at_once, tear_tail,
};
use crate::types::{Entry, Epoch, Lineage, Lookup, NodeId, Op, Position, SnapshotId};

use super::{Crash, SimDisk};

/// Where the store lies on its disk.
const DIR: &str = "/data";

/// See the module. Storage's errors are panics here: the disk fails only when it is told to, and what storage then
/// says of it is checked where it is told.
#[derive(Debug)]
pub(crate) struct StoredDisk {
    options: Options,
    seed: u64,
    disk: MemoryDisk,
    store: Store,
    writer: Writer,
    recovered: Recovered,
    promise: Promise,
    /// Outcomes of what is written and not applied.
    written: VecDeque<Done>,
    views: BTreeMap<SnapshotId, SnapshotReader>,
    /// What the rollback files of wiped disks held.
    kept: Vec<Entry>,
    tears: u64,
    /// What stood where something has rotten: the log is whole, and whoever looks at it from outside sees it so.
    rotten: BTreeMap<Position, Entry>,
}

impl StoredDisk {
    /// An empty store. The seed decides what crashes leave of unsynced bytes.
    pub(crate) fn new(options: Options, seed: u64) -> Self {
        let disk = MemoryDisk::new(seed);
        let (store, writer, opened) = must(options.node, "open its store", open_on(&disk, options));
        Self {
            options,
            seed,
            disk,
            store,
            writer,
            promise: opened.recovered.promise,
            recovered: opened.recovered,
            written: VecDeque::new(),
            views: BTreeMap::new(),
            kept: Vec::new(),
            tears: 0,
            rotten: BTreeMap::new(),
        }
    }

    /// The process has ended: forgets what it held in memory, and reads what there is.
    fn reopen(&mut self) {
        self.written.clear();
        self.views.clear();
        let opened = open_on(&self.disk, self.options);
        let (store, writer, opened) = must(self.options.node, "open its store after a crash", opened);
        (self.store, self.writer) = (store, writer);
        self.tears += u64::from(opened.torn.is_some() || opened.forgot.is_some());
        self.promise = opened.recovered.promise;
        self.recovered = opened.recovered;
    }

    /// No cut of the log that is written goes below this seq.
    #[cfg(test)]
    pub(crate) fn cut_floor(&self) -> u64 {
        self.writer.cut_floor()
    }

    /// As `kvlab cleanup` has it: closes the last segment, and goes through all that are closed.
    fn clean(&mut self, through: u64) -> Result<bool, StorageError> {
        for done in self.writer.execute(vec![Job::CloseSegment])? {
            self.store.apply(done)?;
        }
        let cleaned = clean_at_once(&mut self.store, &mut self.writer, through, |_, _| Ok(()))?;
        Ok(cleaned.is_some())
    }

    /// What the rollback files say, in lines.
    fn rollback_lines(&self) -> Vec<Line> {
        let dir = Path::new(DIR).join("rollback");
        // There is no directory before the first rollback.
        let names = self.disk.list(&dir).unwrap_or_default();
        let texts = names.iter().map(|name| read(&self.disk, &dir.join(name)));
        let line = |line: &str| serde_json::from_str(line).expect("a line of a rollback file");
        texts.flat_map(|text| text.lines().map(line).collect::<Vec<Line>>()).collect()
    }

    /// The entry that a line of a rollback file is about. Of a rotten value it has the key alone.
    fn rolled_back(&self, line: Line) -> Entry {
        let Line { epoch, seq, op, key, value } = line;
        let at = Position::new(epoch, seq);
        let op = match (op.as_str(), key, value) {
            ("noop", None, None) => Op::Noop,
            ("put", Some(key), Some(value)) => Op::Put { key: key.into(), value: value.into() },
            ("del", Some(key), None) => Op::Del { key: key.into() },
            ("damaged", Some(key), None) => {
                let stood = self.rotten[&at].clone();
                assert_eq!(stood.op.key().map(Bytes::as_ref), Some(key.as_bytes()), "another key at {at}");
                stood.op
            }
            (op, key, value) => panic!("a rollback file has a {op} of {key:?} with {value:?}"),
        };
        Entry { at, op }
    }

    /// Lets a sync of a batch fail and drop what it should have made durable. Nobody hears of what storage says.
    fn fail_sync(&mut self, syncs: usize, jobs: VecDeque<DiskJob>) {
        self.disk.fail_sync_and_drop_after(syncs as u64);
        match self.writer.execute(storage_jobs(jobs)) {
            Ok(_) | Err(StorageError::Io { .. }) => {}
            Err(error) => panic!("{}: storage takes a failed sync for: {error}", self.options.node),
        }
    }

    /// Lets the power fail in the midst of what storage does. Whatever storage says, nobody hears; but it must not
    /// take the failure for something else.
    fn cut_off<T>(&mut self, operations: usize, work: impl FnOnce(&mut Self) -> Result<T, StorageError>) {
        self.disk.fail_power_after(operations as u64);
        match work(self) {
            Ok(_) | Err(StorageError::Io { .. }) => {}
            Err(error) => panic!("{}: storage takes a power failure for: {error}", self.options.node),
        }
    }
}

impl SimDisk for StoredDisk {
    fn write(&mut self, jobs: Vec<DiskJob>) {
        assert!(self.written.is_empty(), "a batch is applied before the next is written");
        let count = jobs.len();
        let done = must(self.options.node, "write", self.writer.execute(storage_jobs(jobs)));
        assert_eq!(done.len(), count, "storage answers each job once");
        self.written.extend(done);
    }

    fn apply(&mut self) -> Option<Input> {
        let done = self.written.pop_front().expect("nothing is applied that was not written");
        let input = must(self.options.node, "apply", self.store.apply(done));
        if let Some(Input::Saved { promise }) = &input {
            self.promise = *promise;
        }
        input
    }

    fn crash(&mut self, mut jobs: VecDeque<DiskJob>, crash: Crash) {
        if let Some(syncs) = crash.sync_fails {
            self.fail_sync(syncs, std::mem::take(&mut jobs));
        }
        let cut_off = jobs.split_off(crash.survivors.min(jobs.len()));
        if !jobs.is_empty() {
            for done in must(self.options.node, "write", self.writer.execute(storage_jobs(jobs))) {
                must(self.options.node, "apply", self.store.apply(done));
            }
        }
        if let Some(through) = crash.cleaning {
            self.cut_off(crash.torn, |disk| disk.clean(through));
        } else if !cut_off.is_empty() {
            self.cut_off(crash.torn, |disk| disk.writer.execute(storage_jobs(cut_off)));
        }
        self.disk.crash(crash.loss);
        if let Some(operations) = crash.again {
            self.cut_off(operations, |disk| open_on(&disk.disk, disk.options));
            self.disk.crash(crash.loss);
        }
        self.reopen();
    }

    fn tear_tail(&mut self, seed: u64) {
        self.disk.crash(Loss::Nothing); // whoever held the directory's lock is dead
        let shared: Arc<dyn Disk> = Arc::new(self.disk.clone());
        must(self.options.node, "be torn", tear_tail(shared, Path::new(DIR), seed));
        self.disk.crash(Loss::Nothing);
        self.reopen();
    }

    fn open_view(&mut self, id: SnapshotId) -> (Position, u64) {
        let (reader, at, bytes) = must(self.options.node, "open a snapshot", self.store.snapshot());
        self.views.insert(id, reader);
        (at, bytes)
    }

    fn lookup(&self, key: &[u8]) -> Lookup {
        must(self.options.node, "read", self.store.lookup(key))
    }

    fn take_damage(&mut self) -> Vec<DamageNews> {
        self.store.take_damage_news()
    }

    fn repair(&mut self, entry: Entry) {
        let Entry { at, op: Op::Put { key, value } } = entry else { return };
        let Some(job) = self.store.repair(at, &key, value) else { return };
        for done in must(self.options.node, "repair", self.writer.execute(vec![job])) {
            must(self.options.node, "apply", self.store.apply(done));
        }
    }

    fn rot(&mut self, at: Position, seed: u64) -> bool {
        let Some(entry) = self.records().into_iter().find(|entry| entry.at == at) else { return false };
        let rotten = rot_value_of(&self.store, at.seq, seed);
        let is_rotten = must(self.options.node, "rot", rotten);
        if is_rotten {
            self.rotten.insert(at, entry);
        }
        is_rotten
    }

    fn scrub(&mut self) {
        must(self.options.node, "be scrubbed", scrub_at_once(&mut self.store));
    }

    fn damaged(&self) -> u64 {
        self.store.damage_status().now
    }

    fn read_view(&mut self, id: SnapshotId, bytes_max: usize) -> SnapshotPart {
        let view = self.views.get_mut(&id).expect("a read of a view that is not open");
        must(self.options.node, "read a snapshot", self.store.read_snapshot(view, bytes_max))
    }

    fn close_view(&mut self, id: SnapshotId) {
        self.views.remove(&id);
    }

    fn entries_from(&mut self, from: u64, bytes_max: usize) -> EntriesFound {
        must(self.options.node, "read its log", self.store.entries_from(from, bytes_max))
    }

    /// It was opened when its process died, or when it was made.
    fn recover(&mut self) -> Recovered {
        self.recovered.clone()
    }

    fn wipe(&mut self) {
        let kept = self.rollbacks();
        self.seed = self.seed.wrapping_add(1);
        *self = Self { kept, tears: self.tears, ..Self::new(self.options, self.seed) };
    }

    fn cleanup(&mut self, through: u64) -> bool {
        let cleaned = self.clean(through);
        must(self.options.node, "clean up", cleaned)
    }

    fn last(&self) -> Position {
        self.store.last()
    }

    fn lineage(&self) -> &Lineage {
        self.store.lineage()
    }

    fn promise(&self) -> Promise {
        self.promise
    }

    fn records(&self) -> Vec<Entry> {
        let (mut reader, ..) = must(self.options.node, "open a snapshot", self.store.snapshot());
        let mut records = Vec::new();
        loop {
            match reader.next_chunk(usize::MAX) {
                Err(StorageError::Damaged(damage)) => records.push(self.rotten[&damage.at].clone()),
                read => {
                    let (mut part, done) = must(self.options.node, "read a snapshot", read);
                    records.append(&mut part);
                    if done {
                        return records;
                    }
                }
            }
        }
    }

    fn contents(&self) -> BTreeMap<Bytes, Bytes> {
        let mut contents = BTreeMap::new();
        for record in self.records() {
            match record.op {
                Op::Noop => None,
                Op::Put { key, value } => contents.insert(key, value),
                Op::Del { key } => contents.remove(&key),
            };
        }
        contents
    }

    fn rollbacks(&self) -> Vec<Entry> {
        let lines = self.rollback_lines().into_iter().filter(|line| line.op != CLEANED);
        self.kept.iter().cloned().chain(lines.map(|line| self.rolled_back(line))).collect()
    }

    fn cleaned(&self) -> Vec<Position> {
        let lines = self.rollback_lines().into_iter().filter(|line| line.op == CLEANED);
        lines.map(|line| Position::new(line.epoch, line.seq)).collect()
    }

    fn tears(&self) -> u64 {
        self.tears
    }
}

/// What stands in a rollback file for entries that cleanup had dropped.
const CLEANED: &str = "cleaned";

/// A line of a rollback file, as `docs/storage-format.md` has it. The simulator's keys and values are text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    epoch: Epoch,
    seq: u64,
    op: String,
    key: Option<String>,
    value: Option<String>,
}

fn read(disk: &MemoryDisk, path: &Path) -> String {
    let file = disk.open(path).expect("a file that was listed");
    let mut bytes = vec![0; file.size().expect("a file in memory") as usize];
    file.read_at(&mut bytes, 0).expect("a file in memory");
    String::from_utf8(bytes).expect("a rollback file is text")
}

fn storage_jobs(jobs: impl IntoIterator<Item = DiskJob>) -> Vec<Job> {
    jobs.into_iter().map(Job::Core).collect()
}

fn open_on(disk: &MemoryDisk, options: Options) -> Result<(Store, Writer, Opened), StorageError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    open(shared, Path::new(DIR), options)
}

fn must<T>(node: NodeId, what: &str, outcome: Result<T, StorageError>) -> T {
    outcome.unwrap_or_else(|error| panic!("{node} cannot {what}: {error}"))
}
