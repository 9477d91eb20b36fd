//! Values that rot: who meets it, what each makes of it, and how it is mended.

use super::*;
use crate::replication::DamageNews;
use crate::storage::{DAMAGES_MAX, Rotten, SnapshotPart, rot_value, scrub_at_once};
use crate::types::{Damage, Lookup, SnapshotId};

fn options() -> Options {
    Options { segment_bytes: 150, ..Options::new(NODE) }
}

/// `a` twice, then `b` and `c`, in two segments that are closed; `d` in the last one.
fn history() -> Vec<Entry> {
    vec![
        put(1, 1, "a", "the first, which is superseded"),
        put(1, 2, "a", "the second value of a"),
        put(1, 3, "b", "the value of b, which is longer"),
        put(1, 4, "c", "the value of c"),
        put(1, 5, "d", "the value of d"),
        noop(1, 6),
    ]
}

fn filled(disk: &Arc<dyn Disk>, dir: &Path) -> Rig {
    let mut rig = Rig::open_with(disk, dir, options()).unwrap();
    for entry in history() {
        rig.run(vec![append(vec![entry])]);
    }
    assert_eq!(rig.store.usage().segments, 3);
    rig
}

/// Closes the store and lets the value of a record rot.
fn rot(rig: Rig, seq: u64) -> (Rig, Rotten) {
    let Rig { disk, dir, options, store, writer, .. } = rig;
    drop((store, writer));
    let rotten = rot_value(disk.clone(), &dir, seq, 7).unwrap().expect("there is such a value");
    assert!(rotten.was_whole && rotten.at.seq == seq);
    (Rig::open_with(&disk, &dir, options).unwrap(), rotten)
}

fn found(news: &[DamageNews]) -> Vec<u64> {
    let seq = |one: &DamageNews| match one {
        DamageNews::Found(damage) => damage.at.seq,
        other => panic!("{other:?}"),
    };
    news.iter().map(seq).collect()
}

fn damage(rig: &Rig, key: &str) -> Damage {
    match rig.store.lookup(key.as_bytes()).unwrap() {
        Lookup::Damaged(damage) => *damage,
        Lookup::Found(found) => panic!("{found:?}"),
    }
}

/// Writes the right value back; what the core hears.
fn repair(rig: &mut Rig, entry: &Entry) -> Vec<DamageNews> {
    let job = rig.store.repair(entry.at, entry.op.key().unwrap(), entry.op.value().to_vec().into());
    rig.run(job.into_iter().collect());
    rig.store.take_damage_news()
}

#[test]
fn a_start_that_reads_the_log_notes_what_is_damaged_and_needed() {
    each_disk(|disk, dir| {
        let (rig, _) = rot(filled(disk, dir), 1);
        let (mut rig, rotten) = rot(rig, 3);
        assert_eq!(rig.store.last(), at(1, 6), "the log is whole");
        let news = rig.store.take_damage_news();
        assert_eq!(found(&news), [3], "nobody needs the first value of a");
        let status = rig.store.damage_status();
        assert_eq!((status.now, status.found, status.repaired), (1, 1, 0));
        let shown = &status.some[0];
        assert_eq!((shown.at, shown.key.as_str()), (at(1, 3), "b"));
        assert_eq!(dir.join(&shown.file), rotten.file);
        assert!(shown.offset < rotten.byte);

        assert_eq!(damage(&rig, "b").at, at(1, 3));
        let error = rig.store.get(b"b").unwrap_err().to_string();
        assert!(error.contains("value of record 1@n1/3") && error.contains(&shown.file), "{error}");
        assert_eq!(rig.get("a"), value("the second value of a", at(1, 2)));
        assert_eq!(rig.store.take_damage_news(), [], "each is told once");
    });
}

#[test]
fn every_byte_of_a_value_may_rot_and_every_byte_of_a_head_is_refused() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let dir = Path::new("/d");
    drop(filled(&disk, dir));
    let path = dir.join("log-00000001/00000001.log");
    let whole = read_file(&disk, &path);
    let first = &history()[0];
    let end = 28 + record::bytes_of(first) as usize;
    let value = end - first.op.value().len();
    for byte in 28..end {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[byte] ^= flip;
            write_file(&disk, &path, &bytes);
            match Rig::open_with(&disk, dir, options()) {
                Ok(rig) => {
                    assert!(byte >= value, "byte {byte} is in the head");
                    assert_eq!(rig.store.last(), at(1, 6));
                }
                Err(StorageError::Corrupt { file, offset: 28, .. }) => {
                    assert!(byte < value && file == path, "byte {byte} is in the value");
                }
                Err(other) => panic!("byte {byte}: {other}"),
            }
        }
    }
}

