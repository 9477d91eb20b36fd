//! The backlog: the newest entries, kept in memory for replicas that are a little behind.

use std::collections::VecDeque;
use std::time::Duration;

use crate::types::{BacklogStatus, Entry, Op, Time};

/// The newest entries of the log, bounded in bytes of memory.
///
/// * Entries are contiguous, and the last is the last of the log (or there is none).
/// * Trimmed only when twice the bound is exceeded, then down to the bound: a replica at the edge is not thrown
///   off by every single write.
/// * What is not durable yet stays, however large it is: whoever is in step gets it from here. What is durable can be
///   read back from the log.
#[derive(Debug)]
pub(super) struct Backlog {
    entries: VecDeque<Entry>,
    /// Bytes of memory that they take.
    bytes: usize,
    bytes_max: usize,
    rate: RateMeter,
}

/// The queue has room for at most this part of its entries more. (One that doubled would have room for as many again.)
const SPARE_PART: usize = 8;

/// Bytes of memory that an entry takes here: itself, with its share of the queue's spare room, and what the allocator
/// takes for its key and its value. `tests/backlog_memory.rs` holds this against what is really allocated.
pub(super) fn footprint(entry: &Entry) -> usize {
    /// What a shared buffer takes beside its bytes: its count of owners.
    const SHARED: usize = 32;
    /// An allocator gives no less, and rounds up to this.
    const GRAIN: usize = 16;
    /// With half of the queue's largest spare room.
    const QUEUED: usize = size_of::<Entry>() + size_of::<Entry>() / (2 * SPARE_PART);
    let held = |bytes: &[u8]| match bytes.len() {
        0 => 0,
        len => (len + 8).next_multiple_of(GRAIN).max(2 * GRAIN) + SHARED,
    };
    let key = entry.op.key().map_or(0, |key| held(key));
    let value = if let Op::Put { value, .. } = &entry.op { held(value) } else { 0 };
    QUEUED + key + value
}

