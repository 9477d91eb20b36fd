//! Playing a scenario on a stage: steps in order, then settling, then the outcome.

mod conclusion;
pub(crate) mod live;
pub(crate) mod measure;
mod observation;
mod plan;
mod roles;
mod runner;
pub(crate) mod stage;
pub mod summary;

pub use self::conclusion::Conclusion;
pub use self::runner::play;
