//! The report of a run: one HTML file that says it all and needs nothing else.
//!
//! * [`source`] reads the records of a run directory and writes the file; all else is pure.
//! * [`Records`] (`told`) are the events, reduced, and the history, judged again by [`Judging`] and thinned by `operations`.
//! * From these come the page's parts: `verdicts`, `proofs`, `story`, `faults`, and the drawing of `chart`, in SVG
//!   (`svg`). `encode` and `pack` make the timeline's data, which the browser draws.
//! * `page` puts them into `templates/report.html`; the style sheet and the programs of `assets` go in with it.
//!
//! `docs/report.md` says what is on the page, and what its bounds are.

mod chart;
mod encode;
mod faults;
mod operations;
mod pack;
mod page;
mod proofs;
pub mod source;
mod story;
mod svg;
#[cfg(test)]
mod tests;
mod told;
mod verdicts;

pub use self::page::html;
pub use self::told::{Judging, Records};
