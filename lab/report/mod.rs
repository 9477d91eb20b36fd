//! The report of a run: one HTML file that says it all and needs nothing else.
//!
//! * [`source`] reads the records of a run directory and writes the file; all else is pure.
//! * [`Records`] are the events, reduced, and the history, judged again by [`HistoryJudge`] and thinned by `operations`.
//! * From these come the page's parts: `answers` (the verdict), `cards` (a proof each), `chapters` (the story), `faults`,
//!   and the drawing of `chart`. `encode` makes the timeline's data, which the browser draws.
//! * `page` puts them into `templates/report.html`; the style sheet and the programs of `assets` go in with it.
//!
//! `docs/report.md` says what is on the page, and what its bounds are.

mod answers;
mod cards;
mod chapters;
mod chart;
mod encode;
mod faults;
mod operations;
mod page;
mod records;
pub mod source;
#[cfg(test)]
mod tests;

pub use self::page::html;
pub use self::records::{HistoryJudge, Records};
