//! Playing a scenario on a stage: steps in order, then settling, then what is concluded.
//!
//! * [`runner`] plays the steps. [`stage`] is what it plays them on; [`live`] is real processes on real time.
//! * [`plan`] turns a step into actions; [`roles`] says which members a step means; [`observation`] judges conditions.
//! * [`conclusion`] compares what was found with what was expected; [`summary`] says it.

mod conclusion;
pub(crate) mod live;
mod observation;
mod plan;
mod roles;
mod runner;
pub(crate) mod stage;
pub mod summary;

pub use self::conclusion::Conclusion;
pub use self::runner::play;
