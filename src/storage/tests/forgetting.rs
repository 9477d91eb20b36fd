//! Logs that end before what was synced of them: the member is durably a learner before anything is cut, and says what
//! is gone.

use super::*;
use crate::storage::Forgotten;
use crate::storage::gate::LogEra;
use crate::storage::home::Home;
use crate::storage::log::synced::Marked;
use crate::storage::meta::Meta;
use crate::types::SnapshotId;

const DIR: &str = "/d";

fn entries() -> Vec<Entry> {
    vec![
        noop(1, 1),
        put(1, 2, "a", "first"),
        put(1, 3, "b", "second"),
        del(1, 4, "a"),
        put(1, 5, "c", "third"),
    ]
}

fn mark(segment: u32, bytes: u64) -> String {
    Marked { era: LogEra { generation: 1, cuts: 0 }, segment, bytes }.line()
}

fn options(segment_bytes: u64) -> Options {
    Options { segment_bytes, ..Options::new(NODE) }
}

/// A store on a disk in memory, and every file of it, so that it can be brought back.
struct Before {
    options: Options,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Before {
    fn new(options: Options, life: impl FnOnce(&mut Rig)) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(1));
        let mut rig = Rig::open_with(&disk, Path::new(DIR), options).unwrap();
        life(&mut rig);
        let log_dir = rig.last_segment().parent().unwrap().to_owned();
        let names =
            |dir: &Path| disk.list(dir).unwrap().into_iter().map(|name| dir.join(name)).collect::<Vec<_>>();
        let paths =
            names(&log_dir).into_iter().chain([Path::new(DIR).join("meta"), Path::new(DIR).join("synced")]);
        let files = paths.map(|path| (path.clone(), read_file(&disk, &path))).collect();
        drop(rig);
        Self { options, files }
    }

    /// A disk with these files, all durable, but for what `change` makes of them.
    fn with(&self, change: impl Fn(&Path, &mut Option<Vec<u8>>)) -> (MemoryDisk, Arc<dyn Disk>) {
        let memory = MemoryDisk::new(2);
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        drop(Rig::open_with(&disk, Path::new(DIR), self.options).unwrap());
        let log_dir = self.files[0].0.parent().unwrap();
        if disk.list(log_dir).is_err() {
            disk.create_dir(log_dir).unwrap();
        }
        for (path, bytes) in &self.files {
            let mut content = Some(bytes.clone());
            change(path, &mut content);
            match content {
                Some(bytes) => write_file(&disk, path, &bytes),
                None if disk.open(path).is_ok() => disk.remove_file(path).unwrap(),
                None => {}
            }
        }
        disk.sync_dir(log_dir).unwrap();
        disk.sync_dir(Path::new(DIR)).unwrap();
        (memory, disk)
    }

    fn file(&self, name: &str) -> (PathBuf, &[u8]) {
        let (path, bytes) = self.files.iter().find(|(path, _)| path.ends_with(name)).unwrap();
        (path.clone(), bytes)
    }
}

fn one_segment() -> Before {
    Before::new(options(1 << 20), write_one_by_one)
}

fn write_one_by_one(rig: &mut Rig) {
    for entry in entries() {
        rig.run(vec![append(vec![entry])]);
    }
}

/// Whoever is a learner, or has lost nothing, goes on: and stays one, or does not become one.
fn goes_on(mut rig: Rig, learner: bool, context: &str) {
    let seq = rig.store.last().seq + 1;
    rig.run(vec![append(vec![put(9, seq, "next", "value")])]);
    let rig = rig.reopen();
    assert_eq!((&rig.opened.forgot, &rig.opened.torn), (&None, &None), "{context}: said only once");
    assert_eq!(rig.opened.recovered.promise.learner, learner, "{context}");
    assert_eq!(rig.get("next"), value("value", at(9, seq)), "{context}");
}

