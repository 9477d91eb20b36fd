//! Faults done to a dead node's data, and what the next start makes of them.

use std::time::Duration;

use super::*;
use crate::storage::{Cut, Forgotten, cut_to_synced, tear_tail};
use crate::types::SnapshotId;

/// Every mode; the interval is one that no test waits for.
const MODES: [Durability; 3] =
    [Durability::Always, Durability::Interval(Duration::from_secs(3600)), Durability::Os];

fn entries(seqs: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    seqs.map(|seq| put(1, seq, &format!("key {}", seq % 3), &"v".repeat(usize::try_from(seq).unwrap())))
        .collect()
}

fn kill(rig: Rig) -> (Arc<dyn Disk>, PathBuf, Options) {
    let Rig { disk, dir, options, .. } = rig;
    (disk, dir, options)
}

#[test]
fn a_loss_of_power_takes_exactly_what_was_not_synced() {
    each_disk(|disk, dir| {
        for (n, durability) in MODES.into_iter().enumerate() {
            let dir = dir.join(n.to_string());
            let options = Options { durability, ..Options::new(NODE) };
            let mut rig = Rig::open_with(disk, &dir, options).unwrap();
            rig.run(vec![append(entries(1..=4)), save(1), append(entries(5..=6))]);
            rig.run(vec![append(entries(7..=9))]);
            let kept = if durability == Durability::Always { 9 } else { 4 };
            let synced = rig.writer.synced();
            assert_eq!(synced.last, at(1, kept));
            let whole = disk.open(&rig.last_segment()).unwrap().size().unwrap();
            kill(rig);

            let cut = cut_to_synced(disk.clone(), &dir).unwrap();
            let expected = Cut { file: synced.file(), from: whole, to: synced.bytes };
            assert_eq!(cut, (durability != Durability::Always).then_some(expected), "{durability:?}");
            assert_eq!(cut_to_synced(disk.clone(), &dir).unwrap(), None, "there is nothing more to lose");
            let rig = Rig::open_with(disk, &dir, options).unwrap();
            assert_eq!(rig.log(), entries(1..=kept));
            assert_eq!(rig.opened.torn, None, "it ends after a whole record");
        }
    });
}

#[test]
fn the_mark_follows_every_sync_and_nothing_else() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let (dir, options) = (Path::new("/d"), Options { durability: Durability::Os, ..Options::new(NODE) });
    let mut rig = Rig::open_with(&disk, dir, options).unwrap();
    for round in 0..4 {
        let seq = rig.store.last().seq;
        rig.run(vec![append(entries(seq + 1..=seq + 2))]);
        if round % 2 == 0 {
            rig.writer.sync().unwrap();
        }
        let synced = rig.writer.synced();
        let (disk, dir, options) = kill(rig);
        let cut = cut_to_synced(disk.clone(), &dir).unwrap();
        assert_eq!(cut.is_some(), round % 2 == 1, "{cut:?}");
        rig = Rig::open_with(&disk, &dir, options).unwrap();
        assert_eq!(rig.store.last(), synced.last);
    }
}

#[test]
fn closed_segments_survive_a_loss_of_power_in_every_mode() {
    for durability in MODES {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        let options = Options { durability, segment_bytes: 200, ..Options::new(NODE) };
        let mut rig = Rig::open_with(&disk, Path::new("/d"), options).unwrap();
        // Several segments within one batch, then more in batches of their own.
        rig.run(vec![append(entries(1..=20))]);
        for seq in 21..=30 {
            rig.run(vec![append(entries(seq..=seq))]);
        }
        let (segment, synced) = (rig.last_segment(), rig.writer.synced());
        let (disk, dir, options) = kill(rig);
        let before = disk.list(&dir.join("log-00000001")).unwrap();
        cut_to_synced(disk.clone(), &dir).unwrap();
        assert_eq!(disk.list(&dir.join("log-00000001")).unwrap(), before, "no file is gone");
        assert_eq!(disk.open(&segment).unwrap().size().unwrap(), synced.bytes);
        let rig = Rig::open_with(&disk, &dir, options).unwrap();
        assert_eq!(rig.store.last(), synced.last);
        assert_eq!(rig.opened.torn, None);
    }
}

