//! Every write attempt that the judge remembers: what was written, by which operation, and who has seen it.
#![expect(clippy::disallowed_types, reason = "its hasher is named: the same in every run")]

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault};

use super::zones::Zone;
use crate::judge::hash::{AsIs, Hash};
use crate::judge::history::{Consistency, HistoryEvent, OpKind, Phase};
use crate::judge::operation::{Completion, Operation, Stamp};
use crate::judge::value::Value;
use crate::types::{Epoch, NodeId};

/// No id; also the id of a key's initial absence in its zones.
pub(super) const NO_ID: u32 = u32::MAX;

/// An operation without its key and value: 64 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) began: Stamp,
    pub(super) ended: Stamp,
    epoch: Epoch,
    seq: u64,
    pub(super) client: u32,
    node: Option<NodeId>,
    op: OpKind,
    consistency: Consistency,
    /// `Invoke` while it is outstanding.
    pub(super) phase: Phase,
}

/// One write attempt.
#[derive(Clone, Debug)]
pub(super) struct Id {
    pub(super) value: Box<str>,
    /// Quorum operations only.
    pub(super) zone: Zone,
    /// The earliest finish of any operation on it, eventual reads included; `None` until there is one.
    pub(super) seen: Option<u64>,
    /// Its write.
    pub(super) write: Span,
    /// The quorum read that finished first, where that was before the write did.
    pub(super) first: Option<Box<Span>>,
    /// The quorum read that started last, where that was after the write did.
    pub(super) last: Option<Box<Span>>,
    key: u32,
    /// The next id of the same hash.
    chain: u32,
    /// The next id in the queue of its key.
    pub(super) queue: u32,
    /// Whether it is out of the queue while it may still turn up: it cannot be forgotten by its turn.
    pub(super) parked: bool,
    /// Whether it can be found by its value.
    listed: bool,
    /// Whether the same value was tried before, and may have been written then.
    pub(super) repeats: bool,
    /// Whether its value was forgotten while it might still have turned up.
    dropped: bool,
}

/// All ids of all keys. Slots are used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    slots: Vec<Id>,
    free: Vec<u32>,
    /// From the hash of key and value to the first of a chain.
    heads: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
}

impl Span {
    /// Whether the operation asked for a quorum.
    pub(super) fn is_quorum(&self) -> bool {
        self.consistency == Consistency::Quorum
    }

    /// The operation that this event invokes.
    pub(super) fn begin(event: &HistoryEvent) -> Self {
        let now = Stamp { i: event.i, t_ns: event.t_ns };
        Self {
            began: now,
            ended: now,
            epoch: Epoch::ZERO,
            seq: 0,
            client: event.client,
            node: event.node,
            op: event.op,
            consistency: event.consistency,
            phase: Phase::Invoke,
        }
    }

    /// A write of unknown outcome before everything.
    pub(super) fn supposed(level: Consistency) -> Self {
        let before = Stamp { i: 0, t_ns: 0 };
        Self {
            began: before,
            ended: before,
            epoch: Epoch::ZERO,
            seq: 0,
            client: 0,
            node: None,
            op: OpKind::Put,
            consistency: level,
            phase: Phase::Info,
        }
    }

    /// It ends with this event.
    pub(super) fn end(&mut self, event: &HistoryEvent) {
        self.ended = Stamp { i: event.i, t_ns: event.t_ns };
        self.phase = event.phase;
        self.node = event.node.or(self.node);
        self.epoch = event.epoch.unwrap_or(Epoch::ZERO);
        self.seq = event.seq.unwrap_or(0);
    }

    /// With what it leaves out.
    pub(super) fn operation(&self, key: &str, value: Option<&str>) -> Operation {
        let told = self.epoch != Epoch::ZERO;
        let ended = (self.phase != Phase::Invoke).then_some(Completion {
            at: self.ended,
            phase: self.phase,
            epoch: told.then_some(self.epoch),
            seq: (told || self.seq != 0).then_some(self.seq),
        });
        Operation {
            client: self.client,
            node: self.node,
            op: self.op,
            key: key.to_owned(),
            value: value.map(Value::from),
            consistency: self.consistency,
            began: self.began,
            ended,
        }
    }
}

