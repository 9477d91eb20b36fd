//! The language of scenario files: from text to a [`Scenario`](model::Scenario) that makes sense, or to a problem with
//! its place.
//!
//! * [`schema`] says which keys there are, and [`parse`] reads them.
//! * [`validate`] checks the whole file before anything starts: [`steps`] and their [`conditions`], [`expectations`],
//!   single [`values`]. Whatever is wrong is a [`problem`] with its place, its line and the way out.
//! * [`model`] is what comes of it, and [`say`] puts it into words. [`words`] and [`measure`] are the small words of the
//!   language: durations, targets, comparisons, and what can be measured of a run.
//! * [`library`] holds the scenarios that are part of the program.

pub(crate) mod conditions;
mod expectations;
pub(crate) mod library;
pub(crate) mod measure;
pub(crate) mod model;
pub(crate) mod parse;
pub(crate) mod problem;
pub(crate) mod say;
pub(crate) mod schema;
pub(crate) mod steps;
pub(crate) mod validate;
mod values;
pub(crate) mod words;
