//! How old what an eventual read saw was.

use hdrhistogram::Histogram;

use crate::judge::judgement::{Percentiles, Staleness};
use crate::judge::operation::Stamp;

/// What an eventual read saw was certainly overwritten before the read began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// From the first acknowledgement of a later write to the beginning of the read.
    pub age_ns: u64,
    /// Acknowledged writes that the read did not see.
    pub versions: u64,
    /// Both may be more: too much was forgotten.
    pub at_least: bool,
}

impl Stale {
    /// The age in milliseconds.
    pub fn age_ms(&self) -> u64 {
        self.age_ns / 1_000_000
    }
}

/// The acknowledged writes of a key in the order of their acknowledgement.
#[derive(Clone, Debug, Default)]
pub(super) struct Acks {
    acks: Vec<Ack>,
    /// The acknowledgement of the last that was dropped.
    dropped: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Ack {
    began: u64,
    ended: Stamp,
}

impl Acks {
    /// A write was acknowledged. At most twice `max` are kept, and at least `max`. Returns how many were dropped.
    pub(super) fn push(&mut self, began: u64, ended: Stamp, max: usize) -> usize {
        let before = self.acks.len();
        if self.acks.len() >= max.max(1) * 2 {
            let excess = self.acks.len() - max.max(1);
            self.dropped = Some(self.acks[excess - 1].ended.i);
            self.acks.drain(..excess);
        }
        if self.acks.capacity() == 0 {
            // Most keys of a ledger are written once.
            self.acks.reserve_exact(1);
        }
        self.acks.push(Ack { began, ended });
        before + 1 - self.acks.len()
    }

    /// How stale a read that began at `began` was, if what it saw had been in force at `seen` (`None`: only before
    /// everything), and whether that is only the latest that it can have been.
    ///
    /// A write certainly supersedes it if it began after `seen`, and certainly should have been seen if it was
    /// acknowledged before `began`.
    pub(super) fn stale(&self, seen: Option<u64>, vague: bool, began: Stamp) -> Option<Stale> {
        let from = seen.map_or(0, |seen| self.acks.partition_point(|ack| ack.ended.i <= seen));
        let supersedes = |ack: &&Ack| seen.is_none_or(|seen| ack.began > seen);
        let mut missed = self.acks[from..].iter().take_while(|ack| ack.ended.i < began.i).filter(supersedes);
        let first = missed.next()?;
        Some(Stale {
            age_ns: began.t_ns.saturating_sub(first.ended.t_ns),
            versions: 1 + missed.count() as u64,
            at_least: vague || self.dropped.is_some_and(|dropped| seen.is_none_or(|seen| seen < dropped)),
        })
    }
}

/// Every eventual read that was measured.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    age_us: Histogram<u64>,
    versions: Histogram<u64>,
    /// The greatest, exactly: the histograms round.
    max: (u64, u64),
    stale: u64,
    at_least: u64,
    pub(super) unmeasured: u64,
}

impl Measured {
    /// A read was measured.
    pub(super) fn record(&mut self, stale: Option<Stale>) {
        let (age_us, versions) = stale.map_or((0, 0), |stale| (stale.age_ns / 1000, stale.versions));
        self.age_us.saturating_record(age_us);
        self.versions.saturating_record(versions);
        self.max = (self.max.0.max(age_us), self.max.1.max(versions));
        self.stale += u64::from(stale.is_some());
        self.at_least += u64::from(stale.is_some_and(|stale| stale.at_least));
    }

    /// In numbers.
    pub(super) fn report(&self) -> Staleness {
        Staleness {
            reads: self.age_us.len(),
            stale: self.stale,
            at_least: self.at_least,
            unmeasured: self.unmeasured,
            age_ms: percentiles(&self.age_us, self.max.0, 1000.0),
            versions: percentiles(&self.versions, self.max.1, 1.0),
        }
    }
}

impl Default for Measured {
    fn default() -> Self {
        /// Ages above are counted as this: a week, in microseconds.
        const AGE_US_MAX: u64 = 7 * 24 * 3600 * 1_000_000;
        /// Likewise for versions.
        const VERSIONS_MAX: u64 = 1_000_000_000;
        let histogram = |max| {
            Histogram::new_with_bounds(1, max, 2).expect("1 to max with two digits is a valid histogram")
        };
        let (age_us, versions) = (histogram(AGE_US_MAX), histogram(VERSIONS_MAX));
        Self { age_us, versions, max: (0, 0), stale: 0, at_least: 0, unmeasured: 0 }
    }
}

fn percentiles(histogram: &Histogram<u64>, max: u64, unit: f64) -> Percentiles {
    if max == 0 {
        // Asking an empty histogram means looking through all of it, and a history of many keys asks for each.
        return Percentiles::default();
    }
    let at = |quantile| histogram.value_at_quantile(quantile).min(max) as f64 / unit;
    Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: max as f64 / unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(i: u64) -> Stamp {
        Stamp { i, t_ns: i * MS }
    }

    #[test]
    fn age_counts_from_the_first_acknowledged_write_that_certainly_came_later() {
        let mut acks = Acks::default();
        acks.push(0, at(1), 100); // v: in force at 1
        acks.push(0, at(4), 100); // ran together with v: may be before it
        acks.push(2, at(6), 100); // certainly later
        acks.push(5, at(8), 100);
        assert_eq!(acks.stale(Some(1), false, at(5)), None, "nothing later is acknowledged yet");
        let stale = acks.stale(Some(1), false, at(10));
        assert_eq!(stale, Some(Stale { age_ns: 4 * MS, versions: 2, at_least: false }));
        let absent = acks.stale(None, false, at(10));
        assert_eq!(absent, Some(Stale { age_ns: 9 * MS, versions: 4, at_least: false }));
    }

    #[test]
    fn what_was_dropped_makes_it_at_least() {
        let mut acks = Acks::default();
        for i in 0..10 {
            acks.push(2 * i, at(2 * i + 1), 4);
        }
        let stale = acks.stale(Some(1), false, at(30)).unwrap();
        assert!(stale.at_least && stale.versions < 9, "{stale:?}");
        let stale = acks.stale(Some(15), false, at(30)).unwrap();
        assert_eq!(stale, Stale { age_ns: 13 * MS, versions: 2, at_least: false });
    }

    #[test]
    fn percentiles_count_fresh_reads_as_zero() {
        let mut measured = Measured::default();
        for _ in 0..98 {
            measured.record(None);
        }
        measured.record(Some(Stale { age_ns: 100 * MS, versions: 3, at_least: false }));
        measured.record(Some(Stale { age_ns: 200 * MS, versions: 5, at_least: false }));
        let report = measured.report();
        assert_eq!((report.reads, report.stale, report.age_ms.p90), (100, 2, 0.0));
        assert!((99.0..102.0).contains(&report.age_ms.p99), "{report:?}");
        assert_eq!((report.age_ms.max, report.versions.max), (200.0, 5.0));
    }
}
