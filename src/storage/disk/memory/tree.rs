//! The files and directories of a [`MemoryDisk`](super::MemoryDisk): each as it is, and as much of it as is durable.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::Rng;
use rand::rngs::SmallRng;

/// The unit in which a crash keeps or loses unsynced bytes.
const SECTOR_BYTES: usize = 512;

pub(super) type FileRef = Arc<Mutex<FileContent>>;
pub(super) type DirRef = Arc<Mutex<Dir>>;

#[derive(Clone, Debug)]
pub(super) enum TreeNode {
    File(FileRef),
    Dir(DirRef),
}

#[derive(Debug, Default)]
pub(super) struct Dir {
    pub(super) names: BTreeMap<String, TreeNode>,
    synced: BTreeMap<String, TreeNode>,
    /// What turns `synced` into `names`, in order.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Set(String, TreeNode),
    Unset(String),
    Rename(String, String),
}

#[derive(Debug, Default)]
pub(super) struct FileContent {
    pub(super) bytes: Vec<u8>,
    synced: Synced,
    /// What a failed sync has dropped, ascending and apart: it is read as it was written, but no later sync makes it
    /// durable until it is written again. `synced` is [`Synced::Other`] while there is any.
    dropped: Vec<Range<usize>>,
}

/// What of a file is durable.
#[derive(Debug)]
enum Synced {
    /// This many bytes of what is there: all unsynced writes lie beyond.
    Prefix(usize),
    /// Something else: synced bytes were overwritten or cut since.
    Other(Vec<u8>),
}

impl Dir {
    /// Makes the names durable.
    pub(super) fn sync(&mut self) {
        self.synced = self.names.clone();
        self.unsynced.clear();
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }
}

impl Default for Synced {
    fn default() -> Self {
        Self::Prefix(0)
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, TreeNode>) {
        match self {
            Self::Set(name, node) => {
                names.insert(name.clone(), node.clone());
            }
            Self::Unset(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

impl FileContent {
    /// Makes the bytes durable, but for those that were dropped.
    pub(super) fn sync(&mut self) {
        let before = match &mut self.synced {
            Synced::Other(bytes) if !self.dropped.is_empty() => std::mem::take(bytes),
            _ => {
                self.synced = Synced::Prefix(self.bytes.len());
                return;
            }
        };
        let mut durable = self.bytes.clone();
        for range in &self.dropped {
            for at in range.clone() {
                durable[at] = before.get(at).copied().unwrap_or(0);
            }
        }
        // A file that ends in what was dropped has never grown.
        if let Some(last) = self.dropped.last().filter(|last| last.end == durable.len()) {
            durable.truncate(last.start.max(before.len()));
        }
        self.synced = Synced::Other(durable);
    }

    /// A sync fails as a kernel's does: the pages that it could not write are clean from now on, and their content is
    /// nowhere but in memory.
    pub(super) fn fail_sync_and_drop(&mut self) {
        let durable = match std::mem::take(&mut self.synced) {
            Synced::Prefix(len) => self.bytes[..len].to_vec(),
            Synced::Other(bytes) => bytes,
        };
        self.dropped.clear();
        for (at, byte) in self.bytes.iter().enumerate() {
            if durable.get(at) == Some(byte) {
                continue;
            }
            match self.dropped.last_mut() {
                Some(last) if last.end == at => last.end += 1,
                _ => self.dropped.push(at..at + 1),
            }
        }
        self.synced = Synced::Other(durable);
    }

    /// How many bytes of it a loss of power is sure to leave.
    #[cfg(test)]
    pub(super) fn durable_len(&self) -> usize {
        match &self.synced {
            Synced::Prefix(len) => *len,
            Synced::Other(bytes) => bytes.len(),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        self.keep_synced_below(offset);
        if self.bytes.len() < offset + bytes.len() {
            self.bytes.resize(offset + bytes.len(), 0);
        }
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.no_longer_dropped(&(offset..offset + bytes.len()));
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.keep_synced_below(len);
        self.bytes.resize(len, 0);
        self.no_longer_dropped(&(len..usize::MAX));
    }

    /// These bytes were written anew, or are gone.
    fn no_longer_dropped(&mut self, anew: &Range<usize>) {
        let outside =
            |old: Range<usize>| [old.start..old.end.min(anew.start), old.start.max(anew.end)..old.end];
        let dropped = std::mem::take(&mut self.dropped).into_iter().flat_map(outside);
        self.dropped = dropped.filter(|range| !range.is_empty()).collect();
    }

    /// Something at or after `offset` is about to change.
    fn keep_synced_below(&mut self, offset: usize) {
        if let Synced::Prefix(len) = self.synced
            && offset < len
        {
            self.synced = Synced::Other(self.bytes[..len].to_vec());
        }
    }

    fn crash(&mut self, torn: bool, rng: &mut SmallRng) {
        match &mut self.synced {
            Synced::Prefix(len) if torn => tear(&mut self.bytes, *len, rng),
            Synced::Prefix(len) => self.bytes.truncate(*len),
            Synced::Other(_) if torn && self.dropped.is_empty() && rng.random_bool(0.5) => {}
            Synced::Other(bytes) => self.bytes = std::mem::take(bytes),
        }
        self.dropped.clear();
        self.sync();
    }
}

/// Loses some of what follows the first `synced` bytes.
fn tear(bytes: &mut Vec<u8>, synced: usize, rng: &mut SmallRng) {
    match rng.random_range(0..4) {
        0 => bytes.truncate(synced),
        1 => bytes.truncate(rng.random_range(synced..=bytes.len())),
        2 => {}
        _ => {
            bytes.truncate(rng.random_range(synced..=bytes.len()));
            let mut from = synced;
            while from < bytes.len() {
                let to = bytes.len().min((from / SECTOR_BYTES + 1) * SECTOR_BYTES);
                if rng.random_bool(0.5) {
                    bytes[from..to].fill(0);
                }
                from = to;
            }
        }
    }
}

/// What is left of a directory, and of all below it, after the machine has died.
pub(super) fn crash_dir(dir: &DirRef, torn: bool, rng: &mut SmallRng) {
    let mut dir = lock(dir);
    let dir = &mut *dir;
    let kept = if torn { rng.random_range(0..=dir.unsynced.len()) } else { 0 };
    for change in &dir.unsynced[..kept] {
        change.apply(&mut dir.synced);
    }
    dir.unsynced.clear();
    dir.names = dir.synced.clone();
    for node in dir.names.values() {
        match node {
            TreeNode::File(content) => lock(content).crash(torn, rng),
            TreeNode::Dir(dir) => crash_dir(dir, torn, rng),
        }
    }
}
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
