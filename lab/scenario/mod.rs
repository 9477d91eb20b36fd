//! Scenarios: TOML files that break a cluster step by step, and say what is expected of it.
//!
//! The way of a file: [`schema`] (which keys there are) → [`parse`] and [`validate`] with [`steps`] and
//! [`conditions`] (whatever can be wrong, found before anything starts, each as a [`problem`] with its place) →
//! [`Scenario`] ([`model`], in words: [`say`]).
//!
//! The way of a run: [`runner`] plays the steps on a [`Stage`](stage::Stage); who is meant by `primary` is resolved by the
//! [`Roles`](play) at that moment, and whether conditions hold by an `Observation`; then a [`Conclusion`] compares and
//! the [`summary`] tells. The runner knows no clock and no process: [`Live`] is real ones, [`Simulated`] lets time jump.
//!
//! `docs/scenarios.md` is the reference for authors.

pub(crate) mod language;
pub(crate) mod play;
#[cfg(test)]
pub(crate) mod tests;

pub use self::language::library::{EMBEDDED, Embedded, MUSEUM};
pub use self::language::model::{Scenario, Step, WorkloadPlan};
pub use self::language::problem::{BadScenario, closest};
pub use self::language::words::{
    DURABILITY_EXPECTED, DURATION_EXPECTED, RATE_MAX, durability, duration, quirk, time,
};
pub use self::play::live::Live;
pub use self::play::{Conclusion, play, summary};
