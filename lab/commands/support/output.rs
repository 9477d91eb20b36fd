//! Standard output and the terminal. What cannot be written is an error of the command; a reader that has had enough
//! (`kvlab scenarios | head -1`) ends it without a word.
#![expect(clippy::disallowed_methods, reason = "signals and the terminal have a thread of their own")]

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::exit::{CommandError, Exit};

/// Lines that may wait for a slow reader; more are left out, and the reader is told how many.
const LINES_WAITING_MAX: usize = 4096;
/// How long the last lines may take when the program ends.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);

/// Whether there is a terminal to draw on and to take keys from.
pub fn has_terminal() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !dumb
}

/// Columns that a text may take: those of the terminal within reason, and as many where there is none.
pub fn columns() -> usize {
    const MIN: usize = 60;
    const MAX: usize = 100;
    let terminal = io::stdout().is_terminal().then(crossterm::terminal::size);
    match terminal {
        Some(Ok((columns @ 1.., _))) => usize::from(columns).clamp(MIN, MAX),
        _ => MAX,
    }
}

/// Prints as it is.
///
/// # Errors
/// If it cannot be written: [`Exit::Unread`] if nobody reads any more.
pub fn print(text: impl AsRef<[u8]>) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref()).and_then(|()| out.flush()).map_err(|error| not_written(&error))
}

fn not_written(error: &io::Error) -> CommandError {
    match error.kind() {
        ErrorKind::BrokenPipe => Exit::Unread.because("nobody reads the output"),
        _ => Exit::Usage.because(format!("cannot write to standard output: {error}")),
    }
}

/// Prints a line for the person, not for a program that reads standard output.
pub fn tell(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Where a [`Printer`] prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    Stdout,
    Stderr,
}

/// A thread that prints lines, so that a reader that stalls never stalls the lab.
#[derive(Debug)]
pub struct Printer {
    lines: SyncSender<String>,
    ended: Receiver<io::Result<()>>,
    to: To,
    left_out: u64,
    gone: bool,
}

impl Printer {
    /// Starts the thread.
    pub fn start(to: To) -> Result<Self, CommandError> {
        let (lines, waiting) = sync_channel::<String>(LINES_WAITING_MAX);
        let (done, ended) = sync_channel(1);
        let run = move || {
            let mut write = |line: String| match to {
                To::Stdout => writeln!(io::stdout().lock(), "{line}").and_then(|()| io::stdout().flush()),
                To::Stderr => writeln!(io::stderr().lock(), "{line}"),
            };
            let _ = done.send(waiting.into_iter().try_for_each(&mut write));
        };
        std::thread::Builder::new()
            .name("printer".to_owned())
            .spawn(run)
            .map_err(|e| Exit::Usage.because(format!("cannot start a thread: {e}")))?;
        Ok(Self { lines, ended, to, left_out: 0, gone: false })
    }

    /// Prints a line, soon. `left_out` makes the line that says how many could not be printed.
    pub fn line(&mut self, line: String, left_out: impl FnOnce(u64) -> String) {
        if self.left_out > 0 && self.send(left_out(self.left_out)) {
            self.left_out = 0;
        }
        if self.left_out > 0 || !self.send(line) {
            self.left_out += 1;
        }
    }

    /// Whether nobody reads any more.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Waits a little for what has not been printed yet.
    ///
    /// # Errors
    /// If a line for standard output could not be written: [`Exit::Unread`] if nobody reads any more.
    pub fn finish(self) -> Result<(), CommandError> {
        let Self { lines, ended, to, .. } = self;
        drop(lines);
        match ended.recv_timeout(LAST_LINES_WITHIN) {
            // What is told beside the result is no part of it.
            Ok(Err(error)) if to == To::Stdout => Err(not_written(&error)),
            Ok(_) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(()),
        }
    }

    fn send(&mut self, line: String) -> bool {
        match self.lines.try_send(line) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Disconnected(_)) => {
                self.gone = true;
                true
            }
        }
    }
}
