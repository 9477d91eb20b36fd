//! Reading a log back: every record checked, in order, into an index. A torn tail is cut; anything else that is
//! not as it was written is an error that names file and offset.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StorageError;
use super::home::Home;
use super::index::{Index, Slot};
use super::meta::Meta;
use super::record::{Flaw, Kind, Record};
use super::segment::{self, HEADER_BYTES, Piece, Scan, Segment, Step};
use super::tail::{self, Verdict};
use crate::replication::{Lineage, Position};

/// A log as it was read.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) index: Index,
    /// Its segments; the last is written to.
    pub(super) pieces: Vec<Piece>,
    /// Where it ends.
    pub(super) last: Position,
    pub(super) lineage: Lineage,
    /// How many records it has.
    pub(super) records: u64,
}

/// Whether the end of the log may be torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// It was being written when the process ended: cut what is torn.
    MayBeTorn,
    /// It has just been synced.
    IsWhole,
}

/// A torn tail that was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Torn {
    pub(super) file: PathBuf,
    /// Where it was cut.
    pub(super) offset: u64,
    /// How many bytes were dropped.
    pub(super) bytes: u64,
}

/// Reads the log that `meta` names. What is returned is durable.
pub(super) fn read_log(
    home: &Home,
    meta: &Meta,
    tail: Tail,
) -> Result<(Contents, Option<Torn>), StorageError> {
    let dir = home.log_dir(meta.generation);
    let numbers = segment_numbers(home, &dir, meta)?;
    let mut reader = Reader {
        home,
        meta,
        dir: &dir,
        contents: Contents {
            index: Index::default(),
            pieces: Vec::with_capacity(numbers.len()),
            last: Position::ZERO,
            lineage: meta.lineage.clone(),
            records: 0,
        },
    };
    let mut torn = None;
    for (i, &number) in numbers.iter().enumerate() {
        let cut_allowed = tail == Tail::MayBeTorn && i + 1 == numbers.len();
        torn = reader.read_segment(number, cut_allowed)?;
    }
    let mut contents = reader.contents;
    contents.last = contents.last.max(meta.base);
    if tail == Tail::MayBeTorn
        && let Some(piece) = contents.pieces.last()
    {
        // A process killed before its sync leaves bytes that only the system's cache holds.
        let path = &piece.segment.path;
        piece.segment.file.sync().map_err(|e| StorageError::io("sync", path, e))?;
        home.sync_dir(&dir)?;
    }
    Ok((contents, torn))
}

impl Contents {
    /// The piece of segment `number`.
    pub(super) fn piece(&self, number: u32) -> Option<&Piece> {
        let at = self.pieces.binary_search_by_key(&number, |piece| piece.segment.number).ok()?;
        Some(&self.pieces[at])
    }
}

/// The numbers of the log's segments: those that the meta file names, and contiguous ones after them.
fn segment_numbers(home: &Home, dir: &Path, meta: &Meta) -> Result<Vec<u32>, StorageError> {
    let mut found: Vec<u32> = home.list(dir)?.iter().filter_map(|name| segment::number_of(name)).collect();
    found.sort_unstable();
    let missing = |number| {
        let path = dir.join(segment::file_name(number));
        Err(StorageError::corrupt(&path, 0, "the segment is missing"))
    };
    for (i, known) in meta.segments.iter().enumerate() {
        match found.get(i) {
            Some(&number) if number == known.segment => {}
            Some(&number) if number < known.segment => {
                let path = dir.join(segment::file_name(number));
                return Err(StorageError::corrupt(&path, 0, "the meta file does not know this segment"));
            }
            _ => return missing(known.segment),
        }
    }
    for pair in found[meta.segments.len() - 1..].windows(2) {
        if pair[1] != pair[0] + 1 {
            return missing(pair[0] + 1);
        }
    }
    Ok(found)
}

struct Reader<'a> {
    home: &'a Home,
    meta: &'a Meta,
    dir: &'a Path,
    contents: Contents,
}

