//! Reading a log back into an index: of a closed segment its hint, if it has a good one, and otherwise every record.
//! A torn tail is cut; anything else that is not as it was written is an error that names file and offset.
//!
//! Records that a hint tells of are checked when they are read, each with its checksum: a start does not read values.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StorageError;
use super::file::File;
use super::hints::hint::{self, Hint};
use super::home::Home;
use super::index::{Index, Slot};
use super::log::record::{Flaw, Kind};
use super::log::segment::{self, HEADER_BYTES, Piece, Scan, ScanStep, Segment};
use super::log::tail::{self, TailEnd};
use super::meta::Meta;
use super::segment_name::SegmentName;
use super::tally::{Held, Segments};
use crate::types::{Lineage, Position};

/// A log as it was read.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) index: Index,
    pub(super) segments: Segments,
    /// Where it ends.
    pub(super) last: Position,
    pub(super) lineage: Lineage,
    /// A key that it does not know is absent as of this.
    pub(super) floor: Position,
}

/// A log, and what is to be said of it.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) contents: Contents,
    pub(super) torn: Option<Torn>,
    /// Closed segments without a hint.
    pub(super) hints_missing: usize,
    /// Hints that do not count, and why.
    pub(super) hints_bad: Vec<(PathBuf, String)>,
}

/// Whether the end of the log may be torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// It was being written when the process ended: cut what is torn.
    MayBeTorn,
    /// It has just been synced.
    IsWhole,
}

/// A torn tail that was cut: in which file, where, and how many bytes were dropped.
pub(super) type Torn = (PathBuf, u64, u64);

/// Reads the log that `meta` names. What is returned is durable.
pub(super) fn read_log(home: &Home, meta: &Meta, tail: Tail) -> Result<Read, StorageError> {
    let dir = home.log_dir(meta.generation);
    let names = segment_names(home, &dir, meta)?;
    let contents = Contents {
        index: Index::default(),
        segments: Segments::default(),
        last: Position::ZERO,
        lineage: meta.lineage.clone(),
        floor: meta.floor,
    };
    let read = Read { contents, torn: None, hints_missing: 0, hints_bad: Vec::new() };
    let mut reader = Reader { home, meta, dir: &dir, read };
    for (i, &name) in names.iter().enumerate() {
        let is_last = i + 1 == names.len();
        reader.read_segment(name, is_last, tail == Tail::MayBeTorn && is_last)?;
    }
    let mut read = reader.read;
    read.contents.last = read.contents.last.max(meta.base);
    if tail == Tail::MayBeTorn
        && let Some(held) = read.contents.segments.all().last()
    {
        // A process killed before its sync leaves bytes that only the system's cache holds; and what was cut just
        // now must stay cut.
        held.piece.segment.file.sync()?;
        home.sync_dir(&dir)?;
    }
    Ok(read)
}

/// The log's segments: those that the meta file names, and those with contiguous numbers after them.
pub(super) fn segment_names(home: &Home, dir: &Path, meta: &Meta) -> Result<Vec<SegmentName>, StorageError> {
    let mut found: Vec<SegmentName> =
        home.list(dir)?.iter().filter_map(|file| SegmentName::of_log(file)).collect();
    found.retain(|name| !meta.has_replaced(*name));
    found.sort_unstable();
    let missing =
        |name: SegmentName| Err(StorageError::corrupt(&dir.join(name.log()), 0, "the segment is missing"));
    for (i, known) in meta.segments.iter().map(|known| known.name()).enumerate() {
        match found.get(i) {
            Some(&name) if name == known => {}
            Some(&name) if name < known => {
                let path = dir.join(name.log());
                return Err(StorageError::corrupt(&path, 0, "the meta file does not know this segment"));
            }
            _ => return missing(known),
        }
    }
    for pair in found[meta.segments.len() - 1..].windows(2) {
        let next = SegmentName::first(pair[0].number + 1);
        if pair[1] != next {
            return missing(next);
        }
    }
    Ok(found)
}

struct Reader<'a> {
    home: &'a Home,
    meta: &'a Meta,
    dir: &'a Path,
    read: Read,
}

