//! One process: sockets, disk thread and timers around the core.

mod report;

pub use self::report::*;