#[test]
fn cut_at_any_byte_with_the_mark_anywhere_a_log_is_a_learners_if_it_ends_before_the_mark() {
    let before = one_segment();
    let (path, whole) = before.file("00000001.log");
    let ends = record_ends(&entries());
    for &marked in &ends {
        for cut in 0..=whole.len() {
            for alone in [false, true] {
                let (_, disk) = before.with(|file, bytes| {
                    if file == path {
                        bytes.as_mut().unwrap().truncate(cut);
                    } else if file.ends_with("synced") {
                        *bytes = Some(mark(1, marked as u64).into_bytes());
                    }
                });
                let context = format!("synced to {marked}, cut at {cut}, alone: {alone}");
                let rig = Rig::open_with(&disk, Path::new(DIR), Options { alone, ..before.options })
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
                let kept = ends.iter().filter(|&&end| end <= cut).count().max(1) - 1;
                assert_eq!(rig.log(), entries()[..kept], "{context}");
                let ended_at = if cut < ends[0] { 0 } else { ends[kept] };
                let forgot = (ended_at < marked).then(|| Forgotten {
                    file: path.clone(),
                    ended_at: ended_at as u64,
                    synced_to: (path.clone(), marked as u64),
                    bytes: (marked - ended_at) as u64,
                });
                assert_eq!(rig.opened.forgot, forgot, "{context}");
                let torn = (forgot.is_none() && cut > ended_at)
                    .then(|| (path.clone(), ended_at as u64, (cut - ended_at) as u64));
                assert_eq!(rig.opened.torn, torn, "{context}");
                let learner = forgot.is_some() && !alone;
                assert_eq!(rig.opened.recovered.promise.learner, learner, "{context}");
                goes_on(rig, learner, &context);
            }
        }
    }
}

