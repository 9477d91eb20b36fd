//! Log lines that strangers can cause, at a bounded rate.

use std::cell::Cell;
use std::time::Duration;

use crate::types::Time;

/// Lines let through in one [`WINDOW`].
const LINES_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(1);

/// Lets at most 20 lines a second through: whoever connects over and over fills neither the disk nor the log.
#[derive(Debug, Default)]
pub(super) struct Gate {
    window_ends: Cell<Time>,
    lines: Cell<u32>,
    suppressed: Cell<u64>,
}

impl Gate {
    /// `Some(how many were kept back before)` if a line may be written at `now`.
    pub(super) fn pass(&self, now: Time) -> Option<u64> {
        if now >= self.window_ends.get() {
            self.window_ends.set(now + WINDOW);
            self.lines.set(0);
        }
        if self.lines.get() < LINES_MAX {
            self.lines.set(self.lines.get() + 1);
            Some(self.suppressed.take())
        } else {
            self.suppressed.set(self.suppressed.get() + 1);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_not_written() {
        let gate = Gate::default();
        let now = Duration::from_millis(1500);
        let passed = (0..1000).filter(|_| gate.pass(now).is_some()).count();
        assert_eq!(passed, 20);
        assert_eq!(gate.pass(now + WINDOW), Some(980));
        assert_eq!(gate.pass(now + WINDOW), Some(0));
    }
}
