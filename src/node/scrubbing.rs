//! The scrub of one node: its pace, its rounds, and what is told of them.
//!
//! It reads closed segments in slices on the keeper's thread, one at a time, so that neither a cleanup nor a reader waits
//! long for it. What it finds, the store notes, and the core asks the others for.

use std::time::Duration;

use super::clock::millis;
use super::driver::Driver;
use crate::storage::{Keeper, ScrubCursor, Scrubbed};
use crate::types::{ScrubStatus, Time};

/// How many bytes a second are read unless told otherwise.
pub const SCRUB_RATE: u64 = 1 << 20;
/// No slice is longer, whatever the rate, but for a single record.
const SLICE_BYTES_MAX: u64 = 1 << 20;
/// A slice is at least so long, so that a low rate makes for few and small reads, not for many.
const SLICE_BYTES_MIN: u64 = 4 << 10;
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug)]
pub(super) struct Scrubbing {
    /// Bytes a second; 0: off.
    rate: u64,
    /// When the next slice, or the next round, is due.
    at: Time,
    /// When the slice under way was begun, if one is.
    slice: Option<Time>,
    /// Whether a round is under way.
    in_round: bool,
    /// Where it stands; `None`: at its beginning.
    cursor: Option<ScrubCursor>,
    rounds: u64,
    ended: Option<Time>,
}

impl Scrubbing {
    /// The first round begins at once.
    pub(super) fn new(rate: u64) -> Self {
        let (at, slice, cursor, ended) = (Time::ZERO, None, None, None);
        Self { rate, at, slice, in_round: false, cursor, rounds: 0, ended }
    }

    /// Has the next slice read, if it is due.
    pub(super) fn look(&mut self, now: Time, driver: &Driver, keeper: &Keeper) {
        if self.rate == 0 || self.slice.is_some() || now < self.at {
            return;
        }
        let bytes_max = self.rate.clamp(SLICE_BYTES_MIN, SLICE_BYTES_MAX);
        match driver.store().scrub_slice(self.cursor, bytes_max) {
            Some(task) => {
                self.in_round = true;
                self.slice = Some(now);
                keeper.scrub(task);
            }
            None => {
                self.in_round = false;
                self.cursor = None;
                self.rounds += 1;
                self.ended = Some(now);
                self.at = now + PAUSE;
            }
        }
    }

    /// A slice has been read.
    pub(super) fn hear(&mut self, now: Time, scrubbed: Scrubbed, driver: &mut Driver) {
        let began = self.slice.take().unwrap_or(now);
        let took = u128::from(scrubbed.bytes) * 1_000_000 / u128::from(self.rate.max(1));
        self.at = began + Duration::from_micros(u64::try_from(took).unwrap_or(u64::MAX));
        self.cursor = Some(scrubbed.next);
        driver.store_mut().note_damage(scrubbed.damaged);
    }

    /// How far it is.
    pub(super) fn status(&self, now: Time, driver: &Driver) -> ScrubStatus {
        ScrubStatus {
            rate: self.rate,
            round: self.in_round.then(|| driver.store().scrub_progress(self.cursor)),
            rounds: self.rounds,
            ended_ms_ago: self.ended.map(|ended| millis(now.saturating_sub(ended))),
        }
    }
}
