//! Many cores on a simulated network, disk and clock, all from one seed.
//!
//! [`simulate`] plays one seed: members, clients, faults and weather are drawn from it, so the same seed gives the
//! same run, to the byte. The core is the one that runs in a node process; around it stand a disk that loses what
//! it has not finished ([`disk`]), a network of queues ([`network`]) and members that are started, stopped and killed
//! ([`cluster`]). An [`oracle`] that sees everything at once checks the promises after every step.
//!
//! The golden scripts of the core (`script`) move the same cluster by hand.
#![allow(dead_code, clippy::needless_pass_by_value, reason = "golden scripts use parts of it in tests only")]

mod agenda;
mod clients;
mod cluster;
mod dice;
mod disk;
mod faults;
mod network;
mod node;
mod options;
mod oracle;
mod run;
#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;
mod text;

pub use self::options::{Counts, Options, Outcome, Violation};
pub use self::run::simulate;
