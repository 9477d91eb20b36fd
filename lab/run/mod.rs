//! The files of a run: what they are called, what is in them, and how they are written and read again.
//!
//! * [`directory`]: where a run keeps its files, and where a second terminal finds the run that lives. [`listing`]: all runs.
//! * [`token`]: what the nodes of a run and their operators show, and nobody else knows.
//! * [`event`]: everything that happens, as data; [`journal`] stamps events and writes `events.jsonl`, with [`keyframe`]s.
//!   `clock`: the run's time, in which the lab never stands still.
//! * [`bounds`]: how much a run keeps; [`parts`]: records as files of which the oldest go; [`log_file`]: the same for logs.
//! * [`history`]: what clients asked and were told; it is judged as it is written, to `history.jsonl`.
//! * [`reader`]: a run's files read again. [`output_file`]: a file that appears whole or not at all.

pub(crate) mod bounds;
mod clock;
pub(crate) mod directory;
pub(crate) mod event;
pub(crate) mod history;
pub(crate) mod journal;
pub(crate) mod keyframe;
pub(crate) mod listing;
pub(crate) mod log_file;
pub(crate) mod output_file;
pub(crate) mod parts;
pub(crate) mod reader;
pub(crate) mod token;
mod verdict;

pub(crate) use self::clock::BEAT;
