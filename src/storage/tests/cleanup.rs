//! Cleanup: what goes, what stays, and what can come between.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::types::SnapshotId;

pub(super) const DIR: &str = "/d";

pub(super) fn options() -> Options {
    Options { segment_bytes: 320, ..Options::new(NODE) }
}

/// What each key holds after some entries.
fn model(entries: &[Entry]) -> BTreeMap<Bytes, Found> {
    let found = |entry: &Entry| match &entry.op {
        Op::Put { key, value } => {
            Some((key.clone(), Found { value: Some(value.clone()), version: entry.at }))
        }
        Op::Del { key } => Some((key.clone(), Found { value: None, version: entry.at })),
        Op::Noop => None,
    };
    entries.iter().filter_map(found).collect()
}

/// Checks every key against the model, the log against the history, and the records against each other.
pub(super) fn check(rig: &Rig, history: &[Entry], context: &str) {
    let model = model(history);
    let last = history.last().map_or(Position::ZERO, |entry| entry.at);
    assert_eq!(rig.store.last(), last, "{context}");
    for (key, expected) in &model {
        let found = rig.store.get(key).unwrap();
        assert_eq!(found.value, expected.value, "{context}: {key:?}");
        if expected.value.is_some() {
            assert_eq!(found.version, expected.version, "{context}: {key:?}");
        } else {
            let absent_as_of = found.version;
            assert!((expected.version..=last).contains(&absent_as_of), "{context}: {key:?} {absent_as_of}");
        }
    }
    let live = model.values().filter(|found| found.value.is_some()).count() as u64;
    assert_eq!(rig.store.keys(), live, "{context}");
    let log = rig.log();
    let mut rest = history.iter();
    for entry in &log {
        assert!(rest.any(|other| other == entry), "{context}: {} is not of this history", entry.at);
    }
    let live_bytes: u64 = model
        .iter()
        .filter_map(|(key, found)| {
            Some((key.len() + found.value.as_ref()?.len() + record::FIXED_BYTES) as u64)
        })
        .sum();
    assert_eq!(rig.store.usage().live_bytes, live_bytes, "{context}");
}

/// Overwrites, deletes, an epoch of a few entries, over several segments.
fn entries(count: u64) -> Vec<Entry> {
    let mut entries = vec![noop(1, 1)];
    for seq in 2..=count {
        let epoch = if seq < 12 { 1 } else { 2 };
        let key = format!("key {}", seq % 5);
        entries.push(match seq {
            12 => noop(2, seq),
            _ if seq % 7 == 0 => del(epoch, seq, &key),
            _ => put(epoch, seq, &key, &"x".repeat(usize::try_from(20 + seq % 11).unwrap())),
        });
    }
    entries.push(del(2, count + 1, "key 3"));
    entries.push(put(2, count + 2, "other", "value"));
    entries
}

fn filled(disk: &Arc<dyn Disk>, dir: &Path, entries: &[Entry]) -> Rig {
    let mut rig = Rig::open_with(disk, dir, options()).unwrap();
    for entry in entries {
        rig.run(vec![append(vec![entry.clone()])]);
    }
    rig.run(vec![Job::CloseSegment]);
    rig
}

#[test]
fn garbage_goes_and_everything_else_stays() {
    each_disk(|disk, dir| {
        let history = entries(40);
        let mut rig = filled(disk, dir, &history);
        let before = rig.store.usage();
        let cleaned = rig.clean(u64::MAX).unwrap();
        let after = rig.store.usage();
        assert_eq!(before.log_bytes - after.log_bytes, cleaned.before - cleaned.after);
        assert_eq!(after.segments, 2, "what is left fits into one, and one is written to");
        assert_eq!(after.log_bytes - after.live_bytes, 2 * segment::HEADER_BYTES, "no garbage is left");
        assert_eq!(cleaned.dropped, 42 - 5, "five keys have values");
        check(&rig, &history, "cleaned");
        assert_eq!(rig.get("key 3").version, at(2, 41), "absent as of the tombstone that was dropped");
        assert_eq!(rig.get("nobody").version, at(2, 41));

        let mut rig = rig.reopen();
        assert_eq!((rig.opened.hints_missing, rig.opened.hints_bad.len()), (0, 0), "cleanup writes hints");
        assert_eq!(
            rig.opened.recovered.lineage,
            lineage(&[(1, 1), (2, 12)]),
            "the lineage survives its no-ops"
        );
        check(&rig, &history, "opened again");
        assert_eq!(rig.get("key 3").version, at(2, 41));
        assert_eq!(rig.files(), ["00000001-1.hint", "00000001-1.log", "00000010.log"]);
        assert_eq!(rig.clean(u64::MAX), None, "nothing is left to do");

        rig.run(vec![append(vec![put(2, 43, "key 3", "back")]), save(3)]);
        assert_eq!(rig.reopen().get("key 3"), value("back", at(2, 43)));
    });
}

