//! Throughput, latency and the times in which something was broken.

use serde::{Deserialize, Serialize};

use super::Ring;
use crate::run::event::LoadSample;

/// Samples kept: two minutes at ten a second.
const SAMPLES_MAX: usize = 1200;
/// Fault bands kept.
const BANDS_MAX: usize = 64;

/// What the load chart shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadView {
    /// Samples with the times at which they came, oldest first.
    pub samples: Ring<(u64, LoadSample), SAMPLES_MAX>,
    /// Times in which at least one fault was active, oldest first.
    pub bands: Ring<Band, BANDS_MAX>,
}

/// A time in which at least one fault was active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// When the first fault began, in microseconds since the run began.
    pub since_us: u64,
    /// When the last one ended; `None`: not yet.
    pub until_us: Option<u64>,
}

/// All samples of one column of the chart, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Column {
    /// Operations that succeeded, per second; `None`: nothing is known of this time.
    pub ok_per_s: Option<f64>,
    /// Operations that failed or are of unknown outcome, per second.
    pub bad_per_s: f64,
    /// The worst 99th percentile in microseconds; `None` if nothing succeeded.
    pub p99_us: Option<u64>,
    pub fault: bool,
}

impl LoadView {
    /// Opens or closes the current band.
    pub fn fault_is(&mut self, active: bool, t_us: u64) {
        match (active, self.bands.newest_mut().filter(|b| b.until_us.is_none())) {
            (true, None) => self.bands.push(Band { since_us: t_us, until_us: None }),
            (false, Some(band)) => band.until_us = Some(t_us.max(band.since_us)),
            _ => {}
        }
    }

    /// The last `count` columns of `width_us` each, oldest first; the newest holds `now_us`. Columns begin at
    /// whole multiples of their width, so the picture moves by whole columns and does not shimmer.
    pub fn columns(&self, now_us: u64, width_us: u64, count: usize) -> Vec<Column> {
        let width_us = width_us.max(1);
        let newest = now_us / width_us;
        let place = |t_us: u64| {
            let back = usize::try_from(newest.checked_sub(t_us / width_us)?).ok()?;
            (count - 1).checked_sub(back)
        };
        let mut columns = vec![Column::default(); count];
        let mut spans = vec![(0u64, 0u64, 0u64); count];
        if count == 0 {
            return columns;
        }
        for (t_us, sample) in self.samples.iter() {
            let Some(at) = place(*t_us) else { continue };
            spans[at] = with(spans[at], sample);
            if sample.p99_us > 0 {
                columns[at].p99_us = Some(columns[at].p99_us.unwrap_or(0).max(sample.p99_us));
            }
        }
        for (column, (ok, bad, span_us)) in columns.iter_mut().zip(spans) {
            if span_us > 0 {
                let seconds = span_us as f64 / 1e6;
                column.ok_per_s = Some(ok as f64 / seconds);
                column.bad_per_s = bad as f64 / seconds;
            }
        }
        for (at, column) in columns.iter_mut().enumerate() {
            let Some(index) = newest.checked_sub((count - 1 - at) as u64) else { continue };
            let (start, end) = (index * width_us, (index + 1).saturating_mul(width_us));
            column.fault =
                self.bands.iter().any(|b| b.since_us < end && b.until_us.is_none_or(|u| u >= start));
        }
        columns
    }

    /// Rates over the last second before `now_us`: succeeded and not succeeded, per second; `None` if there is
    /// no sample of that time.
    pub fn rates(&self, now_us: u64) -> Option<(f64, f64)> {
        let recent = self.samples.iter().rev().take_while(|(t, _)| now_us.saturating_sub(*t) < 1_000_000);
        let (ok, bad, span) = recent.fold((0, 0, 0), |sum, (_, sample)| with(sum, sample));
        (span > 0).then(|| (ok as f64 * 1e6 / span as f64, bad as f64 * 1e6 / span as f64))
    }
}

/// Successes, others, and the time of both, with one sample more. A recording may hold any numbers.
fn with((ok, bad, span_us): (u64, u64, u64), sample: &LoadSample) -> (u64, u64, u64) {
    let more = sample.failed.saturating_add(sample.unknown);
    (ok.saturating_add(sample.ok), bad.saturating_add(more), span_us.saturating_add(sample.interval_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ok: u64) -> LoadSample {
        LoadSample { on: true, rate: 100, interval_us: 100_000, ok, p99_us: ok * 10, ..LoadSample::default() }
    }

    #[test]
    fn columns_are_aligned_and_the_newest_is_last() {
        let mut load = LoadView::default();
        for i in 0..30 {
            load.samples.push((i * 100_000, sample(i)));
        }
        load.fault_is(true, 1_100_000);
        load.fault_is(true, 1_200_000);
        load.fault_is(false, 1_900_000);
        let columns = load.columns(2_950_000, 1_000_000, 4);
        assert_eq!(columns[0].ok_per_s, None, "before the run");
        assert_eq!(columns.iter().map(|c| c.fault).collect::<Vec<_>>(), [false, false, true, false]);
        assert_eq!(columns[3].ok_per_s, Some(245.0));
        assert_eq!(columns[3].p99_us, Some(290));
    }

    #[test]
    fn no_sample_is_not_zero() {
        let mut load = LoadView::default();
        assert_eq!(load.rates(0), None);
        load.samples.push((0, sample(0)));
        assert_eq!(load.rates(500_000), Some((0.0, 0.0)));
        assert_eq!(load.rates(5_000_000), None);
    }

    #[test]
    fn a_recording_that_holds_nonsense_is_shown_as_nonsense() {
        let mut load = LoadView::default();
        for _ in 0..2 {
            let most = LoadSample { ok: u64::MAX, failed: u64::MAX, unknown: u64::MAX, ..sample(1) };
            load.samples.push((1, LoadSample { interval_us: u64::MAX, ..most }));
        }
        assert!(load.rates(1).is_some_and(|(ok, bad)| ok <= 1e6 && bad <= 1e6));
        assert_eq!(load.columns(1, 1, 2).len(), 2);
    }
}
