//! Full resyncs: received beside the present state, which then makes way.

use super::*;
use crate::replication::Rollback;
use crate::types::SnapshotId;

const ID: SnapshotId = SnapshotId(7);

fn begin() -> Job {
    Job::Core(DiskJob::InstallBegin { id: ID })
}

fn chunk(entries: Vec<Entry>) -> Job {
    Job::Core(DiskJob::InstallChunk { id: ID, entries })
}

fn commit(log: u64, at: Position, spans: &[(u64, u64)], fork: Position) -> Job {
    Job::Core(DiskJob::InstallCommit { id: ID, log: LogId(log), at, lineage: lineage(spans), fork })
}

/// A log of epoch 1 whose last two entries nobody else has.
fn old_log() -> Vec<Entry> {
    vec![
        noop(1, 1),
        put(1, 2, "a", "shared"),
        put(1, 3, "a", "lost"),
        del(1, 4, "\u{e4}"),
        put(1, 5, "b", "lost"),
    ]
}

/// What the primary of epoch 3 has instead.
fn new_log() -> Vec<Entry> {
    vec![noop(1, 1), put(1, 2, "a", "shared"), noop(3, 3), put(3, 4, "c", "new")]
}

fn installed(log: u64, rollback: Option<(u64, &str)>) -> Input {
    let rollback = rollback.map(|(entries, file)| Rollback { entries, file: file.to_owned() });
    Input::Installed { id: ID, log: LogId(log), rollback }
}

fn install_new(log: u64) -> Vec<Job> {
    let records = new_log();
    let (head, tail) = records.split_at(2);
    vec![
        begin(),
        chunk(head.to_vec()),
        chunk(tail.to_vec()),
        commit(log, at(3, 4), &[(1, 1), (3, 3)], at(1, 2)),
    ]
}

#[test]
fn the_new_state_stands_and_the_old_entries_are_kept() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        rig.run(vec![save(5), append(old_log())]);
        let heard = rig.run(install_new(1));
        assert_eq!(heard, [installed(1, Some((3, "rollback/1@n1-3.jsonl")))]);

        for _ in 0..2 {
            assert_eq!(rig.log(), new_log());
            assert_eq!(rig.store.last(), at(3, 4));
            assert_eq!(rig.get("a"), value("shared", at(1, 2)));
            assert_eq!(rig.get("b"), Found { value: None, version: at(3, 4) }, "absent as of the state");
            assert_eq!(rig.get("c"), value("new", at(3, 4)));
            assert_eq!(rig.store.keys(), 2);
            rig = rig.reopen();
            assert_eq!(rig.opened.recovered.lineage, lineage(&[(1, 1), (3, 3)]));
            assert_eq!(rig.opened.recovered.promise, promise(5), "the promise survives");
            assert_eq!(rig.opened.torn, None);
        }
        let kept = String::from_utf8(read_file(disk, &dir.join("rollback/1@n1-3.jsonl"))).unwrap();
        assert_eq!(
            kept,
            "{\"epoch\":\"1@n1\",\"seq\":3,\"op\":\"put\",\"key\":\"a\",\"value\":\"lost\"}\n\
             {\"epoch\":\"1@n1\",\"seq\":4,\"op\":\"del\",\"key\":\"\u{e4}\"}\n\
             {\"epoch\":\"1@n1\",\"seq\":5,\"op\":\"put\",\"key\":\"b\",\"value\":\"lost\"}\n"
        );
        assert_eq!(names(disk, dir), ["log-00000002", "meta", "rollback"]);
    });
}

fn names(disk: &Arc<dyn Disk>, dir: &Path) -> Vec<String> {
    disk.list(dir).unwrap().into_iter().filter(|name| name != "lock" && name != "synced").collect()
}

#[test]
fn only_appends_that_name_the_new_log_count_afterwards() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        rig.run(vec![append_to(4, old_log())]);
        let mut jobs = vec![append_to(4, vec![put(1, 6, "z", "old")])];
        jobs.extend(install_new(5));
        jobs.push(append_to(4, vec![put(1, 7, "z", "old")]));
        jobs.push(append_to(5, vec![put(3, 5, "d", "goes on")]));
        jobs.push(append_to(4, vec![put(1, 8, "z", "old")]));
        let heard = rig.run(jobs);
        assert_eq!(
            heard,
            [
                Input::Persisted { log: LogId(4), through: 6 },
                installed(5, Some((4, "rollback/1@n1-3.jsonl"))),
                Input::Persisted { log: LogId(5), through: 5 },
            ]
        );
        let rig = rig.reopen();
        assert_eq!(rig.log()[..4], new_log());
        assert_eq!(rig.log()[4..], [put(3, 5, "d", "goes on")]);
        assert_eq!(rig.get("z"), Found { value: None, version: at(3, 4) });
    });
}