#[test]
fn what_is_not_known_to_be_committed_stays() {
    for through in 0..=42 {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        let history = entries(40);
        let mut rig = filled(&disk, Path::new(DIR), &history);
        rig.clean(through);
        for _ in 0..2 {
            check(&rig, &history, "cleaned in part");
            let kept: Vec<_> = rig.log().into_iter().filter(|entry| entry.at.seq > through).collect();
            assert_eq!(kept, history[usize::try_from(through).unwrap()..]);
            assert!(rig.get("nobody").version.seq <= through, "nor does the floor rise above it");
            rig = rig.reopen();
        }
    }
}

#[test]
fn a_key_that_was_deleted_does_not_come_back_whatever_is_cleaned_when() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let mut rig = Rig::open_with(&disk, Path::new(DIR), options()).unwrap();
    let mut history = Vec::new();
    for round in 0..8u64 {
        for n in 1..=8 {
            let seq = round * 8 + n;
            let key = format!("key {n}");
            let entry = if round % 2 == 1 { del(1, seq, &key) } else { put(1, seq, &key, &"v".repeat(60)) };
            rig.run(vec![append(vec![entry.clone()])]);
            history.push(entry);
        }
        for through in [round * 8 + 3, round * 8 + 8] {
            rig.clean(through);
            check(&rig, &history, "cleaned");
            rig = rig.reopen();
            check(&rig, &history, "opened again");
        }
    }
}

#[test]
fn one_at_a_time_and_reasons_why_not() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let mut rig = Rig::open_with(&disk, Path::new(DIR), options()).unwrap();
    rig.run(vec![append(vec![put(1, 1, "a", "1"), put(1, 2, "b", "1")])]);
    assert_eq!(
        rig.store.begin_cleanup(9).unwrap_err(),
        NothingToDo::NoGarbage,
        "the open segment is no matter"
    );
    rig.run(vec![Job::CloseSegment, Job::CloseSegment]);
    assert_eq!(rig.store.usage().segments, 2, "an empty segment is not closed");
    assert_eq!(rig.store.begin_cleanup(9).unwrap_err(), NothingToDo::NoGarbage);
    rig.run(vec![append(vec![put(1, 3, "a", "2")])]);
    assert_eq!(rig.store.begin_cleanup(0).unwrap_err(), NothingToDo::NotCommitted);
    let cleanup = rig.store.begin_cleanup(9).unwrap();
    assert_eq!(rig.store.begin_cleanup(9).unwrap_err(), NothingToDo::UnderWay);
    assert_eq!(rig.store.cleanup_progress(), Some(CleanupProgress { done: 0, total: cleanup.bytes_total() }));
    drop(cleanup);
    rig.store.end_cleanup();
    assert!(rig.clean(9).is_some());
    assert_eq!(rig.store.cleanup_progress(), None);
}

#[test]
fn the_policy_looks_at_part_and_size_of_what_could_be_cleaned() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let mut rig = Rig::open_with(&disk, Path::new(DIR), options()).unwrap();
    let policy = |ratio, bytes| CleanupPolicy { ratio, bytes };
    let keep = put(1, 1, "keep", &"v".repeat(100));
    rig.run(vec![append(vec![keep, put(1, 2, "a", &"v".repeat(100))])]);
    rig.run(vec![append(vec![put(1, 3, "a", &"v".repeat(100))]), Job::CloseSegment]);
    assert!(!rig.store.wants_cleanup(policy(0.0, 1), 0), "nothing is committed");
    assert!(rig.store.wants_cleanup(policy(0.31, 139), 9), "139 of 448");
    assert!(!rig.store.wants_cleanup(policy(0.32, 139), 9));
    assert!(!rig.store.wants_cleanup(policy(0.31, 140), 9));
    let _cleanup = rig.store.begin_cleanup(9).unwrap();
    assert!(!rig.store.wants_cleanup(policy(0.31, 139), 9), "never two at once");
    rig.store.end_cleanup();
    rig.clean(9);
    assert!(!rig.store.wants_cleanup(policy(0.0, 0), 9));
}

