//! The theorem, online: zones of ids, and the one question that each read asks.
//!
//! For each id v of a key (the "absent" that every key starts with is one), over its completed operations:
//! f(v) is the earliest finish and s(v) the latest start. In any order that explains the history v was in force
//! no later than f(v) and still at s(v). The history has no such order if and only if two ids have
//! f(A) < s(B) and f(B) < s(A). See `docs/judge.md`, and Gibbons & Korach, *Testing Shared Memories*, 1997.
//!
//! Operations complete in the order of time. So f(v) is fixed by the first completion, ids arrive here sorted by
//! f, and only s grows: "is there a B with f(B) < s(A) and s(B) > f(A)" is the maximum of s over a prefix.
//!
//! Let m be the earliest start among the operations still outstanding. A read that completes from now on starts
//! at m or later, so every id with f < m is in its prefix whatever it reads. Of these, the *past*, only the two
//! greatest s matter (two, because the id asked about does not count). The tree holds the others, the *recent*
//! ids: about as many as there are clients. An id of the past whose f is below the past's greatest s is
//! *superseded*: any further read of it is a violation, whatever else happens.
//!
//! Indices of events are shifted by one here: 0 is "before everything", the finish of the initial absence.

use std::collections::VecDeque;

use super::max_tree::MaxTree;

/// Not yet.
pub(super) const NEVER: u64 = u64::MAX;

/// What is known of one id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zone {
    /// f: the earliest finish; [`NEVER`] until an operation on the id completes.
    f: u64,
    /// s: the latest start, that of the write included.
    s: u64,
    /// Where it is among all ids of its key that have an f.
    place: u64,
}

/// What a read means for the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadCheck {
    /// The history is linearizable still.
    Fine,
    /// It is not: the read's id and this one each had to come before the other.
    Conflict(u32),
    /// Too much was outstanding at once: what would tell was let go.
    Unsure,
}

/// All ids of one key that have an f.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueZones {
    past: TopTwo,
    /// The greatest f of the past.
    past_f: u64,
    /// The place of the next id to get an f.
    next: u64,
    /// Allocated when first needed: a key that is never contended has none.
    recent: Option<Box<Recent>>,
}

/// The ids that are not past, in the order of f.
#[derive(Clone, Debug, Default)]
struct Recent {
    ids: VecDeque<(u64, u32)>,
    s: MaxTree,
}

/// The two greatest s, of different ids.
#[derive(Clone, Copy, Debug, Default)]
struct TopTwo {
    first: (u64, u32),
    second: (u64, u32),
}

impl Zone {
    /// The zone of an id whose write has just begun.
    pub(super) fn of_write(start: u64) -> Self {
        Self { f: NEVER, s: start + 1, place: NEVER }
    }

    /// The zone of the initial absence: past from the start.
    pub(super) fn of_absence() -> Self {
        Self { f: 0, s: 0, place: 0 }
    }

    /// Whether an operation on the id has completed.
    pub(super) fn is_known(&self) -> bool {
        self.f != NEVER
    }

    /// Whether an operation that started at `start` is the latest.
    pub(super) fn is_latest(&self, start: u64) -> bool {
        self.s == start + 1
    }
}

impl ValueZones {
    /// For a key whose id `absent` is its initial absence.
    pub(super) fn new(absent: u32) -> Self {
        let nobody = (0, absent);
        Self { past: TopTwo { first: nobody, second: nobody }, past_f: 0, next: 1, recent: None }
    }

    /// The write of an id completed at `end`. It violates nothing: it may be placed at its end. `m` is the
    /// earliest start among the other operations outstanding, [`NEVER`] if there are none.
    pub(super) fn write_ended(&mut self, id: u32, zone: &mut Zone, end: u64, m: u64) {
        if !zone.is_known() {
            self.insert(id, zone, end, m);
        }
        self.fold(m);
    }

    /// A read of an id completed: it ran from `start` to `end`. `m` as above.
    pub(super) fn read_ended(&mut self, id: u32, zone: &mut Zone, start: u64, end: u64, m: u64) -> ReadCheck {
        zone.s = zone.s.max(start + 1);
        let answer = if zone.is_known() {
            self.raise(id, zone);
            self.ask(id, zone)
        } else {
            let answer = self.ask(id, &Zone { f: end + 1, ..*zone });
            self.insert(id, zone, end, m);
            answer
        };
        self.fold(m);
        answer
    }

