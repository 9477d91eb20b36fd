//! Disks that fail: what stops, what is said, and what is still there afterwards.

use super::*;

fn memory() -> (MemoryDisk, Arc<dyn Disk>) {
    let disk = MemoryDisk::new(3);
    (disk.clone(), Arc::new(disk))
}

#[test]
fn a_failed_sync_is_final() {
    let (disk, shared) = memory();
    let mut rig = Rig::open(&shared, Path::new("/d"));
    rig.run(vec![append(vec![put(1, 1, "a", "1")])]);
    disk.fail_sync_after(0);
    let error = rig.try_run(vec![append(vec![put(1, 2, "a", "2")])]).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StorageError::Io { op: "sync", .. }), "{text}");
    assert!(
        text.contains("/d/log-00000001/00000001.log") && text.contains("nothing acknowledged is lost"),
        "{text}"
    );
    // The disk would sync again now. A second try that succeeds would prove nothing about the first.
    for _ in 0..2 {
        let error = rig.try_run(vec![append(vec![put(1, 3, "a", "3")])]).unwrap_err();
        assert!(matches!(&error, StorageError::Stopped { first } if *first == text), "{error}");
        assert!(matches!(rig.writer.sync(), Err(StorageError::Stopped { .. })));
    }
    assert_eq!(rig.get("a"), value("1", at(1, 1)));
    disk.crash(Loss::Whole);
    assert_eq!(rig.reopen().log(), [put(1, 1, "a", "1")]);
}

/// A failed sync may have dropped what it should have written, and the next one succeeds without it. Whatever a start
/// calls durable it has written again.
#[test]
fn what_a_failed_sync_dropped_is_written_again_before_it_counts() {
    for mark in [true, false] {
        for operations in 0..30 {
            let (disk, shared) = memory();
            let dir = Path::new("/d");
            let options = Options { segment_bytes: 150, ..Options::new(NODE) };
            let mut rig = Rig::open_with(&shared, dir, options).unwrap();
            rig.run(vec![append(vec![put(1, 1, "a", "1")])]);
            disk.fail_sync_and_drop_after(operations);
            let mut seq = 1;
            while rig.try_run(vec![append(vec![put(1, seq + 1, "a", &format!("the value {seq}"))])]).is_ok() {
                seq += 1;
            }
            let path = rig.last_segment();
            drop(rig);
            disk.crash(Loss::Nothing);
            if !mark {
                shared.remove_file(&dir.join("synced")).unwrap();
            }
            // The system still has it in memory, and the next sync succeeds. That proves nothing.
            let file = shared.open(&path).unwrap();
            let there = file.size().unwrap();
            file.sync().unwrap();
            let dropped = disk.durable_len(&path) as u64;
            let rig = Rig::open_with(&shared, dir, options).unwrap();
            let recovered = rig.opened.recovered.last;
            drop(rig);
            disk.crash(Loss::Whole);
            let rig = Rig::open_with(&shared, dir, options).unwrap();
            let context = format!("sync {operations}: {there} bytes were there, {dropped} durable");
            assert_eq!(rig.opened.recovered.last, recovered, "{context}: it was called durable");
            assert_eq!((rig.opened.forgot.clone(), rig.opened.torn.clone()), (None, None), "{context}");
            if there == dropped {
                // The directory's sync: names are not dropped.
                continue;
            }
            assert!(dropped < there && recovered.seq >= seq, "{context}");
        }
    }
}

#[test]
fn a_failed_save_is_final_and_leaves_the_old_promise() {
    // Of the new meta file, then of its directory; the log is clean.
    for nth in 0..2 {
        let (disk, shared) = memory();
        let mut rig = Rig::open(&shared, Path::new("/d"));
        rig.run(vec![save(1)]);
        disk.fail_sync_after(nth);
        assert!(rig.try_run(vec![save(2)]).is_err());
        assert!(matches!(rig.try_run(vec![save(2)]), Err(StorageError::Stopped { .. })));
        disk.crash(Loss::Whole);
        assert_eq!(rig.reopen().opened.recovered.promise, promise(1));
    }
}

