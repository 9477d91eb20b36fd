//! Damaged values: what is known of them, and how one becomes whole again.
//!
//! A value is damaged if its record's head is good and the value does not match the checksum that the head holds. The
//! log, and all that depends on it, is whole then: where the record stands, whose it is, that it was acknowledged. Only
//! the value has to come from somebody else. It is written back where it stood: its length is known, the head's checksum
//! says whether it is the right one, and a crash in the midst of it leaves a value that is damaged still.
//!
//! Only values that a lookup can still return count. What has been superseded is damage to nobody.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::gate::LogEra;
use super::log::segment::Piece;
use crate::replication::DamageNews;
use crate::types::{Damage, DamageStatus, Position, ShownDamage};

/// So many damaged values are listed, and asked for. More are refused when they are read, and counted; the next scrub
/// lists them when there is room.
pub const DAMAGES_MAX: usize = 1024;

/// The list. Positions of one log: emptied when the log is replaced.
#[derive(Debug, Default)]
pub(super) struct Damages {
    /// By seq.
    known: BTreeMap<u64, Damage>,
    /// Not told yet. Bounded by what is known: each is told once when found, and once when gone.
    news: Vec<DamageNews>,
    found: u64,
    repaired: u64,
    unlisted: u64,
}

/// A right value, to be written over a damaged one.
#[derive(Clone, Debug)]
pub struct Repair {
    pub(super) era: LogEra,
    pub(super) piece: Piece,
    pub(super) offset: u32,
    pub(super) at: Position,
    pub(super) key: Bytes,
    pub(super) value: Bytes,
}

/// The damage of a record of `piece` that begins at `offset`.
pub(super) fn damage(piece: &Piece, offset: u32, at: Position, key: &[u8]) -> Damage {
    let path = &piece.segment.file.path;
    // The log's directory and the file in it; the data directory is the same for all.
    let parts: Vec<_> = path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    let file = parts.into_iter().rev().collect::<Vec<_>>().join("/");
    Damage { at, key: Bytes::copy_from_slice(key), file, offset: offset.into() }
}

impl Damages {
    /// One was met that a lookup may return.
    pub(super) fn note(&mut self, damage: Damage) {
        if self.known.contains_key(&damage.at.seq) {
            return;
        }
        if self.known.len() >= DAMAGES_MAX {
            self.unlisted += 1;
            return;
        }
        self.found += 1;
        self.news.push(DamageNews::Found(damage.clone()));
        self.known.insert(damage.at.seq, damage);
    }

    /// So many were met and not even kept until now.
    pub(super) fn note_unlisted(&mut self, count: u64) {
        self.unlisted += count;
    }

    /// It has its right value again.
    pub(super) fn repaired(&mut self, at: Position) {
        if self.known.remove(&at.seq).is_some() {
            self.repaired += 1;
            self.news.push(DamageNews::Repaired(at));
        }
    }

    /// What was offered for it was not written.
    pub(super) fn not_repaired(&mut self, at: Position) {
        if self.known.contains_key(&at.seq) {
            self.news.push(DamageNews::NotRepaired(at));
        }
    }

    /// Nobody can look it up any more.
    pub(super) fn gone(&mut self, seq: u64) {
        if let Some(damage) = self.known.remove(&seq) {
            self.news.push(DamageNews::Gone(damage.at));
        }
    }

    /// The log is another one now: keeps those that a lookup may still meet.
    pub(super) fn retain(&mut self, needed: impl Fn(&Damage) -> bool) {
        let gone: Vec<u64> =
            self.known.values().filter(|&known| !needed(known)).map(|it| it.at.seq).collect();
        gone.into_iter().for_each(|seq| self.gone(seq));
    }

    /// The log has been replaced.
    pub(super) fn clear(&mut self) {
        self.retain(|_| false);
    }

    /// Those that are known.
    pub(super) fn all(&self) -> impl Iterator<Item = &Damage> {
        self.known.values()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What has not been told yet, in order.
    pub(super) fn take_news(&mut self) -> Vec<DamageNews> {
        std::mem::take(&mut self.news)
    }

    /// For a person.
    pub(super) fn status(&self) -> DamageStatus {
        let shown = |damage: &Damage| ShownDamage {
            at: damage.at,
            key: damage.key_text(),
            file: damage.file.clone(),
            offset: damage.offset,
        };
        DamageStatus {
            now: self.known.len() as u64,
            found: self.found,
            repaired: self.repaired,
            unlisted: self.unlisted,
            some: self.all().take(DamageStatus::SHOWN_MAX).map(shown).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Epoch, NodeId};

    fn one(seq: u64) -> Damage {
        let at = Position::new(Epoch::new(1, NodeId(1)), seq);
        Damage {
            at,
            key: Bytes::from(format!("k{seq}")),
            file: "log-00000001/00000001.log".into(),
            offset: 28,
        }
    }

    #[test]
    fn each_is_told_once_and_no_more_are_listed_than_the_bound() {
        let mut damages = Damages::default();
        for seq in 1..=DAMAGES_MAX as u64 + 3 {
            damages.note(one(seq));
            damages.note(one(seq));
        }
        assert_eq!(damages.take_news().len(), DAMAGES_MAX);
        let status = damages.status();
        assert_eq!((status.now, status.found, status.unlisted), (DAMAGES_MAX as u64, DAMAGES_MAX as u64, 6));
        assert_eq!(status.some.len(), DamageStatus::SHOWN_MAX);
        damages.repaired(one(1).at);
        damages.repaired(one(1).at);
        damages.gone(2);
        damages.note(one(DAMAGES_MAX as u64 + 1));
        let told = damages.take_news();
        assert_eq!(told.len(), 3);
        assert!(
            matches!(&told[..2], [DamageNews::Repaired(at), DamageNews::Gone(gone)] if at.seq == 1 && gone.seq == 2)
        );
        damages.retain(|damage| damage.at.seq <= DAMAGES_MAX as u64);
        assert_eq!(damages.status().now, DAMAGES_MAX as u64 - 2);
        damages.clear();
        assert!(damages.is_empty());
        assert_eq!(damages.status().repaired, 1);
    }
}