impl Reader<'_> {
    fn read_segment(
        &mut self,
        name: SegmentName,
        is_last: bool,
        cut_allowed: bool,
    ) -> Result<(), StorageError> {
        let file = File::open(&*self.home.disk, &self.dir.join(name.log()))?;
        let bytes = file.size()?;
        let first = self.read.contents.last.seq + 1;
        let segment = Arc::new(Segment { name, first, file });
        let synced = self.check_length(&segment, bytes)?;
        let mut piece = Piece { segment: segment.clone(), bytes };
        if !is_last && self.read_hint(&piece)? {
            return Ok(());
        }

        // A segment's header is synced before anything else is written to it or known of it.
        match segment.check_header(self.meta.generation) {
            Err(StorageError::Corrupt { .. }) if cut_allowed && synced == 0 && bytes <= HEADER_BYTES => {
                return self.restart_segment(&segment, bytes);
            }
            checked => checked?,
        }
        self.read.contents.segments.push(Held::new(piece.clone()));
        if let Some((offset, flaw)) = self.read_records(&piece)? {
            let last = self.read.contents.last.max(self.meta.base);
            let verdict = if cut_allowed {
                tail::judge(&piece, offset, flaw, synced, last)?
            } else {
                TailEnd::Corrupt(flaw.to_string())
            };
            match verdict {
                TailEnd::Corrupt(what) => return Err(piece.segment.file.corrupt(offset, what)),
                TailEnd::Torn => {
                    self.read.torn = Some(cut(&piece, offset)?);
                    piece.bytes = offset;
                    self.read.contents.segments.grow(piece);
                }
            }
        }
        Ok(())
    }

    /// Takes a closed segment's records in from its hint. `false`: there is none that counts.
    fn read_hint(&mut self, piece: &Piece) -> Result<bool, StorageError> {
        let path = self.dir.join(piece.segment.name.hint());
        let bytes = match self.home.read(&path, hint::bytes_max(piece.bytes)) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                self.read.hints_missing += 1;
                return Ok(false);
            }
            Err(StorageError::Corrupt { .. }) => return Ok(self.bad_hint(path, &hint::Flaw::Long)),
            Err(error) => return Err(error),
        };
        let checked = Hint::check(&bytes.into(), self.meta.generation, piece.segment.name, piece.bytes);
        let hint = match checked.and_then(|hint| self.check_hint(&hint).map(|()| hint)) {
            Ok(hint) => hint,
            Err(flaw) => return Ok(self.bad_hint(path, &flaw)),
        };
        let held = Held { records: hint.records(), hinted: true, ..Held::new(piece.clone()) };
        self.read.contents.segments.push(held);
        for hinted in hint.entries() {
            self.take(hinted.at, hinted.kind, &hinted.key, hinted.slot);
        }
        Ok(true)
    }

    /// Whether a hint's records can follow what was read so far: before any of them is taken in.
    fn check_hint(&self, hint: &Hint) -> Result<(), hint::Flaw> {
        let mut last = self.read.contents.last;
        for hinted in hint.entries() {
            self.check_order(hinted.at, last).map_err(|_| hint::Flaw::Order(hinted.at))?;
            last = hinted.at;
        }
        Ok(())
    }

    fn bad_hint(&mut self, path: PathBuf, flaw: &hint::Flaw) -> bool {
        self.read.hints_bad.push((path, flaw.to_string()));
        false
    }

    /// Checks a segment's length against what the meta file knows of it; returns up to where it was synced then.
    fn check_length(&self, segment: &Segment, bytes: u64) -> Result<u64, StorageError> {
        let known = self.meta.segments.binary_search_by_key(&segment.name, |known| known.name());
        let Ok(i) = known else { return Ok(0) };
        let synced = self.meta.segments[i].bytes;
        if bytes < synced {
            let what = format!("the file ends here, although it was synced up to byte {synced}");
            return Err(segment.file.corrupt(bytes, what));
        }
        if i + 1 < self.meta.segments.len() && bytes > synced {
            let what = format!("the segment was closed here, but the file has {bytes} bytes");
            return Err(segment.file.corrupt(synced, what));
        }
        Ok(synced)
    }

    /// Takes the records of a piece in, up to its end or to the first bad one.
    fn read_records(&mut self, piece: &Piece) -> Result<Option<(u64, Flaw)>, StorageError> {
        let mut scan = Scan::new(piece.clone());
        loop {
            match scan.next()? {
                ScanStep::End => return Ok(None),
                ScanStep::Bad(offset, flaw) => return Ok(Some((offset, flaw))),
                ScanStep::Record(offset, record) => {
                    let last = self.read.contents.last;
                    self.check_order(record.at, last)
                        .map_err(|what| piece.segment.file.corrupt(offset.into(), what))?;
                    let slot = Slot {
                        seq: record.at.seq,
                        segment: piece.segment.name.key(),
                        offset,
                        bytes: record.bytes(),
                        live: record.kind == Kind::Put,
                    };
                    self.take(record.at, record.kind, record.key, slot);
                    self.read.contents.segments.count(1);
                }
            }
        }
    }

    /// Whether the record of `at` can follow that of `last`.
    fn check_order(&self, at: Position, last: Position) -> Result<(), String> {
        let base = self.meta.base;
        let on_lineage = if at.seq <= base.seq {
            at.seq > last.seq && self.meta.lineage.epoch_of(at.seq) == at.epoch
        } else {
            let end = last.max(base);
            at.seq == end.seq + 1 && at.epoch >= end.epoch
        };
        if on_lineage {
            Ok(())
        } else {
            Err(format!("record {at} cannot follow {last} in a log based on {base}"))
        }
    }

    fn take(&mut self, at: Position, kind: Kind, key: &[u8], slot: Slot) {
        let contents = &mut self.read.contents;
        if at.seq > self.meta.base.seq {
            contents.lineage.extend(at);
        }
        if kind != Kind::Noop {
            let before = contents.index.note(key, slot);
            contents.segments.moved(slot, before);
        }
        contents.last = at;
    }

    /// The power went while the segment was being created: writes its header again.
    fn restart_segment(&mut self, segment: &Arc<Segment>, bytes: u64) -> Result<(), StorageError> {
        segment.file.truncate(0)?;
        segment.file.write_at(&segment::header(self.meta.generation, segment.name.number), 0)?;
        let piece = Piece { segment: segment.clone(), bytes: HEADER_BYTES };
        self.read.contents.segments.push(Held::new(piece));
        self.read.torn = Some((segment.file.path.clone(), 0, bytes));
        Ok(())
    }
}

/// Cuts a torn tail. [`read_log`] syncs the file before it returns, so that nothing is ever written after bytes
/// that might come back.
fn cut(piece: &Piece, offset: u64) -> Result<Torn, StorageError> {
    piece.segment.file.truncate(offset)?;
    Ok((piece.segment.file.path.clone(), offset, piece.bytes - offset))
}
