//! A disk that waits for room: for the one thread that would rather wait than fail.
//!
//! What finds no room is tried again, as often as it takes, with pauses from [`PAUSE_MIN`] to [`PAUSE_MAX`]. Every
//! operation here can be repeated: a write names its place, and what a failed one has left of itself is cut off
//! before the pause. A *sync* that fails is never repeated, whatever the reason: the system may have dropped what
//! it could not write, and a second try that succeeds would prove nothing about the first.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::contract::{Disk, DiskFile, LockOutcome};

/// The first pause.
pub(crate) const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause; each is twice the one before.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Who waits for room, if anybody does. Until [`wait_here`](Self::wait_here) nobody does, and a full disk is an error
/// like any other; it remains one for every other thread.
#[derive(Default)]
pub(crate) struct RoomPatience {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    waiter: Option<Waiter>,
    /// Nobody waits any more.
    over: bool,
}

#[derive(Clone)]
struct Waiter {
    thread: ThreadId,
    tell: Arc<dyn Fn(Room<'_>) + Send + Sync>,
}

/// What a thread that waits for room tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Room<'a> {
    /// There is none for this path. It waits now.
    None(&'a Path),
    /// There was again, and it goes on.
    Again,
}

/// A disk whose users have patience.
#[derive(Debug)]
pub(crate) struct PatientDisk {
    inner: Arc<dyn Disk>,
    patience: Arc<RoomPatience>,
}

#[derive(Debug)]
struct PatientFile {
    inner: Arc<dyn DiskFile>,
    path: PathBuf,
    patience: Arc<RoomPatience>,
}

impl RoomPatience {
    /// From now on the calling thread waits where there is no room, and tells when that begins and ends.
    pub(crate) fn wait_here(&self, tell: impl Fn(Room<'_>) + Send + Sync + 'static) {
        self.lock().waiter = Some(Waiter { thread: thread::current().id(), tell: Arc::new(tell) });
    }

    /// Does something without waiting for room: for work that is better left undone than waited for, because it is
    /// what makes room.
    pub(crate) fn at_once<T>(&self, work: impl FnOnce() -> T) -> T {
        let waiter = self.lock().waiter.take();
        let done = work();
        let mut state = self.lock();
        if !state.over {
            state.waiter = waiter;
        }
        done
    }

    /// Ends all waiting, now and later: what finds no room fails.
    pub(crate) fn give_up(&self) {
        let mut state = self.lock();
        state.over = true;
        state.waiter = None;
        drop(state);
        self.ended.notify_all();
    }

    /// The calling thread's waiter, if it is the one that waits.
    fn waiter(&self) -> Option<Waiter> {
        let state = self.lock();
        let waits = |waiter: &&Waiter| !state.over && waiter.thread == thread::current().id();
        state.waiter.as_ref().filter(waits).cloned()
    }

    /// Tries until there is room, or nobody waits any more.
    fn try_until_room<T>(&self, path: &Path, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let mut error = match attempt() {
            Err(error) if is_full(&error) => error,
            other => return other,
        };
        let Some(waiter) = self.waiter() else { return Err(error) };
        (waiter.tell)(Room::None(path));
        let mut pause = PAUSE_MIN;
        while self.pause(pause) {
            pause = (pause * 2).min(PAUSE_MAX);
            error = match attempt() {
                Err(error) if is_full(&error) => error,
                Err(error) => return Err(error),
                Ok(done) => {
                    (waiter.tell)(Room::Again);
                    return Ok(done);
                }
            };
        }
        Err(error)
    }

    /// Waits. `false`: nobody waits any more.
    fn pause(&self, pause: Duration) -> bool {
        let state = self.lock();
        let waited = self.ended.wait_timeout_while(state, pause, |state| !state.over);
        !waited.unwrap_or_else(PoisonError::into_inner).0.over
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for RoomPatience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RoomPatience")
    }
}

/// Whether there is no room, on the disk or in a quota.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl PatientDisk {
    /// `inner`, for users with `patience`.
    pub(crate) fn new(inner: Arc<dyn Disk>, patience: Arc<RoomPatience>) -> Self {
        Self { inner, patience }
    }

