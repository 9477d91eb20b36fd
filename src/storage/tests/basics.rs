//! Writing, reading and opening again, when nothing goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::dump::dump;
use super::*;

fn some_entries() -> Vec<Entry> {
    vec![
        noop(1, 1),
        put(1, 2, "a", "1"),
        put(1, 3, "b", ""),
        put(1, 4, "a", "2"),
        del(1, 5, "b"),
        noop(2, 6),
        put(2, 7, "", "empty key"),
    ]
}

fn check_some_entries(rig: &Rig) {
    assert_eq!(rig.get("a"), value("2", at(1, 4)));
    assert_eq!(rig.get("b"), Found { value: None, version: at(1, 5) });
    assert_eq!(rig.get(""), value("empty key", at(2, 7)));
    assert_eq!(rig.get("c"), Found::default());
    assert_eq!(rig.store.keys(), 2);
    assert_eq!(rig.log(), some_entries());
    assert_eq!(rig.store.last(), at(2, 7));
}

#[test]
fn what_was_written_is_read_now_and_later() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        assert!(rig.opened.fresh);
        assert_eq!(rig.opened.recovered.last, Position::ZERO);
        assert_eq!(rig.log(), []);

        let heard = rig.run(vec![
            save(1),
            append(some_entries()[..3].to_vec()),
            append(some_entries()[3..].to_vec()),
        ]);
        let persisted = |through| Input::Persisted { log: LogId(0), through };
        assert_eq!(heard, [Input::Saved { promise: promise(1) }, persisted(3), persisted(7)]);
        check_some_entries(&rig);

        let log_bytes = rig.store.log_bytes();
        let rig = rig.reopen();
        check_some_entries(&rig);
        assert!(!rig.opened.fresh);
        assert_eq!(rig.opened.torn, None);
        assert_eq!((rig.opened.keys, rig.opened.log_bytes), (2, log_bytes));
        assert_eq!(rig.opened.recovered.last, at(2, 7));
        assert_eq!(rig.opened.recovered.lineage, lineage(&[(1, 1), (2, 6)]));
        assert_eq!(log_bytes, read_file(disk, &rig.last_segment()).len() as u64);
    });
}

#[test]
fn nothing_is_visible_before_it_is_applied() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        let done = rig.writer.execute(vec![append(vec![put(1, 1, "a", "1")])]).unwrap();
        assert_eq!(rig.get("a"), Found::default());
        assert_eq!(rig.store.last(), Position::ZERO);
        for done in done {
            rig.store.apply(done).unwrap();
        }
        assert_eq!(rig.get("a"), value("1", at(1, 1)));
    });
}

#[test]
fn a_promise_outlives_the_process_and_an_epoch_in_the_log_counts_as_promised() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        let learner = Promise { learner: true, ..promise(4) };
        rig.run(vec![Job::Core(DiskJob::Save { promise: learner })]);
        let mut rig = rig.reopen();
        assert_eq!(rig.opened.recovered.promise, learner);

        rig.run(vec![append(vec![noop(6, 1)])]);
        let rig = rig.reopen();
        assert_eq!(rig.opened.recovered.promise, Promise { learner: true, ..promise(6) });
    });
}

#[test]
fn a_new_store_has_its_first_promise_from_its_first_moment() {
    let learner = Promise { learner: true, ..Promise::default() };
    for operations in 0.. {
        let disk = MemoryDisk::new(operations);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        disk.fail_power_after(operations);
        let options = Options { first_promise: learner, ..Options::new(NODE) };
        let opened = Rig::open_with(&shared, Path::new("/d"), options).is_ok();
        disk.crash(Loss::Torn);
        // Whether the store was there already or is created now, there is none without the promise.
        let rig = Rig::open_with(&shared, Path::new("/d"), options).unwrap();
        assert_eq!(rig.opened.recovered.promise, learner);
        assert!(!rig.opened.fresh || !opened);
        if opened {
            // And a promise that is there is not given again.
            let rig = rig.reopen();
            assert_eq!(rig.opened.recovered.promise, learner);
            let without = Options { first_promise: Promise::default(), ..options };
            drop(rig);
            let rig = Rig::open_with(&shared, Path::new("/d"), without).unwrap();
            assert_eq!(rig.opened.recovered.promise, learner);
            break;
        }
    }
}

