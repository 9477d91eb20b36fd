//! The new file of a group, and its hint.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::questions::Verdict;
use crate::storage::disk::DiskFile;
use crate::storage::error::StorageError;
use crate::storage::gate::{Ground, Halt};
use crate::storage::hints::hint::{self, Hint, HintWriter};
use crate::storage::home::{Home, ignore_missing};
use crate::storage::log::record::{self, Kind, Place};
use crate::storage::log::segment::{self, Piece, Segment};
use crate::storage::segment_name::SegmentName;
use crate::storage::tally::Held;
use crate::types::Entry;

/// The buffer is written when it has grown to this.
const WRITE_BYTES: usize = 1 << 20;
/// What was written is synced this often: whoever syncs the log meanwhile shall not wait for more.
const SYNC_BYTES: u64 = 4 << 20;

/// Keys of tombstones dropped in one group, in bytes of [`Entry::weight`], must be kept until the index has forgotten
/// them. Tombstones beyond this stay for the next cleanup.
const DROPPED_BYTES_MAX: usize = 16 << 20;

/// Both files while they are written.
#[derive(Debug)]
pub(super) struct Copy {
    ground: Ground,
    name: SegmentName,
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    written: u64,
    synced: u64,
    hint: Option<HintWriter>,
    hint_file: Arc<dyn DiskFile>,
}

/// Both files when they are whole and durable.
#[derive(Debug)]
pub(super) struct Copied {
    /// `None`: no record was kept.
    pub(super) new: Option<Held>,
    pub(super) hint: Option<Hint>,
    /// Tombstones that are not in it, with their seqs.
    pub(super) dropped: Vec<(Bytes, u64)>,
    pub(super) records_dropped: u64,
}

impl Copy {
    /// Creates both files, under names that count for nothing.
    pub(super) fn begin(ground: &Ground, name: SegmentName) -> Result<Self, Halt> {
        let _inside = ground.gate.enter(ground.generation)?;
        let create = |file: String| {
            let path = Home::part(&ground.home.log_dir(ground.generation), &file);
            ground.home.disk.create(&path).map_err(|e| StorageError::io("create", &path, e))
        };
        let file = create(name.log())?;
        let hint_file = match create(name.hint()) {
            Ok(file) => file,
            Err(error) => {
                let path = Home::part(&ground.home.log_dir(ground.generation), &name.log());
                ignore_missing(ground.home.remove(&path))?;
                return Err(error.into());
            }
        };
        Ok(Self {
            ground: ground.clone(),
            name,
            buffer: segment::header(ground.generation, name.number).to_vec(),
            written: 0,
            synced: 0,
            hint: Some(HintWriter::new(hint_file.clone(), ground.generation, name)),
            file,
            hint_file,
        })
    }

    /// The next record.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), Halt> {
        let offset = self.written + self.buffer.len() as u64;
        let offset = u32::try_from(offset)
            .map_err(|_| StorageError::misuse("a group of segments is too long to become one"))?;
        let place = Place { segment: self.name.number, offset };
        // It is never the last segment, whose records alone need to know what was synced before them.
        let bytes = record::encode(&mut self.buffer, entry, place, 0)?;
        let key = entry.op.key().map_or(&[][..], |key| key);
        if let Some(hint) = &mut self.hint {
            let added = hint.add(entry.at, Kind::of(&entry.op), key, bytes);
            added.map_err(|e| StorageError::io("write", &self.path(&self.name.hint()), e))?;
        }
        if self.buffer.len() >= WRITE_BYTES {
            self.write()?;
        }
        if self.written - self.synced >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes both durable and gives them their names; they count when the meta file says so. Without a record in
    /// them, removes them.
    pub(super) fn finish(&mut self, kept: Kept, first: u64) -> Result<Copied, Halt> {
        let Kept { records, dropped, records_dropped, .. } = kept;
        if records == 0 {
            self.remove()?;
            return Ok(Copied { new: None, hint: None, dropped, records_dropped });
        }
        self.write()?;
        self.sync()?;
        if let Some(mut hint) = self.hint.take() {
            let finished = hint.finish(self.written);
            finished.map_err(|e| StorageError::io("write", &self.path(&self.name.hint()), e))?;
        }
        let hint = self.read_hint()?;
        {
            let _inside = self.ground.gate.enter(self.ground.generation)?;
            let dir = self.ground.home.log_dir(self.ground.generation);
            self.ground.home.name_part(&dir, &self.name.log())?;
            self.ground.home.finish_part(&dir, &self.name.hint())?;
        }
        let path = self.ground.home.log_dir(self.ground.generation).join(self.name.log());
        let segment = Segment { name: self.name, first, path, file: self.file.clone() };
        let piece = Piece { segment: Arc::new(segment), bytes: self.written };
        let new = Held { piece, records, live: 0, hinted: true };
        Ok(Copied { new: Some(new), hint: Some(hint), dropped, records_dropped })
    }

    /// Gives it up: removes what there is of it. What cannot be removed is worse than why it is given up.
    pub(super) fn discard(&self, why: Halt) -> Halt {
        if matches!(why, Halt::Failed(_)) {
            return why;
        }
        self.remove().err().unwrap_or(why)
    }

    fn remove(&self) -> Result<(), Halt> {
        let home = &self.ground.home;
        let dir = home.log_dir(self.ground.generation);
        let _inside = self.ground.gate.enter(self.ground.generation)?;
        for file in [self.name.log(), self.name.hint()] {
            ignore_missing(home.remove(&Home::part(&dir, &file)))?;
            ignore_missing(home.remove(&dir.join(&file)))?;
        }
        Ok(home.sync_dir(&dir)?)
    }

    /// Reads the hint back: the index is about to believe it.
    fn read_hint(&self) -> Result<Hint, Halt> {
        let path = self.path(&self.name.hint());
        let bytes = Home::read_file(&*self.hint_file, &path, hint::bytes_max(self.written))?;
        let hint = Hint::check(&bytes.into(), self.ground.generation, self.name, self.written)
            .map_err(|flaw| StorageError::corrupt(&path, 0, format!("as just written, {flaw}")))?;
        Ok(hint)
    }

    fn write(&mut self) -> Result<(), Halt> {
        let written = self.file.write_at(&self.buffer, self.written);
        written.map_err(|e| StorageError::io("write", &self.path(&self.name.log()), e))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(WRITE_BYTES);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Halt> {
        self.file.sync().map_err(|e| StorageError::io("sync", &self.path(&self.name.log()), e))?;
        self.synced = self.written;
        Ok(())
    }

    /// Where a file is until it has its name.
    fn path(&self, file: &str) -> PathBuf {
        Home::part(&self.ground.home.log_dir(self.ground.generation), file)
    }
}

/// What has become of the records of a group.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) records: u64,
    dropped: Vec<(Bytes, u64)>,
    dropped_bytes: usize,
    records_dropped: u64,
}

impl Kept {
    /// Whether a record is left out; notes it if so.
    pub(super) fn drops(&mut self, entry: &Entry, verdict: Verdict) -> bool {
        let drops = match (verdict, entry.op.key()) {
            (Verdict::Keep, _) => false,
            (Verdict::Drop, _) => true,
            (Verdict::DropTombstone, None) => false,
            (Verdict::DropTombstone, Some(_)) if self.dropped_bytes >= DROPPED_BYTES_MAX => false,
            (Verdict::DropTombstone, Some(key)) => {
                self.dropped_bytes += entry.weight();
                self.dropped.push((key.clone(), entry.at.seq));
                true
            }
        };
        self.records_dropped += u64::from(drops);
        drops
    }
}
