//! Torn tail, or corruption?
//!
//! A crash may tear what was written since the last sync: cut it anywhere, or leave zeros in place of any of its
//! sectors, *later ones surviving earlier ones*. Bytes that were synced are not torn by a crash; if there is anything
//! good after them, they are corrupt. Given a bad record at byte X of the last segment:
//!
//! 1. X was synced, as the meta file or the mark says, and a good record follows: corrupt.
//! 2. Every record notes up to where its segment was synced when it was written. A good record after X that was
//!    written when X was synced already proves that X was whole once: corrupt.
//! 3. Good records after X that were all written in the same unsynced stretch as X prove nothing by themselves.
//!    If what was lost shows the mark of an unwritten sector (nothing but zeros up to a sector's boundary): torn.
//!    Otherwise a write was damaged rather than missed: corrupt.
//! 4. No good record after X: the log ends here. If X was synced, this is more than a crash does, and what was
//!    acknowledged is gone: the member is a learner from now on (`mending.rs`).

use super::record::{self, FIXED_BYTES, Flaw, Outline, RecordPlace};
use super::segment::Piece;
use crate::storage::error::StorageError;
use crate::types::Position;

/// The smallest unit that a disk writes whole.
const SECTOR_BYTES: usize = 512;
/// How much the search for good records reads at a time.
const WINDOW_BYTES: usize = 256 << 10;
/// How many bytes of would-be records the search checks, as a multiple of the bytes that it searches. Beyond this
/// somebody is playing tricks, and the answer is that it cannot be told.
const CHECKS_PER_BYTE: u64 = 8;

/// The answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TailEnd {
    Torn,
    Corrupt(String),
}

/// Judges the bad record at byte `bad` of the last segment, which was synced up to byte `synced`. `last` is the position
/// of the record before the bad one.
pub(crate) fn judge(
    piece: &Piece,
    bad: u64,
    flaw: Flaw,
    synced: u64,
    last: Position,
) -> Result<TailEnd, StorageError> {
    let mut search = Search { piece, bad, last, window: Vec::new(), window_at: 0, budget: 0 };
    search.budget = (piece.bytes - bad).saturating_mul(CHECKS_PER_BYTE);
    let mut from = bad + 1;
    let mut first_good = None;
    while let Some((at, outline)) = search.next_good(from)? {
        if bad < synced {
            let synced = synced.min(piece.bytes);
            return Ok(TailEnd::Corrupt(format!(
                "{flaw}, although the log was synced up to byte {synced}, and record {} at byte {at} is whole",
                outline.at
            )));
        }
        if u64::from(outline.synced) > bad {
            return Ok(TailEnd::Corrupt(format!(
                "{flaw}, but record {} at byte {at} was written after this place was synced",
                outline.at
            )));
        }
        first_good.get_or_insert((at, outline.at));
        from = at + outline.bytes as u64;
    }
    if search.budget == 0 {
        let what =
            format!("{flaw}; what follows is built so that a torn tail cannot be told from corruption");
        return Ok(TailEnd::Corrupt(what));
    }
    let Some((good, at)) = first_good else { return Ok(TailEnd::Torn) };
    if has_unwritten_sector(piece, bad, good)? {
        Ok(TailEnd::Torn)
    } else {
        Ok(TailEnd::Corrupt(format!("{flaw}, but record {at} at byte {good} is whole")))
    }
}

/// Looks for good records after a bad one, whose length cannot be trusted: they may begin at any byte.
struct Search<'a> {
    piece: &'a Piece,
    bad: u64,
    last: Position,
    window: Vec<u8>,
    window_at: u64,
    /// Bytes that may still be checked.
    budget: u64,
}

impl Search<'_> {
    /// The first good record that begins at byte `from` or later.
    fn next_good(&mut self, from: u64) -> Result<Option<(u64, Outline)>, StorageError> {
        let mut at = from;
        while at + FIXED_BYTES as u64 <= self.piece.bytes {
            if self.window_end() < at + FIXED_BYTES as u64 || at < self.window_at {
                self.load(at)?;
                if self.window_end() < at + FIXED_BYTES as u64 {
                    break; // the file is shorter than it was
                }
            }
            let start = usize::try_from(at - self.window_at).expect("within the window");
            let fixed = self.window[start..].first_chunk().expect("checked above");
            if let Some(outline) = record::outline(fixed)
                && self.plausible(at, &outline)
                && self.is_good(at, &outline)?
            {
                return Ok(Some((at, outline)));
            }
            if self.budget == 0 {
                break;
            }
            at += 1;
        }
        Ok(None)
    }

    /// Whether a record like this could stand here. Keeps the costly check of checksums rare.
    fn plausible(&self, at: u64, outline: &Outline) -> bool {
        let lost_at_most = (at - self.bad) / FIXED_BYTES as u64;
        at + outline.bytes as u64 <= self.piece.bytes
            && u64::from(outline.synced) <= at
            && outline.at.epoch >= self.last.epoch
            && outline.at.seq > self.last.seq
            && outline.at.seq - self.last.seq <= lost_at_most + 1
    }

    fn is_good(&mut self, at: u64, outline: &Outline) -> Result<bool, StorageError> {
        self.budget = self.budget.saturating_sub(outline.bytes as u64);
        let Ok(offset) = u32::try_from(at) else { return Ok(false) };
        let mut bytes = vec![0; outline.bytes];
        let read = self.piece.segment.file.read_at(&mut bytes, at)?;
        let place = RecordPlace { segment: self.piece.segment.name.number, offset };
        Ok(record::decode(&bytes[..read], place).is_ok())
    }

    fn window_end(&self) -> u64 {
        self.window_at + self.window.len() as u64
    }

    fn load(&mut self, at: u64) -> Result<(), StorageError> {
        self.window = read(self.piece, at, self.piece.bytes)?;
        self.window_at = at;
        Ok(())
    }
}

/// Whether `from..to` touches a sector that was never written: nothing but zeros up to the sector's boundary.
fn has_unwritten_sector(piece: &Piece, from: u64, to: u64) -> Result<bool, StorageError> {
    let mut at = from;
    loop {
        let bytes = read(piece, at, to)?;
        let mut rest = &bytes[..];
        // The last part may stop short of a boundary. Then the sector goes on in a good record, and was written,
        // or it goes on in the next window.
        while let Some((part, after)) = rest.split_at_checked(to_boundary(at)) {
            if part.iter().all(|&byte| byte == 0) {
                return Ok(true);
            }
            at += part.len() as u64;
            rest = after;
        }
        if rest.len() == bytes.len() {
            return Ok(false);
        }
    }
}

/// Bytes from `at` to the end of its sector; at least one.
fn to_boundary(at: u64) -> usize {
    SECTOR_BYTES - usize::try_from(at % SECTOR_BYTES as u64).expect("less than a sector")
}

/// A window of the piece from `at` on, not beyond `to`.
fn read(piece: &Piece, at: u64, to: u64) -> Result<Vec<u8>, StorageError> {
    let left = usize::try_from(to - at).unwrap_or(usize::MAX);
    let mut bytes = vec![0; left.min(WINDOW_BYTES)];
    let read = piece.segment.file.read_at(&mut bytes, at)?;
    bytes.truncate(read);
    Ok(bytes)
}
