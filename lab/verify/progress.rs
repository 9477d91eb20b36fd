//! A bar on standard error, once something takes longer than a second and somebody looks.
#![expect(clippy::disallowed_methods, reason = "progress is told by the real clock")]

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::text::words;

/// What is done sooner needs no bar.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// How often the bar is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(100);
/// Calls that look at the clock: one of so many.
const CALLS_PER_LOOK: u32 = 1024;
/// Cells of the bar.
const BAR: u64 = 24;

/// How far something has come.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    drawn: Option<Instant>,
    calls: u32,
    enabled: bool,
}

impl Progress {
    /// Begins now; nothing is drawn unless standard error is a terminal.
    pub(crate) fn begin() -> Self {
        let enabled = io::stderr().is_terminal();
        Self { began: Instant::now(), drawn: None, calls: 0, enabled }
    }

    /// Time since the beginning.
    pub(crate) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// So many bytes are read, of so many if that is known. Called often: it seldom looks at the clock.
    pub(crate) fn read(&mut self, bytes: u64, of: Option<u64>) {
        self.calls = self.calls.wrapping_add(1);
        if self.enabled && self.calls.is_multiple_of(CALLS_PER_LOOK) {
            self.tell(bytes, of, &format!("{} read", words::bytes(bytes)));
        }
    }

    /// So many keys are searched, of so many.
    pub(crate) fn searched(&mut self, keys: usize, of: usize) {
        if self.enabled {
            self.tell(keys as u64, Some(of as u64), &format!("{keys} of {of} keys searched"));
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    fn tell(&mut self, done: u64, of: Option<u64>, what: &str) {
        let now = Instant::now();
        let last = self.drawn.map_or(self.began + SHOWN_AFTER, |drawn| drawn + DRAWN_EVERY);
        if now < last {
            return;
        }
        self.drawn = Some(now);
        let _ = write!(io::stderr().lock(), "\r\x1b[K{}{what}", bar(done, of));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn bar(done: u64, of: Option<u64>) -> String {
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
