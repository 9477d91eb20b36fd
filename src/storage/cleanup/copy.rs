//! The new file of a group, and its hint.

use std::sync::Arc;

use bytes::Bytes;

use super::questions::RecordFate;
use crate::storage::error::StorageError;
use crate::storage::file::File;
use crate::storage::gate::{Ground, Halt};
use crate::storage::hints::hint::{self, Hint, HintWriter};
use crate::storage::home::{Home, ignore_missing};
use crate::storage::log::record::{self, Kind, RecordPlace};
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
    file: File,
    buffer: Vec<u8>,
    written: u64,
    synced: u64,
    hint: Option<HintWriter>,
    hint_file: File,
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
        let _inside = ground.gate.enter(ground.era)?;
        let (home, dir) = (&ground.home, ground.home.log_dir(ground.era.generation));
        let create = |file: &str| File::create(&*home.disk, &Home::part(&dir, file));
        let file = create(&name.log())?;
        let hint_file = match create(&name.hint()) {
            Ok(file) => file,
            Err(error) => {
                ignore_missing(home.remove(&file.path))?;
                return Err(error.into());
            }
        };
        Ok(Self {
            ground: ground.clone(),
            name,
            buffer: segment::header(ground.era.generation, name.number).to_vec(),
            written: 0,
            synced: 0,
            hint: Some(HintWriter::new(hint_file.clone(), ground.era.generation, name)),
            file,
            hint_file,
        })
    }

    /// The next record.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), Halt> {
        let offset = self.written + self.buffer.len() as u64;
        let offset = u32::try_from(offset)
            .map_err(|_| StorageError::misuse("a group of segments is too long to become one"))?;
        let place = RecordPlace { segment: self.name.number, offset };
        // It is never the last segment, whose records alone need to know what was synced before them.
        let bytes = record::encode(&mut self.buffer, entry, place, 0)?;
        let key = entry.op.key().map_or(&[][..], |key| key);
        if let Some(hint) = &mut self.hint {
            hint.add(entry.at, Kind::of(&entry.op), key, bytes)?;
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
            hint.finish(self.written)?;
        }
        let hint = self.read_hint()?;
        let dir = self.ground.home.log_dir(self.ground.era.generation);
        {
            let _inside = self.ground.gate.enter(self.ground.era)?;
            self.ground.home.name_part(&dir, &self.name.log())?;
            self.ground.home.finish_part(&dir, &self.name.hint())?;
        }
        let file = self.file.renamed(dir.join(self.name.log()));
        let segment = Segment { name: self.name, first, file };
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

    /// Removes what there is of it.
    pub(super) fn remove(&self) -> Result<(), Halt> {
        let home = &self.ground.home;
        let dir = home.log_dir(self.ground.era.generation);
        let _inside = self.ground.gate.enter(self.ground.era)?;
        for file in [self.name.log(), self.name.hint()] {
            ignore_missing(home.remove(&Home::part(&dir, &file)))?;
            ignore_missing(home.remove(&dir.join(&file)))?;
        }
        Ok(home.sync_dir(&dir)?)
    }

    /// Reads the hint back: the index is about to believe it.
    fn read_hint(&self) -> Result<Hint, Halt> {
        let bytes = self.hint_file.read_all(hint::bytes_max(self.written))?;
        let hint = Hint::check(&bytes.into(), self.ground.era.generation, self.name, self.written)
            .map_err(|flaw| self.hint_file.corrupt(0, format!("as just written, {flaw}")))?;
        Ok(hint)
    }

    fn write(&mut self) -> Result<(), Halt> {
        self.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(WRITE_BYTES);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Halt> {
        self.file.sync()?;
        self.synced = self.written;
        Ok(())
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
    /// A record is left out whose value is damaged, and superseded.
    pub(super) fn drop_damaged(&mut self) {
        self.records_dropped += 1;
    }

    /// Whether a record is left out; notes it if so.
    pub(super) fn drops(&mut self, entry: &Entry, verdict: RecordFate) -> bool {
        let drops = match (verdict, entry.op.key()) {
            (RecordFate::Keep, _) => false,
            (RecordFate::Drop, _) => true,
            (RecordFate::DropTombstone, None) => false,
            (RecordFate::DropTombstone, Some(_)) if self.dropped_bytes >= DROPPED_BYTES_MAX => false,
            (RecordFate::DropTombstone, Some(key)) => {
                self.dropped_bytes += entry.weight();
                self.dropped.push((key.clone(), entry.at.seq));
                true
            }
        };
        self.records_dropped += u64::from(drops);
        drops
    }
}
