//! What each segment is used for: how much of it still holds a value, and how much is garbage.

use super::index::Slot;
use super::log::segment::{HEADER_BYTES, Piece};
use super::segment_name::{SegmentKey, SegmentName};

/// A segment that is read from, and what is known of its records.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) piece: Piece,
    /// How many records it has.
    pub(super) records: u64,
    /// Bytes of its records that hold a key's value. What else it has is garbage, or will be once cleanup may drop
    /// it: overwritten values, tombstones, no-ops.
    pub(super) live: u64,
    /// Whether it has a hint.
    pub(super) hinted: bool,
}

/// The segments of a log in their order; the last is written to. Beside them, for the time in which cleanup moves the
/// index over, those that have been replaced.
#[derive(Clone, Debug, Default)]
pub(super) struct Segments {
    held: Vec<Held>,
    replaced: Vec<Held>,
}

impl Held {
    /// Without records yet.
    pub(super) fn new(piece: Piece) -> Self {
        Self { piece, records: 0, live: 0, hinted: false }
    }

    /// Its name.
    pub(super) fn name(&self) -> SegmentName {
        self.piece.segment.name
    }

    /// Bytes that hold no value.
    pub(super) fn garbage(&self) -> u64 {
        self.piece.bytes.saturating_sub(HEADER_BYTES + self.live)
    }
}

impl Segments {
    /// In the order of the log.
    pub(super) fn all(&self) -> &[Held] {
        &self.held
    }

    /// All but the one that is written to.
    pub(super) fn closed(&self) -> &[Held] {
        &self.held[..self.held.len().saturating_sub(1)]
    }

    /// As above.
    pub(super) fn closed_mut(&mut self) -> &mut [Held] {
        let closed = self.held.len().saturating_sub(1);
        &mut self.held[..closed]
    }

    /// Their pieces.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        self.held.iter().map(|held| held.piece.clone()).collect()
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.held.iter().map(|held| held.piece.bytes).sum()
    }

    /// Records of all segments.
    pub(super) fn records(&self) -> u64 {
        self.held.iter().map(|held| held.records).sum()
    }

    /// Bytes of records that hold a key's value.
    pub(super) fn live(&self) -> u64 {
        self.held.iter().chain(&self.replaced).map(|held| held.live).sum()
    }

    /// Adds one at the end.
    pub(super) fn push(&mut self, held: Held) {
        self.held.push(held);
    }

    /// The last has grown, or the next has begun.
    pub(super) fn grow(&mut self, piece: Piece) {
        match self.held.last_mut() {
            Some(last) if last.name() == piece.segment.name => last.piece = piece,
            _ => self.held.push(Held::new(piece)),
        }
    }

    /// The piece that the index means by `key`.
    pub(super) fn piece(&self, key: SegmentKey) -> Option<&Piece> {
        let held = self.find(key).map(|i| &self.held[i]);
        held.or_else(|| self.replaced.iter().find(|held| held.name().key() == key)).map(|held| &held.piece)
    }

    /// So many records have been added to the last.
    pub(super) fn count(&mut self, records: u64) {
        if let Some(last) = self.held.last_mut() {
            last.records += records;
        }
    }

    /// A key's newest record is `slot` now, and was `before`.
    pub(super) fn moved(&mut self, slot: Slot, before: Option<Slot>) {
        if let Some(before) = before.filter(|before| before.live)
            && let Some(held) = self.get_mut(before.segment)
        {
            held.live = held.live.saturating_sub(before.bytes.into());
        }
        if slot.live
            && let Some(held) = self.get_mut(slot.segment)
        {
            held.live += u64::from(slot.bytes);
        }
    }

    /// Puts `by`, if anything, in the place of consecutive segments, which stay readable until
    /// [`forget_replaced`](Self::forget_replaced). `false`: they are not there as given.
    pub(super) fn replace(&mut self, names: &[SegmentName], by: Option<Held>) -> bool {
        let Some(start) = self.held.iter().position(|held| Some(&held.name()) == names.first()) else {
            return false;
        };
        let there = self.held[start..].iter().map(Held::name).take(names.len());
        if !there.eq(names.iter().copied()) {
            return false;
        }
        self.replaced = self.held.splice(start..start + names.len(), by).collect();
        true
    }

    /// Nothing in the index means a replaced segment any more.
    pub(super) fn forget_replaced(&mut self) {
        debug_assert!(self.replaced.iter().all(|held| held.live == 0), "a value was left behind");
        self.replaced.clear();
    }

    fn get_mut(&mut self, key: SegmentKey) -> Option<&mut Held> {
        match self.find(key) {
            Some(i) => Some(&mut self.held[i]),
            None => self.replaced.iter_mut().find(|held| held.name().key() == key),
        }
    }

    fn find(&self, key: SegmentKey) -> Option<usize> {
        // Nearly always the last.
        if self.held.last().is_some_and(|held| held.name().key() == key) {
            return Some(self.held.len() - 1);
        }
        let number = SegmentName::number_in(key);
        let i = self.held.binary_search_by_key(&number, |held| held.name().number).ok()?;
        (self.held[i].name().key() == key).then_some(i)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::super::disk::MemoryDisk;
    use super::super::file::File;
    use super::*;
    use crate::storage::log::segment::Segment;

    fn held(number: u32, revision: u32) -> Held {
        let name = SegmentName { number, revision };
        let path = Path::new("/").join(name.log());
        let file = File::create(&MemoryDisk::new(0), &path).unwrap();
        let segment = Arc::new(Segment { name, first: 1, file });
        Held::new(Piece { segment, bytes: HEADER_BYTES + 100 })
    }

    fn slot(name: SegmentName, bytes: u32, live: bool) -> Slot {
        Slot { seq: 1, segment: name.key(), offset: 28, bytes, live }
    }

    #[test]
    fn values_move_from_the_replaced_to_the_new_and_both_are_found_meanwhile() {
        let mut segments = Segments::default();
        let (first, second, third) = (SegmentName::first(1), SegmentName::first(2), SegmentName::first(3));
        [first, second, third].iter().for_each(|name| segments.push(held(name.number, 0)));
        segments.moved(slot(first, 60, true), None);
        segments.moved(slot(second, 30, true), None);
        segments.moved(slot(third, 40, false), Some(slot(second, 30, true)));
        let live = |segments: &Segments| segments.all().iter().map(|held| held.live).collect::<Vec<_>>();
        assert_eq!((live(&segments), segments.live()), (vec![60, 0, 0], 60));
        assert_eq!(segments.all()[0].garbage(), 40);

        assert!(!segments.replace(&[second, first], None), "not as given");
        assert!(!segments.replace(&[SegmentName::first(9)], None));
        let new = SegmentName { number: 1, revision: 1 };
        assert!(segments.replace(&[first, second], Some(held(1, 1))));
        for name in [first, second, third, new] {
            assert_eq!(segments.piece(name.key()).map(|piece| piece.segment.name), Some(name));
        }
        assert_eq!((live(&segments), segments.live()), (vec![0, 0], 60));
        segments.moved(slot(new, 60, true), Some(slot(first, 60, true)));
        assert_eq!((live(&segments), segments.live()), (vec![60, 0], 60));
        segments.forget_replaced();
        assert!(segments.piece(first.key()).is_none() && segments.piece(second.key()).is_none());
        assert_eq!(segments.closed().len(), 1);
    }
}
