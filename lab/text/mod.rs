//! Words and sentences that several views say: the screen, the report, the commands.

pub(crate) mod words;