#[test]
fn with_hints_a_start_reads_no_values_and_a_read_and_a_scrub_find_them() {
    each_disk(|disk, dir| {
        for by_scrub in [false, true] {
            let dir = dir.join(by_scrub.to_string());
            let mut rig = filled(disk, &dir);
            assert_eq!(rig.write_hints(), 2);
            let (mut rig, _) = rot(rig, 2);
            assert_eq!(rig.store.take_damage_news(), []);
            if by_scrub {
                scrub_at_once(&mut rig.store).unwrap();
            } else {
                assert_eq!(damage(&rig, "a").at, at(1, 2));
            }
            assert_eq!(found(&rig.store.take_damage_news()), [2]);
        }
    });
}

#[test]
fn a_scrub_goes_through_every_closed_segment_in_slices_and_ends() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let mut rig = filled(&disk, Path::new("/d"));
    rig.write_hints();
    let (rig, _) = rot(rig, 2);
    let (mut rig, _) = rot(rig, 3);
    let (mut cursor, mut slices, mut bytes) = (None, 0, 0);
    let (_, total) = rig.store.scrub_progress(None);
    while let Some(task) = rig.store.scrub_slice(cursor, 10) {
        let scrubbed = task.run(&|| true).unwrap();
        assert!(scrubbed.bytes > 0);
        (slices, bytes) = (slices + 1, bytes + scrubbed.bytes);
        cursor = Some(scrubbed.next);
        let (done, all) = rig.store.scrub_progress(cursor);
        assert!(done <= all && all == total);
        rig.store.note_damage(scrubbed.damaged);
    }
    assert_eq!((slices, bytes), (4, total - 2 * segment::HEADER_BYTES), "a record is never read in part");
    assert_eq!(rig.store.scrub_progress(cursor), (total, total));
    assert_eq!(found(&rig.store.take_damage_news()), [2, 3]);
}

#[test]
fn what_writes_a_hint_meets_damage_too() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let mut rig = filled(&disk, Path::new("/d"));
    let file = disk.open(&rig.dir.join("log-00000001/00000001.log")).unwrap();
    let end = file.size().unwrap();
    file.write_at(b"#", end - 1).unwrap();
    let met: Vec<_> =
        rig.store.take_hint_tasks().iter().flat_map(|task| task.run(&|| true).unwrap()).collect();
    assert_eq!(met.len(), 1);
    rig.store.note_damage(met);
    assert_eq!(found(&rig.store.take_damage_news()), [2]);
    assert_eq!(rig.reopen().store.last(), at(1, 6), "the hint is a good one");
}

#[test]
fn a_repair_takes_the_right_value_and_no_other() {
    each_disk(|disk, dir| {
        let (mut rig, _) = rot(filled(disk, dir), 3);
        rig.store.take_damage_news();
        let right = history()[2].clone();
        for wrong in [put(1, 3, "b", "shorter"), put(1, 3, "b", "the value of b, which is l0nger")] {
            assert_eq!(repair(&mut rig, &wrong), [DamageNews::NotRepaired(at(1, 3))]);
            damage(&rig, "b");
        }
        assert_eq!(repair(&mut rig, &right), [DamageNews::Repaired(at(1, 3))]);
        assert_eq!(rig.store.damage_status().repaired, 1);
        for _ in 0..2 {
            assert_eq!(rig.log(), history(), "and it lasts");
            rig = rig.reopen();
            assert_eq!(rig.store.take_damage_news(), []);
        }
    });
}

#[test]
fn a_repair_cut_off_at_any_operation_leaves_the_value_damaged_or_whole() {
    for loss in [Loss::Nothing, Loss::Whole, Loss::Torn] {
        for operations in 0.. {
            let memory = MemoryDisk::new(operations);
            let disk: Arc<dyn Disk> = Arc::new(memory.clone());
            let (mut rig, _) = rot(filled(&disk, Path::new("/d")), 3);
            let right = &history()[2];
            let job = rig.store.repair(right.at, right.op.key().unwrap(), right.op.value().to_vec().into());
            memory.fail_power_after(operations);
            let done = rig.try_run(job.into_iter().collect()).is_ok();
            memory.crash(loss);
            let mut rig = Rig::open_with(&disk, Path::new("/d"), options()).unwrap();
            if done {
                assert_eq!(rig.log(), history());
                break;
            }
            repair(&mut rig, right);
            assert_eq!(rig.log(), history(), "{loss:?} after {operations}");
        }
    }
}

