//! The state of one key: which operations were seen on it, and how it is judged.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ids::{Id, Ids, NO_ID, Span};
use super::ledger::{Sight, Standing};
use super::options::JudgeOptions;
use super::orders::{KeyContent, Orders};
use super::proof::{ValueOps, prove};
use super::queue::EventQueue;
use super::staleness::{Acks, Stale};
use super::zones::{NEVER, ReadCheck, ValueZones, Zone};
use crate::judge::history::Phase;
use crate::judge::judgement::Undecided;
use crate::judge::violation::ViolationKind;

/// How a key is judged for linearizability.
#[derive(Clone, Debug)]
pub(super) enum Mode {
    /// By unique ids.
    ByIds,
    /// By search, since a delete or a value written twice.
    BySearch(Box<Orders>),
    /// Not, since an async write.
    Measured,
    /// It was, up to some event; it cannot be decided further.
    Undecided,
    /// By search, until it was found violated: no order is left.
    Violated,
}

/// What became of a read.
#[derive(Debug)]
pub(super) enum Ruling {
    Fine,
    Violated(ViolationKind),
    /// A violation as before.
    Again,
    Undecided(Undecided),
}

/// What a read returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Absent,
    /// The value of an id that is remembered.
    Id(u32),
    /// A value that no remembered id has.
    Stranger,
}

/// How stale a read was cannot be said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unmeasured;

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: Arc<str>,
    index: u32,
    pub(super) mode: Mode,
    /// Starts of the quorum operations that are outstanding, ascending.
    outstanding: Vec<u64>,
    zones: ValueZones,
    /// The initial absence, and the quorum read of it that started last.
    absent: Zone,
    absent_last: Option<Box<Span>>,
    pub(super) acks: Acks,
    pub(super) ledger: Standing,
    pub(super) deletes: bool,
    /// Whether a value was tried again that may have been written before.
    repeats: bool,
    /// Every id of the key that is not parked, in the order in which they may be forgotten.
    queue: EventQueue,
    /// Those of unknown outcome that may still turn up: how many, and which (with the begin of their write, for
    /// slots are used again; some may have turned up since), the oldest first.
    open: usize,
    opened: VecDeque<(u32, u64)>,
    forgotten: Forgotten,
    /// The last pair in conflict, and how many were told: a violation that goes on is told once.
    conflict: Option<(u32, u32)>,
    told: u32,
    /// Operations of any level that began.
    pub(super) operations: u64,
    /// Whether its quorum operations were found not to be linearizable.
    pub(super) violated: bool,
}

/// Violations of one key that are told apart; all are counted.
const TOLD_MAX: u32 = 8;

/// What was let go to stay within bounds.
#[derive(Clone, Copy, Debug, Default)]
struct Forgotten {
    /// The latest first sight of a forgotten id, if any was.
    until: Option<u64>,
    /// Whether writes of unknown outcome are among them.
    unknown: bool,
}

impl Key {
    pub(super) fn new(name: Arc<str>, index: u32) -> Self {
        Self {
            name,
            index,
            mode: Mode::ByIds,
            outstanding: Vec::new(),
            zones: ValueZones::new(NO_ID),
            absent: Zone::of_absence(),
            absent_last: None,
            acks: Acks::default(),
            ledger: Standing::default(),
            deletes: false,
            repeats: false,
            queue: EventQueue::new(),
            open: 0,
            opened: VecDeque::new(),
            forgotten: Forgotten::default(),
            conflict: None,
            told: 0,
            operations: 0,
            violated: false,
        }
    }

    /// A quorum operation began.
    pub(super) fn began(&mut self, span: &Span) {
        if self.outstanding.capacity() == 0 {
            self.outstanding.reserve_exact(1);
        }
        self.outstanding.push(span.began.i);
    }

    /// A quorum operation ended, somehow.
    pub(super) fn ended(&mut self, span: &Span) {
        if let Ok(at) = self.outstanding.binary_search(&span.began.i) {
            self.outstanding.remove(at);
        }
    }

    /// What a read returned.
    pub(super) fn seen(&self, ids: &Ids, value: Option<&str>) -> Seen {
        match value {
            None => Seen::Absent,
            Some(value) => ids.find(self.index, value).map_or(Seen::Stranger, Seen::Id),
        }
    }

