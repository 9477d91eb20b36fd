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

use super::contract::{Disk, DiskFile};
use super::layer::{Layer, Layered};

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
struct Patient(Arc<RoomPatience>);

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

/// `inner`, for users with `patience`.
pub(crate) fn with_patience(inner: Arc<dyn Disk>, patience: Arc<RoomPatience>) -> Arc<dyn Disk> {
    Arc::new(Layered::new(Patient(patience), inner))
}

/// Cuts off what a write that found no room has left, and syncs what was there before: it may be long until the next
/// sync, and nothing that counts already may be at risk for so long.
fn tidy(file: &dyn DiskFile, bytes: u64) -> io::Result<()> {
    if file.size()? > bytes {
        file.truncate(bytes)?;
    }
    // Not to be taken for a lack of room, even if that is its reason.
    file.sync().map_err(|error| io::Error::other(format!("sync before waiting for room: {error}")))
}

impl Layer for Patient {
    /// Its path, to tell where there is no room.
    type File = PathBuf;

    fn opened(&self, path: &Path, _below: &dyn DiskFile) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    fn create(&self, path: &Path, below: &dyn Disk) -> io::Result<Arc<dyn DiskFile>> {
        self.0.try_until_room(path, || below.create(path))
    }

    fn create_dir(&self, path: &Path, below: &dyn Disk) -> io::Result<()> {
        self.0.try_until_room(path, || below.create_dir(path))
    }

    fn rename(&self, from: &Path, to: &Path, below: &dyn Disk) -> io::Result<()> {
        self.0.try_until_room(to, || below.rename(from, to))
    }

    fn write_at(&self, path: &PathBuf, below: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.0.waiter().is_none() {
            return below.write_at(bytes, offset);
        }
        let before = below.size()?;
        self.0.try_until_room(path, || match below.write_at(bytes, offset) {
            Err(error) if is_full(&error) => {
                tidy(below, before)?;
                Err(error)
            }
            other => other,
        })
    }

    fn truncate(&self, path: &PathBuf, below: &dyn DiskFile, len: u64) -> io::Result<()> {
        self.0.try_until_room(path, || below.truncate(len))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::MemoryDisk;
    use super::*;

    fn disk() -> (MemoryDisk, Arc<dyn Disk>, Arc<RoomPatience>) {
        let memory = MemoryDisk::new(0);
        let patience = Arc::new(RoomPatience::default());
        (memory.clone(), with_patience(Arc::new(memory), patience.clone()), patience)
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
