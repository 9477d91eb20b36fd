//! A scenario on a simulated cluster: the same core, storage, clients' routine and judge as in a live run, all from one
//! seed.
//!
//! * [`play`] plays one seed and counts many; [`seeds`] plays them on all cores.
//! * [`plan`] makes a cluster of a scenario's words. [`stage`] is what the scenario is played on, and [`settle`] its end.
//! * [`clients`] are the lab's clients in simulated time, and [`client`] is one of them. [`rolling`] reads the ledger back
//!   all the time, with the [`readers`].

mod client;
mod clients;
mod plan;
mod play;
mod readers;
mod rolling;
mod seeds;
mod settle;
mod stage;
#[cfg(test)]
#[path = "tests/played.rs"]
mod tests;

pub(crate) use self::play::{SeedTally, UnexpectedSeed, play_seed};
pub(crate) use self::seeds::{Seeds, panicked_at};
