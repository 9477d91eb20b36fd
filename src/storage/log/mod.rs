//! The log on the disk: its bytes, and what may be known of its end.
//!
//! [`record`] is one entry's bytes, [`segment`] one file of them, [`log`](self::log) the writing end. [`synced`] marks
//! how far the log is synced, [`tail`] decides where a torn one ends.

#[expect(clippy::module_inception, reason = "the log itself, among what belongs to it")]
pub(super) mod log;
pub(super) mod record;
pub(super) mod segment;
pub(super) mod synced;
pub(super) mod tail;