#[test]
fn a_snapshot_that_was_opened_before_reads_on() {
    each_disk(|disk, dir| {
        let history = entries(40);
        let mut rig = filled(disk, dir, &history);
        let (mut before, position, _) = rig.store.snapshot().unwrap();
        let (head, _) = before.next_chunk(1000).unwrap();
        rig.clean(u64::MAX).unwrap();
        let (rest, done) = before.next_chunk(usize::MAX).unwrap();
        assert_eq!(([head, rest].concat(), done, position), (history.clone(), true, at(2, 42)));
        assert_eq!(rig.log().len(), 5);
    });
}

#[test]
fn a_full_resync_ends_a_cleanup_at_any_of_its_steps() {
    let id = SnapshotId(3);
    let install = || {
        vec![
            Job::Core(DiskJob::InstallBegin { id }),
            Job::Core(DiskJob::InstallChunk { id, entries: vec![put(5, 50, "new", "state")] }),
            Job::Core(DiskJob::InstallCommit {
                id,
                log: LogId(1),
                at: at(5, 60),
                lineage: lineage(&[(1, 1), (2, 12), (5, 50)]),
                fork: at(2, 42),
            }),
        ]
    };
    for at_step in 0.. {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        let mut rig = filled(&disk, Path::new(DIR), &entries(40));
        let mut step = 0;
        let cleaned = clean_at_once(&mut rig.store, &mut rig.writer, u64::MAX, |store, writer| {
            if step == at_step {
                for done in writer.execute(install())? {
                    store.apply(done)?;
                }
            }
            step += 1;
            Ok(())
        });
        let over = step <= at_step;
        assert_eq!(cleaned.unwrap().is_some(), over);
        if over {
            assert!(at_step >= 4, "{at_step} steps");
            break;
        }
        for _ in 0..2 {
            assert_eq!(rig.log(), [put(5, 50, "new", "state")]);
            assert_eq!(rig.get("key 1"), Found { value: None, version: at(5, 60) });
            assert_eq!(rig.disk.list(&rig.dir).unwrap().len(), 3, "log, meta and mark");
            rig = rig.reopen();
        }
    }
}

