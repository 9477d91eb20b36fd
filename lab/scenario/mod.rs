//! Scenarios: TOML files that break a cluster step by step, and say what is expected of it.
//!
//! The way of a file: [`schema`] (which keys there are) → [`parse`] and [`validate`] with [`steps`] and
//! [`conditions`] (whatever can be wrong, found before anything starts, each as a [`problem`] with its place) →
//! [`Scenario`] ([`model`], in words: [`say`]).
//!
//! The way of a run: [`runner`] plays the steps on a [`Stage`](stage::Stage); who is meant by `primary` is resolved by the
//! [`Cast`](cast::Cast) at that moment, and conditions are judged by a [`watch`]; then [`outcome`] compares and [`report`]
//! tells. The runner knows no clock and no process: [`Live`] is real ones, [`Simulated`] lets time jump.
//!
//! `docs/scenarios.md` is the reference for authors.

mod cast;
mod conditions;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fixture;
mod library;
mod live;
mod measure;
mod model;
mod outcome;
mod parse;
mod plan;
#[cfg(test)]
mod played;
mod problem;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod refused;
pub mod report;
mod runner;
mod say;
mod schema;
mod simulated;
mod stage;
mod steps;
mod validate;
mod watch;
mod words;

pub use self::library::{EMBEDDED, Embedded, MUSEUM};
pub use self::live::Live;
pub use self::model::{Scenario, Step, WorkloadPlan};
pub use self::outcome::Outcome;
pub use self::problem::{BadScenario, closest};
pub use self::runner::play;
pub use self::simulated::{Simulated, cannot_simulate};
pub use self::words::{DURABILITY_EXPECTED, DURATION_EXPECTED, RATE_MAX, durability, duration, quirk};
