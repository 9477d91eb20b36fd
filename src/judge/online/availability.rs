//! Availability: the longest time in which writes were tried and none succeeded.

/// A pause of this length between attempts ends a gap: time in which nobody tries is not lost.
const IDLE_NS: u64 = 1_000_000_000;

/// Follows the attempts of one family of writes by the times of their events.
///
/// A gap begins with the first attempt after a success, or with the success itself if others are running, and ends
/// with the next success. If there is none yet it lasts until now, as long as somebody tries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Availability {
    running: u64,
    gap_since: Option<u64>,
    last_activity: u64,
    longest_ns: u64,
}

impl Availability {
    /// A write is tried.
    pub(super) fn tried(&mut self, t_ns: u64) {
        if self.running == 0 && t_ns.saturating_sub(self.last_activity) > IDLE_NS {
            self.close(self.last_activity);
        }
        self.running += 1;
        self.last_activity = self.last_activity.max(t_ns);
        self.gap_since.get_or_insert(t_ns);
    }

    /// A write that was tried ended.
    pub(super) fn ended(&mut self, t_ns: u64, succeeded: bool) {
        self.running = self.running.saturating_sub(1);
        self.last_activity = self.last_activity.max(t_ns);
        if succeeded {
            self.close(t_ns);
            self.gap_since = (self.running > 0).then_some(t_ns);
        }
    }

    /// The longest gap, one that lasts until `now_ns` included; in nanoseconds.
    pub(super) fn longest_ns(&self, now_ns: u64) -> u64 {
        let until = if self.running > 0 { now_ns.max(self.last_activity) } else { self.last_activity };
        self.gap_since.map_or(0, |since| until.saturating_sub(since)).max(self.longest_ns)
    }

    fn close(&mut self, t_ns: u64) {
        if let Some(since) = self.gap_since.take() {
            self.longest_ns = self.longest_ns.max(t_ns.saturating_sub(since));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_success_ends_the_gap_that_the_first_attempt_began() {
        let mut a = Availability::default();
        a.tried(100 * MS);
        a.ended(150 * MS, false);
        a.tried(200 * MS);
        a.ended(340 * MS, true);
        assert_eq!(a.longest_ns(10_000 * MS), 240 * MS);
    }

    #[test]
    fn time_in_which_nobody_tries_does_not_count() {
        let mut a = Availability::default();
        a.tried(0);
        a.ended(2 * MS, true);
        a.tried(60_000 * MS);
        a.ended(60_003 * MS, true);
        assert_eq!(a.longest_ns(60_003 * MS), 3 * MS);

        a.tried(61_500 * MS);
        a.ended(61_600 * MS, false);
        a.tried(90_000 * MS);
        a.ended(90_001 * MS, true);
        assert_eq!(a.longest_ns(90_001 * MS), 100 * MS);
    }

    #[test]
    fn a_gap_lasts_while_a_write_hangs() {
        let mut a = Availability::default();
        a.tried(0);
        a.tried(MS);
        a.ended(2 * MS, true);
        assert_eq!(a.longest_ns(2 * MS), 2 * MS);
        assert_eq!(a.longest_ns(502 * MS), 500 * MS);
        a.ended(502 * MS, false);
        assert_eq!(a.longest_ns(9000 * MS), 500 * MS, "nobody tries any more");
    }
}
