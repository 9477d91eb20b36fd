//! What a primary knows of each other member, and how it is brought up to date.

use std::collections::VecDeque;
use std::time::Duration;

use super::config::UNREACHABLE_AFTER;
use crate::types::{Entry, LossId, Position, SnapshotId, Time};

/// How long a member counts as just come back. Its question may be lost, and come again after an acknowledgement.
const BACK_FOR: Duration = Duration::from_secs(1);

/// A part of a full resync is not sent again sooner than this.
pub(super) const SEND_AGAIN_MIN: Duration = Duration::from_millis(300);

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
    /// It is a learner: its acknowledgements pace the stream and count for nothing.
    pub(super) learner: Option<Learner>,
    /// It has refused this epoch, and has not acknowledged anything since.
    pub(super) refuses: bool,
    /// Where its log ended when it was last told that it is brought up to date; until something comes of it, that is not
    /// told again.
    pub(super) told: Option<Position>,
    /// How long the last acknowledgement of something sent took: the way there and back, and its disk.
    pub(super) round_trip: Duration,
    /// How long a full resync waits for a sign of life before it is begun anew; doubled each time, for the link may be
    /// slow. Zero: the least.
    pub(super) begin_again: Duration,
    /// How it is being brought up to date.
    pub(super) stream: Stream,
}

/// A member that has lost what it had acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Learner {
    /// Which loss.
    pub(super) loss: LossId,
    /// The first entry that was appended here after the loss was known here. Once a quorum of other members has it and
    /// the learner as well, no forgotten vote or acknowledgement can decide anything any more. `None`: not yet written.
    pub(super) barrier: Option<u64>,
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
    /// Batches sent and not acknowledged.
    in_flight: VecDeque<Batch>,
    /// Entries from `next` on are being read back from the log.
    pub(super) reading: bool,
    /// Where its log ended, if it is worth telling that it is brought up to date. Told with the first entries.
    pub(super) untold: Option<Position>,
}

/// Entries sent together.
#[derive(Debug)]
struct Batch {
    last: u64,
    bytes: usize,
    sent_at: Time,
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
    /// The next record is damaged: it is asked for again with the next heartbeat.
    pub(super) waits_for_repair: bool,
    /// The last chunk is acknowledged: the replica is moving over.
    pub(super) delivered: bool,
    /// When a part was last sent.
    pub(super) sent_at: Time,
    /// How long a part may be without an acknowledgement before it is sent again: follows the last round trip, and is
    /// doubled each time.
    pub(super) send_again: Duration,
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
        if durable > before {
            self.told = None;
        }
        self.acked = before.max(durable);
        if let Stream::Entries(stream) = &mut self.stream {
            while let Some(batch) = stream.in_flight.pop_front_if(|batch| batch.last <= durable) {
                self.round_trip = now.saturating_sub(batch.sent_at);
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
        Self { next: seq + 1, in_flight: VecDeque::new(), reading: false, untold: None }
    }

    pub(super) fn in_flight_bytes(&self) -> usize {
        self.in_flight.iter().map(|batch| batch.bytes).sum()
    }

    /// Notes a batch as sent.
    pub(super) fn sent(&mut self, entries: &[Entry], now: Time) {
        let Some(last) = entries.last().map(|entry| entry.at.seq) else { return };
        self.next = last + 1;
        let bytes = entries.iter().map(Entry::weight).sum();
        self.in_flight.push_back(Batch { last, bytes, sent_at: now });
    }
}

impl SnapshotStream {
    pub(super) fn new(id: SnapshotId, now: Time) -> Self {
        Self {
            id,
            opened: None,
            chunk: None,
            reading: false,
            waits_for_repair: false,
            delivered: false,
            sent_at: now,
            send_again: SEND_AGAIN_MIN,
            acked_at: now,
        }
    }
}