    /// Whether any further read of the id is a violation, whatever else happens. `m` as above.
    pub(super) fn is_superseded(&self, id: u32, zone: &Zone, m: u64) -> bool {
        zone.is_known()
            && zone.place < self.first_recent()
            && self.past_f < m.saturating_add(1)
            && self.past.without(id).0 > zone.f
    }

    /// Whether conflicts may be shown with this id, so that its operations must be kept.
    pub(super) fn needs(&self, id: u32, zone: &Zone) -> bool {
        zone.place >= self.first_recent() || self.past.first.1 == id || self.past.second.1 == id
    }

    /// Lets the oldest recent id become past before its time, if there are more than `max`. Reads that began
    /// before it may then be [`ReadCheck::Unsure`].
    pub(super) fn bound(&mut self, max: usize) {
        while self.recent.as_ref().is_some_and(|recent| recent.ids.len() > max) {
            self.fold_one();
        }
    }

    fn first_recent(&self) -> u64 {
        self.next - self.recent.as_ref().map_or(0, |recent| recent.ids.len() as u64)
    }

    fn insert(&mut self, id: u32, zone: &mut Zone, end: u64, m: u64) {
        zone.f = end + 1;
        zone.place = self.next;
        let first = self.first_recent();
        // With nothing outstanding from before, the id is past at once and no tree is needed.
        if first == self.next && end < m {
            self.past.raise(zone.s, id);
            self.past_f = zone.f;
        } else {
            let recent = self.recent.get_or_insert_default();
            recent.s.push(first..self.next, zone.s);
            recent.ids.push_back((zone.f, id));
        }
        self.next += 1;
    }

    fn raise(&mut self, id: u32, zone: &Zone) {
        if zone.place < self.first_recent() {
            self.past.raise(zone.s, id);
        } else if let Some(recent) = &mut self.recent {
            recent.s.raise(zone.place, zone.s);
        }
    }

    /// Is there another id with an f below this one's s, and an s above this one's f?
    fn ask(&self, id: u32, zone: &Zone) -> ReadCheck {
        let (s, other) = self.past.without(id);
        if s > zone.f {
            // All of the past has an f below any start to come, unless it was folded before its time.
            return if self.past_f < zone.s { ReadCheck::Conflict(other) } else { ReadCheck::Unsure };
        }
        let Some(recent) = &self.recent else { return ReadCheck::Fine };
        let first = self.first_recent();
        let end = first + recent.ids.partition_point(|&(f, _)| f < zone.s) as u64;
        let own = zone.place.clamp(first, end);
        let after = if own == zone.place { own + 1 } else { own };
        let max = recent.s.max(first..own).max(recent.s.max(after..end));
        if max <= zone.f {
            return ReadCheck::Fine;
        }
        // Found once in a violation, so the search may be linear.
        let found = (first..end).find(|&place| place != zone.place && recent.s.get(place) == max);
        found.map_or(ReadCheck::Fine, |place| ReadCheck::Conflict(recent.ids[(place - first) as usize].1))
    }

    /// What has an f below m is past.
    fn fold(&mut self, m: u64) {
        while self.recent.as_ref().and_then(|recent| recent.ids.front()).is_some_and(|&(f, _)| f <= m) {
            self.fold_one();
        }
    }

    fn fold_one(&mut self) {
        let place = self.first_recent();
        let Some(recent) = &mut self.recent else { return };
        let Some((f, id)) = recent.ids.pop_front() else { return };
        self.past.raise(recent.s.get(place), id);
        self.past_f = f;
    }
}

impl TopTwo {
    fn raise(&mut self, s: u64, id: u32) {
        if id == self.first.1 {
            self.first.0 = self.first.0.max(s);
        } else if s > self.first.0 {
            self.second = self.first;
            self.first = (s, id);
        } else if id == self.second.1 {
            self.second.0 = self.second.0.max(s);
        } else if s > self.second.0 {
            self.second = (s, id);
        }
    }

    /// The greatest s of an id other than this one.
    fn without(&self, id: u32) -> (u64, u32) {
        if self.first.1 == id { self.second } else { self.first }
    }
}
