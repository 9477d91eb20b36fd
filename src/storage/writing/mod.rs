//! The disk thread: jobs in, completions out, one sync for each batch.
//!
//! In the order in which a job travels: [`job`] says what is asked and what has been done, [`queue`] bounds what waits,
//! [`thread`] takes batches, [`writer`] carries them out.

pub(super) mod job;
pub(super) mod queue;
pub(super) mod thread;
pub(super) mod writer;
