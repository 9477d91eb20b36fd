//! How a command ends: exit codes, and the one message that explains them.

use std::fmt;
use std::process::ExitCode;

use crate::run::event::RunOutcome;
use crate::run::output_file::ReaderGone;

/// What the exit code of a command says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; a scenario went as expected.
    Done,
    /// Refused, not found, certainly not done; an expectation or a promise failed.
    Refused,
    /// Wrong usage, or it could not be set up.
    Usage,
    /// Nobody can say whether it happened; a scenario was not decided.
    Unknown,
    /// A fault of kvlab's own, never a verdict on the store.
    Fault,
    /// Whoever read the output closed the pipe (`kvlab sim | head`): the output could not be written, but nothing is said
    /// of it, since the reader wanted no more.
    Unread,
}

/// A command that did not end well, with its message. Any other error is one of setting up.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    pub exit: Exit,
    message: String,
}

impl Exit {
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage | Self::Unread => 2,
            Self::Unknown => 3,
            Self::Fault => 4,
        })
    }

    /// An end with this code and this message.
    pub fn because(self, message: impl fmt::Display) -> CommandError {
        CommandError { exit: self, message: message.to_string() }
    }
}

impl From<RunOutcome> for Exit {
    fn from(outcome: RunOutcome) -> Self {
        match outcome {
            RunOutcome::AsExpected => Self::Done,
            RunOutcome::Violated => Self::Refused,
            RunOutcome::Undecided => Self::Unknown,
            RunOutcome::Panicked => Self::Fault,
        }
    }
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        let unread = error.downcast_ref::<ReaderGone>();
        unread.map_or(Exit::Usage, |ReaderGone| Exit::Unread).because(format!("{error:#}"))
    }
}
