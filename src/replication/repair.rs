//! Repair: a member whose disk has lost a value asks the others for exactly that version.
//!
//! A damaged value is not a damaged log. Where the record stands, and so all that this member has promised and
//! acknowledged, is whole; it goes on voting and counting. It only cannot say what the value was. A version (epoch, seq)
//! names one value for ever, so whoever has it, whatever its part, may supply it; the record's own checksum says whether
//! it is the right one. Until somebody has, an eventual read of the key fails here, and a quorum read takes the value
//! from a member that has the same version (`quorum_read.rs`).
//!
//! If nobody has it, the error stays until the key is written again.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::core::Core;
use super::io::{DamageNews, Effect};
use super::quorum_read::LocalRead;
use crate::types::{
    Damage, Entry, Event, Failure, Found, Lookup, Message, NodeId, Op, Position, SnapshotId, Time,
};

/// The pause before a value that nobody has supplied is asked for again: doubled from time to time.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A request counts as under way for this long, unless it is answered before.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// So many are under way at once: each may bring a value of the greatest length from every other member.
const UNDER_WAY_MAX: usize = 4;

/// The values that this member lacks. Bounded by what the disk lists.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    wanted: BTreeMap<Position, Wanted>,
}

/// One of them.
#[derive(Debug)]
struct Wanted {
    key: Bytes,
    /// When the others are asked next.
    ask_at: Time,
    /// Up to when the last request is under way.
    until: Time,
    /// The pause after the next request.
    pause: Duration,
    /// The disk was given a value for it.
    writing: bool,
}

impl Repairs {
    fn under_way(&self, now: Time) -> usize {
        self.wanted.values().filter(|wanted| wanted.until > now).count()
    }

    /// Somebody is there who was not: what is wanted is asked for at once, or when the request under way is over.
    pub(super) fn ask_again(&mut self, now: Time) {
        self.wanted.values_mut().for_each(|wanted| wanted.ask_at = wanted.ask_at.min(now));
    }

    /// When somebody is to be asked next.
    pub(super) fn deadline(&self, now: Time) -> Option<Time> {
        let waiting = self.wanted.values().filter(|wanted| !wanted.writing);
        let next = waiting.map(|wanted| wanted.ask_at.max(wanted.until)).min()?;
        if self.under_way(now) < UNDER_WAY_MAX {
            return Some(next);
        }
        let free = self.wanted.values().map(|wanted| wanted.until).filter(|&until| until > now).min()?;
        Some(next.max(free))
    }
}

// === The member that lacks a value

impl Core {
    pub(super) fn on_damage(&mut self, news: DamageNews) {
        match news {
            DamageNews::Found(damage) => {
                let (now, at) = (self.now, damage.at);
                let wanted = Wanted {
                    key: damage.key.clone(),
                    ask_at: now,
                    until: now,
                    pause: PAUSE_MIN,
                    writing: false,
                };
                self.repairs.wanted.insert(at, wanted);
                let (key, Damage { file, offset, .. }) = (damage.key_text(), damage);
                self.tell(Event::ValueDamaged { at, key, file, offset });
            }
            DamageNews::Repaired(at) => {
                self.repairs.wanted.remove(&at);
                self.tell(Event::ValueRepaired { at });
            }
            DamageNews::NotRepaired(at) => {
                if let Some(wanted) = self.repairs.wanted.get_mut(&at) {
                    wanted.writing = false;
                }
            }
            DamageNews::Gone(at) => {
                self.repairs.wanted.remove(&at);
            }
        }
    }

    /// Asks the others for what is due, so much of it as may be under way.
    pub(super) fn repairs_on_time(&mut self) {
        let (now, others) = (self.now, self.others());
        if others.is_empty() {
            return;
        }
        let room = UNDER_WAY_MAX.saturating_sub(self.repairs.under_way(now));
        let is_due = |wanted: &Wanted| !wanted.writing && wanted.ask_at <= now && wanted.until <= now;
        let due = self.repairs.wanted.iter_mut().filter(|(_, wanted)| is_due(wanted));
        let mut requests = Vec::new();
        for (&at, wanted) in due.take(room) {
            wanted.until = now + UNDER_WAY;
            wanted.ask_at = now + wanted.pause;
            wanted.pause = (wanted.pause * 2).min(PAUSE_MAX);
            requests.push((at, wanted.key.clone()));
        }
        for (at, key) in requests {
            for &other in &others {
                self.send(other, Message::RepairRequest { at, key: key.clone() });
            }
        }
    }

    /// When it next wants to ask, if there is anybody to ask.
    pub(super) fn repair_deadline(&self) -> Option<Time> {
        self.repairs.deadline(self.now).filter(|_| self.config.members.len() > 1)
    }

    pub(super) fn on_repair_answer(&mut self, entry: Entry) {
        let now = self.now;
        // Not asked for, or answered before.
        let Some(wanted) = self.repairs.wanted.get_mut(&entry.at).filter(|wanted| !wanted.writing) else {
            return;
        };
        if matches!(&entry.op, Op::Put { key, .. } if *key == wanted.key) && entry.op.is_within_limits() {
            wanted.writing = true;
            wanted.until = now;
            self.emit(Effect::Repair { entry });
        }
    }

    /// What a client is told of a key whose value is damaged here.
    pub(super) fn damaged(damage: Damage) -> Failure {
        let key = damage.key_text();
        Failure::Damaged { at: damage.at, key, file: damage.file, offset: damage.offset }
    }
}

// === Whoever may have it

impl Core {
    pub(super) fn on_repair_request(&mut self, from: NodeId, at: Position, key: Bytes) {
        self.read_local(LocalRead::Repair { to: from, at, key: key.clone() }, key);
    }

    /// Only the very version will do, whole and durable.
    pub(super) fn answer_repair(&mut self, to: NodeId, at: Position, key: Bytes, lookup: Lookup) {
        if let Lookup::Found(Found { value: Some(value), version }) = lookup
            && version == at
        {
            self.send(to, Message::RepairAnswer { entry: Entry { at, op: Op::Put { key, value } } });
        }
    }
}

// === A full resync from a member with damage

impl Core {
    /// A state that was being sent cannot be completed. The replica gives it up after a silence and asks again; by then a
    /// state can be opened in which the damaged value is superseded.
    pub(super) fn on_snapshot_lost(&mut self, id: SnapshotId) {
        if let Some(to) = self.snapshot(id).map(|(to, _)| to) {
            self.close_snapshot(to);
        }
    }
}
