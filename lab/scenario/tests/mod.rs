//! Scenarios read, refused and played, without processes.

mod damaged;
mod fake;
pub(crate) mod fixture;
mod played;
mod reference;
mod refused;
