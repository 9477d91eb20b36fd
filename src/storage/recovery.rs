//! Reading a log back into an index: of a closed segment its hint, if it has a good one, and otherwise every record.
//! Where the log ends is found here, and put right by whoever asked ([`mending`](super::mending)); a damaged value is noted;
//! anything else that is not as it was written is an error that names file and offset.
//!
//! Records that a hint tells of are checked when they are read, each with its checksum: a start does not read values.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::damages::{DAMAGES_MAX, damage};
use super::ending::{Forgotten, LogEnd, Proven};
use super::error::StorageError;
use super::file::File;
use super::hints::hint::{self, Hint};
use super::home::Home;
use super::index::{Index, Slot};
use super::log::record::{Flaw, Kind};
use super::log::segment::{HEADER_BYTES, Piece, Scan, ScanStep, Segment};
use super::log::tail::{self, TailEnd};
use super::meta::Meta;
use super::segment_name::SegmentName;
use super::tally::{Held, Segments};
use crate::types::{Damage, Lineage, Position};

/// A log as it was read.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) index: Index,
    pub(super) segments: Segments,
    /// Where it ends.
    pub(super) last: Position,
    pub(super) lineage: Lineage,
    /// Up to here it may have gaps.
    pub(super) base: Position,
    /// A key that it does not know is absent as of this.
    pub(super) floor: Position,
    /// Damaged values that were met when it was read, needed or not; at most [`DAMAGES_MAX`].
    pub(super) damaged: Vec<Damage>,
    /// And so many more.
    pub(super) damaged_more: u64,
}

/// A log, and what is to be said of it.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) contents: Contents,
    /// How it ends. The contents are those of the log put right.
    pub(super) end: LogEnd,
    /// It ends before what was synced of it.
    pub(super) forgot: Option<Forgotten>,
    /// Closed segments without a hint.
    pub(super) hints_missing: usize,
    /// Hints that do not count, and why.
    pub(super) hints_bad: Vec<(PathBuf, String)>,
}

/// Whether the end of the log may be torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// It was being written when the process ended, and was synced up to there.
    MayBeTorn(Proven),
    /// It has just been synced.
    IsWhole,
}

/// Reads the log that `meta` names. Changes nothing.
pub(super) fn read_log(home: &Home, meta: &Meta, tail: Tail) -> Result<Read, StorageError> {
    let dir = home.log_dir(meta.generation);
    let names = segment_names(home, &dir, meta)?;
    let missing = match meta.segments.get(names.len()) {
        // Whatever is written next must not go to what cleanup has read, or what was received.
        Some(next) if names.last().is_none_or(|last| last.number <= meta.cleaned) => Some(next.segment),
        _ => None,
    };
    let contents = Contents {
        index: Index::default(),
        segments: Segments::default(),
        last: Position::ZERO,
        lineage: meta.lineage.clone(),
        base: meta.base,
        floor: meta.floor,
        damaged: Vec::new(),
        damaged_more: 0,
    };
    let read = Read { contents, end: LogEnd::Whole, forgot: None, hints_missing: 0, hints_bad: Vec::new() };
    let mut reader = Reader { home, meta, dir: &dir, read };
    for (i, &name) in names.iter().enumerate() {
        let role = match tail {
            _ if i + 1 < names.len() || missing.is_some() => Role::Closed,
            Tail::IsWhole => Role::Whole,
            Tail::MayBeTorn(proven) => Role::MayBeTorn { synced: proven.of_segment(name.number) },
        };
        reader.read_segment(name, role)?;
    }
    let mut read = reader.read;
    read.contents.last = read.contents.last.max(meta.base);
    read.end = missing.map_or(read.end, LogEnd::Missing);
    match tail {
        Tail::MayBeTorn(proven) => {
            let last = read.contents.segments.all().last().map(|held| &held.piece);
            read.forgot = read.end.forgotten(&dir, meta, last, proven);
        }
        Tail::IsWhole if names.len() < meta.segments.len() => {
            return missing_segment(&dir, meta.segments[names.len()].name());
        }
        Tail::IsWhole => {}
    }
    Ok(read)
}

/// The log's segments: those that the meta file names, and those with contiguous numbers after them. Some may be
/// missing at the end, if they hold nothing of what is up to the base.
pub(super) fn segment_names(home: &Home, dir: &Path, meta: &Meta) -> Result<Vec<SegmentName>, StorageError> {
    let mut found: Vec<SegmentName> =
        home.list(dir)?.iter().filter_map(|file| SegmentName::of_log(file)).collect();
    found.retain(|name| !meta.has_replaced(*name));
    found.sort_unstable();
    for (i, known) in meta.segments.iter().map(|known| known.name()).enumerate() {
        match found.get(i) {
            Some(&name) if name == known => {}
            Some(&name) if name < known => {
                let path = dir.join(name.log());
                return Err(StorageError::corrupt(&path, 0, "the meta file does not know this segment"));
            }
            None if known.number > meta.cleaned => return Ok(found),
            _ => return missing_segment(dir, known),
        }
    }
    for pair in found[meta.segments.len() - 1..].windows(2) {
        let next = SegmentName::first(pair[0].number + 1);
        if pair[1] != next {
            return missing_segment(dir, next);
        }
    }
    Ok(found)
}

