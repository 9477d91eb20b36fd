//! What is counted of a history besides what the judge finds.

use std::time::Duration;

use kvlab::judge::{Consistency, OpKind, Phase};

use super::recorder::{Intent, Reply};

/// Counts over the whole history so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// Quorum writes acknowledged.
    pub(crate) quorum_writes_acked: u64,
    /// Async writes acknowledged.
    pub(crate) async_writes_acked: u64,
    /// Eventual reads refused as too stale.
    pub(crate) refused_stale: u64,
    /// Operations that may have happened or not.
    pub(crate) unknown: u64,
    availability: Availability,
}

/// Whether writes succeed, by the clock.
///
/// A gap begins with a success, or with the first attempt after it if that is later, and ends with the next
/// success. Time in which nobody tried to write does not count.
#[derive(Clone, Debug, Default, PartialEq)]
struct Availability {
    in_flight: u64,
    /// When the present gap began; `None`: nobody has tried since the last success.
    since: Option<Duration>,
    longest: Duration,
}

impl Tally {
    /// A write is about to be sent.
    pub(super) fn write_begins(&mut self, now: Duration) {
        self.availability.begins(now);
    }

    /// An operation has ended.
    pub(super) fn count(&mut self, intent: &Intent, reply: &Reply, now: Duration) {
        let ok = reply.phase == Phase::Ok;
        if intent.op != OpKind::Get {
            self.availability.ends(now, ok);
            match intent.consistency {
                Consistency::Quorum => self.quorum_writes_acked += u64::from(ok),
                Consistency::Async | Consistency::Eventual => self.async_writes_acked += u64::from(ok),
            }
        }
        self.refused_stale += u64::from(reply.refused_stale);
        self.unknown += u64::from(reply.phase == Phase::Info);
    }

    /// The longest time in which no write succeeded though some were tried, the present gap included.
    pub(crate) fn unavailable(&self, now: Duration) -> Duration {
        self.availability.longest(now)
    }
}

impl Availability {
    fn begins(&mut self, now: Duration) {
        self.in_flight += 1;
        self.since.get_or_insert(now);
    }

    fn ends(&mut self, now: Duration, ok: bool) {
        self.longest = self.longest(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        if ok {
            // Those that are still in flight are attempts of the next gap.
            self.since = (self.in_flight > 0).then_some(now);
        }
    }

    fn longest(&self, now: Duration) -> Duration {
        let present = match self.since {
            Some(since) if self.in_flight > 0 => now.saturating_sub(since),
            _ => Duration::ZERO,
        };
        self.longest.max(present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_gap_lasts_from_success_to_success() {
        let mut writes = Availability::default();
        writes.begins(ms(0));
        writes.ends(ms(2), true);
        writes.begins(ms(10));
        writes.ends(ms(510), false);
        writes.begins(ms(515));
        assert_eq!(writes.longest(ms(700)), ms(690), "the present gap counts while somebody tries");
        writes.ends(ms(800), true);
        assert_eq!(writes.longest(ms(9000)), ms(790));
    }

    #[test]
    fn time_in_which_nobody_tries_does_not_count() {
        let mut writes = Availability::default();
        writes.begins(ms(0));
        writes.ends(ms(2), true);
        writes.begins(ms(60_000));
        writes.ends(ms(60_003), true);
        assert_eq!(writes.longest(ms(90_000)), ms(3));
        writes.begins(ms(90_000));
        writes.ends(ms(90_100), false);
        assert_eq!(writes.longest(ms(200_000)), ms(100), "after the last attempt nobody waits");
    }

    #[test]
    fn a_success_of_one_ends_the_gap_of_all() {
        let mut writes = Availability::default();
        writes.begins(ms(0));
        writes.begins(ms(1));
        writes.ends(ms(5), true);
        assert_eq!(writes.longest(ms(25)), ms(20), "the other one still waits");
        writes.ends(ms(30), true);
        assert_eq!(writes.longest(ms(30)), ms(25));
    }
}
