//! A bound on the bytes of one directory: beyond it, the disk is full.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::contract::{Disk, DiskFile};
use super::layer::{Layer, Layered};

/// `inner`, on which the files of `dir` (and of the directories in it) may have `bytes_max` bytes in all. What would
/// need more fails with [`io::ErrorKind::StorageFull`], after as much as there was room for: as on a disk of that size.
///
/// Files are counted by their lengths, whoever made them. It counts from what it has seen itself, and measures anew
/// before it says that there is no room: so room that others make is found, and what others take is not until then.
pub fn with_quota(inner: Arc<dyn Disk>, dir: &Path, bytes_max: u64) -> Arc<dyn Disk> {
    let quota = Quota { inner: inner.clone(), dir: dir.to_owned(), bytes_max, used: Mutex::default() };
    Arc::new(Layered::new(quota, inner))
}

#[derive(Debug)]
struct Quota {
    /// To be measured.
    inner: Arc<dyn Disk>,
    dir: PathBuf,
    bytes_max: u64,
    /// At least what is used, as far as was seen; `None`: not measured yet.
    used: Mutex<Option<u64>>,
}

impl Quota {
    /// How many of `bytes` more there is room for. They count as used from now on.
    fn take_room(&self, bytes: u64) -> io::Result<u64> {
        if bytes == 0 {
            return Ok(0);
        }
        let mut used = self.lock();
        let fits = |used: u64| bytes.min(self.bytes_max.saturating_sub(used));
        let now = match *used {
            Some(seen) if fits(seen) == bytes => seen,
            _ => self.measure(&self.dir)?,
        };
        let granted = fits(now);
        *used = Some(now + granted);
        Ok(granted)
    }

    /// Something was removed or cut: what is used is measured when it matters.
    fn forget(&self) {
        *self.lock() = None;
    }

    /// The bytes of all files in `dir`. What vanishes meanwhile counts for nothing.
    fn measure(&self, dir: &Path) -> io::Result<u64> {
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let names = match self.inner.list(dir) {
            Err(error) if gone(&error) => return Ok(0),
            names => names?,
        };
        let mut bytes = 0;
        for name in names {
            let path = dir.join(name);
            bytes += match self.inner.open(&path).and_then(|file| file.size()) {
                Ok(size) => size,
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => self.measure(&path)?,
                Err(error) if gone(&error) => 0,
                Err(error) => return Err(error),
            };
        }
        Ok(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Option<u64>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layer for Quota {
    type File = ();

    fn opened(&self, _path: &Path, _below: &dyn DiskFile) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path, below: &dyn Disk) -> io::Result<Arc<dyn DiskFile>> {
        // It may empty a file that was there.
        self.forget();
        below.create(path)
    }

    fn rename(&self, from: &Path, to: &Path, below: &dyn Disk) -> io::Result<()> {
        self.forget();
        below.rename(from, to)
    }

    fn remove_file(&self, path: &Path, below: &dyn Disk) -> io::Result<()> {
        self.forget();
        below.remove_file(path)
    }

    fn write_at(&self, (): &(), below: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        let growth = (offset + bytes.len() as u64).saturating_sub(below.size()?);
        let lacking = growth - self.take_room(growth)?;
        if lacking == 0 {
            return below.write_at(bytes, offset);
        }
        let fits = bytes.len().saturating_sub(usize::try_from(lacking).unwrap_or(usize::MAX));
        below.write_at(&bytes[..fits], offset)?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn truncate(&self, (): &(), below: &dyn DiskFile, len: u64) -> io::Result<()> {
        self.forget();
        below.truncate(len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryDisk, real_disk};
    use super::*;

    /// On both disks: a directory with a quota, and the disk without it.
    fn each_disk(bytes_max: u64, test: impl Fn(&Arc<dyn Disk>, &Arc<dyn Disk>, &Path)) {
        let place = tempfile::tempdir().unwrap();
        let memory: Arc<dyn Disk> = Arc::new(MemoryDisk::new(0));
        for (inner, dir) in [(memory, Path::new("/n1")), (real_disk(), &place.path().join("n1"))] {
            inner.create_dir(dir).unwrap();
            test(&with_quota(inner.clone(), dir, bytes_max), &inner, dir);
        }
    }

    fn full(outcome: io::Result<()>) -> bool {
        outcome.is_err_and(|error| error.kind() == io::ErrorKind::StorageFull)
    }

    #[test]
    fn a_directory_grows_to_its_bound_and_not_beyond() {
        each_disk(100, |disk, _, dir| {
            disk.create_dir(&dir.join("log")).unwrap();
            let a = disk.create(&dir.join("a")).unwrap();
            let b = disk.create(&dir.join("log/b")).unwrap();
            a.write_at(&[1; 60], 0).unwrap();
            b.write_at(&[2; 30], 0).unwrap();
            a.write_at(&[3; 60], 0).unwrap();
            assert!(full(b.write_at(&[4; 11], 30)));
            assert_eq!(b.size().unwrap(), 40, "what there was room for was written");
            assert!(full(a.write_at(&[5; 1], 60)));
            b.truncate(39).unwrap();
            a.write_at(&[5; 1], 60).unwrap();
        });
    }

    #[test]
    fn room_that_others_make_is_found() {
        each_disk(100, |disk, inner, dir| {
            inner.create(&dir.join("ballast")).unwrap().write_at(&[0; 70], 0).unwrap();
            let a = disk.create(&dir.join("a")).unwrap();
            assert!(full(a.write_at(&[1; 50], 0)), "what was there before counts");
            assert_eq!(a.size().unwrap(), 30);
            assert!(full(a.write_at(&[1; 50], 0)));
            inner.remove_file(&dir.join("ballast")).unwrap();
            a.write_at(&[1; 50], 0).unwrap();
            assert!(full(a.write_at(&[1; 51], 50)));
            a.write_at(&[1; 50], 50).unwrap();
        });
    }

    #[test]
    fn it_measures_only_when_it_seems_full() {
        each_disk(1000, |disk, inner, dir| {
            let a = disk.create(&dir.join("a")).unwrap();
            a.write_at(&[1; 10], 0).unwrap();
            inner.create(&dir.join("unseen")).unwrap().write_at(&[0; 500], 0).unwrap();
            a.write_at(&[1; 600], 10).unwrap();
            assert!(full(a.write_at(&[1; 500], 610)), "found when it was measured");
        });
    }
}