impl Backlog {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max, rate: RateMeter::default() }
    }

    /// Adds the entry that was just appended to the log, which is durable up to the seq `durable`.
    pub(super) fn push(&mut self, entry: Entry, durable: u64, now: Time) {
        debug_assert!(self.entries.back().is_none_or(|last| last.at.seq + 1 == entry.at.seq));
        let bytes = footprint(&entry);
        self.bytes += bytes;
        self.rate.add(now, bytes as u64);
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(self.entries.len() / SPARE_PART + 1);
        }
        self.entries.push_back(entry);
        self.trim(durable);
    }

    /// Drops the oldest entries if they are too many; the log is durable up to the seq `durable`.
    pub(super) fn trim(&mut self, durable: u64) {
        if self.bytes <= self.bytes_max.saturating_mul(2) {
            return;
        }
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.entries.pop_front_if(|oldest| oldest.at.seq <= durable) else { break };
            self.bytes -= footprint(&oldest);
        }
        self.entries.shrink_to_fit();
    }

    /// Forgets what comes after the seq `last`: the log was cut there.
    pub(super) fn cut(&mut self, last: u64) {
        while let Some(newest) = self.entries.pop_back_if(|newest| newest.at.seq > last) {
            self.bytes -= footprint(&newest);
        }
    }

    /// How far back it reaches.
    pub(super) fn status(&self, now: Time) -> BacklogStatus {
        let per_second = self.rate.per_second(now);
        let covers = |per_second| (self.bytes_max as u64).saturating_mul(1000) / per_second;
        BacklogStatus {
            bytes: self.bytes as u64,
            bytes_max: self.bytes_max as u64,
            covers_ms: (per_second > 0).then(|| covers(per_second)),
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

/// Bytes a second over the last ten seconds.
#[derive(Debug, Default)]
struct RateMeter {
    /// Of each of the last seconds in which something came: which second, and bytes.
    seconds: VecDeque<(u64, u64)>,
    /// When anything came first.
    since: Option<Time>,
}

/// The seconds that a rate is taken over.
const RATE_SECONDS: u64 = 10;

impl RateMeter {
    fn add(&mut self, now: Time, bytes: u64) {
        self.since.get_or_insert(now);
        let second = now.as_secs();
        match self.seconds.back_mut() {
            Some((last, sum)) if *last == second => *sum += bytes,
            _ => self.seconds.push_back((second, bytes)),
        }
        if self.seconds.len() as u64 > RATE_SECONDS + 1 {
            self.seconds.pop_front();
        }
    }

    fn per_second(&self, now: Time) -> u64 {
        let oldest = now.saturating_sub(Duration::from_secs(RATE_SECONDS)).as_secs();
        let sum: u64 = self.seconds.iter().filter(|(second, _)| *second >= oldest).map(|(_, sum)| sum).sum();
        let age = self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        let over = age.clamp(Duration::from_secs(1), Duration::from_secs(RATE_SECONDS));
        sum.saturating_mul(1000) / over.as_millis() as u64
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

    fn push(backlog: &mut Backlog, entry: Entry) {
        let durable = entry.at.seq;
        backlog.push(entry, durable, Time::ZERO);
    }

    #[test]
    fn what_is_not_durable_stays_however_large_it_is() {
        let mut backlog = Backlog::new(1000);
        (1..=5).for_each(|seq| backlog.push(entry(seq, 5000), 2, Time::ZERO));
        assert!(!backlog.holds(2) && backlog.holds(3) && backlog.holds(5));
        backlog.trim(4);
        assert!(!backlog.holds(4) && backlog.holds(5));
    }

    #[test]
    fn a_cut_takes_the_newest_entries() {
        let mut backlog = Backlog::new(1 << 20);
        (1..=9).for_each(|seq| push(&mut backlog, entry(seq, 10)));
        backlog.cut(6);
        assert!(backlog.holds(6) && !backlog.holds(7));
        push(&mut backlog, entry(7, 10));
        backlog.cut(0);
        assert_eq!((backlog.bytes, backlog.holds(1)), (0, false));
    }

    #[test]
    fn it_covers_what_it_holds_at_the_rate_of_the_last_seconds() {
        let each = footprint(&entry(1, 100)) as u64;
        let mut backlog = Backlog::new(usize::try_from(each * 1000).unwrap());
        assert_eq!(backlog.status(Time::ZERO).covers_ms, None);
        let mut now = Time::ZERO;
        for seq in 1..=1000 {
            now += Duration::from_millis(20);
            let durable = seq;
            backlog.push(entry(seq, 100), durable, now);
        }
        // Fifty a second: a thousand in twenty seconds.
        let covers = backlog.status(now).covers_ms.expect("something was written");
        assert!((18_000..=20_500).contains(&covers), "{covers}");
        assert_eq!(backlog.status(now + Duration::from_secs(60)).covers_ms, None);
    }

    #[test]
    fn trims_at_twice_the_bound_down_to_the_bound() {
        let mut backlog = Backlog::new(10 * footprint(&entry(1, 935)));
        (1..=20).for_each(|seq| push(&mut backlog, entry(seq, 935)));
        assert!(backlog.holds(1), "up to twice the bound nothing is trimmed");
        push(&mut backlog, entry(21, 935));
        assert!(!backlog.holds(11) && backlog.holds(12) && backlog.holds(21));
    }

    #[test]
    fn gives_at_least_one_and_at_most_the_bytes() {
        let mut backlog = Backlog::new(1 << 20);
        (1..=9).for_each(|seq| push(&mut backlog, entry(seq, 1000)));
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
            push(&mut backlog, Entry { at: Position::new(at.epoch, at.seq + i as u64), op });
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
            push(&mut backlog, Entry { at: Position::new(at.epoch, at.seq - 9999 + i), op: Op::Noop });
        });
        let entries = backlog.from(at.seq - 9999, CHUNK_BYTES);
        let message = Message::Append { epoch: at.epoch, prev: at, entries, commit: u64::MAX };
        assert!(encode(&PeerFrame::Message(message)).expect("fits").len() < CHUNK_BYTES);
    }
}
