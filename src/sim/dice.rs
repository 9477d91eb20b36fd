//! The one source of chance in a simulation.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A seeded random source with the few questions that the simulator asks.
#[derive(Debug)]
pub(crate) struct Dice(SmallRng);

impl Dice {
    /// Everything that follows is decided by `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// Any number.
    pub(crate) fn number(&mut self) -> u64 {
        self.0.random()
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high)
    }

    /// Yes in `thousandths` of a thousand cases. Draws nothing when the answer is certain.
    pub(crate) fn chance(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && self.0.random_range(0..1000) < thousandths
    }

    /// One of some.
    ///
    /// # Panics
    /// If there are none.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())]
    }

    /// One of some, each as often as its weight says.
    ///
    /// # Panics
    /// If no weight is above zero.
    pub(crate) fn weighted<T: Copy>(&mut self, from: &[(T, u32)]) -> T {
        let sum: u32 = from.iter().map(|&(_, weight)| weight).sum();
        let mut draw = self.0.random_range(0..sum);
        for &(what, weight) in from {
            if draw < weight {
                return what;
            }
            draw -= weight;
        }
        unreachable!("the draw is below the sum of the weights")
    }

    /// Some of them, in their order, each with even odds.
    pub(crate) fn some<T: Copy>(&mut self, from: &[T]) -> Vec<T> {
        from.iter().copied().filter(|_| self.0.random_bool(0.5)).collect()
    }
}
