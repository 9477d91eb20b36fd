//! Many cores on a simulated network, disk and clock, all from one seed.
//!
//! [`simulate`] plays one seed: members, clients, faults and weather are drawn from it, so the same seed gives the
//! same run, to the byte. The core is the one that runs in a node process, and so is the storage: it writes to a file
//! system in memory that loses what was not synced ([`disk`]). Around them stand a network of queues ([`network`]) and
//! members that are started, stopped and killed ([`cluster`]). An [`oracle`] that sees everything at once checks the
//! promises after every step.
//!
//! * [`world`] lets a cluster move by itself, and [`actions`] are what can be done to it. The lab plays scenarios on it.
//! * [`chaos`] drives a world by chance: [`faults`], [`clients`], then healing and a verdict.
//! * The golden scripts of the core (`script`) move the same cluster by hand.
//!
//! `docs/simulator.md` tells how to use it.

mod actions;
mod agenda;
mod chaos;
mod clients;
mod cluster;
mod dice;
mod disk;
mod faults;
#[cfg(test)]
mod museum;
mod network;
mod node;
mod options;
mod oracle;
#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;
mod text;
mod told;
mod world;

pub use self::actions::Death;
pub use self::chaos::simulate;
pub use self::network::Weather;
pub use self::options::{Counts, Mix, Options, Outcome, Proof, Violation};
pub use self::told::{Telling, Told};
pub use self::world::{Ask, Climate, Happened, World};
