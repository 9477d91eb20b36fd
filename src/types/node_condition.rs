//! Conditions of a node's disk and clock: faults that a lab sets on a running node, and takes back.
//!
//! They sit in the node's disk and clock layer and are off unless the lab sets them. Each is a small value of which one
//! stands at a time: the next replaces it. The same values are set on a real node and on a simulated one.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::position::Time;

/// The slowest disk: each write and each sync takes so much longer at most.
pub const DISK_SLOW_MAX: Duration = Duration::from_secs(10);
/// The slowest rate of a clock, in thousandths of the true one.
pub const CLOCK_PERMILLE_MIN: u16 = 500;
/// The fastest rate of a clock, in thousandths of the true one.
pub const CLOCK_PERMILLE_MAX: u16 = 2000;
/// The farthest that a clock jumps at once.
pub const CLOCK_JUMP_MAX: Duration = Duration::from_secs(60 * 60);
/// The true rate of a clock, in thousandths.
pub const CLOCK_PERMILLE_TRUE: u16 = 1000;

/// The condition of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "disk", rename_all = "kebab-case")]
pub enum DiskCondition {
    /// As it should be.
    #[default]
    Ok,
    /// There is no room: what needs more fails, as on a disk that is full.
    Full,
    /// Each write and each sync takes longer.
    Slow {
        /// By so much; at most [`DISK_SLOW_MAX`].
        by: Duration,
    },
    /// Every sync fails, and what was written to the file since its last good one is gone. It ends with the process,
    /// which stops at the first.
    SyncFails,
}

/// The condition of a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "clock", rename_all = "kebab-case")]
pub enum ClockCondition {
    /// It runs at the true rate from now on. It never goes back, so what it has gained it keeps.
    #[default]
    Ok,
    /// It runs faster or slower.
    Rate {
        /// In thousandths of the true rate, from [`CLOCK_PERMILLE_MIN`] to [`CLOCK_PERMILLE_MAX`].
        permille: u16,
    },
    /// It jumps forward, once; its rate stays.
    Jump {
        /// So far; at most [`CLOCK_JUMP_MAX`].
        by: Duration,
    },
}

/// One condition that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeCondition {
    /// Of the disk.
    Disk(DiskCondition),
    /// Of the clock.
    Clock(ClockCondition),
}

impl DiskCondition {
    /// What of it outlives the process: a full disk is full after a restart, and a slow one slow.
    pub fn after_restart(self) -> Self {
        if self == Self::SyncFails { Self::Ok } else { self }
    }

    /// Whether its value is within its bound.
    pub fn is_possible(self) -> bool {
        !matches!(self, Self::Slow { by } if by.is_zero() || by > DISK_SLOW_MAX)
    }
}

impl ClockCondition {
    /// Whether its value is within its bounds.
    pub fn is_possible(self) -> bool {
        match self {
            Self::Ok => true,
            Self::Rate { permille } => (CLOCK_PERMILLE_MIN..=CLOCK_PERMILLE_MAX).contains(&permille),
            Self::Jump { by } => !by.is_zero() && by <= CLOCK_JUMP_MAX,
        }
    }

    /// The rate from now on, in thousandths; `None`: it stays.
    pub fn permille(self) -> Option<u16> {
        match self {
            Self::Ok => Some(CLOCK_PERMILLE_TRUE),
            Self::Rate { permille } => Some(permille),
            Self::Jump { .. } => None,
        }
    }
}

impl fmt::Display for DiskCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("disk ok"),
            Self::Full => f.write_str("disk full"),
            Self::Slow { by } => write!(f, "disk slow by {by:?}"),
            Self::SyncFails => f.write_str("disk sync fails"),
        }
    }
}

impl fmt::Display for ClockCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("clock ok"),
            Self::Rate { permille } => write!(f, "clock ×{}", f64::from(*permille) / 1000.0),
            Self::Jump { by } => write!(f, "clock jumps {by:?}"),
        }
    }
}

impl fmt::Display for NodeCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(disk) => disk.fmt(f),
            Self::Clock(clock) => clock.fmt(f),
        }
    }
}

/// A clock that may run at another rate than the true one, and may jump. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarpedClock {
    /// The true time at the last change.
    since: Time,
    /// What it showed then.
    showed: Time,
    permille: u16,
}

