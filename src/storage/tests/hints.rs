//! Hints: a start that does not read values, and hints that do not count.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;

use super::*;

/// A disk that counts the bytes read of each file.
#[derive(Clone, Debug)]
struct Counting {
    disk: Arc<dyn Disk>,
    read: Arc<Mutex<BTreeMap<PathBuf, u64>>>,
}

#[derive(Debug)]
struct CountingFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    read: Arc<Mutex<BTreeMap<PathBuf, u64>>>,
}

impl Counting {
    fn new(disk: &Arc<dyn Disk>) -> Self {
        Self { disk: disk.clone(), read: Arc::default() }
    }

    /// Bytes read of files whose names end so.
    fn read_of(&self, end: &str) -> u64 {
        let read = self.read.lock().unwrap();
        read.iter().filter(|(path, _)| path.to_str().unwrap().ends_with(end)).map(|(_, bytes)| bytes).sum()
    }

    fn count(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(CountingFile { file, path: path.to_owned(), read: self.read.clone() })
    }
}

impl Disk for Counting {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.count(path, self.disk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.count(path, self.disk.open(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<LockOutcome> {
        self.disk.lock(path)
    }
}

impl DiskFile for CountingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        *self.read.lock().unwrap().entry(self.path.clone()).or_default() += read as u64;
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}

fn options() -> Options {
    Options { segment_bytes: 400, ..Options::new(NODE) }
}

/// Four closed segments and one that is written to, with everything in them that a log has.
fn entries() -> Vec<Entry> {
    let mut entries = vec![noop(1, 1)];
    for seq in 2..=20 {
        let key = format!("key {}", seq % 7);
        entries.push(match seq {
            9 => noop(2, seq),
            5 | 16 => del(if seq > 9 { 2 } else { 1 }, seq, &key),
            _ => put(if seq > 9 { 2 } else { 1 }, seq, &key, &"value ".repeat(15)),
        });
    }
    entries
}

fn filled(disk: &Arc<dyn Disk>, dir: &Path) -> Rig {
    let mut rig = Rig::open_with(disk, dir, options()).unwrap();
    for entry in entries() {
        rig.run(vec![append(vec![entry])]);
    }
    rig
}

/// Everything that lookups and the recovered state tell.
fn look(rig: &Rig) -> (Vec<Found>, Vec<Entry>, Position, Lineage, u64, Usage) {
    let found = (0..8).map(|n| rig.get(&format!("key {n}"))).collect();
    let recovered = rig.opened.recovered.clone();
    (found, rig.log(), recovered.last, recovered.lineage, rig.store.keys(), rig.store.usage())
}

fn hint_paths(rig: &Rig) -> Vec<PathBuf> {
    let dir = rig.last_segment().parent().unwrap().to_owned();
    rig.files().iter().filter(|file| file.ends_with(".hint")).map(|file| dir.join(file)).collect()
}

#[test]
fn a_start_with_hints_reads_no_values() {
    each_disk(|disk, dir| {
        let mut rig = filled(disk, dir);
        let closed = rig.store.usage().segments - 1;
        assert!(closed >= 4, "{closed}");
        let mut rig = {
            let rig = {
                rig.write_hints();
                rig
            }
            .reopen();
            assert_eq!((rig.opened.hints_missing, rig.opened.hints_bad.len()), (0, 0));
            rig
        };
        assert_eq!(rig.write_hints(), 0, "they are there already");
        let expected = look(&rig);
        let last = rig.last_segment();
        drop(rig);

        let counting = Counting::new(disk);
        let shared: Arc<dyn Disk> = Arc::new(counting.clone());
        let rig = Rig::open_with(&shared, dir, options()).unwrap();
        let last_bytes = counting.read_of(last.file_name().unwrap().to_str().unwrap());
        assert_eq!(counting.read_of(".log"), last_bytes, "of closed segments, not a byte");
        assert!(counting.read_of(".hint") > 0);
        assert_eq!(look(&rig), expected);
    });
}

#[test]
fn hints_tell_the_same_as_the_segments() {
    each_disk(|disk, dir| {
        let mut rig = filled(disk, dir).reopen();
        let closed = usize::try_from(rig.store.usage().segments - 1).unwrap();
        assert_eq!(rig.opened.hints_missing, closed);
        let from_segments = look(&rig);
        assert_eq!(from_segments.1, entries());
        assert_eq!(rig.write_hints(), closed);
        let rig = rig.reopen();
        assert_eq!(rig.opened.hints_missing, 0);
        assert_eq!(look(&rig), from_segments);
    });
}

#[test]
fn a_damaged_hint_is_named_not_believed_and_written_again() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let dir = Path::new("/d");
    let mut rig = filled(&disk, dir);
    rig.write_hints();
    let expected = look(&rig.reopen());
    let mut rig = Rig::open_with(&disk, dir, options()).unwrap();
    let paths = hint_paths(&rig);
    let path = &paths[1];
    let whole = read_file(&disk, path);
    let flips = (0..whole.len()).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    });
    let cuts = (0..whole.len()).map(|len| whole[..len].to_vec());
    let longer = [[&whole[..], &[0]].concat(), vec![7; 4000], read_file(&disk, &paths[0])];
    for bytes in flips.chain(cuts).chain(longer) {
        drop(rig);
        write_file(&disk, path, &bytes);
        rig = Rig::open_with(&disk, dir, options()).unwrap();
        assert_eq!(look(&rig), expected);
        let [(named, why)] = &rig.opened.hints_bad[..] else { panic!("{:?}", rig.opened.hints_bad) };
        assert!(named == path && !why.is_empty());
        assert_eq!(rig.write_hints(), 1, "it is written again");
        assert_eq!(read_file(&disk, path), whole);
    }
}