impl Id {
    /// The operation that finished first, by which the id was in force: f(v).
    pub(super) fn first(&self) -> &Span {
        self.first.as_deref().unwrap_or(&self.write)
    }

    /// The operation that started last, at which it was still in force: s(v).
    pub(super) fn last(&self) -> &Span {
        self.last.as_deref().unwrap_or(&self.write)
    }

    /// Whether its write is of unknown outcome and may still turn up: no read, if it is judged `by_ids` no quorum
    /// read, has returned it.
    pub(super) fn is_open(&self, by_ids: bool) -> bool {
        let known = if by_ids { self.zone.is_known() } else { self.seen.is_some() };
        self.write.phase == Phase::Info && !known && !self.dropped
    }

    /// Notes that an operation on it finished at `i`.
    pub(super) fn see(&mut self, i: u64) {
        self.seen.get_or_insert(i);
    }
}

impl Ids {
    /// A new id of `key`, to be found by its value from now on.
    pub(super) fn insert(&mut self, key: u32, value: &str, write: Span) -> u32 {
        let hash = hash(key, value);
        let mut id = Id {
            value: value.into(),
            zone: Zone::of_write(write.began.i),
            seen: None,
            write,
            first: None,
            last: None,
            key,
            chain: NO_ID,
            queue: NO_ID,
            parked: false,
            listed: true,
            repeats: false,
            dropped: false,
        };
        let slot = self.free.last().copied().unwrap_or(self.slots.len() as u32);
        assert!(slot != NO_ID, "the judge's bounds keep the number of ids below 2^32 - 1");
        id.chain = self.heads.insert(hash, slot).unwrap_or(NO_ID);
        if self.free.pop().is_some() {
            self.slots[slot as usize] = id;
        } else {
            self.slots.push(id);
        }
        slot
    }

    /// The id of `key` with this value.
    pub(super) fn find(&self, key: u32, value: &str) -> Option<u32> {
        let mut at = *self.heads.get(&hash(key, value))?;
        while at != NO_ID {
            let id = &self.slots[at as usize];
            if id.key == key && &*id.value == value {
                return Some(at);
            }
            at = id.chain;
        }
        None
    }

    /// Lets it be found no longer. It stays until it is removed.
    pub(super) fn unlist(&mut self, at: u32) {
        let (key, next) = (self.slots[at as usize].key, self.slots[at as usize].chain);
        if !std::mem::replace(&mut self.slots[at as usize].listed, false) {
            return;
        }
        let hash = hash(key, &self.slots[at as usize].value);
        let Some(head) = self.heads.get_mut(&hash) else { return };
        if *head == at {
            if next == NO_ID {
                self.heads.remove(&hash);
            } else {
                *head = next;
            }
            return;
        }
        let mut before = *head;
        while self.slots[before as usize].chain != at {
            before = self.slots[before as usize].chain;
        }
        self.slots[before as usize].chain = next;
    }

    /// Forgets its value, so that it cannot be found and is needed no longer.
    pub(super) fn drop_value(&mut self, at: u32) {
        self.unlist(at);
        self.slots[at as usize].value = Box::default();
        self.slots[at as usize].dropped = true;
    }

    /// Forgets it.
    pub(super) fn remove(&mut self, at: u32) {
        self.unlist(at);
        let id = &mut self.slots[at as usize];
        id.value = Box::default();
        id.first = None;
        id.last = None;
        self.free.push(at);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl std::ops::Index<u32> for Ids {
    type Output = Id;

    fn index(&self, at: u32) -> &Id {
        &self.slots[at as usize]
    }
}

impl std::ops::IndexMut<u32> for Ids {
    fn index_mut(&mut self, at: u32) -> &mut Id {
        &mut self.slots[at as usize]
    }
}

fn hash(key: u32, value: &str) -> u64 {
    Hash::default().hash_one((key, value))
}