/// Killed at any operation, then the power goes: what is left is what [`Loss::Whole`] leaves, or a little more
/// (what was synced and not yet acknowledged), never less than what was acknowledged as synced.
#[test]
fn a_kill_at_any_operation_and_then_a_loss_of_power_keeps_what_was_synced() {
    let jobs = || {
        let id = SnapshotId(1);
        let commit = Job::Core(DiskJob::InstallCommit {
            id,
            log: LogId(1),
            at: at(2, 40),
            lineage: lineage(&[(1, 1), (2, 30)]),
            fork: at(1, 12),
        });
        vec![
            vec![append(entries(1..=3)), save(1)],
            vec![append(entries(4..=8))],
            vec![append(entries(9..=12)), save(2), append(entries(13..=14))],
            vec![
                Job::Core(DiskJob::InstallBegin { id }),
                Job::Core(DiskJob::InstallChunk { id, entries: vec![put(2, 31, "s", "tate")] }),
            ],
            vec![commit, append_to(1, vec![put(2, 41, "a", "b")])],
            vec![append_to(1, vec![put(2, 42, "c", "d")]), save(3), append_to(1, vec![put(2, 43, "e", "f")])],
        ]
    };
    for durability in MODES {
        for operations in 0.. {
            let memory = MemoryDisk::new(operations);
            let disk: Arc<dyn Disk> = Arc::new(memory.clone());
            let options = Options { durability, segment_bytes: 300, ..Options::new(NODE) };
            memory.fail_power_after(operations);
            let (mut synced, mut opened, mut finished) = (Position::ZERO, false, true);
            if let Ok(mut rig) = Rig::open_with(&disk, Path::new("/d"), options) {
                opened = true;
                for batch in jobs() {
                    if rig.try_run(batch).is_err() {
                        finished = false;
                        break;
                    }
                    synced = rig.writer.synced().last;
                }
            }
            // The process is dead; the system has kept what it wrote.
            memory.crash(Loss::Nothing);
            let context = format!("{durability:?}, killed after {operations} operations");
            if let Err(error) = cut_to_synced(disk.clone(), Path::new("/d")) {
                panic!("{context}: {error}");
            }
            let rig =
                Rig::open_with(&disk, Path::new("/d"), options).unwrap_or_else(|e| panic!("{context}: {e}"));
            assert!(rig.store.last() >= synced, "{context}: {} of {synced}", rig.store.last());
            assert_eq!(rig.opened.forgot, None, "{context}");
            // At most a segment that was just being created has to begin again.
            assert!(
                rig.opened.torn.as_ref().is_none_or(|torn| torn.1 == 0),
                "{context}: {:?}",
                rig.opened.torn
            );
            if opened && finished {
                assert_eq!(rig.store.last(), synced, "{context}: more than was synced");
                break;
            }
        }
    }
}

#[test]
fn without_a_mark_nobody_guesses() {
    each_disk(|disk, dir| {
        let options = Options { durability: Durability::Os, ..Options::new(NODE) };
        let mut rig = Rig::open_with(disk, dir, options).unwrap();
        rig.run(vec![append(entries(1..=2)), save(1)]);
        let (disk, dir, options) = kill(rig);
        let mark = dir.join("synced");
        let whole = read_file(&disk, &mark);
        // All is synced, as the meta file says: no mark is needed for that.
        disk.remove_file(&mark).unwrap();
        assert_eq!(cut_to_synced(disk.clone(), &dir).unwrap(), None);
        write_file(&disk, &mark, &whole);
        let mut rig = Rig::open_with(&disk, &dir, options).unwrap();
        rig.run(vec![append(entries(3..=4))]);
        let (disk, dir, options) = kill(rig);
        for bad in [&whole[..whole.len() - 1], b"", b"kvlab-synced 1 ?", &whole.repeat(9)] {
            write_file(&disk, &mark, bad);
            let error = cut_to_synced(disk.clone(), &dir).unwrap_err();
            assert!(error.to_string().contains("nobody can say"), "{error}");
        }
        // A start does not need it, and makes a new one.
        assert_eq!(Rig::open_with(&disk, &dir, options).unwrap().store.last(), at(1, 4));
        assert_eq!(cut_to_synced(disk, &dir).unwrap(), None, "the start has synced what it found");
    });
}

