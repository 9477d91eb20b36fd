//! Words and sentences that several views say: the screen, the report, the commands.

pub(crate) mod events;
pub(crate) mod words;