#[test]
fn a_key_that_is_written_again_is_damaged_no_more() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let (mut rig, _) = rot(filled(&disk, Path::new("/d")), 3);
    assert_eq!(found(&rig.store.take_damage_news()), [3]);
    rig.run(vec![append(vec![put(1, 7, "b", "new")])]);
    assert_eq!(rig.store.take_damage_news(), [DamageNews::Gone(at(1, 3))]);
    assert_eq!((rig.get("b"), rig.store.damage_status().now), (value("new", at(1, 7)), 0));
    assert_eq!(repair(&mut rig, &history()[2]), [], "it comes too late");
    scrub_at_once(&mut rig.store).unwrap();
    assert_eq!(rig.store.take_damage_news(), [], "and what is left of it is damage to nobody");
}

#[test]
fn a_cleanup_drops_damage_that_nobody_needs_and_copies_none_that_somebody_does() {
    each_disk(|disk, dir| {
        let (mut rig, _) = rot(filled(disk, dir), 1);
        let cleaned = rig.clean(u64::MAX).unwrap();
        assert_eq!((cleaned.dropped, cleaned.left_damaged), (1, 0));
        assert_eq!(rig.get("a"), value("the second value of a", at(1, 2)));

        // The damage is not known before: found on the way, in a segment that has garbage.
        let mut rig = filled(disk, &dir.join("second"));
        rig.run(vec![append(vec![put(1, 7, "c", "new")]), Job::CloseSegment]);
        rig.write_hints();
        let (mut rig, _) = rot(rig, 2);
        let files = rig.files();
        let cleaned = rig.clean(u64::MAX).unwrap();
        assert!(cleaned.left_damaged > 0, "{cleaned:?}");
        assert!(rig.files().contains(&files[0]), "the segment is as it was");
        assert_eq!(found(&rig.store.take_damage_news()), [2]);
        assert_eq!(rig.get("c"), value("new", at(1, 7)));

        // Known now: the others are cleaned, it is left alone.
        let again = rig.clean(u64::MAX);
        assert_eq!(again.map_or(0, |cleaned| cleaned.left_damaged), 0, "it is in no group");
        assert!(rig.files().contains(&files[0]));
        assert_eq!(rig.store.begin_cleanup(u64::MAX).unwrap_err(), NothingToDo::Damaged);

        repair(&mut rig, &history()[1]);
        assert_eq!(rig.clean(u64::MAX).unwrap().left_damaged, 0);
        assert_eq!(rig.get("a"), value("the second value of a", at(1, 2)));
        let rig = rig.reopen();
        assert_eq!((rig.get("a").version, rig.store.damage_status().now), (at(1, 2), 0));
    });
}

#[test]
fn a_deleted_key_does_not_come_back_from_a_segment_that_is_left_as_it_is() {
    each_disk(|disk, dir| {
        // `a` is deleted in a later segment. The segment with its older value has a damaged value of another key, which the
        // first cleanup finds on its way and the second one knows.
        let mut rig = Rig::open_with(disk, dir, options()).unwrap();
        let b = put(1, 2, "b", "the value of b, which rots");
        rig.run(vec![append(vec![put(1, 1, "a", "the value of a"), b.clone()]), Job::CloseSegment]);
        rig.run(vec![append(vec![del(1, 3, "a")]), Job::CloseSegment]);
        rig.run(vec![append(vec![noop(1, 4)])]);
        let (mut rig, _) = rot(rig, 2);
        for _ in 0..2 {
            rig.clean(u64::MAX);
            rig = rig.reopen();
            assert_eq!(rig.get("a").value, None);
        }
        repair(&mut rig, &b);
        assert!(rig.clean(u64::MAX).is_some(), "what stayed goes once the damage is repaired");
        assert_eq!(rig.reopen().get("a").value, None);
    });
}

