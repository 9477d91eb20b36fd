//! The one place where a node looks at a clock.
#![expect(clippy::disallowed_methods, reason = "the node is where time comes from")]

use std::time::Instant;

use tokio::sync::watch;

use crate::types::{ClockCondition, Time, WarpedClock};

/// Time since the node started, never going back. True, unless a lab has set a condition of it.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    start: Instant,
    /// `None`: nobody may set a condition.
    warp: Option<watch::Receiver<WarpedClock>>,
}

/// Where a lab sets the condition of a node's clock. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ClockSwitch {
    start: Instant,
    warp: watch::Sender<WarpedClock>,
}

impl Clock {
    /// Begins at zero, now.
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), warp: None }
    }

    /// Began at zero when the switch was made, and obeys it.
    pub(super) fn obeying(switch: &ClockSwitch) -> Self {
        Self { start: switch.start, warp: Some(switch.warp.subscribe()) }
    }

    /// Time since the start.
    pub(super) fn now(&self) -> Time {
        let elapsed = self.start.elapsed();
        self.warp.as_ref().map_or(elapsed, |warp| warp.borrow().shows(elapsed))
    }

    /// `time` on tokio's clock, for its timers; as long as no condition changes.
    pub(super) fn instant(&self, time: Time) -> tokio::time::Instant {
        // Far beyond any run, and far from what an `Instant` cannot hold.
        const FAR: Time = Time::from_secs(30 * 365 * 86_400);
        let elapsed = self.warp.as_ref().map_or(time, |warp| warp.borrow().shows_at(time));
        tokio::time::Instant::from_std(self.start + elapsed.min(FAR))
    }
}

impl ClockSwitch {
    /// For a clock that begins at zero, now.
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), warp: watch::Sender::new(WarpedClock::starting_at(Time::ZERO)) }
    }

    /// Sets the condition.
    pub(super) fn set(&self, condition: ClockCondition) {
        self.warp.send_modify(|warp| warp.set(self.start.elapsed(), condition));
    }

    /// Changes whenever a condition is set: what [`Clock::instant`] has said is void then.
    pub(super) fn changes(&self) -> watch::Receiver<WarpedClock> {
        self.warp.subscribe()
    }
}

/// Milliseconds, as reports have them.
pub(super) fn millis(time: Time) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
