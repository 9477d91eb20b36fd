//! Histories in, verdicts out. Pure.

mod history;

pub use self::history::*;