impl WarpedClock {
    /// Shows this at the true time zero, and runs at the true rate.
    pub fn starting_at(shows: Time) -> Self {
        Self { since: Time::ZERO, showed: shows, permille: CLOCK_PERMILLE_TRUE }
    }

    /// What it shows at a true time that is not before the last change.
    pub fn shows(&self, now: Time) -> Time {
        self.showed + scaled(now.saturating_sub(self.since), self.permille, CLOCK_PERMILLE_TRUE, 0)
    }

    /// The earliest true time, not before the last change, at which it shows at least `time`.
    pub fn shows_at(&self, time: Time) -> Time {
        let round_up = u128::from(self.permille) - 1;
        let after = time.saturating_sub(self.showed);
        self.since.saturating_add(scaled(after, CLOCK_PERMILLE_TRUE, self.permille, round_up))
    }

    /// Sets its condition, at a true time. What is out of bounds counts as the nearest bound.
    pub fn set(&mut self, now: Time, condition: ClockCondition) {
        let (showed, permille) = (self.shows(now), condition.permille());
        let jump = match condition {
            ClockCondition::Jump { by } => by.min(CLOCK_JUMP_MAX),
            ClockCondition::Ok | ClockCondition::Rate { .. } => Time::ZERO,
        };
        *self = Self {
            since: now,
            showed: showed + jump,
            permille: permille.unwrap_or(self.permille).clamp(CLOCK_PERMILLE_MIN, CLOCK_PERMILLE_MAX),
        };
    }

    /// Its rate, in thousandths of the true one.
    pub fn permille(&self) -> u16 {
        self.permille
    }
}

/// `time * by / of`, to the nanosecond; as far as a [`Time`] reaches.
fn scaled(time: Time, by: u16, of: u16, round_up: u128) -> Time {
    if by == of {
        return time;
    }
    let nanos = (time.as_nanos().saturating_mul(u128::from(by)) + round_up) / u128::from(of);
    Time::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Time = Time::from_millis(1);

    #[test]
    fn a_warped_clock_runs_at_its_rate_jumps_and_never_goes_back() {
        let mut clock = WarpedClock::starting_at(MS * 7);
        assert_eq!(clock.shows(MS * 10), MS * 17);
        clock.set(MS * 10, ClockCondition::Rate { permille: 1500 });
        assert_eq!((clock.shows(MS * 10), clock.shows(MS * 12)), (MS * 17, MS * 20));
        clock.set(MS * 12, ClockCondition::Jump { by: MS * 100 });
        assert_eq!((clock.shows(MS * 12), clock.shows(MS * 14)), (MS * 120, MS * 123), "its rate stays");
        clock.set(MS * 14, ClockCondition::Ok);
        assert_eq!((clock.shows(MS * 14), clock.shows(MS * 15)), (MS * 123, MS * 124));
    }

    #[test]
    fn whoever_waits_for_a_time_wakes_when_it_shows_and_not_before() {
        for permille in [500, 501, 777, 999, 1000, 1001, 1501, 2000] {
            let mut clock = WarpedClock::starting_at(Time::ZERO);
            clock.set(MS, ClockCondition::Rate { permille });
            for nanos in 0..3000 {
                let time = MS + Time::from_nanos(nanos);
                let at = clock.shows_at(time);
                assert!(clock.shows(at) >= time, "{permille}: {time:?} at {at:?}");
                assert!(
                    at == MS || clock.shows(at - Time::from_nanos(1)) < time,
                    "{permille}: {time:?} at {at:?}"
                );
            }
        }
        let mut slow = WarpedClock::starting_at(Time::ZERO);
        slow.set(Time::ZERO, ClockCondition::Rate { permille: 500 });
        assert!(slow.shows_at(Time::MAX) > Time::from_secs(1 << 33), "as far as a time reaches");
    }

    #[test]
    fn what_is_out_of_bounds_is_known() {
        assert!(DiskCondition::Full.is_possible() && ClockCondition::Ok.is_possible());
        assert!(!DiskCondition::Slow { by: Duration::ZERO }.is_possible());
        assert!(!DiskCondition::Slow { by: DISK_SLOW_MAX + MS }.is_possible());
        assert!(!ClockCondition::Rate { permille: 499 }.is_possible());
        assert!(!ClockCondition::Rate { permille: 2001 }.is_possible());
        assert!(!ClockCondition::Jump { by: CLOCK_JUMP_MAX + MS }.is_possible());
    }
}
