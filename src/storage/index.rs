//! The index: from each key to its newest durable record.
#![expect(
    clippy::disallowed_types,
    reason = "seeded from outside on purpose: keys come from outside, and its order is never seen"
)]

use std::collections::HashMap;

use super::segment_name::SegmentKey;

/// Where the newest record of a key is. Its epoch is not here: the log's lineage tells it from the seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// The record's seq.
    pub(super) seq: u64,
    /// The segment that holds it.
    pub(super) segment: SegmentKey,
    /// Where in the segment it begins.
    pub(super) offset: u32,
    /// Its length.
    pub(super) bytes: u32,
    /// Whether it set the key; otherwise it is a tombstone.
    pub(super) live: bool,
}

/// Keys and their slots, tombstones included: a delete has a version too.
///
/// Kept lean for millions of small keys: 41 bytes in the table for each key (at its load, 47 to 94) and the key
/// itself, exactly as long as it is.
#[derive(Debug, Default)]
pub(super) struct Index {
    slots: HashMap<Box<[u8]>, Slot>,
    live: u64,
}

impl Index {
    /// The newest record of `key`.
    pub(super) fn get(&self, key: &[u8]) -> Option<Slot> {
        self.slots.get(key).copied()
    }

    /// Takes a newer record in; returns the slot that it replaces.
    ///
    /// # Panics
    /// If the record is not newer: records arrive in the order of the log.
    pub(super) fn note(&mut self, key: &[u8], slot: Slot) -> Option<Slot> {
        self.live += u64::from(slot.live);
        // Looked up before it is inserted, so that an overwrite does not allocate the key again.
        let Some(present) = self.slots.get_mut(key) else {
            self.slots.insert(key.into(), slot);
            return None;
        };
        assert!(present.seq < slot.seq, "seq {} does not follow seq {}", slot.seq, present.seq);
        self.live -= u64::from(present.live);
        Some(std::mem::replace(present, slot))
    }

    /// The record of `slot.seq` has moved; returns where it was. `None`: it is not the key's newest any more, and
    /// nothing changes.
    pub(super) fn repoint(&mut self, key: &[u8], slot: Slot) -> Option<Slot> {
        let present = self.slots.get_mut(key).filter(|present| present.seq == slot.seq)?;
        debug_assert_eq!(present.live, slot.live, "a record stays what it is");
        Some(std::mem::replace(present, slot))
    }

    /// Forgets a key whose newest record is the tombstone of `seq`.
    pub(super) fn forget(&mut self, key: &[u8], seq: u64) {
        if self.slots.get(key).is_some_and(|slot| slot.seq == seq && !slot.live) {
            self.slots.remove(key);
        }
    }

    /// How many keys have a value.
    pub(super) fn live(&self) -> u64 {
        self.live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(seq: u64, live: bool) -> Slot {
        Slot { seq, segment: 1, offset: 28, bytes: 40, live }
    }

    #[test]
    fn counts_live_keys_and_remembers_tombstones() {
        let mut index = Index::default();
        assert_eq!(index.note(b"a", slot(1, true)), None);
        assert_eq!(index.note(b"b", slot(2, true)), None);
        assert_eq!(index.note(b"a", slot(3, true)), Some(slot(1, true)));
        assert_eq!(index.live(), 2);
        assert_eq!(index.note(b"a", slot(4, false)), Some(slot(3, true)));
        assert_eq!(index.note(b"c", slot(5, false)), None);
        assert_eq!(index.live(), 1);
        assert_eq!(index.get(b"a"), Some(slot(4, false)));
        assert_eq!(index.get(b"nothing"), None);
    }

    #[test]
    fn only_the_newest_record_moves_or_is_forgotten() {
        let mut index = Index::default();
        index.note(b"a", slot(1, true));
        index.note(b"b", slot(2, false));
        let moved = Slot { segment: 9, ..slot(1, true) };
        assert_eq!(index.repoint(b"a", moved), Some(slot(1, true)));
        assert_eq!(index.get(b"a"), Some(moved));
        index.note(b"a", slot(3, true));
        assert_eq!(index.repoint(b"a", moved), None);
        assert_eq!(index.repoint(b"nothing", moved), None);
        assert_eq!(index.get(b"a"), Some(slot(3, true)));

        index.forget(b"a", 3);
        index.forget(b"b", 1);
        assert_eq!((index.get(b"a"), index.get(b"b")), (Some(slot(3, true)), Some(slot(2, false))));
        index.forget(b"b", 2);
        assert_eq!((index.get(b"b"), index.live()), (None, 1));
    }

    #[test]
    fn an_entry_of_the_table_stays_lean() {
        assert!(size_of::<(Box<[u8]>, Slot)>() <= 40);
    }

    #[test]
    #[should_panic(expected = "does not follow")]
    fn older_records_are_a_bug() {
        let mut index = Index::default();
        index.note(b"a", slot(2, true));
        index.note(b"a", slot(2, true));
    }
}
