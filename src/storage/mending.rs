//! What a start does to the end of the log before it goes on there.
//!
//! [`recovery`](super::recovery) reads and changes nothing; what it has found at the end is put right here.
//!
//! # A log that ends before its mark
//!
//! What was synced may have been acknowledged. If the log ends before that, the member has forgotten acknowledgements
//! (not promises: those are in the meta file), and may no longer count for what it once did. So *before anything is
//! cut, and before the mark moves*, one new meta file makes it a learner and takes the lengths back. If the power goes
//! before that file is there, the next start finds what this one has found; if after, it is a learner. Whoever is alone
//! has nobody to learn from: it loses what it has lost, and says so.
//!
//! # Written again
//!
//! The end of the log may be in the system's cache and nowhere else: if the last process ended because a sync had
//! failed, the system may take those pages for clean, and the next sync succeeds without writing them. So whatever is
//! not known to be synced is written again before it is synced and called durable.

use std::sync::Arc;

use super::ending::{LogEnd, Proven};
use super::error::StorageError;
use super::home::Home;
use super::log::segment::{self, HEADER_BYTES, Piece};
use super::meta::Meta;
use super::recovery::Read;
use super::segment_name::SyncedTo;
use super::sweep;
use super::tally::Held;

/// How much is written again at a time.
const REWRITE_BYTES: usize = 1 << 20;

/// Puts the end of a log right that was read. What `read` holds is durable afterwards.
pub(super) fn mend(
    home: &Home,
    meta: &mut Meta,
    read: &mut Read,
    proven: Proven,
    alone: bool,
) -> Result<(), StorageError> {
    let dir = home.log_dir(meta.generation);
    if let LogEnd::Missing(number) = read.end {
        let first = read.contents.last.seq + 1;
        let segment = segment::create(&*home.disk, &dir, meta.generation, number, first)?;
        read.contents.segments.push(Held::new(Piece { segment: Arc::new(segment), bytes: HEADER_BYTES }));
    }
    let active = read.contents.segments.all().last().expect("a log has a segment").piece.clone();
    let (number, file) = (active.segment.name.number, &active.segment.file);
    if read.forgot.is_some() {
        meta.promise.learner |= !alone;
        meta.cuts += 1;
        let lengths = read.contents.segments.all().iter().map(|held| &held.piece);
        meta.segments = lengths.map(|piece| SyncedTo::new(piece.segment.name, piece.bytes)).collect();
        if let (LogEnd::Headless { .. }, Some(last)) = (&read.end, meta.segments.last_mut()) {
            last.bytes = 0;
        }
        meta.save(home)?;
    }
    match read.end {
        LogEnd::Whole | LogEnd::Missing(_) => {}
        LogEnd::Torn { .. } => file.truncate(active.bytes)?,
        LogEnd::Headless { .. } => {
            file.truncate(0)?;
            file.write_at(&segment::header(meta.generation, number), 0)?;
        }
    }
    sweep::remove_hints_from(home, meta.generation, number)?;
    write_again(&active, proven.of_segment(number))?;
    // What was cut just now must stay cut, so that nothing is ever written after bytes that might come back.
    file.sync()?;
    home.sync_dir(&dir)
}

/// Writes what a piece has from byte `from` on once more.
fn write_again(piece: &Piece, from: u64) -> Result<(), StorageError> {
    let file = &piece.segment.file;
    let mut buffer = Vec::new();
    let mut at = from;
    while at < piece.bytes {
        let wanted = usize::try_from(piece.bytes - at).map_or(REWRITE_BYTES, |left| left.min(REWRITE_BYTES));
        buffer.resize(wanted, 0);
        let read = file.read_at(&mut buffer, at)?;
        if read < wanted {
            return Err(file.corrupt(at + read as u64, "the file is shorter than it was"));
        }
        file.write_at(&buffer, at)?;
        at += wanted as u64;
    }
    Ok(())
}
