//! Seeded clients that put the store under load, and what they measure.
//!
//! Each client is at home with one member, in whose zone it is: it reads there, and writes to the primary that it knows
//! from there. [`Workload`] runs them as [`WorkloadOptions`] say; [`LabClient`] is one client, a person's as well.
//!
//! What a background client does is pure: [`routine`] says what it asks next (drawn by [`mix`], some of it remembered in
//! the [`ledger`]), [`pace`] says when.

pub(crate) mod client;
pub(crate) mod ledger;
mod load;
mod mix;
pub(crate) mod options;
pub(crate) mod pace;
pub(crate) mod routine;
mod samples;
#[cfg(test)]
pub(crate) mod tests;
mod zones;

pub(crate) use self::client::{LabClient, Way, request};
pub(crate) use self::load::Workload;
pub(crate) use self::options::WorkloadOptions;
pub(crate) use self::samples::SAMPLE_EVERY;
pub(crate) use self::zones::Zones;
