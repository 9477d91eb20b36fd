//! Playing a scenario on a stage: steps in order, then settling, then the outcome.

pub(crate) mod cast;
pub(crate) mod live;
pub(crate) mod outcome;
pub(crate) mod plan;
pub mod report;
pub(crate) mod runner;
pub(crate) mod stage;
pub(crate) mod watch;