    fn file(&self, path: &Path, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(PatientFile { inner, path: path.to_owned(), patience: self.patience.clone() })
    }
}

impl Disk for PatientDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.patience.try_until_room(path, || self.inner.create(path))?;
        Ok(self.file(path, file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path, self.inner.open(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.patience.try_until_room(path, || self.inner.create_dir(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.inner.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.patience.try_until_room(to, || self.inner.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<LockOutcome> {
        self.inner.lock(path)
    }
}

impl PatientFile {
    /// Cuts off what a write that found no room has left, and syncs what was there before: it may be long until the
    /// next sync, and nothing that counts already may be at risk for so long.
    fn tidy(&self, bytes: u64) -> io::Result<()> {
        if self.inner.size()? > bytes {
            self.inner.truncate(bytes)?;
        }
        // Not to be taken for a lack of room, even if that is its reason.
        self.inner.sync().map_err(|error| io::Error::other(format!("sync before waiting for room: {error}")))
    }
}

impl DiskFile for PatientFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.patience.waiter().is_none() {
            return self.inner.write_at(bytes, offset);
        }
        let before = self.inner.size()?;
        self.patience.try_until_room(&self.path, || match self.inner.write_at(bytes, offset) {
            Err(error) if is_full(&error) => {
                self.tidy(before)?;
                Err(error)
            }
            other => other,
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.patience.try_until_room(&self.path, || self.inner.truncate(len))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::MemoryDisk;
    use super::*;

    fn disk() -> (MemoryDisk, PatientDisk, Arc<RoomPatience>) {
        let memory = MemoryDisk::new(0);
        let patience = Arc::new(RoomPatience::default());
        (memory.clone(), PatientDisk::new(Arc::new(memory), patience.clone()), patience)
    }

    fn full(outcome: io::Result<()>) -> bool {
        outcome.is_err_and(|error| is_full(&error))
    }

    #[test]
    fn it_waits_on_one_thread_and_fails_on_every_other() {
        let (memory, disk, patience) = disk();
        let file = disk.create(Path::new("/a")).unwrap();
        memory.set_room(Some(3));
        assert!(full(file.write_at(b"1234", 0)), "nobody waits yet");
        assert_eq!(file.size().unwrap(), 3, "as the disk leaves it");
        memory.set_room(Some(0));
        let (shortages, again) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (seen, over, disk_again) = (shortages.clone(), again.clone(), memory.clone());
        patience.wait_here(move |room| match room {
            Room::None(path) => {
                assert_eq!(path, Path::new("/a"));
                seen.fetch_add(1, Ordering::Relaxed);
                disk_again.set_room(Some(1));
            }
            Room::Again => drop(over.fetch_add(1, Ordering::Relaxed)),
        });
        let elsewhere = file.clone();
        #[expect(clippy::disallowed_methods, reason = "another thread")]
        let other = thread::spawn(move || full(elsewhere.write_at(b"1234", 0)));
        assert!(other.join().unwrap(), "another thread is told at once");
        assert!(full(patience.at_once(|| file.write_at(b"1234", 0))), "and so is work that must not wait");
        file.write_at(b"1234", 0).unwrap();
        assert_eq!((shortages.load(Ordering::Relaxed), again.load(Ordering::Relaxed)), (1, 1));
        assert_eq!(memory.durable_len(Path::new("/a")), 3, "what was there before was synced for the wait");
    }

    #[test]
    fn names_are_waited_for_too() {
        let (memory, disk, patience) = disk();
        memory.set_room(Some(0));
        let room = memory.clone();
        patience.wait_here(move |news| room.set_room(matches!(news, Room::None(_)).then_some(9)));
        disk.create_dir(Path::new("/d")).unwrap();
        memory.set_room(Some(0));
        disk.create(Path::new("/d/a")).unwrap();
        memory.set_room(Some(0));
        patience.give_up();
        assert!(full(disk.create_dir(Path::new("/e"))), "nobody waits any more");
        assert!(full(disk.create(Path::new("/d/b")).map(drop)));
    }
}
