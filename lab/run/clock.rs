//! The run's clock: time since the run began, without the time in which the lab itself stood still.
//!
//! A lab that was stopped (SIGSTOP, Ctrl-Z), or got no processor for a while, has seen nothing meanwhile: the links stood
//! still with it, and no client asked anything. Time without service, the age of what a read saw, the time of a recovery
//! and every `within` of a scenario are measured with this clock, and it does not count such a time.
//!
//! It is seen because a timer asks for the time ten times a second ([`BEAT`]): if nobody at all has asked for
//! [`STANDSTILL_MIN`], the timer came late. All that is read afterwards agrees on how late.
#![expect(clippy::disallowed_methods, reason = "the run's clock is real")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Somebody asks for the time at least so often, while the lab runs.
pub(crate) const BEAT: Duration = Duration::from_millis(100);
/// If nobody has asked for so long, the lab stood still.
pub(crate) const STANDSTILL_MIN: Duration = Duration::from_millis(500);

/// Cheap to clone; all clones are one clock.
#[derive(Clone, Debug)]
pub(crate) struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    standing: Mutex<Standing>,
}

impl Clock {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self(Arc::new(Inner { began: Instant::now(), standing: Mutex::default() }))
    }

    /// Time since the run began. Never goes back.
    pub(crate) fn now(&self) -> Duration {
        let mut standing = self.standing();
        standing.at(self.0.began.elapsed())
    }

    /// The timer's beat: from the first on, standstills are seen, until [`Clock::rest`]. Returns for how long the lab has
    /// stood still since the last one.
    pub(crate) fn beat(&self) -> Option<Duration> {
        let mut standing = self.standing();
        standing.at(self.0.began.elapsed());
        standing.beats = true;
        Some(std::mem::take(&mut standing.untold)).filter(|stood| !stood.is_zero())
    }

    /// There is no timer any more.
    pub(crate) fn rest(&self) {
        self.standing().beats = false;
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the lab stood still. Pure: real time is an argument.
#[derive(Debug, Default)]
struct Standing {
    /// There is a timer that asks for the time.
    beats: bool,
    /// The real time that was asked for last.
    asked: Duration,
    /// How long the lab has stood still, all in all.
    stood: Duration,
    /// And since that was told.
    untold: Duration,
}

impl Standing {
    /// The time without standstills, at this real time.
    fn at(&mut self, real: Duration) -> Duration {
        let unasked = real.saturating_sub(self.asked);
        if self.beats && unasked >= STANDSTILL_MIN {
            // The timer should have come after a beat: what was beyond that was the standstill.
            let stood = unasked - BEAT;
            self.stood += stood;
            self.untold += stood;
        }
        self.asked = self.asked.max(real);
        self.asked - self.stood
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_timer_that_comes_late_is_a_standstill_and_not_counted() {
        let mut standing = Standing { beats: true, ..Standing::default() };
        assert_eq!([100, 200, 300].map(|t| standing.at(ms(t))), [ms(100), ms(200), ms(300)]);
        assert_eq!(standing.at(ms(1700)), ms(400), "1.3 s late: the clock stood");
        assert_eq!(standing.untold, ms(1300));
        assert_eq!(standing.at(ms(1750)), ms(450), "and goes on");
        assert_eq!(standing.at(ms(2249)), ms(949), "a little late is not still");
        assert_eq!(standing.at(ms(2800)), ms(1049), "and again");
        assert_eq!(standing.stood, ms(1300) + ms(451));
    }

    #[test]
    fn without_a_timer_nobody_can_say_so() {
        let mut standing = Standing::default();
        assert_eq!(standing.at(ms(60_000)), ms(60_000));
        let clock = Clock::start();
        assert_eq!(clock.beat(), None, "the first beat follows nothing");
        clock.rest();
        assert!(!clock.standing().beats);
    }

    #[test]
    fn it_never_goes_back() {
        let mut standing = Standing { beats: true, ..Standing::default() };
        let mut last = Duration::ZERO;
        for real in [0, 90, 80, 3000, 2999, 3001, 9000, 9001] {
            let now = standing.at(ms(real));
            assert!(now >= last, "{real}");
            last = now;
        }
    }
}
