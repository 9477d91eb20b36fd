//! The store's log, read in batches from a seq on: for members that are further behind than the backlog reaches.

use super::cursors::Cursor;
use super::damages::damage;
use super::error::StorageError;
use super::log::segment::{HEADER_BYTES, Scan, ScanStep};
use super::store::Store;
use crate::replication::EntriesFound;

impl Store {
    /// Durable entries, contiguous from the seq `from` on: at most `bytes_max` bytes of [`Entry::weight`], but at least
    /// one. They are gone if cleanup may have dropped some of them, or if the log ends before `from`. A damaged value ends
    /// them; if it is the first, they wait until it is repaired, or are gone if nobody can supply it any more.
    ///
    /// Whoever asks for what follows the last batch is served from where that one ended. Whoever begins makes the store
    /// read one segment up to there, once.
    ///
    /// # Errors
    /// If the disk cannot be read, or the first of the records is not what was written.
    ///
    /// [`Entry::weight`]: crate::types::Entry::weight
    pub fn entries_from(&mut self, from: u64, bytes_max: usize) -> Result<EntriesFound, StorageError> {
        if from <= self.contents.base.seq || from > self.contents.last.seq {
            return Ok(EntriesFound::Gone);
        }
        let (mut segment, mut offset) = self.place_of(from);
        let (mut entries, mut bytes, mut met) = (Vec::new(), 0, None);
        'segments: loop {
            let piece = self.contents.segments.all()[segment].piece.clone();
            let mut scan = Scan::starting_at(piece, offset);
            loop {
                offset = scan.offset();
                match scan.next()? {
                    ScanStep::Record(_, record) if record.at.seq < from => {}
                    ScanStep::Record(at, record) => {
                        let Some(entry) = record.to_entry() else {
                            met = Some((at, record.at, record.key.to_vec()));
                            break 'segments;
                        };
                        bytes += entry.weight();
                        if !entries.is_empty() && bytes > bytes_max {
                            break 'segments;
                        }
                        entries.push(entry);
                    }
                    ScanStep::End => break,
                    // What comes before it is good.
                    ScanStep::Bad(..) if !entries.is_empty() => break 'segments,
                    ScanStep::Bad(offset, flaw) => {
                        return Err(scan.piece().segment.file.corrupt(offset, flaw.to_string()));
                    }
                }
            }
            if segment + 1 == self.contents.segments.all().len() {
                break;
            }
            (segment, offset) = (segment + 1, HEADER_BYTES);
        }
        if let (true, Some((offset, at, key))) = (entries.is_empty(), met) {
            // What has been superseded, nobody can supply any more.
            let damage = damage(&self.contents.segments.all()[segment].piece, offset, at, &key);
            let needed = self.is_needed(&damage);
            self.note_damage([damage]);
            return Ok(if needed { EntriesFound::Damaged } else { EntriesFound::Gone });
        }
        let Some(last) = entries.last() else {
            let what =
                format!("there is no record {from} in a log from {} to {}", self.contents.base, self.last());
            return Err(self.contents.segments.all()[segment].piece.segment.file.corrupt(offset, what));
        };
        let name = self.contents.segments.all()[segment].name();
        self.cursors.note(Cursor { seq: last.at.seq + 1, segment: name, offset });
        debug_assert_eq!(last.at.seq + 1 - from, entries.len() as u64, "contiguous above the base");
        Ok(EntriesFound::Entries(entries))
    }

    /// From which segment on, and from where in it, to look for a seq.
    fn place_of(&self, seq: u64) -> (usize, u64) {
        let segments = self.contents.segments.all();
        if let Some(cursor) = self.cursors.find(seq)
            && let Some(i) = segments.iter().position(|held| held.name() == cursor.segment)
        {
            return (i, cursor.offset);
        }
        let i = segments.partition_point(|held| held.piece.segment.first <= seq).saturating_sub(1);
        (i, HEADER_BYTES)
    }
}
