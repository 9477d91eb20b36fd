//! A disk in memory that forgets what was not synced, and fails when told to.
//!
//! For tests and for the simulator: everything that it does follows from the operations asked of it and from its
//! seed. What a crash leaves is at least as bad as what a journaling file system leaves, and often worse.

mod tree;

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use self::tree::{Change, DirRef, FileRef, TreeNode, crash_dir, lock};
use crate::storage::disk::contract::{Disk, DiskFile, Lock, LockOutcome};

/// What a crash does to that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: the process died, not the machine. What was not synced still is not.
    Nothing,
    /// All of it is lost.
    Whole,
    /// Any part of it survives, by the disk's seed: each directory keeps some of its changes in their order; each
    /// file keeps all, none, a part up to some byte, or some sectors and zeros in place of the others.
    Torn,
}

/// See the module. Clones share one disk.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    root: DirRef,
    rng: SmallRng,
    /// Counts crashes; handles from before one are dead.
    incarnation: u64,
    /// Counts what changes the disk: writes, syncs, names.
    operations: u64,
    /// The power goes during this operation.
    power_fails_at: Option<u64>,
    syncs: u64,
    /// This sync, and none after it, fails.
    sync_fails_at: Option<u64>,
    /// And drops what it should have written.
    failed_sync_drops: bool,
    /// How many bytes files may still grow.
    room: Option<u64>,
    locks: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    incarnation: u64,
    content: FileRef,
}

/// Releases on drop.
struct HeldLock {
    disk: MemoryDisk,
    incarnation: u64,
    path: PathBuf,
}

/// What becomes of an operation.
enum Fate {
    Done,
    /// It is the last one before the power goes: it may take effect, but nobody hears of it.
    Unheard,
}

