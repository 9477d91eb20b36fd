//! What faults do to the data of a node whose process is dead. For a lab; a node never does this to itself.
//!
//! Each takes the directory's lock first, so a node that lives is left alone. What was cut off is cut durably: the
//! next start finds what a loss of power, or a torn write, would have left.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::disk::Disk;
use super::error::StorageError;
use super::file::File;
use super::home::Home;
use super::log::segment::{HEADER_BYTES, Piece, Scan, ScanStep, Segment};
use super::log::synced::{Marked, SYNCED};
use super::meta::Meta;
use super::recovery;
use super::segment_name::SegmentName;
use crate::types::Position;

/// What was cut off a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file, relative to the data directory.
    pub file: PathBuf,
    /// How many bytes it had.
    pub from: u64,
    /// How many it has now.
    pub to: u64,
}

/// The power goes: the log loses exactly what was not synced, the most that a loss of power may take. `None`: it had
/// nothing to lose.
///
/// What was synced is known from three sources. A later segment proves that those before it were synced whole. The
/// meta file says how far each was when it was written, and the mark (`synced.rs`) how far the last one was since.
///
/// # Errors
/// If the directory is in use, or there is no telling how far the log was synced, or the disk fails.
pub fn cut_to_synced(disk: Arc<dyn Disk>, dir: &Path) -> Result<Option<Cut>, StorageError> {
    let (home, _lock) = Home::enter(disk, dir)?;
    let Some((meta, last)) = last_segment(&home)? else { return Ok(None) };
    let by_meta = meta.segments.iter().find(|known| known.segment == last.piece.segment.name.number);
    let known = by_meta.map_or(HEADER_BYTES, |known| known.bytes);
    if meta.cut.is_some() {
        return Ok(None); // what stays is synced, and what goes is the next start's to cut
    }
    let here = (meta.era(), last.piece.segment.name.number);
    let synced = match Marked::read(&home)? {
        Some(marked) if (marked.era, marked.segment) == here => known.max(marked.bytes),
        // The log, or what it is since it was cut, or its last segment was begun after the mark was written: nothing more
        // was acknowledged as synced.
        Some(marked) if (marked.era, marked.segment) < here => known,
        _ if last.piece.bytes <= known => known,
        _ => {
            let what = "the mark is missing or not whole: nobody can say up to where the log is synced";
            return Err(StorageError::corrupt(&home.dir.join(SYNCED), 0, what));
        }
    };
    last.cut(synced)
}

/// The last write is torn: cuts the log within its last record, at a byte that follows from `seed`. `None`: there is
/// no record.
///
/// There is one rule for every record, synced or not. If it was synced, and so maybe acknowledged, this is more than a
/// loss of power does: it is a disk that loses what it has promised to keep. The next start sees by the mark that the
/// log ends too early, says so, and makes the member a learner ([`Forgotten`](crate::storage::Forgotten)).
///
/// # Errors
/// If the directory is in use, or the disk fails.
pub fn tear_tail(disk: Arc<dyn Disk>, dir: &Path, seed: u64) -> Result<Option<Cut>, StorageError> {
    let (home, _lock) = Home::enter(disk, dir)?;
    let Some((_, last)) = last_segment(&home)? else { return Ok(None) };
    let start = last.last_record()?;
    let bytes = last.piece.bytes.saturating_sub(start);
    if bytes < 2 {
        return Ok(None); // nothing, or a byte that is torn already
    }
    let kept = SmallRng::seed_from_u64(seed).random_range(1..bytes);
    last.cut(start + kept)
}

/// A value that [`rot_value`] has damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotten {
    /// The record.
    pub at: Position,
    /// The file.
    pub file: PathBuf,
    /// The byte of the file that was changed.
    pub byte: u64,
    /// Whether the value was whole before; otherwise nothing has changed.
    pub was_whole: bool,
}