    /// A put began. If its value was written before and may still be read, ids do not tell reads apart any more,
    /// and the answer is false: the key must be judged by search.
    pub(super) fn put_began(&mut self, ids: &mut Ids, value: &str, span: Span) -> (u32, bool) {
        let old = ids.find(self.index, value);
        let unique = old.is_none_or(|old| {
            let id = &ids[old];
            id.write.phase == Phase::Fail || self.zones.is_superseded(old, &id.zone, self.m())
        });
        let at = ids.insert(self.index, value, span);
        // What is forgotten may have been the same value.
        ids[at].repeats = !self.remembers_all();
        if let Some(old) = old {
            ids.unlist(old);
            ids[at].repeats |= ids[old].write.phase != Phase::Fail || ids[old].repeats;
            self.repeats |= ids[old].write.phase != Phase::Fail;
        }
        self.queue.push(ids, at);
        (at, unique)
    }

    /// A put ended, somehow; `span` is whole.
    pub(super) fn put_ended(
        &mut self,
        ids: &mut Ids,
        at: u32,
        span: &Span,
        options: &JudgeOptions,
    ) -> Ruling {
        let m = self.m();
        let by_ids = matches!(self.mode, Mode::ByIds);
        let id = &mut ids[at];
        id.write = *span;
        let mut outcome = Ruling::Fine;
        match span.phase {
            Phase::Ok => {
                if by_ids {
                    self.zones.write_ended(at, &mut id.zone, span.ended.i, m);
                }
                id.see(span.ended.i);
            }
            // A quorum read that was judged by ids is known to be of this write, even if its value repeats.
            Phase::Fail if id.first.is_some() || id.seen.is_some() && !id.repeats => {
                let value = Some(&*id.value);
                outcome = Ruling::Violated(ViolationKind::FailedWrite {
                    write: Box::new(span.operation(&self.name, value)),
                    read: id.first.as_deref().map(|read| Box::new(read.operation(&self.name, value))),
                });
            }
            Phase::Fail => {}
            Phase::Info | Phase::Invoke => {
                if id.is_open(by_ids) {
                    self.open += 1;
                    self.opened.push_back((at, span.began.i));
                    self.bound_open(ids, options);
                }
            }
        }
        self.trim(ids, options);
        outcome
    }

    /// Forgets the oldest writes of unknown outcome if there are too many: they are the least likely to turn up.
    fn bound_open(&mut self, ids: &mut Ids, options: &JudgeOptions) {
        let by_ids = matches!(self.mode, Mode::ByIds);
        let is_open =
            |ids: &Ids, (at, began): (u32, u64)| ids[at].write.began.i == began && ids[at].is_open(by_ids);
        while self.open > options.unknown_remembered {
            let Some(oldest) = self.opened.pop_front() else { return };
            if is_open(ids, oldest) {
                self.open -= 1;
                self.forgotten.unknown = true;
                ids.drop_value(oldest.0);
                self.unpark(ids, oldest.0);
            }
        }
        if self.opened.len() / 2 > self.open {
            self.opened.retain(|&one| is_open(ids, one));
        }
    }

    /// What a quorum read says of the last acknowledged write of the key: it returned `value`, which was `seen`.
    pub(super) fn sight(&self, ids: &Ids, seen: Seen, value: Option<&str>, read: &Span) -> Sight {
        let entry = self.ledger.entry();
        if entry == NO_ID {
            return Sight::Overtaken;
        }
        if value == Some(&*ids[entry].value) {
            return Sight::Found;
        }
        let overtaken = match seen {
            Seen::Absent => false,
            // The value does not tell which of its writes was seen.
            _ if self.repeats => true,
            Seen::Stranger => self.forgotten.unknown,
            Seen::Id(at) => {
                let id = &ids[at];
                let may_come = matches!(id.write.phase, Phase::Info | Phase::Invoke);
                may_come && !self.is_gone(at, id, read.began.i)
            }
        };
        if overtaken { Sight::Overtaken } else { Sight::Missed }
    }

    /// Whether an id had certainly been overwritten for good when a read began.
    fn is_gone(&self, at: u32, id: &Id, began: u64) -> bool {
        matches!(self.mode, Mode::ByIds) && self.zones.is_superseded(at, &id.zone, self.m().min(began))
    }

