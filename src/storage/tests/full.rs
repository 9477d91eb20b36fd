//! A disk without room, under a disk thread that waits for it.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;
use crate::types::SnapshotId;

const PATIENCE: Duration = Duration::from_secs(20);
const ID: SnapshotId = SnapshotId(1);

type News = Receiver<Result<DiskNews, StorageError>>;

/// A store whose writer runs on its thread.
struct Running {
    store: Store,
    thread: DiskThread,
    news: News,
    heard: Vec<Input>,
}

impl Running {
    fn open(disk: &Arc<dyn Disk>, dir: &Path, options: Options) -> Self {
        let (store, writer, _) = open(disk.clone(), dir, options).unwrap();
        let (send, news) = channel();
        let thread = DiskThread::spawn(writer, move |outcome| send.send(outcome).unwrap());
        Self { store, thread, news, heard: Vec::new() }
    }

    /// Takes news until one is as wanted; batches are applied.
    fn until(&mut self, wanted: impl Fn(&DiskNews) -> bool) {
        loop {
            let news = self.news.recv_timeout(PATIENCE).expect("news in time").unwrap();
            let found = wanted(&news);
            if let DiskNews::Done(dones) = news {
                for done in dones {
                    self.heard.extend(self.store.apply(done).unwrap());
                }
            }
            if found {
                return;
            }
        }
    }

    /// Waits until it is durable.
    fn until_last(&mut self, last: Position) {
        while self.store.last() != last {
            self.until(|news| matches!(news, DiskNews::Done(_)));
        }
    }
}

fn values(seqs: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    seqs.map(|seq| put(1, seq, &format!("key {}", seq % 5), &"v".repeat(40))).collect()
}

/// Everything that a writer does, several segments, one job a batch.
fn jobs() -> Vec<Job> {
    let chunk = |seqs: std::ops::RangeInclusive<u64>| {
        Job::Core(DiskJob::InstallChunk { id: ID, entries: values(seqs) })
    };
    let commit = Job::Core(DiskJob::InstallCommit {
        id: ID,
        log: LogId(1),
        at: at(1, 20),
        lineage: lineage(&[(1, 1)]),
        fork: at(1, 8),
    });
    vec![
        append(values(1..=4)),
        save(1),
        append(values(5..=12)),
        Job::Core(DiskJob::InstallBegin { id: ID }),
        chunk(1..=9),
        save(2),
        chunk(10..=20),
        commit,
        append_to(1, values(21..=30)),
        save(3),
    ]
}

/// Whatever the writer is about when the room ends, it goes on from there, as if nothing had been.
#[test]
fn whatever_finds_no_room_is_done_when_there_is_some() {
    let options = Options { segment_bytes: 300, ..Options::new(NODE) };
    let mut shortages = 0;
    for room in (0..).step_by(61) {
        let memory = MemoryDisk::new(1);
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let mut running = Running::open(&disk, Path::new("/d"), options);
        memory.set_room(Some(room));
        jobs().into_iter().for_each(|job| running.thread.submit(job));
        let full = loop {
            match running.news.recv_timeout(PATIENCE).expect("news in time").unwrap() {
                DiskNews::Full(_) => break true,
                DiskNews::RoomAgain => panic!("nothing was full"),
                DiskNews::Done(dones) => {
                    for done in dones {
                        running.heard.extend(running.store.apply(done).unwrap());
                    }
                }
            }
            if running.store.last() == at(1, 30) && running.heard.len() == 9 {
                break false;
            }
        };
        if full {
            shortages += 1;
            let last = running.store.last();
            memory.set_room(None);
            running.until(|news| matches!(news, DiskNews::RoomAgain));
            assert_eq!(running.store.last(), last, "nothing is acknowledged without room");
        }
        running.until_last(at(1, 30));
        let Running { thread, store, .. } = running;
        thread.finish();
        drop(store);
        memory.crash(Loss::Whole);
        let rig = Rig::open_with(&disk, Path::new("/d"), options).unwrap();
        assert_eq!(rig.log(), values(1..=30), "room {room}");
        assert_eq!(rig.opened.recovered.promise, promise(3), "room {room}");
        assert_eq!(rig.opened.torn, None, "room {room}");
        if !full {
            break;
        }
    }
    assert!(shortages > 20, "only {shortages} places without room were met");
}

/// The process dies while it waits: what was acknowledged is there, and no half of anything else.
#[test]
fn a_kill_in_the_midst_of_waiting_leaves_what_was_acknowledged() {
    for room in (0..400).step_by(37) {
        let memory = MemoryDisk::new(1);
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let mut running = Running::open(&disk, Path::new("/d"), Options::new(NODE));
        memory.set_room(Some(room));
        for seq in 1..=20 {
            running.thread.submit(append(values(seq..=seq)));
        }
        running.until(|news| matches!(news, DiskNews::Full(_)));
        let last = running.store.last().seq;
        memory.crash(Loss::Nothing);
        let rig = Rig::open(&disk, Path::new("/d"));
        assert_eq!(rig.log(), values(1..=last), "room {room}");
        assert_eq!(rig.opened.torn, None, "the half that was written is cut off while it waits");
    }
}

/// A node whose directory is full to its quota starts, reads, and goes on when something is removed.
#[test]
fn a_store_that_is_full_opens_again() {
    each_disk(|inner, dir| {
        let mut rig = Rig::open(inner, dir);
        rig.run(vec![append(values(1..=2))]);
        drop(rig);
        inner.create(&dir.join("ballast")).unwrap().write_at(&[0; 1000], 0).unwrap();
        let disk = with_quota(inner.clone(), dir, 1000);
        let mut running = Running::open(&disk, dir, Options::new(NODE));
        assert_eq!(running.store.get(b"key 1").unwrap().version, at(1, 1));
        running.thread.submit(append(values(3..=3)));
        running.until(|news| matches!(news, DiskNews::Full(path) if path.ends_with("00000001.log")));
        inner.remove_file(&dir.join("ballast")).unwrap();
        running.until_last(at(1, 3));
        running.thread.finish();
    });
}
