//! What stands in front of another disk: says only what it does differently, and all else is passed on.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::contract::{Disk, DiskFile, LockOutcome};

/// The difference that a layer makes. Every default passes the call on to what is below.
pub(super) trait Layer: fmt::Debug + Send + Sync + 'static {
    /// What the layer keeps for each open file.
    type File: fmt::Debug + Send + Sync;

    /// A file of this path has just been opened or created below.
    fn opened(&self, path: &Path, below: &dyn DiskFile) -> io::Result<Self::File>;

    fn create(&self, path: &Path, below: &dyn Disk) -> io::Result<Arc<dyn DiskFile>> {
        below.create(path)
    }

    fn create_dir(&self, path: &Path, below: &dyn Disk) -> io::Result<()> {
        below.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path, below: &dyn Disk) -> io::Result<()> {
        below.rename(from, to)
    }

    fn remove_file(&self, path: &Path, below: &dyn Disk) -> io::Result<()> {
        below.remove_file(path)
    }

    fn sync_dir(&self, path: &Path, below: &dyn Disk) -> io::Result<()> {
        below.sync_dir(path)
    }

    fn write_at(&self, file: &Self::File, below: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        let _ = file;
        below.write_at(bytes, offset)
    }

    fn sync(&self, file: &Self::File, below: &dyn DiskFile) -> io::Result<()> {
        let _ = file;
        below.sync()
    }

    fn truncate(&self, file: &Self::File, below: &dyn DiskFile, len: u64) -> io::Result<()> {
        let _ = file;
        below.truncate(len)
    }
}

/// A disk with a layer in front of it.
#[derive(Debug)]
pub(super) struct Layered<L> {
    layer: Arc<L>,
    below: Arc<dyn Disk>,
}

#[derive(Debug)]
struct LayeredFile<L: Layer> {
    layer: Arc<L>,
    file: L::File,
    below: Arc<dyn DiskFile>,
}

impl<L: Layer> Layered<L> {
    pub(super) fn new(layer: L, below: Arc<dyn Disk>) -> Self {
        Self { layer: Arc::new(layer), below }
    }

    fn opened(&self, path: &Path, below: Arc<dyn DiskFile>) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.layer.opened(path, below.as_ref())?;
        Ok(Arc::new(LayeredFile { layer: Arc::clone(&self.layer), file, below }))
    }
}

impl<L: Layer> Disk for Layered<L> {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.opened(path, self.layer.create(path, self.below.as_ref())?)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.opened(path, self.below.open(path)?)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.layer.create_dir(path, self.below.as_ref())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.below.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.layer.rename(from, to, self.below.as_ref())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.layer.remove_file(path, self.below.as_ref())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.below.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.layer.sync_dir(path, self.below.as_ref())
    }

    fn lock(&self, path: &Path) -> io::Result<LockOutcome> {
        self.below.lock(path)
    }
}

impl<L: Layer> DiskFile for LayeredFile<L> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.below.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.layer.write_at(&self.file, self.below.as_ref(), bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.layer.sync(&self.file, self.below.as_ref())
    }

    fn size(&self) -> io::Result<u64> {
        self.below.size()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.layer.truncate(&self.file, self.below.as_ref(), len)
    }
}
