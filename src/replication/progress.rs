//! What a primary knows of each other member, and how it is brought up to date.

use std::collections::VecDeque;
use std::time::Duration;

use super::config::UNREACHABLE_AFTER;
use crate::types::{Entry, Position, SnapshotId, Time};

/// How long a member counts as just come back. Its question may be lost, and come again after an acknowledgement.
const BACK_FOR: Duration = Duration::from_secs(1);

/// One member, as its primary sees it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The highest seq that it has acknowledged as verified and durable, in this epoch.
    pub(super) acked: u64,
    /// When it last acknowledged anything in this epoch.
    pub(super) acked_at: Option<Time>,
    /// When it acknowledged something again after a silence. What it asks for right after that, it asks for because
    /// of the silence.
    pub(super) back_at: Option<Time>,
    /// Its disk was wiped; its acknowledgements pace the stream and count for nothing.
    pub(super) learner: bool,
    /// It has refused this epoch, and has not acknowledged anything since.
    pub(super) refuses: bool,
    /// How it is being brought up to date.
    pub(super) stream: Stream,
}

/// How a member is brought up to date.
#[derive(Debug, Default)]
pub(super) enum Stream {
    /// It has not yet said where its log ends.
    #[default]
    Unknown,
    /// Its log is a prefix of this one: entries follow.
    Entries(EntryStream),
    /// It needs the whole state.
    Snapshot(SnapshotStream),
}

/// Entries on their way. Bounded by the window: what does not fit waits in the backlog.
#[derive(Debug)]
pub(super) struct EntryStream {
    /// The next seq to send.
    pub(super) next: u64,
    /// Batches sent and not acknowledged: last seq and bytes of each.
    in_flight: VecDeque<(u64, usize)>,
}

/// A state on its way, one chunk at a time.
#[derive(Debug)]
pub(super) struct SnapshotStream {
    /// Names it.
    pub(super) id: SnapshotId,
    /// Its position and size, once the driver has opened it.
    pub(super) opened: Option<(Position, u64)>,
    /// The chunk that is under way, kept until it is acknowledged: index, records, whether it is the last.
    pub(super) chunk: Option<(u64, Vec<Entry>, bool)>,
    /// A chunk has been asked of the driver.
    pub(super) reading: bool,
    /// The last chunk is acknowledged: the replica is moving over.
    pub(super) delivered: bool,
    /// When a part was last sent.
    pub(super) sent_at: Time,
    /// When the replica last acknowledged a part for the first time (or the transfer began).
    pub(super) acked_at: Time,
}

impl Progress {
    /// Takes an acknowledgement; returns the one before.
    pub(super) fn acknowledge(&mut self, durable: u64, now: Time) -> u64 {
        self.refuses = false;
        if self.acked_at.is_some_and(|at| now.saturating_sub(at) > UNREACHABLE_AFTER) {
            self.back_at = Some(now);
        }
        self.acked_at = Some(now);
        let before = self.acked;
        self.acked = self.acked.max(durable);
        if let Stream::Entries(stream) = &mut self.stream {
            while stream.in_flight.front().is_some_and(|&(last, _)| last <= durable) {
                stream.in_flight.pop_front();
            }
        }
        before
    }

    /// Whether it has been silent, until now or until a moment ago.
    pub(super) fn is_back(&self, now: Time) -> bool {
        let silent = self.acked_at.is_none_or(|at| now.saturating_sub(at) > UNREACHABLE_AFTER);
        silent || self.back_at.is_some_and(|at| now.saturating_sub(at) <= BACK_FOR)
    }

    /// The highest seq sent; 0 if it has not said where it is.
    pub(super) fn sent(&self) -> u64 {
        match &self.stream {
            Stream::Entries(stream) => stream.next - 1,
            Stream::Unknown | Stream::Snapshot(_) => 0,
        }
    }
}

impl EntryStream {
    pub(super) fn after(seq: u64) -> Self {
        Self { next: seq + 1, in_flight: VecDeque::new() }
    }

    pub(super) fn in_flight_bytes(&self) -> usize {
        self.in_flight.iter().map(|&(_, bytes)| bytes).sum()
    }

    /// Notes a batch as sent.
    pub(super) fn sent(&mut self, entries: &[Entry]) {
        let Some(last) = entries.last() else { return };
        self.next = last.at.seq + 1;
        self.in_flight.push_back((last.at.seq, entries.iter().map(Entry::weight).sum()));
    }
}

impl SnapshotStream {
    pub(super) fn new(id: SnapshotId, now: Time) -> Self {
        let (opened, chunk, reading, delivered) = (None, None, false, false);
        Self { id, opened, chunk, reading, delivered, sent_at: now, acked_at: now }
    }
}