fn missing_segment<T>(dir: &Path, name: SegmentName) -> Result<T, StorageError> {
    Err(StorageError::corrupt(&dir.join(name.log()), 0, "the segment is missing"))
}

/// How a segment is read.
#[derive(Clone, Copy, Debug)]
enum Role {
    /// It is not written to any more. Its hint will do.
    Closed,
    /// It is the last, and whole.
    Whole,
    /// It is the last, and was synced up to there.
    MayBeTorn { synced: u64 },
}

struct Reader<'a> {
    home: &'a Home,
    meta: &'a Meta,
    dir: &'a Path,
    read: Read,
}

impl Reader<'_> {
    fn read_segment(&mut self, name: SegmentName, role: Role) -> Result<(), StorageError> {
        let file = File::open(&*self.home.disk, &self.dir.join(name.log()))?;
        let bytes = file.size()?;
        let mut first = self.read.contents.last.seq + 1;
        if name.number > self.meta.cleaned {
            first = first.max(self.meta.base.seq + 1);
        }
        let segment = Arc::new(Segment { name, first, file });
        self.check_length(&segment, bytes, role)?;
        let mut piece = Piece { segment: segment.clone(), bytes };
        if matches!(role, Role::Closed) && self.read_hint(&piece)? {
            return Ok(());
        }

        match (segment.check_header(self.meta.generation), role) {
            // A header is synced before anything else is written to its segment or known of it. So either the segment
            // was just being created, or the file has been cut since.
            (Err(StorageError::Corrupt { .. }), Role::MayBeTorn { synced })
                if bytes < HEADER_BYTES || (bytes == HEADER_BYTES && synced == 0) =>
            {
                piece.bytes = HEADER_BYTES;
                self.read.contents.segments.push(Held::new(piece));
                self.read.end = LogEnd::Headless { bytes };
                return Ok(());
            }
            (checked, _) => checked?,
        }
        self.read.contents.segments.push(Held::new(piece.clone()));
        if let Some((offset, flaw)) = self.read_records(&piece, role)? {
            let last = self.read.contents.last.max(self.meta.base);
            let verdict = match role {
                Role::MayBeTorn { synced } => tail::judge(&piece, offset, flaw, synced, last)?,
                Role::Closed | Role::Whole => TailEnd::Corrupt(flaw.to_string()),
            };
            match verdict {
                TailEnd::Corrupt(what) => return Err(piece.segment.file.corrupt(offset, what)),
                TailEnd::Torn => {
                    self.read.end = LogEnd::Torn { bytes: piece.bytes - offset };
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

    /// Checks a segment's length against what the meta file knows of it.
    fn check_length(&self, segment: &Segment, bytes: u64, role: Role) -> Result<(), StorageError> {
        let known = self.meta.segments.binary_search_by_key(&segment.name, |known| known.name());
        let Ok(i) = known else { return Ok(()) };
        let synced = self.meta.segments[i].bytes;
        if bytes < synced && !matches!(role, Role::MayBeTorn { .. }) {
            let what = format!("the file ends here, although it was synced up to byte {synced}");
            return Err(segment.file.corrupt(bytes, what));
        }
        if i + 1 < self.meta.segments.len() && bytes > synced {
            let what = format!("the segment was closed here, but the file has {bytes} bytes");
            return Err(segment.file.corrupt(synced, what));
        }
        Ok(())
    }

    /// Takes the records of a piece in, up to its end or to the first bad one. Beyond what was synced
    /// of the last, a value that is not what was written may have been torn, and not damaged.
    fn read_records(&mut self, piece: &Piece, role: Role) -> Result<Option<(u64, Flaw)>, StorageError> {
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
                    if record.value.is_none() {
                        let (at, end) = (u64::from(offset), u64::from(offset + record.bytes()));
                        // What was synced as a whole cannot have been torn.
                        if let Role::MayBeTorn { synced } = role
                            && end > synced
                            && tail::judge(piece, at, Flaw::Value, synced, last.max(self.meta.base))?
                                == TailEnd::Torn
                        {
                            return Ok(Some((at, Flaw::Value)));
                        }
                        self.note_damage(damage(piece, offset, record.at, record.key));
                    }
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

    /// Makes room by forgetting what has been superseded, if there is none.
    fn note_damage(&mut self, damage: Damage) {
        let Contents { index, damaged, damaged_more, .. } = &mut self.read.contents;
        if damaged.len() >= DAMAGES_MAX {
            damaged.retain(|known| index.get(&known.key).is_some_and(|slot| slot.seq == known.at.seq));
        }
        if damaged.len() >= DAMAGES_MAX { *damaged_more += 1 } else { damaged.push(damage) }
    }
}

impl Read {
    /// The torn tail that is cut, if nothing shows that any of it had been synced: in which file, where, and how many
    /// bytes are dropped.
    pub(super) fn torn(&self) -> Option<(PathBuf, u64, u64)> {
        let last = &self.contents.segments.all().last()?.piece;
        let path = || last.segment.file.path.clone();
        match self.end {
            _ if self.forgot.is_some() => None,
            LogEnd::Torn { bytes } => Some((path(), last.bytes, bytes)),
            LogEnd::Headless { bytes } => Some((path(), 0, bytes)),
            LogEnd::Whole | LogEnd::Missing(_) => None,
        }
    }
}