#[test]
fn a_state_that_is_sent_waits_for_the_repair_of_what_it_needs() {
    each_disk(|disk, dir| {
        let (rig, _) = rot(filled(disk, dir), 1);
        let (mut rig, _) = rot(rig, 3);
        let (mut view, ..) = rig.store.snapshot().unwrap();
        let (second, rest) = (history()[1].clone(), history()[2..].to_vec());
        let read = |rig: &Rig, view: &mut SnapshotReader| rig.store.read_snapshot(view, usize::MAX).unwrap();
        assert_eq!(read(&rig, &mut view), SnapshotPart::Entries(vec![second], false), "superseded: left out");
        for _ in 0..3 {
            assert_eq!(read(&rig, &mut view), SnapshotPart::Entries(vec![], false), "not yet");
        }
        repair(&mut rig, &rest[0]);
        assert_eq!(read(&rig, &mut view), SnapshotPart::Entries(rest, true));
    });
}

#[test]
fn a_state_whose_damaged_value_was_superseded_after_it_cannot_be_completed() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let (mut rig, _) = rot(filled(&disk, Path::new("/d")), 3);
    let (mut view, ..) = rig.store.snapshot().unwrap();
    assert!(matches!(rig.store.read_snapshot(&mut view, 1 << 20), Ok(SnapshotPart::Entries(_, false))));
    rig.run(vec![append(vec![put(1, 7, "b", "new")])]);
    // To leave it out would make the key absent as of a state in which it was there.
    assert_eq!(rig.store.read_snapshot(&mut view, 1 << 20).unwrap(), SnapshotPart::Lost);
    let (mut view, ..) = rig.store.snapshot().unwrap();
    let SnapshotPart::Entries(entries, true) = rig.store.read_snapshot(&mut view, 1 << 20).unwrap() else {
        panic!("a new state is whole")
    };
    assert!(entries.iter().all(|entry| entry.at.seq != 3) && entries.last().unwrap().at == at(1, 7));
}

#[test]
fn a_full_resync_ends_all_damage_and_keeps_what_can_be_kept_of_what_it_discards() {
    each_disk(|disk, dir| {
        let (mut rig, _) = rot(filled(disk, dir), 5);
        // In the last segment nothing proves that it was synced, unless something was written later.
        rig.store.take_damage_news();
        let id = SnapshotId(1);
        let heard = rig.run(vec![
            Job::Core(DiskJob::InstallBegin { id }),
            Job::Core(DiskJob::InstallChunk { id, entries: vec![put(2, 4, "b", "theirs")] }),
            Job::Core(DiskJob::InstallCommit {
                id,
                log: LogId(1),
                at: at(2, 4),
                lineage: lineage(&[(1, 1), (2, 4)]),
                fork: at(1, 3),
            }),
        ]);
        let Some(Input::Installed { rollback: Some(rollback), .. }) = heard.last() else {
            panic!("{heard:?}")
        };
        let text = String::from_utf8(read_file(disk, &rig.dir.join(&rollback.file))).unwrap();
        assert!(text.contains(r#""seq":5,"op":"damaged","key":"d"}"#), "{text}");
        assert_eq!(rig.store.damage_status().now, 0);
        assert_eq!(rig.store.take_damage_news(), [DamageNews::Gone(at(1, 5))]);
    });
}

#[test]
fn no_more_than_the_bound_is_listed_and_the_rest_is_refused_all_the_same() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let dir = Path::new("/d");
    let mut rig = Rig::open(&disk, dir);
    let count = DAMAGES_MAX as u64 + 5;
    rig.run(vec![append((1..=count).map(|seq| put(1, seq, &format!("key {seq}"), "v")).collect())]);
    rig.run(vec![Job::CloseSegment]);
    let path = dir.join("log-00000001/00000001.log");
    let entries = rig.log();
    let mut bytes = read_file(&disk, &path);
    for end in &record_ends(&entries)[1..] {
        bytes[end - 1] ^= 1;
    }
    drop(rig);
    write_file(&disk, &path, &bytes);
    let mut rig = Rig::open(&disk, dir);
    let status = rig.store.damage_status();
    assert_eq!((status.now, status.found, status.unlisted), (DAMAGES_MAX as u64, DAMAGES_MAX as u64, 5));
    assert_eq!(damage(&rig, &format!("key {count}")).at, at(1, count));
    for entry in &entries {
        repair(&mut rig, entry);
    }
    assert_eq!(rig.log(), entries);
    assert_eq!(rig.store.damage_status().now, 0);
}
