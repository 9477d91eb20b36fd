//! Scenarios: TOML files that break a cluster step by step, and say what is expected of it.
//!
//! * [`language`]: from a file to a [`Scenario`] that makes sense. Whatever can be wrong is found before anything starts,
//!   and each problem has its place.
//! * [`mod@play`]: a scenario played on a stage, and what is concluded of it. The runner knows no clock and no process:
//!   [`Live`] is real ones, and a simulated stage lets time jump.
//!
//! `docs/scenarios.md` is the reference for authors.

pub(crate) mod language;
pub(crate) mod play;
#[cfg(test)]
pub(crate) mod tests;

pub use self::language::library::{EMBEDDED, Embedded, MUSEUM};
pub use self::language::model::{Scenario, Step};
pub use self::language::problem::{BadScenario, closest};
pub use self::language::words::{
    DURABILITY_EXPECTED, DURATION_EXPECTED, RATE_MAX, durability, duration, quirk, time,
};
pub use self::play::live::Live;
pub use self::play::{Conclusion, play, summary};