#[test]
fn the_log_goes_on_in_further_segments() {
    each_disk(|disk, dir| {
        let options = Options { segment_bytes: 200, ..Options::new(NODE) };
        let mut rig = Rig::open_with(disk, dir, options).unwrap();
        let mut entries = vec![noop(1, 1)];
        for seq in 2..60 {
            entries.push(put(
                1,
                seq,
                &format!("key {}", seq % 7),
                &"x".repeat(usize::try_from(seq).unwrap()),
            ));
        }
        // In one batch, in small ones, and with a record larger than a segment.
        rig.run(vec![append(entries[..20].to_vec())]);
        for entry in &entries[20..] {
            rig.run(vec![append(vec![entry.clone()])]);
        }
        entries.push(put(1, 60, "large", &"y".repeat(2000)));
        entries.push(del(1, 61, "large"));
        rig.run(vec![append(entries[59..].to_vec())]);
        let numbers = disk.list(&dir.join("log-00000001")).unwrap();
        assert!(numbers.len() > 10, "{numbers:?}");
        assert_eq!(rig.log(), entries);

        let mut rig = rig.reopen();
        assert_eq!(rig.log(), entries);
        for seq in 53..60 {
            let expected = value(&"x".repeat(usize::try_from(seq).unwrap()), at(1, seq));
            assert_eq!(rig.get(&format!("key {}", seq % 7)), expected);
        }
        // A save notes all segments; they must still be found so.
        rig.run(vec![save(2)]);
        let rig = rig.reopen();
        assert_eq!(rig.store.keys(), 7);
    });
}

#[test]
fn snapshots_come_in_chunks_and_do_not_move() {
    each_disk(|disk, dir| {
        let options = Options { segment_bytes: 300, ..Options::new(NODE) };
        let mut rig = Rig::open_with(disk, dir, options).unwrap();
        let mut entries: Vec<_> = (1..=20).map(|seq| put(1, seq, "key", &"v".repeat(30))).collect();
        entries.push(put(1, 21, "key", &"large".repeat(100)));
        entries.push(put(1, 22, "key", "small"));
        rig.run(vec![append(entries.clone())]);
        let (mut reader, position, _) = rig.store.snapshot().unwrap();
        assert_eq!(position, at(1, 22));
        rig.run(vec![append(vec![put(1, 23, "key", "too late")])]);

        let weight = entries[0].weight();
        let mut read = Vec::new();
        loop {
            let (chunk, done) = reader.next_chunk(3 * weight).unwrap();
            assert!(chunk.len() == 1 || chunk.iter().map(Entry::weight).sum::<usize>() <= 3 * weight);
            read.extend(chunk);
            if done {
                break;
            }
        }
        assert_eq!(read, entries);
        assert_eq!(reader.next_chunk(1).unwrap(), (Vec::new(), true));
    });
}

#[test]
fn one_process_at_a_time() {
    each_disk(|disk, dir| {
        let rig = Rig::open(disk, dir);
        let error = open(disk.clone(), dir, Options::new(NODE)).unwrap_err();
        let StorageError::Locked { dir: named, pid } = &error else { panic!("{error}") };
        assert_eq!(named, dir);
        assert!(error.to_string().contains(&dir.display().to_string()));
        if let Some(pid) = pid {
            assert_eq!(*pid, std::process::id());
            assert!(error.to_string().contains(&pid.to_string()));
        }
        // Either half keeps it.
        let Rig { store, writer, .. } = rig;
        drop(writer);
        assert!(open(disk.clone(), dir, Options::new(NODE)).is_err());
        drop(store);
        open(disk.clone(), dir, Options::new(NODE)).unwrap();
    });
}

