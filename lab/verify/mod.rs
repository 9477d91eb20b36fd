//! Histories from files: what `check`, `shrink` and `export` do.
//!
//! * [`HistorySource`]: where a history is read from, and in which format. Ours are streamed, others are read whole.
//! * [`check()`]: the verdict on each key, as a [`checked::CheckedHistory`]; [`printed()`] and [`JsonVerdicts`] say it. Our own
//!   histories go through the online judge; what needs the general search goes to all cores, with a deadline and a bound
//!   on memory (`parallel`): threads and clocks are here, `kvlab::judge` has none.
//! * [`shrink()`]: the smallest part that still fails.
//! * [`export()`]: a history for another checker.

mod check;
mod checked;
mod export;
mod json;
mod parallel;
mod printed;
mod shrink;
mod source;
pub(crate) mod status_line;

pub(crate) use self::check::check;
pub(crate) use self::checked::FailedCasTaken;
pub(crate) use self::export::{Export, export};
pub(crate) use self::json::JsonVerdicts;
pub(crate) use self::parallel::SearchLimits;
pub(crate) use self::printed::{PrintStyle, printed};
pub(crate) use self::shrink::{Shrunk, Smaller, shrink};
pub(crate) use self::source::HistorySource;
