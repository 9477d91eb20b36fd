//! Hints: what a start needs to know of a closed segment, so that it reads no values.
//!
//! [`hint`] is the file and its bytes, [`task`] the work of making one.

pub(super) mod hint;
pub(super) mod task;
