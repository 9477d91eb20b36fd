//! Throughput and latency of the background load, in samples of a tenth of a second.

use std::collections::VecDeque;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::run::event::{LoadSample, Outcome, micros};

/// Time between two samples.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// Latencies are those of this many samples: a second.
const WINDOW: usize = 10;
/// Latencies are kept to two significant digits, up to this; longer ones count as this long.
const LATENCY_US_MAX: u64 = 60_000_000;

/// Collects outcomes and turns them into samples.
#[derive(Debug)]
pub(crate) struct Samples {
    ok: u64,
    failed: u64,
    unknown: u64,
    /// Latencies since the last sample.
    latest: Histogram<u32>,
    /// Those of the samples before it, the oldest first.
    window: VecDeque<Histogram<u32>>,
    sampled_at: Duration,
}

impl Samples {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            ok: 0,
            failed: 0,
            unknown: 0,
            latest: histogram(),
            window: VecDeque::with_capacity(WINDOW),
            sampled_at: now,
        }
    }

    /// An operation has ended.
    pub(crate) fn record(&mut self, outcome: &Outcome, took_us: u64) {
        match outcome {
            Outcome::Ok => {
                self.ok += 1;
                self.latest.saturating_record(took_us.clamp(1, LATENCY_US_MAX));
            }
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Unknown(_) => self.unknown += 1,
        }
    }

    /// What has happened since the last sample, and the latencies of the last second.
    pub(crate) fn sample(&mut self, now: Duration, on: bool, rate: u32) -> LoadSample {
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(std::mem::replace(&mut self.latest, histogram()));
        let mut second = histogram();
        for part in &self.window {
            second.add(part).expect("all have the same range");
        }
        let quantile = |q| if second.is_empty() { 0 } else { second.value_at_quantile(q) };
        let interval = now.saturating_sub(self.sampled_at);
        self.sampled_at = now;
        LoadSample {
            on,
            rate,
            interval_us: micros(interval),
            ok: std::mem::take(&mut self.ok),
            failed: std::mem::take(&mut self.failed),
            unknown: std::mem::take(&mut self.unknown),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            max_us: if second.is_empty() { 0 } else { second.max() },
        }
    }
}

fn histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 2).expect("the bounds are in order")
}

/// Lets through so many a second, and as many at once after a quiet second.
#[derive(Debug)]
pub(crate) struct Budget {
    per_second: f64,
    left: f64,
    refilled_at: Duration,
}

impl Budget {
    pub(crate) fn new(per_second: u32, now: Duration) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, left: per_second, refilled_at: now }
    }

    /// Whether one more may pass.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.refilled_at).as_secs_f64();
        self.left = elapsed.mul_add(self.per_second, self.left).min(self.per_second);
        self.refilled_at = now;
        let passes = self.left >= 1.0;
        if passes {
            self.left -= 1.0;
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_sample_counts_what_happened_since_the_last_and_the_latency_of_a_second() {
        let mut samples = Samples::new(ms(0));
        for took_us in 1..=100 {
            samples.record(&Outcome::Ok, took_us * 10);
        }
        samples.record(&Outcome::Failed(String::new()), 5);
        samples.record(&Outcome::Unknown(String::new()), 5);
        let first = samples.sample(ms(100), true, 300);
        assert_eq!((first.ok, first.failed, first.unknown), (100, 1, 1));
        assert_eq!((first.on, first.rate, first.interval_us), (true, 300, 100_000));
        assert!((495..=510).contains(&first.p50_us), "{}", first.p50_us);
        assert!((980..=1000).contains(&first.p99_us), "{}", first.p99_us);

        let second = samples.sample(ms(200), true, 300);
        assert_eq!((second.ok, second.failed, second.unknown), (0, 0, 0));
        assert_eq!(second.p50_us, first.p50_us, "latencies are those of a second");
        for n in 3..=11 {
            samples.sample(ms(n * 100), true, 300);
        }
        assert_eq!(samples.sample(ms(1200), true, 300).max_us, 0, "and not of the second before");
    }

    #[test]
    fn absurd_latencies_count_as_the_longest() {
        let mut samples = Samples::new(ms(0));
        samples.record(&Outcome::Ok, u64::MAX);
        samples.record(&Outcome::Ok, 0);
        let sample = samples.sample(ms(100), true, 1);
        assert_eq!(sample.ok, 2);
        assert!(sample.max_us >= LATENCY_US_MAX);
    }

    #[test]
    fn a_budget_lets_its_rate_through_and_no_more() {
        let mut budget = Budget::new(20, ms(0));
        assert_eq!((0..100).filter(|_| budget.take(ms(0))).count(), 20, "a burst");
        let later = (0..5000).filter(|t| budget.take(ms(*t))).count();
        assert!((98..=102).contains(&later), "{later} in five seconds");
    }
}
