//! The one place where a node looks at a clock.
#![expect(clippy::disallowed_methods, reason = "the node is where time comes from")]

use std::time::Instant;

use crate::types::Time;

/// Time since the node started, never going back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    /// Begins at zero, now.
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Time since the start.
    pub(super) fn now(&self) -> Time {
        self.start.elapsed()
    }

    /// `time` on tokio's clock, for its timers.
    pub(super) fn instant(&self, time: Time) -> tokio::time::Instant {
        // Far beyond any run, and far from what an `Instant` cannot hold.
        const FAR: Time = Time::from_secs(30 * 365 * 86_400);
        tokio::time::Instant::from_std(self.start + time.min(FAR))
    }
}

/// Milliseconds, as reports have them.
pub(super) fn millis(time: Time) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
