//! The history of a run: what its clients asked and were told, in one order, on disk and before the judge.
//!
//! [`Recorder`] stamps, judges and writes every event of every client; [`HistoryReader`] reads the file again, line by
//! line, and [`judge_lines`] judges it as a whole. [`HistoryParts`] are its files one after another, and [`Kept`] is what is
//! known where the oldest of them are gone. `docs/history.md` describes the file.

mod file;
mod judging;
mod kept;
mod operation;
mod part_line;
mod parts;
mod read;
mod recorder;

#[cfg(test)]
mod tests;

pub(crate) use self::judging::VIOLATIONS_PROVED_MAX;
pub(crate) use self::kept::Kept;
pub(crate) use self::operation::{Completion, Intent};
pub(crate) use self::part_line::PART_BEGINS;
pub(crate) use self::parts::HistoryParts;
pub(crate) use self::read::{HistoryReader, Judged, Unreadable, judge_lines};
pub(crate) use self::recorder::{Recorder, Sequencer};
