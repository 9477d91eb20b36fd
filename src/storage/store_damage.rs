//! The store's part in damage: what of it somebody needs, what is to be done about it, and what it does to a state that
//! is being sent.

use bytes::Bytes;

use super::damages::{Repair, damage};
use super::error::StorageError;
use super::gate::LogEra;
use super::index::Slot;
use super::install::snapshot::{Item, SnapshotReader};
use super::log::segment::Piece;
use super::store::Store;
use super::writing::job::Job;
use crate::replication::DamageNews;
use crate::types::{Damage, DamageStatus, Entry, Found, Lookup, Op, Position};

/// The next part of a view, see [`Store::read_snapshot`].
#[derive(Debug, PartialEq, Eq)]
pub enum SnapshotPart {
    /// These records, and whether none follow. No record and more to follow: the next is damaged, and waits to be
    /// repaired.
    Entries(Vec<Entry>, bool),
    /// A value of it is damaged, and has been superseded since: nobody can supply it any more, and the view cannot be
    /// completed. A new one can.
    Lost,
}

/// What has become of a damaged value of a view.
enum Standing {
    /// It has its right value again.
    Repaired(Entry),
    /// It waits for that.
    Damaged,
    /// A later record of the view supersedes it.
    Superseded,
    /// A record that is not in the view does, or the log has been replaced.
    Lost,
}

impl Store {
    /// The next records of a view, in log order: at most `bytes_max` of [`Entry::weight`], or one. Damaged values that
    /// were superseded within the view are left out, as cleanup would; one that was not ends the part before it.
    ///
    /// # Errors
    /// If the disk cannot be read, or a record's head is not what was written.
    pub fn read_snapshot(
        &self,
        view: &mut SnapshotReader,
        bytes_max: usize,
    ) -> Result<SnapshotPart, StorageError> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(item) = view.next_item()? {
            let entry = match item {
                Item::Entry(entry) => entry,
                Item::Damaged(damage, length) => match self.standing(&damage, view.state())? {
                    Standing::Repaired(entry) => entry,
                    Standing::Superseded => continue,
                    Standing::Lost => return Ok(SnapshotPart::Lost),
                    Standing::Damaged => {
                        view.put_back(Item::Damaged(damage, length));
                        return Ok(SnapshotPart::Entries(entries, false));
                    }
                },
            };
            if !entries.is_empty() && bytes + entry.weight() > bytes_max {
                view.put_back(Item::Entry(entry));
                return Ok(SnapshotPart::Entries(entries, false));
            }
            bytes += entry.weight();
            entries.push(entry);
        }
        Ok(SnapshotPart::Entries(entries, true))
    }

    /// What has been found damaged, repaired, or superseded since this was last asked, in order. Whoever drives the
    /// store asks after everything that may read.
    pub fn take_damage_news(&mut self) -> Vec<DamageNews> {
        self.damages.get_mut().take_news()
    }

    /// Damaged values that were met by somebody who read beside the store: a scrub, a hint, a cleanup.
    pub fn note_damage(&mut self, met: impl IntoIterator<Item = Damage>) {
        for damage in met {
            if self.is_needed(&damage) {
                self.damages.get_mut().note(damage);
            }
        }
    }

    /// How a value that was supplied by another member is written back. `None`: nobody needs it any more.
    pub fn repair(&mut self, at: Position, key: &Bytes, value: Bytes) -> Option<Job> {
        let slot = self.contents.index.get(key).filter(|slot| slot.live && slot.seq == at.seq);
        let Some(slot) = slot.filter(|_| self.contents.lineage.epoch_of(at.seq) == at.epoch) else {
            self.damages.get_mut().gone(at.seq);
            return None;
        };
        let piece =
            self.contents.segments.piece(slot.segment).expect("the index points into the log").clone();
        let (era, offset, key) = (self.ground.era, slot.offset, key.clone());
        Some(Job::Repair(Box::new(Repair { era, piece, offset, at, key, value })))
    }

    /// Damaged values, for a person.
    pub fn damage_status(&self) -> DamageStatus {
        self.damages.borrow().status()
    }

    /// Whether a segment has a damaged value that somebody may look up, as far as is known.
    pub(super) fn is_damaged(&self, piece: &Piece) -> bool {
        let damages = self.damages.borrow();
        damages.all().any(|known| damage(piece, 0, known.at, b"").file == known.file)
    }

    /// Whether a lookup may return this value.
    pub(super) fn is_needed(&self, damage: &Damage) -> bool {
        let needed = |slot: Slot| slot.live && slot.seq == damage.at.seq;
        self.contents.index.get(&damage.key).is_some_and(needed)
            && self.contents.lineage.epoch_of(damage.at.seq) == damage.at.epoch
    }

    /// Notes damage that was met when the log was read.
    pub(super) fn note_what_was_read(&self) {
        let mut damages = self.damages.borrow_mut();
        let needed = self.contents.damaged.iter().filter(|damage| self.is_needed(damage));
        needed.for_each(|damage| damages.note(damage.clone()));
        damages.note_unlisted(self.contents.damaged_more);
    }

    /// What has become of a damaged value of a view that is `state`.
    fn standing(&self, damage: &Damage, state: (LogEra, Position)) -> Result<Standing, StorageError> {
        let (era, last) = state;
        if era != self.ground.era {
            return Ok(Standing::Lost);
        }
        let by = match self.contents.index.get(&damage.key) {
            Some(slot) if slot.seq == damage.at.seq => {
                return Ok(match self.lookup(&damage.key)? {
                    Lookup::Damaged(_) => Standing::Damaged,
                    Lookup::Found(Found { value, version }) => {
                        let (key, value) = (damage.key.clone(), value.unwrap_or_default());
                        Standing::Repaired(Entry { at: version, op: Op::Put { key, value } })
                    }
                });
            }
            // The newest record of the key; of those between, nothing is known.
            Some(slot) => slot.seq,
            // A tombstone that has been dropped.
            None => self.contents.floor.seq,
        };
        Ok(if by <= last.seq { Standing::Superseded } else { Standing::Lost })
    }
}