    /// Whether what a read returned was certainly never written.
    pub(super) fn phantom(
        &self,
        ids: &Ids,
        seen: Seen,
        value: Option<&str>,
        read: &Span,
    ) -> Option<ViolationKind> {
        let operation = |span: &Span| Box::new(span.operation(&self.name, value));
        match seen {
            Seen::Id(at)
                if ids[at].write.phase == Phase::Fail
                    && (!ids[at].repeats || read.is_quorum() && matches!(self.mode, Mode::ByIds)) =>
            {
                let (write, read) = (operation(&ids[at].write), Some(operation(read)));
                Some(ViolationKind::FailedWrite { write, read })
            }
            Seen::Stranger if self.remembers_all() => {
                Some(ViolationKind::NeverWritten { read: operation(read) })
            }
            _ => None,
        }
    }

    /// A quorum read returned; it is no phantom, and the key is judged by ids.
    pub(super) fn quorum_read(
        &mut self,
        ids: &mut Ids,
        seen: Seen,
        value: Option<&str>,
        read: &Span,
        options: &JudgeOptions,
    ) -> Ruling {
        let m = self.m();
        let (began, ended) = (read.began.i, read.ended.i);
        let at = match seen {
            Seen::Absent => NO_ID,
            Seen::Id(at) => at,
            Seen::Stranger if self.forgotten.unknown => {
                return Ruling::Undecided(Undecided::UnknownForgotten);
            }
            Seen::Stranger => {
                let read = Box::new(read.operation(&self.name, value));
                let before_i = self.forgotten.until.unwrap_or(0) + 1;
                return Ruling::Violated(ViolationKind::Forgotten { read, before_i });
            }
        };
        let answer = if at == NO_ID {
            let mut zone = self.absent;
            let answer = self.zones.read_ended(NO_ID, &mut zone, began, ended, m);
            self.absent = zone;
            if zone.is_latest(began) {
                self.absent_last = Some(Box::new(*read));
            }
            answer
        } else {
            let id = &mut ids[at];
            if !id.zone.is_known() {
                self.open -= usize::from(id.is_open(true));
                id.first = Some(Box::new(*read));
            }
            let answer = self.zones.read_ended(at, &mut id.zone, began, ended, m);
            if id.zone.is_latest(began) {
                id.last = Some(Box::new(*read));
            }
            self.unpark(ids, at);
            answer
        };
        self.zones.bound(options.recent_max);
        self.read_seen(ids, seen, ended);
        let outcome = match answer {
            ReadCheck::Fine => Ruling::Fine,
            ReadCheck::Unsure => Ruling::Undecided(Undecided::OutstandingTooLong),
            ReadCheck::Conflict(other) if self.conflict == Some((at, other)) || self.told >= TOLD_MAX => {
                Ruling::Again
            }
            ReadCheck::Conflict(other) => {
                self.conflict = Some((at, other));
                self.told += 1;
                let of = |at| ValueOps::of(ids, at, self.absent_last.as_deref());
                Ruling::Violated(ViolationKind::Order(Box::new(prove(&self.name, &of(at), &of(other)))))
            }
        };
        self.trim(ids, options);
        outcome
    }

    /// A read of any level returned the id.
    pub(super) fn read_seen(&mut self, ids: &mut Ids, seen: Seen, ended: u64) {
        let Seen::Id(at) = seen else { return };
        let by_ids = matches!(self.mode, Mode::ByIds);
        let before = ids[at].is_open(by_ids);
        ids[at].see(ended);
        if before && !ids[at].is_open(by_ids) {
            self.open -= 1;
            self.unpark(ids, at);
        }
    }

    /// How stale a read was; `Err`: that cannot be said.
    pub(super) fn staleness(&self, ids: &Ids, seen: Seen, read: &Span) -> Result<Option<Stale>, Unmeasured> {
        match seen {
            Seen::Absent if self.deletes => Err(Unmeasured),
            Seen::Absent => Ok(self.acks.stale(None, false, read.began)),
            Seen::Id(at) => Ok(ids[at].seen.and_then(|seen| self.acks.stale(Some(seen), false, read.began))),
            Seen::Stranger => {
                let until = self.forgotten.until.ok_or(Unmeasured)?;
                Ok(self.acks.stale(Some(until), true, read.began))
            }
        }
    }

    /// Whether writes of unknown outcome were forgotten that might have turned up.
    pub(super) fn forgot_unknown(&self) -> bool {
        self.forgotten.unknown
    }

