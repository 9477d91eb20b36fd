//! Throughput and latency, in as many columns as an eye can tell apart.

use super::axis::{Linear, Logarithmic};
use super::shapes::{Anchor, Drawing};
use super::{LEFT, Panel};
use crate::run::event::LoadSample;

/// All samples of one column of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Column {
    /// The middle of the column, in microseconds.
    t_us: u64,
    /// Microseconds of which something is known.
    known_us: u64,
    ok: u64,
    failed: u64,
    unknown: u64,
    /// The greatest median, in microseconds; 0: nothing succeeded.
    p50_us: u64,
    /// The greatest 99th percentile, likewise.
    p99_us: u64,
}

impl Column {
    fn per_s(&self, count: u64) -> Option<f64> {
        (self.known_us > 0).then(|| count as f64 * 1e6 / self.known_us as f64)
    }

    fn bad(&self) -> u64 {
        self.failed.saturating_add(self.unknown)
    }
}

/// The samples in at most so many columns; none is narrower than a sample.
pub(super) fn columns(samples: &[(u64, &LoadSample)], end_us: u64, most: usize) -> Vec<Column> {
    let sample_us = samples.iter().map(|(_, sample)| sample.interval_us).max().unwrap_or(0);
    let width = end_us.div_ceil(most as u64).max(sample_us).max(1);
    let mut columns = vec![Column::default(); usize::try_from(end_us / width).unwrap_or(0) + 1];
    for (nth, column) in columns.iter_mut().enumerate() {
        column.t_us = (nth as u64 * width).saturating_add(width / 2);
    }
    for (t_us, sample) in samples {
        // A sample is of the time before it.
        let middle = t_us.saturating_sub(sample.interval_us / 2);
        let Some(column) = usize::try_from(middle / width).ok().and_then(|at| columns.get_mut(at)) else {
            continue;
        };
        // What a recording holds may be anything.
        column.known_us = column.known_us.saturating_add(sample.interval_us);
        column.ok = column.ok.saturating_add(sample.ok);
        column.failed = column.failed.saturating_add(sample.failed);
        column.unknown = column.unknown.saturating_add(sample.unknown);
        column.p50_us = column.p50_us.max(sample.p50_us);
        column.p99_us = column.p99_us.max(sample.p99_us);
    }
    columns
}

/// Successes as an area, failures and unknown outcomes as an area on the same scale.
pub(super) fn throughput(svg: &mut Drawing, panel: Panel, columns: &[Column]) {
    let all = |column: &Column| column.per_s(column.ok.max(column.bad()));
    let axis = Linear::up_to(columns.iter().filter_map(all).fold(0.0, f64::max));
    scale(svg, panel, &axis.ticks(), |amount| axis.part(amount));
    let series = |count: fn(&Column) -> u64| -> Vec<_> {
        columns.iter().map(|c| Some(panel.point(c.t_us, axis.part(c.per_s(count(c))?)))).collect()
    };
    let base = panel.top + panel.height;
    let ok = series(|column| column.ok);
    svg.area("ok-area", &ok, base);
    svg.polyline("ok-line", ok);
    let bad: Vec<_> = series(Column::bad);
    if columns.iter().any(|column| column.bad() > 0) {
        svg.area("bad-area", &bad, base);
        svg.polyline("bad-line", bad);
    }
    legend(svg, panel, &[("ok-key", "succeeded"), ("bad-key", "failed or unknown")]);
}

/// Median and 99th percentile of the successes.
pub(super) fn latency(svg: &mut Drawing, panel: Panel, columns: &[Column]) {
    let known = || {
        columns.iter().flat_map(|c| [c.p50_us, c.p99_us]).filter(|us| *us > 0).map(|us| us as f64 / 1000.0)
    };
    let (min, max) = (known().fold(f64::MAX, f64::min), known().fold(0.0, f64::max));
    let axis = if max > 0.0 { Logarithmic::spanning(min, max) } else { Logarithmic::spanning(0.1, 10.0) };
    scale(svg, panel, &axis.ticks(), |amount| axis.part(amount));
    let series = |of: fn(&Column) -> u64| {
        columns.iter().map(move |column| {
            let us = of(column);
            (us > 0).then(|| panel.point(column.t_us, axis.part(us as f64 / 1000.0)))
        })
    };
    svg.polyline("p99-line", series(|column| column.p99_us));
    svg.polyline("p50-line", series(|column| column.p50_us));
    legend(svg, panel, &[("p50-key", "median"), ("p99-key", "99th percentile")]);
}

impl Panel {
    /// Where a moment and a height of 0 to 1 are.
    pub(super) fn point(self, t_us: u64, part: f64) -> (f64, f64) {
        (self.axis.x(t_us), self.top + self.height * (1.0 - part))
    }
}

/// Horizontal lines at round amounts, and the amounts at the left.
pub(super) fn scale(svg: &mut Drawing, panel: Panel, ticks: &[(f64, String)], part: impl Fn(f64) -> f64) {
    for (amount, name) in ticks {
        let (left, y) = panel.point(0, part(*amount));
        svg.line("grid", (left, y), (panel.axis.x(u64::MAX), y));
        svg.text("tick", (LEFT - 8.0, y + 4.0), Anchor::End, name);
    }
}

/// What the lines are, at the right above the panel.
fn legend(svg: &mut Drawing, panel: Panel, keys: &[(&str, &str)]) {
    let mut right = panel.axis.x(u64::MAX);
    for (class, name) in keys.iter().rev() {
        let y = panel.top - 8.0;
        svg.text("legend", (right, y), Anchor::End, name);
        right -= name.chars().count() as f64 * 5.9 + 8.0;
        svg.line(class, (right - 16.0, y - 4.0), (right, y - 4.0));
        right -= 30.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_column_and_no_sample_is_not_zero() {
        let sample =
            LoadSample { interval_us: 100_000, ok: 30, failed: 1, p99_us: 900, ..LoadSample::default() };
        let samples: Vec<_> = (1..=20).chain(41..=60).map(|n| (n * 100_000, &sample)).collect();
        let columns = columns(&samples, 6_000_000, 6);
        let rates: Vec<_> = columns.iter().map(|column| column.per_s(column.ok)).collect();
        let some = Some(300.0);
        assert_eq!(rates, [some, some, None, None, some, some, None]);
        assert_eq!((columns[0].p99_us, columns[0].bad(), columns[0].t_us), (900, 10, 500_000));
    }

    #[test]
    fn a_column_is_never_narrower_than_a_sample() {
        let sample = LoadSample { interval_us: 100_000, ok: 1, ..LoadSample::default() };
        let samples: Vec<_> = (1..=10).map(|n| (n * 100_000, &sample)).collect();
        let columns = columns(&samples, 1_000_000, 1000);
        assert!(columns.iter().take(10).all(|column| column.known_us > 0), "no holes: {columns:?}");
    }
}