#[test]
fn a_log_that_is_only_behind_discards_nothing() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        rig.run(vec![append(new_log()[..2].to_vec())]);
        assert_eq!(rig.run(install_new(1)), [installed(1, None)]);
        assert_eq!(names(disk, dir), ["log-00000002", "meta"]);
        assert_eq!(rig.log(), new_log());
    });
}

#[test]
fn an_empty_state_can_be_received_and_an_empty_log_replaced() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        assert_eq!(rig.run(install_new(1)), [installed(1, None)]);
        let jobs = vec![begin(), commit(2, Position::ZERO, &[], Position::ZERO)];
        assert_eq!(rig.run(jobs), [installed(2, Some((4, "rollback/1@n1-1.jsonl")))]);
        let mut rig = rig.reopen();
        assert_eq!(rig.opened.recovered.last, Position::ZERO);
        rig.run(vec![append(vec![noop(9, 1)])]);
        assert_eq!(rig.reopen().log(), [noop(9, 1)]);
    });
}

/// A primary that has cleaned up sends records with gaps, and the no-ops may be among those left out.
#[test]
fn a_state_with_gaps_keeps_its_lineage() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        let spans = [(1, 1), (2, 10), (4, 20)];
        let records = vec![put(1, 5, "a", "1"), put(2, 12, "b", "2"), put(2, 17, "c", "3")];
        rig.run(vec![begin(), chunk(records.clone()), commit(1, at(4, 22), &spans, Position::ZERO)]);
        for _ in 0..2 {
            assert_eq!(rig.store.last(), at(4, 22));
            assert_eq!(rig.log(), records);
            assert_eq!(rig.get("b"), value("2", at(2, 12)));
            assert_eq!(rig.store.snapshot().unwrap().1, at(4, 22));
            rig = rig.reopen();
            assert_eq!(rig.opened.recovered.last, at(4, 22));
            assert_eq!(rig.opened.recovered.lineage, lineage(&spans));
        }
        rig.run(vec![append(vec![put(4, 23, "a", "4"), noop(6, 24)])]);
        let rig = rig.reopen();
        assert_eq!(rig.opened.recovered.lineage, lineage(&[(1, 1), (2, 10), (4, 20), (6, 24)]));
        assert_eq!(rig.get("a"), value("4", at(4, 23)));
    });
}

#[test]
fn nothing_that_contradicts_itself_is_installed() {
    let lineage = [(1, 1), (3, 3)];
    let cases: Vec<(&str, Vec<Job>)> = vec![
        ("descending", vec![chunk(vec![noop(1, 2), noop(1, 1)])]),
        ("twice", vec![chunk(vec![noop(1, 2)]), chunk(vec![noop(1, 2)])]),
        ("epoch descends", vec![chunk(vec![noop(3, 3), noop(1, 4)])]),
        ("beyond its end", vec![chunk(vec![noop(3, 5)]), commit(1, at(3, 4), &lineage, Position::ZERO)]),
        ("off its lineage", vec![chunk(vec![noop(1, 3)]), commit(1, at(3, 4), &lineage, Position::ZERO)]),
        ("ends off its lineage", vec![commit(1, at(1, 4), &lineage, Position::ZERO)]),
        ("lineage goes beyond", vec![commit(1, at(1, 2), &lineage, Position::ZERO)]),
    ];
    for (name, jobs) in cases {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        let mut rig = Rig::open(&disk, Path::new("/d"));
        rig.run(vec![append(old_log()), begin()]);
        let error = rig.try_run(jobs).expect_err(name);
        assert!(matches!(error, StorageError::BadSnapshot { .. }), "{name}: {error}");
        let rig = rig.reopen();
        assert_eq!(rig.log(), old_log(), "{name}");
        assert_eq!(names(&disk, Path::new("/d")), ["log-00000001", "meta"], "{name}");
    }
}

#[test]
fn chunks_and_commits_need_a_beginning() {
    for job in [chunk(vec![noop(1, 1)]), commit(1, Position::ZERO, &[], Position::ZERO)] {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        let mut rig = Rig::open(&disk, Path::new("/d"));
        rig.run(vec![
            Job::Core(DiskJob::InstallBegin { id: SnapshotId(1) }),
            Job::Core(DiskJob::InstallAbort { id: SnapshotId(2) }),
        ]);
        let error = rig.try_run(vec![job]).unwrap_err();
        assert!(matches!(error, StorageError::Misuse { .. }), "{error}");
    }
}

