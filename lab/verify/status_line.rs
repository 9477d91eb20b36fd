//! A line on standard error that says how far something has come, if it takes long and somebody looks.
#![expect(clippy::disallowed_methods, reason = "progress is told by the real clock")]

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// What is done sooner needs no line.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// How often it is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(100);
/// Cells of a bar.
const BAR: u64 = 24;

/// A line on a terminal that is drawn over, and taken away when this is dropped.
#[derive(Debug)]
pub(crate) struct StatusLine {
    is_terminal: bool,
    /// When it is drawn next.
    due: Instant,
    is_drawn: bool,
}

impl StatusLine {
    /// Of something that begins now; nothing is drawn unless standard error is a terminal.
    pub(crate) fn begin() -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { is_terminal, due: Instant::now() + SHOWN_AFTER, is_drawn: false }
    }

    /// Draws it, if it is time.
    pub(crate) fn draw(&mut self, text: impl FnOnce() -> String) {
        if !self.is_terminal || Instant::now() < self.due {
            return;
        }
        (self.due, self.is_drawn) = (Instant::now() + DRAWN_EVERY, true);
        let _ = write!(io::stderr().lock(), "\r\x1b[K{}", text());
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        if self.is_drawn {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// `[######------]  `; nothing where nobody knows the end.
pub(crate) fn bar(done: u64, of: Option<u64>) -> String {
    let Some(of) = of.filter(|&of| of > 0) else { return String::new() };
    let full = (u128::from(done.min(of)) * u128::from(BAR) / u128::from(of)) as usize;
    format!("[{}{}]  ", "#".repeat(full), "-".repeat(BAR as usize - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_and_is_left_out_where_nobody_knows_the_end() {
        assert_eq!(bar(1, None), "");
        assert_eq!(bar(0, Some(0)), "");
        assert_eq!(bar(1, Some(2)), format!("[{}{}]  ", "#".repeat(12), "-".repeat(12)));
        assert_eq!(bar(u64::MAX, Some(u64::MAX)), format!("[{}]  ", "#".repeat(24)));
        assert_eq!(bar(3, Some(2)), bar(2, Some(2)), "a file that grows");
    }
}
