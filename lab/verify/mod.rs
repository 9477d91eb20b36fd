//! Histories on the command line: where they come from ([`Input`]), how all their keys are judged ([`check`]) and what is
//! said of it ([`text()`], [`Object`]).
//!
//! Our own histories are streamed through the online judge, others are read whole. What needs the general search goes to
//! all cores, with a deadline and a bound on memory: threads and clocks are here, `kvlab::judge` has none.

mod input;
mod json;
mod judging;
mod progress;
mod search;
mod text;

pub(crate) use self::input::{Input, Opened, Others};
pub(crate) use self::json::Object;
pub(crate) use self::judging::{Overall, check, judge_ours, key_of};
pub(crate) use self::progress::Progress;
pub(crate) use self::search::{Budget, Limits};
pub(crate) use self::text::{Look, text};
