//! Many cores on a simulated network, disk and clock, all from one seed.

mod cluster;
mod dice;
mod disk;
mod network;
mod node;
#[cfg(test)]
pub(crate) mod script;
mod text;
