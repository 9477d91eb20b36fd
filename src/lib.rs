//! kvlab's library: a replicated key-value store, a judge of histories, and a simulator.
//!
//! Read it in the order in which one write travels: [`client`] → [`wire`] → [`node`] → [`replication`] →
//! [`storage`], and back out. [`judge`] decides what clients saw; [`sim`] runs many cores on one seed.
//! The program around it (the lab: faults, scenarios, dashboard) is in `lab/` and cannot be seen from here.
//! `docs/architecture.md` is the guided tour.

pub mod client;
pub mod judge;
pub mod node;
pub mod replication;
pub mod sim;
pub mod storage;
pub mod types;
pub mod wire;