impl Reader<'_> {
    fn read_segment(&mut self, number: u32, cut_allowed: bool) -> Result<Option<Torn>, StorageError> {
        let path = self.dir.join(segment::file_name(number));
        let file = self.home.disk.open(&path).map_err(|e| StorageError::io("open", &path, e))?;
        let bytes = file.size().map_err(|e| StorageError::io("read", &path, e))?;
        let first = self.contents.last.seq + 1;
        let segment = Arc::new(Segment { number, first, path, file });
        let synced = self.check_length(&segment, bytes)?;

        // A segment's header is synced before anything else is written to it or known of it.
        match segment.check_header(self.meta.generation) {
            Err(StorageError::Corrupt { .. }) if cut_allowed && synced == 0 && bytes <= HEADER_BYTES => {
                return self.restart_segment(&segment, bytes).map(Some);
            }
            checked => checked?,
        }
        let mut piece = Piece { segment, bytes };
        let bad = self.read_records(&piece)?;
        let mut torn = None;
        if let Some((offset, flaw)) = bad {
            let last = self.contents.last.max(self.meta.base);
            let verdict = if cut_allowed {
                tail::judge(&piece, offset, flaw, synced, last)?
            } else {
                Verdict::Corrupt(flaw.to_string())
            };
            match verdict {
                Verdict::Corrupt(what) => return Err(piece.segment.corrupt(offset, what)),
                Verdict::Torn => {
                    torn = Some(cut(&piece, offset)?);
                    piece.bytes = offset;
                }
            }
        }
        self.contents.pieces.push(piece);
        Ok(torn)
    }

    /// Checks a segment's length against what the meta file knows of it; returns up to where it was synced then.
    fn check_length(&self, segment: &Segment, bytes: u64) -> Result<u64, StorageError> {
        let known = self.meta.segments.binary_search_by_key(&segment.number, |known| known.segment);
        let Ok(i) = known else { return Ok(0) };
        let synced = self.meta.segments[i].bytes;
        if bytes < synced {
            let what = format!("the file ends here, although it was synced up to byte {synced}");
            return Err(segment.corrupt(bytes, what));
        }
        if i + 1 < self.meta.segments.len() && bytes > synced {
            let what = format!("the segment was closed here, but the file has {bytes} bytes");
            return Err(segment.corrupt(synced, what));
        }
        Ok(synced)
    }

    /// Takes the records of a piece in, up to its end or to the first bad one.
    fn read_records(&mut self, piece: &Piece) -> Result<Option<(u64, Flaw)>, StorageError> {
        let mut scan = Scan::new(piece.clone());
        loop {
            match scan.next()? {
                Step::End => return Ok(None),
                Step::Bad(offset, flaw) => return Ok(Some((offset, flaw))),
                Step::Record(offset, record) => {
                    self.check_order(&record).map_err(|what| piece.segment.corrupt(offset.into(), what))?;
                    self.take(piece.segment.number, offset, &record);
                }
            }
        }
    }

    fn check_order(&self, record: &Record<'_>) -> Result<(), String> {
        let (at, last, base) = (record.at, self.contents.last, self.meta.base);
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

    fn take(&mut self, segment: u32, offset: u32, record: &Record<'_>) {
        let contents = &mut self.contents;
        if record.at.seq > self.meta.base.seq {
            contents.lineage.extend(record.at);
        }
        if record.kind != Kind::Noop {
            let live = record.kind == Kind::Put;
            let slot = Slot { seq: record.at.seq, segment, offset, bytes: record.bytes(), live };
            contents.index.note(record.key, slot);
        }
        contents.last = record.at;
        contents.records += 1;
    }

    /// The power went while the segment was being created: writes its header again.
    fn restart_segment(&mut self, segment: &Arc<Segment>, bytes: u64) -> Result<Torn, StorageError> {
        let io = |op| move |e| StorageError::io(op, &segment.path, e);
        segment.file.truncate(0).map_err(io("truncate"))?;
        let header = segment::header(self.meta.generation, segment.number);
        segment.file.write_at(&header, 0).map_err(io("write"))?;
        segment.file.sync().map_err(io("sync"))?;
        self.contents.pieces.push(Piece { segment: segment.clone(), bytes: HEADER_BYTES });
        Ok(Torn { file: segment.path.clone(), offset: 0, bytes })
    }
}

/// Cuts a torn tail, durably: nothing may be written after bytes that might come back.
fn cut(piece: &Piece, offset: u64) -> Result<Torn, StorageError> {
    let io = |op| move |e| StorageError::io(op, &piece.segment.path, e);
    piece.segment.file.truncate(offset).map_err(io("truncate"))?;
    piece.segment.file.sync().map_err(io("sync"))?;
    Ok(Torn { file: piece.segment.path.clone(), offset, bytes: piece.bytes - offset })
}
