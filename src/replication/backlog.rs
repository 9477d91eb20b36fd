//! The backlog: the newest entries, kept in memory for replicas that are a little behind.

use std::collections::VecDeque;

use crate::types::Entry;

/// The newest entries of the log, bounded in bytes.
///
/// * Entries are contiguous, and the last is the last of the log (or there is none).
/// * Trimmed only when twice the bound is exceeded, then down to the bound: a replica at the edge is not thrown
///   off by every single write.
#[derive(Debug)]
pub(super) struct Backlog {
    entries: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
}

impl Backlog {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Adds the entry that was just appended to the log.
    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert!(self.entries.back().is_none_or(|last| last.at.seq + 1 == entry.at.seq));
        self.bytes += entry.weight();
        self.entries.push_back(entry);
        if self.bytes > self.bytes_max.saturating_mul(2) {
            while self.bytes > self.bytes_max {
                let Some(oldest) = self.entries.pop_front() else { break };
                self.bytes -= oldest.weight();
            }
        }
    }

    /// Whether the entry `seq` is here.
    pub(super) fn holds(&self, seq: u64) -> bool {
        let first = self.entries.front().map(|e| e.at.seq);
        first.is_some_and(|first| first <= seq && seq < first + self.entries.len() as u64)
    }

    /// Entries from `seq` on, at most `bytes` of them but at least one if it is here.
    pub(super) fn from(&self, seq: u64, bytes: usize) -> Vec<Entry> {
        if !self.holds(seq) {
            return Vec::new();
        }
        let skip = (seq - self.entries[0].at.seq) as usize;
        let mut taken = 0;
        let fits = |entry: &&Entry| {
            let first = taken == 0;
            taken += entry.weight();
            first || taken <= bytes
        };
        self.entries.range(skip..).take_while(fits).cloned().collect()
    }

    /// Forgets everything: the log was replaced.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::io::CHUNK_BYTES;
    use super::*;
    use crate::types::{Epoch, KEY_BYTES_MAX, Message, NodeId, Op, Position, VALUE_BYTES_MAX};
    use crate::wire::{PeerFrame, encode};

    fn entry(seq: u64, value: usize) -> Entry {
        let op = Op::Put { key: Bytes::from_static(b"k"), value: vec![0; value].into() };
        Entry { at: Position::new(Epoch::new(1, NodeId(1)), seq), op }
    }

    #[test]
    fn trims_at_twice_the_bound_down_to_the_bound() {
        let weight = entry(1, 935).weight();
        let mut backlog = Backlog::new(10 * weight);
        (1..=20).for_each(|seq| backlog.push(entry(seq, 935)));
        assert!(backlog.holds(1), "up to twice the bound nothing is trimmed");
        backlog.push(entry(21, 935));
        assert!(!backlog.holds(11) && backlog.holds(12) && backlog.holds(21));
    }

    #[test]
    fn gives_at_least_one_and_at_most_the_bytes() {
        let mut backlog = Backlog::new(1 << 20);
        (1..=9).for_each(|seq| backlog.push(entry(seq, 1000)));
        assert_eq!(backlog.from(3, 1).len(), 1);
        assert_eq!(backlog.from(3, 3 * entry(1, 1000).weight()).len(), 3);
        assert_eq!(backlog.from(9, usize::MAX).len(), 1);
        assert!(backlog.from(10, usize::MAX).is_empty());
    }

    #[test]
    fn what_is_sent_at_once_fits_into_a_frame() {
        let largest = VALUE_BYTES_MAX;
        let mut backlog = Backlog::new(1 << 30);
        let key = Bytes::from(vec![b'k'; KEY_BYTES_MAX]);
        let at = Position::new(Epoch::new(u64::MAX, NodeId(9)), u64::MAX - 3);
        for (i, value) in [CHUNK_BYTES - 2 * KEY_BYTES_MAX, largest, 0].into_iter().enumerate() {
            let op = Op::Put { key: key.clone(), value: vec![0; value].into() };
            backlog.push(Entry { at: Position::new(at.epoch, at.seq + i as u64), op });
        }
        // The large one goes alone, whatever came together before it.
        for (seq, count) in [(at.seq, 1), (at.seq + 1, 1), (at.seq + 2, 1)] {
            let entries = backlog.from(seq, CHUNK_BYTES);
            assert_eq!(entries.len(), count);
            let message = Message::Append { epoch: at.epoch, prev: at, entries, commit: u64::MAX };
            encode(&PeerFrame::Message(message)).expect("fits");
        }
        // The most records for the bytes: none of them costs more on the wire than it weighs.
        let mut backlog = Backlog::new(1 << 30);
        (0..8192).for_each(|i| {
            backlog.push(Entry { at: Position::new(at.epoch, at.seq - 9999 + i), op: Op::Noop });
        });
        let entries = backlog.from(at.seq - 9999, CHUNK_BYTES);
        let message = Message::Append { epoch: at.epoch, prev: at, entries, commit: u64::MAX };
        assert!(encode(&PeerFrame::Message(message)).expect("fits").len() < CHUNK_BYTES);
    }
}