#[test]
fn a_bad_head_of_the_last_record_below_the_mark_is_forgotten_and_one_before_a_good_record_stops_the_node() {
    let before = one_segment();
    let (path, whole) = before.file("00000001.log");
    let ends = record_ends(&entries());
    let last = ends[ends.len() - 2];
    for at in ends[0]..whole.len() {
        let (_, disk) = before.with(|file, bytes| {
            if file == path {
                bytes.as_mut().unwrap()[at] ^= 0xff;
            }
        });
        let nth = ends.iter().rposition(|&end| end <= at).unwrap();
        let start = ends[nth];
        let in_value = at >= ends[nth + 1] - entries()[nth].op.value().len();
        match Rig::open_with(&disk, Path::new(DIR), before.options) {
            Ok(rig) if in_value => {
                // A damaged value is not a damaged log.
                assert_eq!((rig.store.last(), &rig.opened.forgot), (entries().last().unwrap().at, &None));
            }
            Ok(rig) => {
                assert_eq!(start, last, "byte {at}");
                let forgot = rig.opened.forgot.as_ref().expect("it was synced");
                assert_eq!((forgot.ended_at, forgot.bytes), (last as u64, (whole.len() - last) as u64));
                assert_eq!(rig.log(), entries()[..4]);
                goes_on(rig, true, "a flip");
            }
            Err(StorageError::Corrupt { file, offset, what }) => {
                assert!(start < last, "byte {at}: {what}");
                assert_eq!((file, offset), (path.clone(), start as u64));
                assert!(
                    what.contains("although the log was synced up to byte") && what.contains("is whole"),
                    "{what}"
                );
            }
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn what_the_meta_file_knows_to_be_synced_counts_without_a_mark() {
    let before = Before::new(options(1 << 20), |rig| {
        rig.run(vec![append(entries()), save(3), append(vec![put(3, 6, "d", "after the save")])]);
    });
    let (path, whole) = before.file("00000001.log");
    let known = record_ends(&entries()).pop().unwrap();
    for cut in 28..=whole.len() {
        let (_, disk) = before.with(|file, bytes| {
            if file == path {
                bytes.as_mut().unwrap().truncate(cut);
            } else if file.ends_with("synced") {
                *bytes = None;
            }
        });
        let rig = Rig::open_with(&disk, Path::new(DIR), before.options).unwrap();
        assert_eq!(rig.opened.forgot.is_some(), cut < known, "cut at {cut}");
        assert_eq!(rig.opened.recovered.promise, Promise { learner: cut < known, ..promise(3) });
        goes_on(rig, cut < known, "by the meta file");
    }
}

/// Under `os` and `interval`, what was acknowledged and not synced may go without anybody becoming a learner.
#[test]
fn only_what_was_synced_counts() {
    let durability = Durability::Os;
    let before = Before::new(Options { durability, ..options(1 << 20) }, |rig| {
        rig.run(vec![append(entries()[..2].to_vec())]);
        rig.writer.sync().unwrap();
        rig.run(vec![append(entries()[2..].to_vec())]);
    });
    let (path, whole) = before.file("00000001.log");
    let synced = record_ends(&entries())[2];
    for cut in 28..=whole.len() {
        let (_, disk) = before.with(|file, bytes| {
            if file == path {
                bytes.as_mut().unwrap().truncate(cut);
            }
        });
        let rig = Rig::open_with(&disk, Path::new(DIR), before.options).unwrap();
        assert_eq!(rig.opened.forgot.is_some(), cut < synced, "cut at {cut}");
    }
}

/// Several segments, each synced when the next was begun.
fn several_segments() -> Before {
    Before::new(options(100), |rig| {
        rig.run(vec![save(1)]);
        write_one_by_one(rig);
        assert_eq!(rig.files(), ["00000001.log", "00000002.log", "00000003.log"]);
    })
}

#[test]
fn a_log_without_its_last_segments_has_forgotten_them_and_one_with_a_hole_stops_the_node() {
    let before = several_segments();
    for gone in 1_u8..8 {
        let is_gone = |path: &Path| {
            (1..=3).any(|n| gone & (1 << (n - 1)) != 0 && path.ends_with(format!("0000000{n}.log")))
        };
        let (_, disk) = before.with(|path, bytes| {
            if is_gone(path) {
                *bytes = None;
            }
        });
        let hole = !matches!(gone, 0b100 | 0b110 | 0b111);
        match Rig::open_with(&disk, Path::new(DIR), before.options) {
            Ok(rig) => {
                assert!(!hole, "gone: {gone:b}");
                let forgot = rig.opened.forgot.clone().expect("the mark is in the third");
                assert_eq!(forgot.synced_to.0, before.file("00000003.log").0);
                let kept = rig.log().len();
                assert_eq!(rig.log(), entries()[..kept]);
                assert_eq!(
                    kept,
                    match gone {
                        0b100 => 4,
                        0b110 => 2,
                        _ => 0,
                    },
                    "gone: {gone:b}"
                );
                goes_on(rig, true, &format!("gone: {gone:b}"));
            }
            Err(StorageError::Corrupt { what, .. }) => {
                assert!(hole && what.contains("missing"), "{gone:b}: {what}");
            }
            Err(other) => panic!("{gone:b}: {other}"),
        }
    }
}

#[test]
fn the_last_segment_that_is_left_may_be_cut_anywhere() {
    let before = several_segments();
    let (path, whole) = before.file("00000002.log");
    for cut in 0..=whole.len() {
        let (_, disk) = before.with(|file, bytes| {
            if file == path {
                bytes.as_mut().unwrap().truncate(cut);
            } else if file.ends_with("00000003.log") {
                *bytes = None;
            }
        });
        let rig = Rig::open_with(&disk, Path::new(DIR), before.options).unwrap();
        let forgot = rig.opened.forgot.clone().expect("the mark is in the third");
        assert_eq!(forgot.file, path);
        assert!(forgot.ended_at <= cut as u64 && forgot.bytes > 28, "{forgot:?}");
        let kept = rig.log().len();
        assert_eq!(rig.log(), entries()[..kept]);
        assert!((2..=4).contains(&kept));
        goes_on(rig, true, &format!("cut at {cut}"));
    }
}

/// What was received as a state, or cleaned up, cannot be brought back in part.
#[test]
fn what_is_missing_of_a_received_state_stops_the_node() {
    let before = Before::new(options(1 << 20), |rig| {
        let id = SnapshotId(1);
        rig.run(vec![
            Job::Core(DiskJob::InstallBegin { id }),
            Job::Core(DiskJob::InstallChunk { id, entries: vec![put(1, 2, "a", "b"), put(1, 7, "c", "d")] }),
            Job::Core(DiskJob::InstallCommit {
                id,
                log: LogId(1),
                at: at(1, 9),
                lineage: lineage(&[(1, 1)]),
                fork: Position::ZERO,
            }),
            append_to(1, vec![put(1, 10, "e", "f")]),
        ]);
        assert_eq!(rig.files(), ["00000001.log", "00000002.log"], "the state is a segment of its own");
    });
    let state = before.file("00000001.log").0;
    let later = before.file("00000002.log").0;
    let gone = |paths: &[&Path]| {
        let (_, disk) = before.with(|path, bytes| {
            if paths.contains(&path) {
                *bytes = None;
            }
        });
        Rig::open_with(&disk, Path::new(DIR), before.options)
    };
    let rig = gone(&[&later]).unwrap();
    assert_eq!((rig.store.last(), rig.opened.forgot.is_some()), (at(1, 9), true));
    assert_eq!(rig.last_segment(), later);
    goes_on(rig, true, "the state is whole");
    for paths in [&[&*state][..], &[&*state, &*later]] {
        assert!(matches!(gone(paths), Err(StorageError::Corrupt { .. })), "{paths:?}");
    }
    let (_, disk) = before.with(|path, bytes| {
        if path == later {
            *bytes = None;
        } else if path == state {
            bytes.as_mut().unwrap().pop();
        }
    });
    assert!(matches!(
        Rig::open_with(&disk, Path::new(DIR), before.options),
        Err(StorageError::Corrupt { .. })
    ));
}

/// The start itself dies at any of its operations: nothing is cut by anybody who is not a learner, durably.
#[test]
fn a_start_that_dies_anywhere_has_made_a_learner_or_leaves_what_the_next_one_finds() {
    let before = several_segments();
    let (path, whole) = before.file("00000003.log");
    let (torn_header, torn_record) = (&whole[..10], &whole[..whole.len() - 3]);
    for torn in [Some(torn_record), Some(torn_header), None] {
        for loss in [Loss::Nothing, Loss::Whole, Loss::Torn] {
            for operations in 0.. {
                let (memory, disk) = before.with(|file, bytes| {
                    if file == path {
                        *bytes = torn.map(<[u8]>::to_vec);
                    }
                });
                let length = |disk: &Arc<dyn Disk>| disk.open(&path).map_or(0, |file| file.size().unwrap());
                let was = torn.map_or(0, |torn| torn.len() as u64);
                memory.fail_power_after(operations);
                let opened = Rig::open_with(&disk, Path::new(DIR), before.options).map(drop);
                memory.crash(loss);
                let context =
                    format!("{:?} left, {loss:?}, after {operations} operations", torn.map(<[u8]>::len));
                let home = Home { disk: disk.clone(), dir: DIR.into() };
                let learner = Meta::load(&home).unwrap().unwrap().promise.learner;
                assert!(learner || length(&disk) == was, "{context}: cut by somebody who is no learner");
                let rig = Rig::open_with(&disk, Path::new(DIR), before.options)
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
                assert!(learner || rig.opened.forgot.is_some(), "{context}: nobody has found out");
                assert!(rig.opened.recovered.promise.learner, "{context}");
                assert_eq!(rig.log(), entries()[..4], "{context}");
                goes_on(rig, true, &context);
                if opened.is_ok() {
                    break;
                }
            }
        }
    }
}