#[test]
fn a_hint_for_a_segment_of_another_length_does_not_count() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
    let dir = Path::new("/d");
    let mut rig = filled(&disk, dir);
    rig.write_hints();
    let paths = hint_paths(&rig);
    let log = paths[2].with_extension("log");
    let mut bytes = read_file(&disk, &log);
    drop(rig);
    // A closed segment that has lost its last record is damaged, whatever its hint remembers.
    bytes.truncate(bytes.len() - 40);
    write_file(&disk, &log, &bytes);
    let error = open(disk.clone(), dir, options()).unwrap_err();
    assert!(matches!(&error, StorageError::Corrupt { file, .. } if *file == log), "{error}");
}

#[test]
fn the_segment_that_is_written_to_has_no_hint_and_a_torn_tail_is_still_found() {
    each_disk(|disk, dir| {
        let mut rig = filled(disk, dir);
        rig.write_hints();
        let last = rig.last_segment();
        assert!(!hint_paths(&rig).contains(&last.with_extension("hint")));
        let mut bytes = read_file(disk, &last);
        bytes.truncate(bytes.len() - 3);
        drop(rig);
        write_file(disk, &last, &bytes);
        let rig = Rig::open_with(disk, dir, options()).unwrap();
        assert_eq!(rig.log(), entries()[..19]);
        assert_eq!(rig.opened.forgot.as_ref().map(|forgot| &forgot.file), Some(&last));
        assert_eq!(rig.opened.hints_missing, 0);
    });
}

#[test]
fn a_crash_while_a_hint_is_written_leaves_none_or_all_of_it() {
    for loss in [Loss::Nothing, Loss::Whole, Loss::Torn] {
        for operations in 0.. {
            let memory = MemoryDisk::new(operations);
            let disk: Arc<dyn Disk> = Arc::new(memory.clone());
            let dir = Path::new("/d");
            let mut rig = filled(&disk, dir);
            memory.fail_power_after(operations);
            let tasks = rig.store.take_hint_tasks();
            let cut_off = tasks.iter().any(|task| task.run(&|| true).is_err());
            memory.crash(loss);
            drop((rig, tasks));
            let mut rig = Rig::open_with(&disk, dir, options()).unwrap();
            assert_eq!(rig.log(), entries());
            assert_eq!(rig.opened.hints_bad, []);
            assert!(!rig.files().iter().any(|file| file.ends_with(".part")));
            rig.write_hints();
            assert_eq!(rig.reopen().opened.hints_missing, 0);
            if !cut_off {
                assert!(operations > 12, "{operations} operations");
                break;
            }
        }
    }
}

#[test]
fn a_hint_for_which_there_is_no_room_is_given_up_without_a_trace() {
    let memory = MemoryDisk::new(0);
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let mut rig = filled(&disk, Path::new("/d"));
    let files = rig.files();
    memory.set_room(Some(50));
    let task = rig.store.take_hint_tasks().remove(0);
    assert!(matches!(task.run(&|| true), Err(gate::Halt::Full(_))));
    assert_eq!(rig.files(), files);
    // And told to stop.
    memory.set_room(None);
    assert!(matches!(task.run(&|| false), Err(gate::Halt::Stopped)));
    assert_eq!(rig.files(), files);
}
