//! Test code of the simulator.
//!
//! * [`seeds`] plays many seeds, and [`museum`] those that must show each quirk.
//! * [`script`] plays golden scripts: claims about the core, moved by hand.
//! * [`extremes`] and [`dead_ends`] try what a claim says of every case; [`rig`] moves their members.
//! * [`stored_disk`] asks storage what became of values that had rotted.
//! * [`model_disk`] says what storage should amount to; [`mirror_disk`] compares storage with it.
//! * `oracle.rs` belongs to [`oracle`](super::oracle), whose state it changes on purpose.

mod dead_ends;
mod extremes;
pub(super) mod mirror_disk;
pub(super) mod model_disk;
mod museum;
mod rig;
pub(crate) mod script;
mod seeds;
mod stored_disk;
