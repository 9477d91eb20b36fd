//! Where those who read the log in batches have stopped.

use std::collections::VecDeque;

use super::segment_name::SegmentName;

/// So many places are remembered: a few for each member that reads at the same time.
const CURSORS_MAX: usize = 32;

/// Where batches ended, so that the next one need not search its segment from the beginning. Any of them may be out of
/// date: a segment that has been replaced is not found by its name any more.
#[derive(Debug, Default)]
pub(super) struct Cursors(VecDeque<Cursor>);

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// The seq of the record that begins there.
    pub(super) seq: u64,
    pub(super) segment: SegmentName,
    pub(super) offset: u64,
}

impl Cursors {
    /// The newest for this seq.
    pub(super) fn find(&self, seq: u64) -> Option<Cursor> {
        self.0.iter().rev().find(|cursor| cursor.seq == seq).copied()
    }

    /// Remembers one, and forgets the oldest if there are too many.
    pub(super) fn note(&mut self, cursor: Cursor) {
        self.0.retain(|other| other.seq != cursor.seq);
        if self.0.len() == CURSORS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(cursor);
    }
}
