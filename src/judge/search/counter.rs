//! A counter: add, read.

use super::{Call, Model};

/// A counter that starts at zero. Amounts are so small that no sum of them overflows: see [`CounterOp::Add`].
#[derive(Clone, Copy, Debug, Default)]
pub struct CounterModel {
    /// Whether nothing is ever taken off.
    only_grows: bool,
}

/// An operation on a counter, with its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// Added this. Fewer than 2^31 of these stay within 64 bits.
    Add(i32),
    /// Returned this sum.
    Read(i64),
}

impl Model for CounterModel {
    type Op = CounterOp;
    type Step = CounterOp;
    /// The sum, as the bits of an `i64`.
    type State = u64;

    fn only_looks(&self, op: &CounterOp) -> bool {
        matches!(op, CounterOp::Read(_))
    }

    fn prepare(&mut self, calls: &[&Call<CounterOp>]) -> Vec<CounterOp> {
        let steps: Vec<_> = calls.iter().map(|call| call.op).collect();
        self.only_grows = steps.iter().all(|step| !matches!(step, CounterOp::Add(..0)));
        steps
    }

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, state: u64, step: CounterOp) -> Option<u64> {
        let sum = state.cast_signed();
        match step {
            CounterOp::Add(amount) => Some((sum + i64::from(amount)).cast_unsigned()),
            CounterOp::Read(seen) => (seen == sum).then_some(state),
        }
    }

    fn leads(&self, state: u64, looks: CounterOp) -> bool {
        match looks {
            CounterOp::Read(seen) => !self.only_grows || state.cast_signed() <= seen,
            CounterOp::Add(_) => true,
        }
    }

    fn is_idle(&self, step: CounterOp) -> bool {
        step == CounterOp::Add(0)
    }
}
