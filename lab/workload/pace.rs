//! When a background client sends. Pure: time is an argument.
//!
//! The moments at which operations are *meant* to be sent are fixed by the rate alone, whatever the store does.
//! Latency is measured from there, so a store that stalls cannot hide the stall by keeping its clients from
//! asking (coordinated omission).

use std::time::Duration;

/// A client that is further behind than this gives up the operations that it has missed: like people who went
/// away. They show as missing throughput, not as latency, and there is no stampede when the store is back.
const BEHIND_MAX: Duration = Duration::from_secs(1);

/// The moments at which one client means to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    interval: Duration,
    next: Duration,
}

impl Schedule {
    /// Every `interval` from `first` on.
    pub(crate) fn new(interval: Duration, first: Duration) -> Self {
        Self { interval, next: first }
    }

    /// The next moment, as seen at `now`. Each is given once.
    pub(crate) fn next(&mut self, now: Duration) -> Duration {
        let due = self.next.max(now.saturating_sub(BEHIND_MAX));
        self.next = due + self.interval;
        due
    }
}

/// The interval of one of `clients` that together send `per_second`.
pub(crate) fn interval(clients: u32, per_second: u32) -> Duration {
    Duration::from_secs(1) * clients / per_second.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_client_that_keeps_up_sends_at_its_rate() {
        let mut schedule = Schedule::new(ms(20), ms(5));
        let moments: Vec<_> = (0..4).map(|n| schedule.next(ms(n * 20))).collect();
        assert_eq!(moments, [ms(5), ms(25), ms(45), ms(65)]);
    }

    #[test]
    fn a_client_that_was_held_up_sends_what_it_missed_with_the_moments_it_was_meant_for() {
        let mut schedule = Schedule::new(ms(100), ms(0));
        assert_eq!(schedule.next(ms(0)), ms(0));
        // The first took 350 ms: three have been missed, and their latency counts from when they were due.
        assert_eq!(schedule.next(ms(350)), ms(100));
        assert_eq!(schedule.next(ms(351)), ms(200));
        assert_eq!(schedule.next(ms(352)), ms(300));
        assert_eq!(schedule.next(ms(353)), ms(400));
    }

    #[test]
    fn a_client_that_was_held_up_for_long_gives_the_oldest_up() {
        let mut schedule = Schedule::new(ms(100), ms(0));
        assert_eq!(schedule.next(ms(60_000)), ms(59_000));
        assert_eq!(schedule.next(ms(60_000)), ms(59_100));
    }

    #[test]
    fn the_rate_is_shared_by_the_clients() {
        assert_eq!(interval(6, 300), ms(20));
        assert_eq!(interval(1, 1000), ms(1));
        assert_eq!(interval(3, 0), ms(3000), "a rate of nothing is taken for one");
    }
}