    /// From now on it is judged by search. `outstanding` are its quorum operations that are running, with what
    /// they write if they are writes.
    ///
    /// What is superseded ended before m and constrains nothing that can come; of an id that is not, only its zone
    /// and the start of its write do.
    pub(super) fn search(
        &mut self,
        ids: &mut Ids,
        outstanding: &[(Span, Option<KeyContent>)],
        options: &JudgeOptions,
    ) {
        self.unpark_all(ids);
        let m = self.m();
        let superseded = self.zones.is_superseded(NO_ID, &self.absent, m);
        let initially = if superseded { KeyContent::Lost } else { KeyContent::Absent };
        let mut events = Vec::new();
        if let Some(read) = self.absent_last.as_deref().filter(|_| !superseded) {
            events.push((*read, false, KeyContent::Absent, read.ended.i));
        }
        for at in self.queue.iter(ids) {
            let id = &ids[at];
            if id.write.phase == Phase::Fail || self.zones.is_superseded(at, &id.zone, m) {
                continue;
            }
            let value = KeyContent::Value((&*id.value).into());
            if !id.zone.is_known() {
                if id.is_open(true) {
                    events.push((id.write, true, value, id.write.ended.i));
                }
                continue; // One that is running is among the outstanding.
            }
            // The write must be placed by f, and the id be in force at s: nothing else is known of it.
            let mut write = id.write;
            write.phase = Phase::Ok;
            events.push((write, true, value.clone(), id.first().ended.i));
            if id.last().began.i != id.write.began.i {
                events.push((*id.last(), false, value, id.last().ended.i));
            }
        }
        self.turn(ids, Mode::BySearch(Box::new(Orders::after(events, outstanding, initially, options))));
    }

    /// From now on it is judged so, and no longer by ids.
    pub(super) fn turn(&mut self, ids: &mut Ids, mode: Mode) {
        self.unpark_all(ids);
        self.mode = mode;
        self.zones = ValueZones::new(NO_ID);
        self.absent_last = None;
        self.open = self.queue.iter(ids).filter(|&at| ids[at].is_open(false)).count();
    }

    fn remembers_all(&self) -> bool {
        self.forgotten.until.is_none() && !self.forgotten.unknown
    }

    /// The earliest start among the quorum operations outstanding.
    fn m(&self) -> u64 {
        self.outstanding.first().copied().unwrap_or(NEVER)
    }

    /// Takes an id into the queue again, now that it is known or given up.
    fn unpark(&mut self, ids: &mut Ids, at: u32) {
        if std::mem::replace(&mut ids[at].parked, false) {
            self.queue.push(ids, at);
        }
    }

    fn unpark_all(&mut self, ids: &mut Ids) {
        for (at, began) in std::mem::take(&mut self.opened) {
            if ids[at].write.began.i == began {
                self.unpark(ids, at);
                self.opened.push_back((at, began));
            }
        }
    }

    /// Forgets what exceeds the bound and is not needed. Two at a time: one comes, so the excess shrinks.
    fn trim(&mut self, ids: &mut Ids, options: &JudgeOptions) {
        for _ in 0..2 {
            if self.queue.len() <= options.ids_remembered.max(1) {
                return;
            }
            let at = self.queue.pop(ids);
            // It may turn up for hours: looked at again in its turn, it would take more time than all else.
            if ids[at].is_open(matches!(self.mode, Mode::ByIds)) {
                ids[at].parked = true;
                continue;
            }
            if self.is_needed(ids, at) {
                self.queue.push(ids, at);
                continue;
            }
            self.forgotten.until = self.forgotten.until.max(ids[at].seen).or(Some(0));
            // A replica has shown it; that does not say whether it may still come to all.
            self.forgotten.unknown |= ids[at].write.phase == Phase::Info && !matches!(self.mode, Mode::ByIds);
            ids.remove(at);
        }
    }

    fn is_needed(&self, ids: &Ids, at: u32) -> bool {
        let (id, by_ids) = (&ids[at], matches!(self.mode, Mode::ByIds));
        let judged = by_ids && id.zone.is_known();
        id.write.phase == Phase::Invoke
            || self.ledger.entry() == at
            || judged && (self.zones.needs(at, &id.zone) || !self.zones.is_superseded(at, &id.zone, self.m()))
    }
}