#[test]
fn without_room_a_cleanup_is_given_up_and_leaves_no_trace() {
    let mut given_up = 0;
    for room in (0..3000).step_by(7) {
        let memory = MemoryDisk::new(0);
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let history = entries(40);
        let mut rig = filled(&disk, Path::new(DIR), &history);
        let files = rig.files();
        memory.set_room(Some(room));
        let outcome = clean_at_once(&mut rig.store, &mut rig.writer, u64::MAX, |_, _| Ok(()));
        memory.set_room(None);
        check(&rig, &history, "given up");
        match outcome {
            Ok(cleaned) => assert!(cleaned.is_some()),
            Err(StorageError::Full { .. }) => {
                given_up += 1;
                assert_eq!(rig.files(), files, "room {room}");
                assert!(!rig.disk.list(&rig.dir).unwrap().iter().any(|name| name.ends_with(".part")));
                // The writer goes on, and so does the next cleanup.
                rig.run(vec![append(vec![put(2, 43, "goes", "on")])]);
                assert!(rig.clean(u64::MAX).is_some());
                assert_eq!(rig.reopen().get("goes"), value("on", at(2, 43)));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(given_up > 60, "{given_up}");
}

#[test]
fn a_failed_sync_during_a_cleanup_is_final_and_loses_nothing() {
    for nth in 0.. {
        let memory = MemoryDisk::new(0);
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let history = entries(40);
        let mut rig = filled(&disk, Path::new(DIR), &history);
        memory.fail_sync_after(nth);
        let outcome = clean_at_once(&mut rig.store, &mut rig.writer, u64::MAX, |_, _| Ok(()));
        memory.crash(Loss::Whole);
        if outcome.is_ok() {
            assert!(nth >= 6, "{nth} syncs");
            break;
        }
        assert!(matches!(outcome, Err(StorageError::Io { op: "sync" | "write", .. })), "{outcome:?}");
        check(&rig.reopen(), &history, "after a failed sync");
    }
}

/// A forced failover may discard what was committed and cleaned up: the last values are kept, and it is said that
/// others are not.
#[test]
fn a_rollback_across_a_cleanup_keeps_last_values_and_says_what_is_missing() {
    each_disk(|disk, dir| {
        let mut rig = filled(disk, dir, &entries(40));
        rig.clean(u64::MAX).unwrap();
        let id = SnapshotId(1);
        let commit = Job::Core(DiskJob::InstallCommit {
            id,
            log: LogId(1),
            at: at(3, 12),
            lineage: lineage(&[(1, 1), (3, 12)]),
            fork: at(1, 11),
        });
        let heard = rig.run(vec![Job::Core(DiskJob::InstallBegin { id }), commit]);
        let [Input::Installed { rollback: Some(rollback), .. }] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!(rollback.entries, 5);
        let kept = String::from_utf8(read_file(disk, &dir.join(&rollback.file))).unwrap();
        for (key, seq) in [("key 0", 40), ("key 1", 36), ("key 2", 37), ("key 4", 39), ("other", 42)] {
            let line = format!("{{\"epoch\":\"2@n1\",\"seq\":{seq},\"op\":\"put\",\"key\":\"{key}\"");
            assert!(kept.contains(&line), "{line}\n{kept}");
        }
        assert!(kept.ends_with("{\"epoch\":\"2@n1\",\"seq\":41,\"op\":\"cleaned\"}\n"), "{kept}");
    });
}

/// What is done in one turn.
#[derive(Clone, Debug)]
enum Turn {
    Write(u8, Option<usize>),
    Epoch,
    Close,
    Clean(prop::sample::Index),
    Hints,
    Reopen,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        12 => (0..8u8, prop::option::weighted(0.7, 0..120usize)).prop_map(|(key, value)| Turn::Write(key, value)),
        1 => Just(Turn::Epoch),
        1 => Just(Turn::Close),
        2 => any::<prop::sample::Index>().prop_map(Turn::Clean),
        1 => Just(Turn::Hints),
        1 => Just(Turn::Reopen),
    ];
    prop::collection::vec(turn, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_lookup_sees_a_cleanup(turns in turns(), segment_bytes in 60..600u64) {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        let options = Options { segment_bytes, ..Options::new(NODE) };
        let mut rig = Rig::open_with(&disk, Path::new(DIR), options).unwrap();
        let mut history: Vec<Entry> = Vec::new();
        let write = |history: &mut Vec<Entry>, key: u8, value: Option<usize>| {
            let (epoch, seq) = (history.last().map_or(1, |last| last.at.epoch.number), history.len() as u64 + 1);
            let key = format!("key {key}");
            history.push(value.map_or_else(|| del(epoch, seq, &key), |n| put(epoch, seq, &key, &"v".repeat(n))));
            history.last().unwrap().clone()
        };
        for turn in turns {
            match turn {
                Turn::Write(key, value) => {
                    let entry = write(&mut history, key, value);
                    rig.run(vec![append(vec![entry])]);
                }
                Turn::Epoch => {
                    let epoch = history.last().map_or(1, |last| last.at.epoch.number + 1);
                    history.push(noop(epoch, history.len() as u64 + 1));
                    rig.run(vec![append(vec![history.last().unwrap().clone()])]);
                }
                Turn::Close => drop(rig.run(vec![Job::CloseSegment])),
                Turn::Clean(through) => {
                    let through = through.index(history.len() + 1) as u64;
                    let mut key = 0;
                    clean_at_once(&mut rig.store, &mut rig.writer, through, |store, writer| {
                        key = (key + 3) % 8;
                        let value = (key % 3 != 0).then_some(usize::from(key) * 9);
                        for done in writer.execute(vec![append(vec![write(&mut history, key, value)])])? {
                            store.apply(done)?;
                        }
                        Ok(())
                    }).unwrap();
                }
                Turn::Hints => drop(rig.write_hints()),
                Turn::Reopen => rig = rig.reopen(),
            }
            check(&rig, &history, "in the midst");
        }
        rig = rig.reopen();
        prop_assert_eq!(rig.opened.hints_bad.len(), 0);
        check(&rig, &history, "at the end");
    }
}
