//! The store from outside: what is promised in `mod.rs`, on both disks.

mod basics;
mod cleanup;
mod cleanup_crash;
mod crash;
mod cutting;
mod damage;
mod dump;
mod entries;
mod failures;
mod forgetting;
mod full;
mod hints;
mod install;
mod rot;
mod tearing;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::log::{record, segment};
use super::segment_name::SegmentName;
use super::*;
use crate::replication::{DiskJob, Input, LogId, Promise};
use crate::types::{Entry, Epoch, Found, Lineage, NodeId, Op, Position};

const NODE: NodeId = NodeId(1);

/// An open store with both its halves in one hand.
struct Rig {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: Options,
    store: Store,
    writer: Writer,
    opened: Opened,
}

impl Rig {
    fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Self {
        Self::open_with(disk, dir, Options::new(NODE)).unwrap()
    }

    fn open_with(disk: &Arc<dyn Disk>, dir: &Path, options: Options) -> Result<Self, StorageError> {
        let (store, writer, opened) = open(disk.clone(), dir, options)?;
        Ok(Self { disk: disk.clone(), dir: dir.to_owned(), options, store, writer, opened })
    }

    /// As after the end of the process.
    fn reopen(self) -> Self {
        let Self { disk, dir, options, store, writer, .. } = self;
        drop((store, writer));
        Self::open_with(&disk, &dir, options).unwrap()
    }

    fn reopen_error(self) -> StorageError {
        let Self { disk, dir, options, store, writer, .. } = self;
        drop((store, writer));
        match Self::open_with(&disk, &dir, options) {
            Ok(rig) => panic!("opened, torn: {:?}", rig.opened.torn),
            Err(error) => error,
        }
    }

    /// Carries out a batch and applies its outcomes; returns what the core hears.
    fn run(&mut self, jobs: Vec<Job>) -> Vec<Input> {
        self.try_run(jobs).unwrap()
    }

    fn try_run(&mut self, jobs: Vec<Job>) -> Result<Vec<Input>, StorageError> {
        let mut heard = Vec::new();
        let count = jobs.len();
        let chunks = jobs.iter().filter(|job| matches!(job, Job::Core(DiskJob::InstallChunk { .. }))).count();
        let done = self.writer.execute(jobs)?;
        assert_eq!(done.len(), count, "one outcome for each job");
        for done in done {
            heard.extend(self.store.apply(done)?);
        }
        // Each chunk paces the next; beside that, tests hear what changes the state.
        let heard_in_all = heard.len();
        heard.retain(|input| !matches!(input, Input::ChunkStored { .. }));
        assert_eq!(heard_in_all - heard.len(), chunks, "each chunk is told to be stored, once");
        Ok(heard)
    }

    fn get(&self, key: &str) -> Found {
        self.store.get(key.as_bytes()).unwrap()
    }

    /// Every record of the log.
    fn log(&self) -> Vec<Entry> {
        let (mut reader, at, bytes) = self.store.snapshot().unwrap();
        let (entries, done) = reader.next_chunk(usize::MAX).unwrap();
        assert!(done);
        assert_eq!(bytes, entries.iter().map(|entry| entry.weight() as u64).sum::<u64>());
        assert!(entries.last().is_none_or(|entry| entry.at <= at));
        entries
    }

    /// Writes the hints that closed segments lack, as the keeper does.
    fn write_hints(&mut self) -> usize {
        let tasks = self.store.take_hint_tasks();
        tasks.iter().for_each(|task| drop(task.run(&|| true).unwrap()));
        tasks.len()
    }

    /// A whole cleanup; what it has done.
    fn clean(&mut self, through: u64) -> Option<Cleaned> {
        clean_at_once(&mut self.store, &mut self.writer, through, |_, _| Ok(())).unwrap()
    }

    /// Names in the log's directory.
    fn files(&self) -> Vec<String> {
        let file = self.last_segment();
        self.disk.list(file.parent().unwrap()).unwrap()
    }

    /// The last segment's file.
    fn last_segment(&self) -> PathBuf {
        self.dir.join(self.writer.synced().file())
    }
}

/// Runs a test on the disk in memory and on the real one.
fn each_disk(test: impl Fn(&Arc<dyn Disk>, &Path)) {
    let memory: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    test(&memory, Path::new("/data/n1"));
    let place = tempfile::tempdir().unwrap();
    test(&real_disk(), &place.path().join("data/n1"));
}

fn at(epoch: u64, seq: u64) -> Position {
    Position::new(Epoch::new(epoch, NODE), seq)
}

fn noop(epoch: u64, seq: u64) -> Entry {
    Entry { at: at(epoch, seq), op: Op::Noop }
}

fn put(epoch: u64, seq: u64, key: &str, value: &str) -> Entry {
    let op = Op::Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
    };
    Entry { at: at(epoch, seq), op }
}

fn del(epoch: u64, seq: u64, key: &str) -> Entry {
    Entry { at: at(epoch, seq), op: Op::Del { key: Bytes::copy_from_slice(key.as_bytes()) } }
}

fn cut(log: u64, fork: Position) -> Job {
    Job::Core(DiskJob::Cut { log: LogId(log), fork })
}

fn append(entries: Vec<Entry>) -> Job {
    append_to(0, entries)
}

fn append_to(log: u64, entries: Vec<Entry>) -> Job {
    Job::Core(DiskJob::Append { log: LogId(log), entries })
}

fn save(epoch: u64) -> Job {
    Job::Core(DiskJob::Save { promise: promise(epoch) })
}

fn promise(epoch: u64) -> Promise {
    Promise { epoch: Epoch::new(epoch, NODE), learner: false }
}

fn lineage(spans: &[(u64, u64)]) -> Lineage {
    Lineage::from_spans(spans.iter().map(|&(epoch, first)| (Epoch::new(epoch, NODE), first)).collect())
        .unwrap()
}

fn value(text: &str, version: Position) -> Found {
    Found { value: Some(Bytes::copy_from_slice(text.as_bytes())), version }
}

fn read_file(disk: &Arc<dyn Disk>, path: &Path) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

/// Puts `bytes` in the place of a file's content, durably.
fn write_file(disk: &Arc<dyn Disk>, path: &Path, bytes: &[u8]) {
    let file = disk.create(path).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync().unwrap();
}

/// The records of a segment's file: where each begins, in order, and where the last ends.
fn record_ends(entries: &[Entry]) -> Vec<usize> {
    let length = |entry: &Entry| entry.weight() - 64 + record::FIXED_BYTES;
    let mut ends = vec![usize::try_from(segment::HEADER_BYTES).unwrap()];
    for entry in entries {
        ends.push(ends.last().unwrap() + length(entry));
    }
    ends
}
