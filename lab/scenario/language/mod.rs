//! The language of scenario files: from text to a [`Scenario`](model::Scenario) that makes sense, or to a problem with its place.

pub(crate) mod conditions;
pub(crate) mod library;
pub(crate) mod model;
pub(crate) mod parse;
pub(crate) mod problem;
pub(crate) mod say;
pub(crate) mod schema;
pub(crate) mod steps;
pub(crate) mod validate;
pub(crate) mod words;