#[test]
fn the_real_lock_names_its_holder() {
    let place = tempfile::tempdir().unwrap();
    let _rig = Rig::open(&real_disk(), place.path());
    let error = open(real_disk(), place.path(), Options::new(NODE)).unwrap_err();
    assert!(
        matches!(error, StorageError::Locked { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
}

#[test]
fn another_members_directory_is_refused() {
    each_disk(|disk, dir| {
        drop(Rig::open(disk, dir));
        let error = open(disk.clone(), dir, Options::new(NodeId(2))).unwrap_err();
        assert!(
            matches!(error, StorageError::WrongNode { owner: NodeId(1), asked: NodeId(2), .. }),
            "{error}"
        );
    });
}

#[test]
fn a_file_in_the_way_is_named() {
    each_disk(|disk, dir| {
        drop(Rig::open(disk, dir));
        for path in [dir.join("meta"), dir.join("meta/below")] {
            let error = open(disk.clone(), &path, Options::new(NODE)).unwrap_err();
            assert!(matches!(error, StorageError::NotDirectory { .. }), "{path:?}: {error}");
        }
    });
}

#[test]
fn entries_out_of_order_are_refused_before_they_are_written() {
    let wrong = [noop(1, 2), noop(1, 4), put(0, 3, "a", "b")];
    for entry in wrong {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        let mut rig = Rig::open(&disk, Path::new("/d"));
        rig.run(vec![append(vec![noop(1, 1), noop(1, 2)])]);
        let error = rig.try_run(vec![append(vec![entry])]).unwrap_err();
        assert!(matches!(error, StorageError::Misuse { .. }), "{error}");
        assert_eq!(rig.reopen().log().len(), 2);
    }
}

#[test]
fn outcomes_are_applied_in_order_or_not_at_all() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let mut rig = Rig::open(&disk, Path::new("/d"));
    let mut done = rig.writer.execute(vec![append(vec![noop(1, 1)]), append(vec![noop(1, 2)])]).unwrap();
    let second = done.pop().unwrap();
    assert!(rig.store.apply(second).is_err());
}

#[test]
fn the_largest_record_fits() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        let key = "k".repeat(crate::types::KEY_BYTES_MAX);
        let large = "v".repeat(crate::types::VALUE_BYTES_MAX);
        rig.run(vec![append(vec![put(1, 1, &key, &large), put(1, 2, "small", "value")])]);
        let rig = rig.reopen();
        assert_eq!(rig.get(&key), value(&large, at(1, 1)));
        assert_eq!(rig.get("small"), value("value", at(1, 2)));
    });
}

#[test]
fn only_always_syncs_each_batch_but_a_save_always_does() {
    let disk = MemoryDisk::new(0);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    for (durability, survives) in [
        (Durability::Always, true),
        (Durability::Os, false),
        (Durability::Interval(Duration::from_secs(1)), false),
    ] {
        let dir = PathBuf::from(format!("/{durability:?}").replace(['(', ')'], "-"));
        let options = Options { durability, ..Options::new(NODE) };
        let mut rig = Rig::open_with(&shared, &dir, options).unwrap();
        rig.run(vec![append(vec![noop(1, 1)]), save(1)]);
        assert_eq!(rig.writer.synced().last, at(1, 1));
        rig.run(vec![append(vec![put(1, 2, "a", "1")])]);
        assert_eq!(rig.writer.is_dirty(), !survives);
        assert_eq!(rig.writer.synced().last, if survives { at(1, 2) } else { at(1, 1) });
        assert_eq!(rig.get("a"), value("1", at(1, 2)), "written is durable enough in this mode");

        disk.crash(Loss::Whole);
        drop(rig);
        let mut rig = Rig::open_with(&shared, &dir, options).unwrap();
        assert_eq!(rig.opened.recovered.promise, promise(1));
        assert_eq!(rig.opened.recovered.last, if survives { at(1, 2) } else { at(1, 1) });

        // Synced by hand, it survives in any mode.
        let next = rig.opened.recovered.last.seq + 1;
        rig.run(vec![append(vec![put(1, next, "b", "2")])]);
        rig.writer.sync().unwrap();
        assert!(!rig.writer.is_dirty());
        assert_eq!(rig.writer.synced().bytes, read_file(&shared, &rig.last_segment()).len() as u64);
        disk.crash(Loss::Whole);
        drop(rig);
        let rig = Rig::open_with(&shared, &dir, options).unwrap();
        assert_eq!(rig.get("b"), value("2", at(1, next)));
    }
}

