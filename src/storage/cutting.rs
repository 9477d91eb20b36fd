//! A log is cut back to a fork: what comes after it goes, durably, and no crash leaves anything between.
//!
//! 1. The meta file *names the cut*: the fork, the segments with the lengths that they are to have, and the next era
//!    (so a mark of before counts for nothing). This is the moment at which the cut takes effect.
//! 2. Later segments are removed, with their hints; the one that holds the fork is shortened; the directory is synced.
//! 3. The meta file names no cut any more.
//!
//! A start that finds a cut named goes on at 2, which may be done any number of times. Before 1 whoever cuts has
//! written what goes to a rollback file, and synced what stays.

use super::error::StorageError;
use super::file::File;
use super::home::{Home, ignore_missing};
use super::log::segment::{HEADER_BYTES, Piece, Scan, ScanStep};
use super::meta::Meta;
use super::segment_name::{SegmentName, SyncedTo};
use super::sweep;

/// How much is copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// How a file is shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortening {
    /// Where it is: it needs no room. For a start, when nobody reads.
    InPlace,
    /// A shorter file takes its place. Whoever has the old one open (lookups until the cut is applied, streams, a hint
    /// or a cleanup under way) reads on what was there.
    Anew,
}

/// What segments the log has, and how long they are, once all after the seq `fork` is cut off. The fork is not below
/// the base.
pub(super) fn segments_up_to(
    pieces: &[Piece],
    fork: u64,
    cleaned: u32,
) -> Result<Vec<SyncedTo>, StorageError> {
    let holding = pieces.partition_point(|piece| piece.segment.first <= fork).saturating_sub(1);
    let whole = |piece: &Piece| SyncedTo::new(piece.segment.name, piece.bytes);
    let mut segments: Vec<_> = pieces[..holding].iter().map(whole).collect();
    let end = end_of(&pieces[holding], fork)?;
    segments.push(SyncedTo::new(pieces[holding].segment.name, end));
    // Nothing is ever written to a segment that cleanup has written anew, or read.
    if pieces[holding].segment.name.number <= cleaned {
        segments.push(SyncedTo::new(SegmentName::first(cleaned + 1), HEADER_BYTES));
    }
    Ok(segments)
}

/// Finishes the cut that the meta file names, if it does.
pub(super) fn finish(home: &Home, meta: &mut Meta) -> Result<(), StorageError> {
    if meta.cut.is_some() {
        make(home, meta, Shortening::InPlace)?;
        meta.cut = None;
        meta.save(home)?;
    }
    Ok(())
}

/// Brings the files to what the meta file says, durably.
pub(super) fn make(home: &Home, meta: &Meta, shortening: Shortening) -> Result<(), StorageError> {
    let dir = home.log_dir(meta.generation);
    let active = meta.segments.last().expect("a log has a segment").segment;
    // The last one first, so that what is left by an end in between is always a log.
    for file in home.list(&dir)?.into_iter().rev() {
        if SegmentName::of_log(&file).is_some_and(|name| name.number > active) {
            home.remove(&dir.join(file))?;
        }
    }
    sweep::remove_hints_from(home, meta.generation, active)?;
    // The fork is in the last, or, with an empty one after it, in the last but one.
    for kept in meta.segments.iter().rev().take(2) {
        let name = kept.name().log();
        let file = match File::open(&*home.disk, &dir.join(&name)) {
            Err(error) if error.is_missing() => continue, // recovery has something to say of that
            opened => opened?,
        };
        if file.size()? <= kept.bytes {
            continue;
        }
        ignore_missing(home.remove(&dir.join(kept.name().hint())))?;
        match shortening {
            Shortening::InPlace => {
                file.truncate(kept.bytes)?;
                file.sync()?;
            }
            Shortening::Anew => {
                copy(&file, kept.bytes, &File::create(&*home.disk, &Home::part(&dir, &name))?)?;
                home.name_part(&dir, &name)?;
            }
        }
    }
    home.sync_dir(&dir)
}

/// Where the records up to the seq `fork` end.
fn end_of(piece: &Piece, fork: u64) -> Result<u64, StorageError> {
    let mut scan = Scan::new(piece.clone());
    loop {
        match scan.next()? {
            ScanStep::Record(offset, record) if record.at.seq > fork => return Ok(offset.into()),
            ScanStep::Record(..) => {}
            ScanStep::End => return Ok(piece.bytes),
            ScanStep::Bad(offset, flaw) => return Err(piece.segment.file.corrupt(offset, flaw.to_string())),
        }
    }
}

/// Copies the first `bytes` of a file, durably.
fn copy(from: &File, bytes: u64, to: &File) -> Result<(), StorageError> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut at = 0;
    while at < bytes {
        let wanted = usize::try_from(bytes - at).map_or(COPY_BYTES, |left| left.min(COPY_BYTES));
        let read = from.read_at(&mut buffer[..wanted], at)?;
        if read < wanted {
            return Err(from.corrupt(at + read as u64, "the file is shorter than it was"));
        }
        to.write_at(&buffer[..wanted], at)?;
        at += wanted as u64;
    }
    to.sync()
}