impl MemoryDisk {
    /// An empty disk. The seed decides what crashes leave.
    pub fn new(seed: u64) -> Self {
        let inner = Inner {
            root: DirRef::default(),
            rng: SmallRng::seed_from_u64(seed),
            incarnation: 0,
            operations: 0,
            power_fails_at: None,
            syncs: 0,
            sync_fails_at: None,
            failed_sync_drops: false,
            room: None,
            locks: BTreeSet::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// The process dies, and maybe the machine with it: what was not synced is lost as `loss` says, every handle
    /// and lock is dead, and all failures asked for are forgotten.
    pub fn crash(&self, loss: Loss) {
        let mut inner = self.lock_inner();
        let inner = &mut *inner;
        inner.incarnation += 1;
        inner.power_fails_at = None;
        inner.sync_fails_at = None;
        inner.room = None;
        inner.locks.clear();
        if loss != Loss::Nothing {
            crash_dir(&inner.root, loss == Loss::Torn, &mut inner.rng);
        }
    }

    /// How many operations have changed the disk so far (writes, cuts, syncs, names; not reads).
    pub fn operations(&self) -> u64 {
        self.lock_inner().operations
    }

    /// The power goes during the operation after the next `n`: that one may take effect or not, it and every
    /// later one (reads too) fail, until [`crash`](Self::crash).
    pub fn fail_power_after(&self, n: u64) {
        let mut inner = self.lock_inner();
        inner.power_fails_at = Some(inner.operations + n);
    }

    /// The sync (of a file or a directory) after the next `n` fails, once. What it should have made durable is not; a
    /// later sync makes it so.
    pub fn fail_sync_after(&self, n: u64) {
        self.fail_sync(n, false);
    }

    /// As [`fail_sync_after`](Self::fail_sync_after), and what a file had not synced is dropped, as kernels do: it is read
    /// as it was written until the next [`crash`](Self::crash) that loses anything, and later syncs succeed, but only
    /// what is written again do they make durable. What was dropped at a file's end has then never been there; elsewhere
    /// what was durable before is, or zeros are. The names in a directory are not dropped.
    pub fn fail_sync_and_drop_after(&self, n: u64) {
        self.fail_sync(n, true);
    }

    fn fail_sync(&self, n: u64, drops: bool) {
        let mut inner = self.lock_inner();
        inner.sync_fails_at = Some(inner.syncs + n);
        inner.failed_sync_drops = drops;
    }

    /// Files may grow by `bytes` more in all; the write that needs more is cut short and fails. Without any room no
    /// file or directory can be created either. What is cut off gives its room back. `None`: no bound.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.lock_inner().room = bytes;
    }

    /// How many bytes of a file a loss of power is sure to leave.
    #[cfg(test)]
    pub(in crate::storage) fn durable_len(&self, path: &Path) -> usize {
        match self.lock_inner().find(path) {
            Ok(TreeNode::File(content)) => lock(&content).durable_len(),
            other => panic!("{} is no file: {other:?}", path.display()),
        }
    }

    fn lock_inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.lock_inner();
        let fate = inner.begin()?;
        let (dir, name) = inner.parent(path)?;
        let mut dir = lock(&dir);
        let content = match dir.names.get(&name) {
            Some(TreeNode::Dir(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(TreeNode::File(content)) => {
                let freed = lock(content).bytes.len();
                lock(content).truncate(0);
                inner.give_room(freed);
                content.clone()
            }
            None => {
                inner.has_room()?;
                let content = FileRef::default();
                dir.change(Change::Set(name, TreeNode::File(content.clone())));
                content
            }
        };
        fate.heard()?;
        Ok(Arc::new(MemoryFile { disk: self.clone(), incarnation: inner.incarnation, content }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inner = self.lock_inner();
        inner.alive()?;
        match inner.find(path)? {
            TreeNode::File(content) => {
                Ok(Arc::new(MemoryFile { disk: self.clone(), incarnation: inner.incarnation, content }))
            }
            TreeNode::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock_inner();
        let fate = inner.begin()?;
        let (dir, name) = inner.parent(path)?;
        let mut dir = lock(&dir);
        if dir.names.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        inner.has_room()?;
        dir.change(Change::Set(name, TreeNode::Dir(DirRef::default())));
        fate.heard()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let inner = self.lock_inner();
        inner.alive()?;
        let dir = inner.find_dir(path)?;
        let names = lock(&dir).names.keys().cloned().collect();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock_inner();
        let fate = inner.begin()?;
        let (dir, from_name) = inner.parent(from)?;
        let (to_dir, to_name) = inner.parent(to)?;
        if !Arc::ptr_eq(&dir, &to_dir) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let mut dir = lock(&dir);
        if !dir.names.contains_key(&from_name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        dir.change(Change::Rename(from_name, to_name));
        fate.heard()
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock_inner();
        let fate = inner.begin()?;
        let (dir, name) = inner.parent(path)?;
        let mut dir = lock(&dir);
        match dir.names.get(&name) {
            Some(TreeNode::File(_)) => dir.change(Change::Unset(name)),
            Some(TreeNode::Dir(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        fate.heard()
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock_inner();
        let fate = inner.begin()?;
        let victim = inner.find_dir(path)?;
        if !lock(&victim).names.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (dir, name) = inner.parent(path)?;
        lock(&dir).change(Change::Unset(name));
        fate.heard()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock_inner();
        let fate = inner.begin()?;
        let dir = inner.find_dir(path)?;
        if inner.sync_takes_effect(&fate)? {
            lock(&dir).sync();
        }
        fate.heard()
    }

    fn lock(&self, path: &Path) -> io::Result<LockOutcome> {
        let mut inner = self.lock_inner();
        inner.alive()?;
        let (dir, _) = inner.parent(path)?;
        drop(dir);
        if !inner.locks.insert(path.to_owned()) {
            return Ok(LockOutcome::Held(None));
        }
        let held = HeldLock { disk: self.clone(), incarnation: inner.incarnation, path: path.to_owned() };
        Ok(LockOutcome::Taken(Lock::new(held)))
    }
}

impl MemoryFile {
    /// Begins an operation that changes the file.
    fn begin(&self) -> io::Result<(MutexGuard<'_, Inner>, Fate)> {
        let mut inner = self.disk.lock_inner();
        inner.alive_since(self.incarnation)?;
        let fate = inner.begin()?;
        Ok((inner, fate))
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let inner = self.disk.lock_inner();
        inner.alive_since(self.incarnation)?;
        let content = lock(&self.content);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.bytes.len());
        let read = buffer.len().min(content.bytes.len() - start);
        buffer[..read].copy_from_slice(&content.bytes[start..start + read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut inner, fate) = self.begin()?;
        let mut content = lock(&self.content);
        let offset = usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let growth = (offset + bytes.len()).saturating_sub(content.bytes.len());
        let lacking = inner.take_room(growth as u64);
        content.write(&bytes[..bytes.len().saturating_sub(lacking)], offset);
        if lacking > 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        fate.heard()
    }

    fn sync(&self) -> io::Result<()> {
        let (mut inner, fate) = self.begin()?;
        match inner.sync_takes_effect(&fate) {
            Ok(true) => lock(&self.content).sync(),
            Ok(false) => {}
            Err(error) => {
                if inner.failed_sync_drops {
                    lock(&self.content).fail_sync_and_drop();
                }
                return Err(error);
            }
        }
        fate.heard()
    }

    fn size(&self) -> io::Result<u64> {
        let inner = self.disk.lock_inner();
        inner.alive_since(self.incarnation)?;
        Ok(lock(&self.content).bytes.len() as u64)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let (mut inner, fate) = self.begin()?;
        let mut content = lock(&self.content);
        let before = content.bytes.len();
        content.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        inner.give_room(before.saturating_sub(content.bytes.len()));
        fate.heard()
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        let mut inner = self.disk.lock_inner();
        if inner.incarnation == self.incarnation {
            inner.locks.remove(&self.path);
        }
    }
}

impl Fate {
    fn heard(self) -> io::Result<()> {
        match self {
            Self::Done => Ok(()),
            Self::Unheard => Err(power_failure()),
        }
    }
}

impl Inner {
    /// Counts an operation that changes the disk.
    fn begin(&mut self) -> io::Result<Fate> {
        self.alive()?;
        self.operations += 1;
        Ok(if self.power_is_gone() { Fate::Unheard } else { Fate::Done })
    }

    fn power_is_gone(&self) -> bool {
        self.power_fails_at.is_some_and(|at| self.operations > at)
    }

    fn alive(&self) -> io::Result<()> {
        if self.power_is_gone() { Err(power_failure()) } else { Ok(()) }
    }

    fn alive_since(&self, incarnation: u64) -> io::Result<()> {
        if self.incarnation == incarnation {
            self.alive()
        } else {
            Err(io::Error::other("opened before the crash"))
        }
    }

    fn sync_takes_effect(&mut self, fate: &Fate) -> io::Result<bool> {
        let failing = self.sync_fails_at == Some(self.syncs);
        self.syncs += 1;
        if failing {
            return Err(io::Error::other("sync failed, as asked"));
        }
        Ok(match fate {
            Fate::Done => true,
            Fate::Unheard => self.rng.random_bool(0.5),
        })
    }

    /// Takes room for `bytes` more; returns how many of them there is none for.
    fn take_room(&mut self, bytes: u64) -> usize {
        let Some(room) = &mut self.room else { return 0 };
        let taken = bytes.min(*room);
        *room -= taken;
        usize::try_from(bytes - taken).unwrap_or(usize::MAX)
    }

    fn give_room(&mut self, bytes: usize) {
        if let Some(room) = &mut self.room {
            *room += bytes as u64;
        }
    }

    /// A new name needs some room too.
    fn has_room(&self) -> io::Result<()> {
        if self.room == Some(0) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn find(&self, path: &Path) -> io::Result<TreeNode> {
        let mut node = TreeNode::Dir(self.root.clone());
        for name in names_of(path)? {
            let TreeNode::Dir(dir) = node else { return Err(io::ErrorKind::NotADirectory.into()) };
            let next = lock(&dir).names.get(&name).cloned();
            node = next.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        }
        Ok(node)
    }

    fn find_dir(&self, path: &Path) -> io::Result<DirRef> {
        match self.find(path)? {
            TreeNode::Dir(dir) => Ok(dir),
            TreeNode::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// The directory that holds `path`, and its name there.
    fn parent(&self, path: &Path) -> io::Result<(DirRef, String)> {
        let mut names = names_of(path)?;
        let name = names.pop().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok((self.find_dir(&names.iter().collect::<PathBuf>())?, name))
    }
}

fn names_of(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => {
                names.push(
                    name.to_str().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?.to_owned(),
                );
            }
            Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(names)
}

fn power_failure() -> io::Error {
    io::Error::other("power failure, as asked")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(disk: &MemoryDisk, path: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
        let file = disk.create(Path::new(path)).unwrap();
        file.write_at(bytes, 0).unwrap();
        file
    }

    fn read(disk: &MemoryDisk, path: &str) -> io::Result<Vec<u8>> {
        let file = disk.open(Path::new(path))?;
        let mut bytes = vec![0; usize::try_from(file.size()?).unwrap()];
        file.read_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    #[test]
    fn a_crash_loses_what_was_not_synced() {
        let disk = MemoryDisk::new(1);
        let file = write(&disk, "/a", b"synced");
        file.sync().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_at(b" and not", 6).unwrap();
        write(&disk, "/b", b"nameless").sync().unwrap();
        disk.rename(Path::new("/a"), Path::new("/c")).unwrap();
        assert_eq!(read(&disk, "/c").unwrap(), b"synced and not");

        disk.crash(Loss::Whole);
        assert_eq!(disk.list(Path::new("/")).unwrap(), ["a"]);
        assert_eq!(read(&disk, "/a").unwrap(), b"synced");
        assert!(file.size().is_err(), "handles do not outlive a crash");
    }

    #[test]
    fn a_crash_undoes_overwrites_and_cuts() {
        let disk = MemoryDisk::new(1);
        let file = write(&disk, "/a", b"first");
        file.sync().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.truncate(2).unwrap();
        file.write_at(b"XX", 0).unwrap();
        disk.crash(Loss::Whole);
        assert_eq!(read(&disk, "/a").unwrap(), b"first");
    }

    #[test]
    fn a_torn_crash_keeps_what_was_synced_and_varies_with_the_seed() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..64 {
            let disk = MemoryDisk::new(seed);
            let file = write(&disk, "/a", &[1; 700]);
            file.sync().unwrap();
            disk.sync_dir(Path::new("/")).unwrap();
            file.write_at(&[2; 900], 700).unwrap();
            disk.crash(Loss::Torn);
            let bytes = read(&disk, "/a").unwrap();
            assert_eq!(bytes[..700], [1; 700]);
            assert!(bytes[700..].iter().all(|&b| b == 2 || b == 0));
            outcomes.insert(bytes);
        }
        assert!(outcomes.len() > 20, "{} outcomes", outcomes.len());
        let holes = outcomes.iter().filter(|bytes| bytes[700..].windows(2).any(|w| w == [0, 2]));
        assert!(holes.count() > 0, "later sectors may survive earlier ones");
    }

    #[test]
    fn power_failure_ends_everything_until_the_crash() {
        let disk = MemoryDisk::new(1);
        let file = write(&disk, "/a", b"x");
        disk.fail_power_after(1);
        file.write_at(b"y", 1).unwrap();
        assert!(file.sync().is_err());
        assert!(read(&disk, "/a").is_err());
        disk.crash(Loss::Whole);
        assert!(disk.list(Path::new("/")).unwrap().is_empty());
    }

    #[test]
    fn a_full_disk_cuts_the_write_short() {
        let disk = MemoryDisk::new(1);
        let file = write(&disk, "/a", b"ab");
        disk.set_room(Some(3));
        let error = file.write_at(b"bcdefg", 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(read(&disk, "/a").unwrap(), b"abcde");
        disk.set_room(None);
        file.write_at(b"fg", 5).unwrap();
    }

    #[test]
    fn a_sync_fails_once_and_keeps_nothing() {
        let disk = MemoryDisk::new(1);
        let file = write(&disk, "/a", b"x");
        disk.sync_dir(Path::new("/")).unwrap();
        disk.fail_sync_after(0);
        assert!(file.sync().is_err());
        disk.crash(Loss::Whole);
        assert_eq!(read(&disk, "/a").unwrap(), b"");
    }

    #[test]
    fn a_failed_sync_drops_what_only_a_second_write_brings_back() {
        let disk = MemoryDisk::new(1);
        let file = write(&disk, "/a", b"durable");
        file.sync().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_at(b"D", 0).unwrap();
        file.write_at(b", lost, lost too", 7).unwrap();
        disk.fail_sync_and_drop_after(0);
        assert!(file.sync().is_err());
        file.sync().unwrap();
        assert_eq!(read(&disk, "/a").unwrap(), b"Durable, lost, lost too", "memory still has it");
        file.write_at(b", kept", 7).unwrap();
        file.sync().unwrap();
        disk.crash(Loss::Nothing);
        disk.crash(Loss::Torn);
        assert_eq!(read(&disk, "/a").unwrap(), b"durable, kept", "what was written again, and no more");
    }

    #[test]
    fn what_a_failed_sync_dropped_before_later_writes_is_zeros() {
        let disk = MemoryDisk::new(1);
        let file = write(&disk, "/a", b"ab");
        disk.sync_dir(Path::new("/")).unwrap();
        disk.fail_sync_and_drop_after(0);
        assert!(file.sync().is_err());
        file.write_at(b"cd", 2).unwrap();
        file.sync().unwrap();
        file.write_at(b"e", 4).unwrap();
        disk.crash(Loss::Whole);
        assert_eq!(read(&disk, "/a").unwrap(), [0, 0, b'c', b'd']);
    }

    #[test]
    fn locks_exclude_and_end() {
        let disk = MemoryDisk::new(1);
        let path = Path::new("/lock");
        let LockOutcome::Taken(lock) = disk.lock(path).unwrap() else { panic!("free") };
        assert!(matches!(disk.lock(path).unwrap(), LockOutcome::Held(None)));
        drop(lock);
        let LockOutcome::Taken(_old) = disk.lock(path).unwrap() else { panic!("free again") };
        disk.crash(Loss::Whole);
        let LockOutcome::Taken(_new) = disk.lock(path).unwrap() else { panic!("free after a crash") };
        drop(_old);
        assert!(matches!(disk.lock(path).unwrap(), LockOutcome::Held(None)));
    }
}
