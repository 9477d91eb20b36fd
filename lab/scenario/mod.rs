//! Scenarios.
mod cast;
#[cfg(test)]
mod fixture;
mod measure;
mod model;
mod parse;
mod problem;
mod schema;
mod steps;
mod validate;
mod words;
pub use self::cast::Cast;
pub use self::measure::*;
pub use self::model::*;
pub use self::words::*;
