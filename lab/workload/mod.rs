//! Seeded clients that put the store under load, and what they measure.
//!
//! Each client is at home with one member, in whose zone it stands: it reads there, and writes to the primary as
//! it knows it from there. [`Workload`] runs them; [`Hand`] is one client, a person's as well.

#[cfg(test)]
pub(crate) mod fake;
mod hand;
mod ledger;
mod load;
mod mix;
mod pace;
mod routine;
mod samples;
mod simulated;
#[cfg(test)]
mod tests;
mod zones;

pub(crate) use self::hand::{Hand, Way};
pub(crate) use self::load::{Workload, WorkloadOptions};
pub(crate) use self::samples::SAMPLE_EVERY;
pub(crate) use self::simulated::{Crowd, Meaning, OPERATOR, Task};
pub(crate) use self::zones::Zones;
