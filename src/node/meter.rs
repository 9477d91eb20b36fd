//! How much happened in the last second.

use std::time::Duration;

use crate::types::Time;

const SLOTS: usize = 20;
const SLOT: Duration = Duration::from_millis(50);

/// Counts over a sliding second, in slots of 50 ms.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// A ring; the slot of time `t` is `t / SLOT mod SLOTS`.
    counts: [u64; SLOTS],
    /// The newest slot, counted from time zero.
    newest: u128,
}

impl Meter {
    /// Notes that `count` things happened at `now`.
    pub(super) fn add(&mut self, now: Time, count: u64) {
        self.forget_before(now);
        self.counts[index(self.newest)] += count;
    }

    /// How many things happened in the second up to `now`.
    pub(super) fn per_second(&mut self, now: Time) -> u64 {
        self.forget_before(now);
        self.counts.iter().sum()
    }

    fn forget_before(&mut self, now: Time) {
        let current = now.as_nanos() / SLOT.as_nanos();
        let passed = current.saturating_sub(self.newest);
        for slot in (self.newest + 1..).take(usize::try_from(passed).unwrap_or(SLOTS).min(SLOTS)) {
            self.counts[index(slot)] = 0;
        }
        self.newest = self.newest.max(current);
    }
}

fn index(slot: u128) -> usize {
    // The remainder is below SLOTS, so it fits.
    (slot % SLOTS as u128) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Time {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_second_counts_what_happened_in_it_and_nothing_else() {
        let mut meter = Meter::default();
        for t in (0..2_000).step_by(10) {
            meter.add(ms(t), 3);
        }
        assert_eq!(meter.per_second(ms(1_999)), 300);
        assert_eq!(meter.per_second(ms(2_499)), 150);
        assert_eq!(meter.per_second(ms(3_500)), 0);
    }

    #[test]
    fn a_long_silence_forgets_everything() {
        let mut meter = Meter::default();
        meter.add(ms(10), 7);
        assert_eq!(meter.per_second(ms(20)), 7);
        assert_eq!(meter.per_second(Duration::from_secs(86_400)), 0);
        meter.add(Duration::from_secs(86_400), 2);
        assert_eq!(meter.per_second(Duration::from_secs(86_400)), 2);
    }
}