#[test]
fn the_dump_shows_every_record() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        let long = "0123456789".repeat(5);
        rig.run(vec![save(3), append(vec![noop(3, 1), put(3, 2, "k\n", &long), del(3, 3, "\u{e4}")])]);
        let path = rig.last_segment();
        let mut bytes = read_file(disk, &path);
        bytes.extend([9, 9, 9]);
        write_file(disk, &path, &bytes);
        let mut lines = Vec::new();
        dump(disk.clone(), dir, |line| lines.push(line)).unwrap();
        assert_eq!(
            lines,
            [
                "meta: node n1 generation 1 promised 3@n1 base 0@n0/0 floor 0@n0/0",
                "segment 1: 199 bytes",
                "  28 +38 3@n1/1 noop",
                "  66 +90 3@n1/2 put \"k\\n\" = \"01234567890123456789012345678901\"… (50 bytes)",
                "  156 +40 3@n1/3 del \"\\xc3\\xa4\"",
                "  196 +3: bad: the file ends within a record",
            ]
        );
    });
}

/// What a key-value store is, without the disk.
#[derive(Default)]
struct Model {
    log: Vec<Entry>,
    found: BTreeMap<Bytes, Found>,
}

impl Model {
    fn add(&mut self, op: Op, new_epoch: bool) -> Entry {
        let epoch = self.log.last().map_or(1, |last| last.at.epoch.number + u64::from(new_epoch));
        let entry = Entry { at: at(epoch, self.log.len() as u64 + 1), op };
        match &entry.op {
            Op::Noop => {}
            Op::Put { key, value } => {
                let found = Found { value: Some(value.clone()), version: entry.at };
                self.found.insert(key.clone(), found);
            }
            Op::Del { key } => {
                self.found.insert(key.clone(), Found { value: None, version: entry.at });
            }
        }
        self.log.push(entry.clone());
        entry
    }
}

fn arbitrary_op() -> impl Strategy<Value = Op> {
    let key = (0..6u8).prop_map(|n| Bytes::from(vec![n; usize::from(n)]));
    let value = prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    prop_oneof![
        1 => Just(Op::Noop),
        6 => (key.clone(), value).prop_map(|(key, value)| Op::Put { key, value }),
        2 => key.prop_map(|key| Op::Del { key }),
    ]
}

proptest! {
    #[test]
    fn it_behaves_as_a_map_does(
        batches in prop::collection::vec(
            (prop::collection::vec((arbitrary_op(), prop::bool::weighted(0.1)), 0..8), prop::bool::weighted(0.2)),
            1..12,
        ),
        segment_bytes in 100..2000u64,
    ) {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        let options = Options { segment_bytes, ..Options::new(NODE) };
        let mut rig = Rig::open_with(&disk, Path::new("/d"), options).unwrap();
        let mut model = Model::default();
        for (ops, reopen) in batches {
            let jobs = ops.into_iter().map(|(op, epoch)| append(vec![model.add(op, epoch)])).collect();
            rig.run(jobs);
            if reopen {
                rig = rig.reopen();
            }
            for (key, found) in &model.found {
                prop_assert_eq!(&rig.store.get(key).unwrap(), found);
            }
            prop_assert_eq!(rig.store.keys(), model.found.values().filter(|f| f.value.is_some()).count() as u64);
            prop_assert_eq!(&rig.log(), &model.log);
        }
    }
}