#[test]
fn a_torn_tail_is_within_the_last_record_and_follows_from_the_seed() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        rig.run(vec![append(entries(1..=5))]);
        let path = rig.last_segment();
        let (disk, dir, _) = kill(rig);
        let whole = read_file(&disk, &path);
        let (meta, mark) = (dir.join("meta"), dir.join("synced"));
        let said = (read_file(&disk, &meta), read_file(&disk, &mark));
        let ends: Vec<u64> = record_ends(&entries(1..=5)).into_iter().map(|end| end as u64).collect();
        let mut places = std::collections::BTreeSet::new();
        for seed in 0..200 {
            write_file(&disk, &path, &whole);
            let cut = tear_tail(disk.clone(), &dir, seed).unwrap().expect("there is a record");
            assert_eq!((dir.join(&cut.file), cut.from), (path.clone(), whole.len() as u64));
            assert!(ends[4] < cut.to && cut.to < ends[5], "{cut:?} is not within the record");
            write_file(&disk, &path, &whole);
            assert_eq!(tear_tail(disk.clone(), &dir, seed).unwrap(), Some(cut.clone()), "seed {seed}");
            places.insert(cut.to);
            let rig = Rig::open(&disk, &dir);
            let forgot = Forgotten {
                file: path.clone(),
                ended_at: ends[4],
                synced_to: (path.clone(), ends[5]),
                bytes: ends[5] - ends[4],
            };
            assert_eq!((rig.opened.forgot.clone(), rig.opened.torn.clone()), (Some(forgot), None));
            assert!(rig.opened.recovered.promise.learner);
            assert_eq!(rig.log(), entries(1..=4));
            kill(rig);
            write_file(&disk, &meta, &said.0);
            write_file(&disk, &mark, &said.1);
        }
        assert_eq!(places.len() as u64, ends[5] - ends[4] - 1, "every byte of it gets its turn");
    });
}

#[test]
fn a_tail_is_torn_again_and_again_until_nothing_is_left() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let mut rig = Rig::open(&disk, Path::new("/d"));
    rig.run(vec![append(entries(1..=3))]);
    let (disk, dir, _) = kill(rig);
    for left in [2, 1, 0] {
        // Twice: what is torn already may be torn further, and is one record all the same.
        assert!(tear_tail(disk.clone(), &dir, left).unwrap().is_some());
        tear_tail(disk.clone(), &dir, left).unwrap();
        assert_eq!(Rig::open(&disk, &dir).log(), entries(1..=left));
    }
    assert_eq!(tear_tail(disk, &dir, 0).unwrap(), None);
}

#[test]
fn the_living_and_the_empty_are_left_alone() {
    each_disk(|disk, dir| {
        assert_eq!(cut_to_synced(disk.clone(), &dir.join("new")).unwrap(), None);
        assert_eq!(tear_tail(disk.clone(), &dir.join("new"), 1).unwrap(), None);
        let mut rig = Rig::open(disk, dir);
        assert!(matches!(cut_to_synced(disk.clone(), dir), Err(StorageError::Locked { .. })));
        assert!(matches!(tear_tail(disk.clone(), dir, 1), Err(StorageError::Locked { .. })));
        rig.run(vec![append(entries(1..=3))]);
        let rig = rig.reopen();
        assert_eq!(rig.log(), entries(1..=3));
        kill(rig);
        let rig = Rig::open(disk, &dir.join("fresh"));
        let (disk, dir, _) = kill(rig);
        assert_eq!(cut_to_synced(disk.clone(), &dir).unwrap(), None);
        assert_eq!(tear_tail(disk, &dir, 1).unwrap(), None);
    });
}