#[test]
fn a_full_disk_is_named_and_loses_nothing_acknowledged() {
    for room in 0..200 {
        let (disk, shared) = memory();
        let mut rig = Rig::open(&shared, Path::new("/d"));
        rig.run(vec![append(vec![put(1, 1, "a", "1")])]);
        disk.set_room(Some(room));
        let batch = vec![put(1, 2, "b", &"x".repeat(80)), put(1, 3, "c", &"y".repeat(80))];
        let error = rig.try_run(vec![append(batch.clone())]).unwrap_err();
        assert!(matches!(error, StorageError::Full { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("00000001.log") && text.contains("disk full"), "{text}");
        assert!(matches!(rig.try_run(vec![save(9)]), Err(StorageError::Stopped { .. })));
        assert_eq!(rig.get("a"), value("1", at(1, 1)), "reads go on");

        disk.set_room(None);
        let mut rig = rig.reopen();
        let whole = usize::from(room >= 119);
        assert_eq!(rig.log()[1..], batch[..whole]);
        assert_eq!(rig.opened.torn.is_some(), room != 0 && room != 119, "room {room}");
        rig.run(vec![append(vec![put(1, 2 + whole as u64, "d", "goes on")])]);
    }
}

#[test]
fn a_failed_open_leaves_the_store_as_it_was() {
    let (disk, shared) = memory();
    let mut rig = Rig::open(&shared, Path::new("/d"));
    rig.run(vec![append(vec![noop(1, 1)]), save(1)]);
    drop(rig);
    let failed = (0..).take_while(|&nth| {
        disk.fail_sync_after(nth);
        match open(shared.clone(), Path::new("/d"), Options::new(NODE)) {
            Ok(_) => false,
            Err(StorageError::Io { op: "sync", .. }) => true,
            Err(error) => panic!("{error}"),
        }
    });
    assert_eq!(failed.count(), 4, "parent, home, segment and log directory: every one counts");
    disk.crash(Loss::Whole);
    assert_eq!(Rig::open(&shared, Path::new("/d")).opened.recovered.last, at(1, 1));
}

#[test]
fn a_value_that_is_not_what_was_written_is_not_returned() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        rig.run(vec![append(vec![put(1, 1, "a", "right"), put(1, 2, "b", "left")])]);
        let path = rig.last_segment();
        let mut bytes = read_file(disk, &path);
        bytes[28 + 34 + 3] ^= 1;
        // In place: the store goes on reading the file that it has open.
        disk.open(&path).unwrap().write_at(&bytes, 0).unwrap();
        let error = rig.store.get(b"a").unwrap_err();
        assert!(matches!(&error, StorageError::Corrupt { file, offset: 28, .. } if *file == path), "{error}");
        assert_eq!(rig.get("b"), value("left", at(1, 2)));
        let (mut reader, ..) = rig.store.snapshot().unwrap();
        assert!(matches!(reader.next_chunk(1000), Err(StorageError::Corrupt { offset: 28, .. })));
    });
}

#[test]
fn a_damaged_meta_file_is_refused() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        rig.run(vec![save(3)]);
        drop(rig);
        let path = dir.join("meta");
        let whole = read_file(disk, &path);
        for (bytes, version) in [
            (whole[..whole.len() - 1].to_vec(), false),
            (Vec::new(), false),
            (b"kvlab-meta 3 ".iter().chain(&whole[13..]).copied().collect(), false),
            (
                format!("kvlab-meta 3 {:08x}\n", later_checksum(b"?"))
                    .into_bytes()
                    .into_iter()
                    .chain(*b"?")
                    .collect(),
                true,
            ),
        ] {
            write_file(disk, &path, &bytes);
            let error = open(disk.clone(), dir, Options::new(NODE)).unwrap_err();
            match error {
                StorageError::Corrupt { file, .. } if !version => assert_eq!(file, path),
                StorageError::Version { file, found: 3, known: 2 } if version => assert_eq!(file, path),
                other => panic!("{other}"),
            }
        }
    });
}

fn later_checksum(body: &[u8]) -> u32 {
    let mut summed = 3u32.to_le_bytes().to_vec();
    summed.extend_from_slice(body);
    crc32fast::hash(&summed)
}

#[test]
fn a_lost_meta_file_does_not_make_a_fresh_store() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        rig.run(vec![append(vec![noop(1, 1)])]);
        drop(rig);
        disk.remove_file(&dir.join("meta")).unwrap();
        let error = open(disk.clone(), dir, Options::new(NODE)).unwrap_err();
        assert!(error.to_string().contains("meta file is missing"), "{error}");
    });
}