/// One byte of the value of the record of `seq` rots, durably: which, and how, follows from `seed`. `None`: the log that
/// counts has no such record, or it has no value.
///
/// # Errors
/// If the directory is in use, or the log cannot be read, or the disk fails.
pub fn rot_value(
    disk: Arc<dyn Disk>,
    dir: &Path,
    seq: u64,
    seed: u64,
) -> Result<Option<Rotten>, StorageError> {
    let (home, _lock) = Home::enter(disk, dir)?;
    let Some(meta) = Meta::load(&home)? else { return Ok(None) };
    let dir = home.log_dir(meta.generation);
    for name in recovery::segment_names(&home, &dir, &meta)? {
        let file = File::open(&*home.disk, &dir.join(name.log()))?;
        let bytes = file.size()?;
        let piece = Piece { segment: Arc::new(Segment { name, first: 0, file }), bytes };
        if bytes > HEADER_BYTES
            && let Some(rotten) = rot_in(&piece, seq, seed)?
        {
            return Ok(Some(rotten));
        }
    }
    Ok(None)
}

/// As [`rot_value`], in one segment that is synced.
pub(super) fn rot_in(piece: &Piece, seq: u64, seed: u64) -> Result<Option<Rotten>, StorageError> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut scan = Scan::new(piece.clone());
    while let ScanStep::Record(offset, record) = scan.next()? {
        let (start, end) = (record.value_start() as u64, u64::from(record.bytes()));
        if record.at.seq != seq || start == end {
            continue;
        }
        let (at, was_whole) = (record.at, record.value.is_some());
        let byte = u64::from(offset) + rng.random_range(start..end);
        let file = &piece.segment.file;
        if was_whole {
            let mut rotten = [0];
            file.read_at(&mut rotten, byte)?;
            file.write_at(&[rotten[0] ^ rng.random_range(1..=255)], byte)?;
            file.sync()?;
        }
        return Ok(Some(Rotten { at, file: file.path.clone(), byte, was_whole }));
    }
    Ok(None)
}

/// The segment that was written to, and its file's name within the data directory.
struct Last {
    piece: Piece,
    file: PathBuf,
}

/// The last segment of the log that counts. `None`: there is no store, or it has no segment.
fn last_segment(home: &Home) -> Result<Option<(Meta, Last)>, StorageError> {
    let Some(meta) = Meta::load(home)? else { return Ok(None) };
    let dir = home.log_dir(meta.generation);
    // Only closed segments are written anew, so the last one is always as it was first written.
    let Some(name) = home.list(&dir)?.iter().filter_map(|name| SegmentName::of_log(name)).max() else {
        return Ok(None);
    };
    let path = dir.join(name.log());
    let file = File::open(&*home.disk, &path)?;
    let bytes = file.size()?;
    let relative = path.strip_prefix(&home.dir).expect("a path within the directory").to_owned();
    let segment = Arc::new(Segment { name, first: 0, file });
    Ok(Some((meta, Last { piece: Piece { segment, bytes }, file: relative })))
}

impl Last {
    /// Where its last record begins, whole or torn; its end if it has none.
    fn last_record(&self) -> Result<u64, StorageError> {
        let mut start = self.piece.bytes;
        if start <= HEADER_BYTES {
            return Ok(start);
        }
        let mut scan = Scan::new(self.piece.clone());
        loop {
            match scan.next()? {
                ScanStep::Record(offset, _) => start = offset.into(),
                ScanStep::Bad(offset, _) => return Ok(offset),
                ScanStep::End => return Ok(start),
            }
        }
    }

    /// Cuts it to `bytes`, durably, if it is longer.
    fn cut(self, bytes: u64) -> Result<Option<Cut>, StorageError> {
        let Piece { segment, bytes: from } = self.piece;
        if from <= bytes {
            return Ok(None);
        }
        segment.file.truncate(bytes)?;
        segment.file.sync()?;
        Ok(Some(Cut { file: self.file, from, to: bytes }))
    }
}
