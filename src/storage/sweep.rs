//! What a crash, or work that was given up, has left lying about: files that count for nothing, removed.

use super::error::StorageError;
use super::home::{Home, ROLLBACK};
use super::meta::Meta;
use super::segment_name::SegmentName;

/// Removes what a crash has left half done: logs that do not count, files that were never whole.
pub(super) fn sweep(home: &Home, meta: &Meta) -> Result<(), StorageError> {
    for generation in home.generations()? {
        if generation != meta.generation {
            home.remove_log(generation)?;
        }
    }
    home.remove_parts(&home.dir)?;
    sweep_log(home, meta)?;
    if home.list(&home.dir)?.iter().any(|name| name == ROLLBACK) {
        home.remove_parts(&home.dir.join(ROLLBACK))?;
    }
    Ok(())
}

/// Removes from the log's directory what never became whole, what cleanup has replaced, or written and not swapped, and
/// hints of segments that are not there. A segment that nobody should have removed from the meta file stays, for
/// recovery to complain of.
pub(super) fn sweep_log(home: &Home, meta: &Meta) -> Result<(), StorageError> {
    let dir = home.log_dir(meta.generation);
    home.remove_parts(&dir)?;
    let newest = meta.segments.last().map_or(0, |last| last.segment);
    let is_gone = |name: SegmentName| {
        let known = meta.segments.iter().any(|known| known.name() == name);
        meta.has_replaced(name) || (!known && name.number <= newest)
    };
    for file in home.list(&dir)? {
        let log = SegmentName::of_log(&file).is_some_and(|name| meta.has_replaced(name));
        let hint = SegmentName::of_hint(&file).is_some_and(is_gone);
        if log || hint {
            home.remove(&dir.join(file))?;
        }
    }
    Ok(())
}

/// Removes the hints of the segment with this number and of those after it: a segment that is written to has none, and
/// one that is to be written yet must not find that of another.
pub(super) fn remove_hints_from(home: &Home, generation: u64, number: u32) -> Result<(), StorageError> {
    let dir = home.log_dir(generation);
    for file in home.list(&dir)? {
        if SegmentName::of_hint(&file).is_some_and(|name| name.number >= number) {
            home.remove(&dir.join(file))?;
        }
    }
    Ok(())
}