#[test]
fn an_installation_can_be_given_up_or_begun_again() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        rig.run(vec![append(old_log())]);
        rig.run(vec![
            begin(),
            chunk(vec![put(8, 1, "wrong", "wrong")]),
            Job::Core(DiskJob::InstallAbort { id: ID }),
        ]);
        assert_eq!(names(disk, dir), ["log-00000001", "meta"]);
        rig.run(vec![Job::Core(DiskJob::InstallAbort { id: ID })]);

        rig.run(vec![begin(), chunk(vec![put(8, 1, "wrong", "wrong")])]);
        assert_eq!(rig.log(), old_log());
        rig.run(install_new(1));
        assert_eq!(rig.log(), new_log());
        let rig = rig.reopen();
        assert_eq!(rig.log(), new_log());
        assert_eq!(names(disk, dir).len(), 3);
    });
}

#[test]
fn what_was_received_before_a_restart_is_forgotten() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        rig.run(vec![append(old_log()), begin(), chunk(new_log())]);
        assert_eq!(names(disk, dir), ["log-00000001", "log-00000002", "meta"]);
        let rig = rig.reopen();
        assert_eq!(names(disk, dir), ["log-00000001", "meta"]);
        assert_eq!(rig.log(), old_log());
    });
}

#[test]
fn an_earlier_rollback_file_is_never_overwritten() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        for (n, name) in ["1@n1-1.jsonl", "1@n1-1.2.jsonl", "1@n1-1.3.jsonl"].into_iter().enumerate() {
            let n = n as u64;
            rig.run(vec![append_to(2 * n, vec![noop(1, 1)])]);
            let jobs = vec![begin(), commit(2 * n + 2, Position::ZERO, &[], Position::ZERO)];
            assert_eq!(rig.run(jobs), [installed(2 * n + 2, Some((1, &format!("rollback/{name}"))))]);
        }
        assert_eq!(disk.list(&dir.join("rollback")).unwrap().len(), 3);
    });
}

#[test]
fn whoever_knows_the_earlier_fork_is_right() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let mut rig = Rig::open(&disk, Path::new("/d"));
    rig.run(vec![append(old_log()), begin(), chunk(new_log())]);
    // By the lineages, the logs part after seq 2.
    let heard = rig.run(vec![commit(1, at(3, 4), &[(1, 1), (3, 3)], at(1, 4))]);
    assert_eq!(heard, [installed(1, Some((3, "rollback/1@n1-3.jsonl")))]);
}

#[test]
fn a_snapshot_being_read_outlives_the_log_it_is_of() {
    each_disk(|disk, dir| {
        let mut rig = Rig::open(disk, dir);
        rig.run(vec![append(old_log())]);
        let (mut reader, position, _) = rig.store.snapshot().unwrap();
        rig.run(install_new(1));
        let (entries, done) = reader.next_chunk(usize::MAX).unwrap();
        assert_eq!((position, entries, done), (at(1, 5), old_log(), true));
    });
}

#[test]
fn a_large_state_comes_in_many_segments() {
    each_disk(|disk, dir| {
        let options = Options { segment_bytes: 4000, ..Options::new(NODE) };
        let mut rig = Rig::open_with(disk, dir, options).unwrap();
        let mut source = vec![noop(1, 1)];
        source.extend(
            (2..=300).map(|seq| put(1, seq, &format!("key {}", seq % 50), &format!("value {seq}").repeat(9))),
        );
        rig.run(vec![append(vec![noop(1, 1), put(1, 2, "mine", "own")])]);
        rig.run(vec![begin()]);
        for part in source.chunks(17) {
            rig.run(vec![chunk(part.to_vec())]);
        }
        let heard = rig.run(vec![commit(1, at(1, 300), &[(1, 1)], at(1, 2))]);
        assert_eq!(heard, [installed(1, None)]);
        assert!(disk.list(&dir.join("log-00000002")).unwrap().len() > 5);
        rig.run(vec![append_to(1, vec![put(1, 301, "more", "comes")])]);
        let rig = rig.reopen();
        assert_eq!(rig.log()[..300], source);
        assert_eq!(rig.get("more"), value("comes", at(1, 301)));
    });
}
