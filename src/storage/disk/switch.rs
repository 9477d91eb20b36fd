//! The conditions that a lab sets on a node's disk, in front of the disk that they seem to be of.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::contract::{Disk, DiskFile};
use super::layer::{Layer, Layered};
use crate::types::DiskCondition;

/// The system's number of an input/output error: the same on every system that has it.
const EIO: i32 = 5;

/// The condition of one disk, which all who hold a clone share. As it should be until somebody sets another.
#[derive(Clone, Debug, Default)]
pub struct DiskSwitch(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    condition: Mutex<DiskCondition>,
    changed: Condvar,
}

impl DiskSwitch {
    /// Sets the condition, also for what waits on a slow disk now.
    pub fn set(&self, condition: DiskCondition) {
        *self.lock() = condition;
        self.0.changed.notify_all();
    }

    /// The condition now.
    pub fn get(&self) -> DiskCondition {
        *self.lock()
    }

    /// Waits as long as the disk is slow, or until it is so no more.
    fn linger(&self) {
        let condition = self.lock();
        if let DiskCondition::Slow { by } = *condition {
            let same = |now: &mut DiskCondition| *now == DiskCondition::Slow { by };
            drop(self.0.changed.wait_timeout_while(condition, by, same));
        }
    }

    fn check_room(&self) -> io::Result<()> {
        match self.get() {
            DiskCondition::Full => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn check_sync(&self) -> io::Result<()> {
        match self.get() {
            DiskCondition::SyncFails => Err(io::Error::from_raw_os_error(EIO)),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, DiskCondition> {
        self.0.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `inner` in the condition that `switch` says:
///
/// * *full*: a write that makes its file longer, and a new name, fail with [`io::ErrorKind::StorageFull`] and leave
///   nothing;
/// * *slow*: each write and each sync takes so much longer;
/// * *sync fails*: each sync fails with EIO, and what was written beyond the file's length at its last good sync (or when
///   it was opened) is gone, as after a kernel that has dropped the pages. What was overwritten stays so.
pub fn with_conditions(inner: Arc<dyn Disk>, switch: DiskSwitch) -> Arc<dyn Disk> {
    Arc::new(Layered::new(switch, inner))
}

/// A file on a disk with conditions: its length when it was last durable.
#[derive(Debug)]
pub(super) struct Kept(AtomicU64);

impl Layer for DiskSwitch {
    type File = Kept;

    fn opened(&self, _path: &Path, below: &dyn DiskFile) -> io::Result<Kept> {
        Ok(Kept(AtomicU64::new(below.size()?)))
    }

    fn create(&self, path: &Path, below: &dyn Disk) -> io::Result<Arc<dyn DiskFile>> {
        // To empty a file needs no room.
        if self.check_room().is_err() && below.open(path).is_err() {
            self.check_room()?;
        }
        below.create(path)
    }

    fn create_dir(&self, path: &Path, below: &dyn Disk) -> io::Result<()> {
        self.check_room()?;
        below.create_dir(path)
    }

    fn sync_dir(&self, path: &Path, below: &dyn Disk) -> io::Result<()> {
        self.linger();
        self.check_sync()?;
        below.sync_dir(path)
    }

    fn write_at(&self, _file: &Kept, below: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.linger();
        if offset.saturating_add(bytes.len() as u64) > below.size()? {
            self.check_room()?;
        }
        below.write_at(bytes, offset)
    }

    fn sync(&self, Kept(len): &Kept, below: &dyn DiskFile) -> io::Result<()> {
        self.linger();
        if let Err(error) = self.check_sync() {
            let kept = len.load(Ordering::Relaxed);
            if below.size()? > kept {
                below.truncate(kept)?;
            }
            return Err(error);
        }
        let durable = below.size()?;
        below.sync()?;
        len.store(durable, Ordering::Relaxed);
        Ok(())
    }

    fn truncate(&self, Kept(kept): &Kept, below: &dyn DiskFile, len: u64) -> io::Result<()> {
        kept.fetch_min(len, Ordering::Relaxed);
        below.truncate(len)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::super::{MemoryDisk, real_disk};
    use super::*;

    /// On both disks: a directory on a disk with conditions, and their switch.
    fn each_disk(test: impl Fn(&Arc<dyn Disk>, &DiskSwitch, &Path)) {
        let place = tempfile::tempdir().unwrap();
        let memory: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        for (inner, dir) in [(memory, Path::new("/n1")), (real_disk(), &place.path().join("n1"))] {
            inner.create_dir(dir).unwrap();
            let switch = DiskSwitch::default();
            test(&with_conditions(inner, switch.clone()), &switch, dir);
        }
    }

    fn full<T>(outcome: io::Result<T>) -> bool {
        outcome.is_err_and(|error| error.kind() == io::ErrorKind::StorageFull)
    }

    #[test]
    fn a_full_disk_takes_nothing_more_until_it_is_full_no_longer() {
        each_disk(|disk, switch, dir| {
            let file = disk.create(&dir.join("a")).unwrap();
            file.write_at(b"abc", 0).unwrap();
            switch.set(DiskCondition::Full);
            assert!(full(file.write_at(b"cd", 2)));
            assert!(full(disk.create(&dir.join("b"))) && full(disk.create_dir(&dir.join("c"))));
            assert_eq!(file.size().unwrap(), 3, "nothing was written");
            file.write_at(b"A", 0).unwrap();
            file.sync().unwrap();
            disk.rename(&dir.join("a"), &dir.join("b")).unwrap();
            switch.set(DiskCondition::Ok);
            file.write_at(b"cd", 2).unwrap();
            assert_eq!(disk.list(dir).unwrap(), ["b"]);
        });
    }

    #[test]
    fn a_sync_that_fails_loses_what_was_written_since_the_last_good_one() {
        each_disk(|disk, switch, dir| {
            let file = disk.create(&dir.join("a")).unwrap();
            file.write_at(b"synced", 0).unwrap();
            file.sync().unwrap();
            file.write_at(b" and not", 6).unwrap();
            switch.set(DiskCondition::SyncFails);
            for _ in 0..2 {
                assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(EIO));
                assert_eq!(file.size().unwrap(), 6);
            }
            assert!(disk.sync_dir(dir).is_err());
            switch.set(DiskCondition::Ok);
            file.sync().unwrap();
            disk.sync_dir(dir).unwrap();
        });
    }

    #[test]
    fn whoever_waits_for_a_slow_disk_goes_on_when_it_is_slow_no_longer() {
        each_disk(|disk, switch, dir| {
            let file = disk.create(&dir.join("a")).unwrap();
            // Longer than any test runs: only the switch can end it.
            switch.set(DiskCondition::Slow { by: Duration::from_secs(3600) });
            let (done, over) = channel();
            #[expect(clippy::disallowed_methods, reason = "another thread")]
            let writer = thread::spawn(move || {
                file.write_at(b"abc", 0).unwrap();
                done.send(()).unwrap();
            });
            assert!(over.recv_timeout(Duration::from_millis(20)).is_err(), "it waits");
            switch.set(DiskCondition::Ok);
            over.recv_timeout(Duration::from_secs(20)).unwrap();
            writer.join().unwrap();
        });
    }
}
