//! How long to wait before trying again.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The first wait of a client between two attempts, before jitter.
const FIRST: Duration = Duration::from_millis(10);
/// No wait of a client is longer than this.
const LONGEST: Duration = Duration::from_millis(200);

/// Waits that double up to the longest, each shortened at random by up to half, so that those who failed together do
/// not come back together.
#[derive(Debug)]
pub struct Backoff {
    random: SmallRng,
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// The waits of a client. The same seed gives the same waits.
    pub fn seeded(seed: u64) -> Self {
        Self::between(FIRST, LONGEST, seed)
    }

    /// Waits from `first` to `longest`. The same seed gives the same waits.
    pub fn between(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { random: SmallRng::seed_from_u64(seed), first, longest, next: first }
    }

    /// Something went well, or something new begins.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.longest);
        full.mul_f64(self.random.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_again_after_a_reset() {
        let mut backoff = Backoff::seeded(7);
        let waits: Vec<Duration> = (0..8).map(|_| backoff.wait()).collect();
        for (n, wait) in waits.iter().enumerate() {
            let full = (FIRST * 2_u32.pow(u32::try_from(n).expect("small"))).min(LONGEST);
            assert!(*wait >= full / 2 && *wait <= full, "wait {n} is {wait:?}");
        }
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
    }

    #[test]
    fn the_seed_decides() {
        let waits = |seed| {
            let mut backoff = Backoff::seeded(seed);
            [backoff.wait(), backoff.wait(), backoff.wait()]
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
