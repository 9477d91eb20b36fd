//! What the benchmarks share: histories from seeds, and measuring in a process of its own.
#![allow(dead_code, unused_imports, reason = "each benchmark takes what it needs")]

mod general;
mod online;
mod process;

pub(crate) use self::general::{Shape, Style, text};
pub(crate) use self::online::Source;
pub(crate) use self::process::{core_time, measure, peak_bytes};
