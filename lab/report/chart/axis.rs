//! Axes: where a time or an amount is in the drawing.

use super::shapes::{Anchor, Drawing};

/// Ticks on an axis of amounts, at most.
const TICKS_MAX: f64 = 4.0;

/// Time from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeAxis {
    end_us: u64,
    left: f64,
    right: f64,
}

/// Amounts from bottom to top, from zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linear {
    /// The greatest amount, a round number.
    pub(super) max: f64,
    step: f64,
}

/// Amounts from bottom to top, every power of ten as high as any other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logarithmic {
    /// Powers of ten.
    low: i32,
    high: i32,
}

impl TimeAxis {
    pub(super) fn new(end_us: u64, left: f64, right: f64) -> Self {
        Self { end_us: end_us.max(1), left, right }
    }

    /// Where a moment is; what comes after the end is at the end.
    pub(super) fn x(self, t_us: u64) -> f64 {
        let part = t_us.min(self.end_us) as f64 / self.end_us as f64;
        self.left + part * (self.right - self.left)
    }

    /// Vertical lines at round times, and the times below.
    pub(super) fn grid(self, svg: &mut Drawing, top: f64, bottom: f64) {
        let step = time_step(self.end_us);
        for nth in 0..=self.end_us / step {
            let x = self.x(nth * step);
            svg.line("grid", (x, top), (x, bottom));
            let anchor = if nth == 0 { Anchor::Start } else { Anchor::Middle };
            if x <= self.right - 10.0 {
                svg.text("tick", (x, bottom + 16.0), anchor, &tick(nth * step, step));
            }
        }
    }
}

impl Linear {
    /// An axis that shows everything up to `max`.
    pub(super) fn up_to(max: f64) -> Self {
        let step = round_up((max / TICKS_MAX).max(f64::MIN_POSITIVE));
        let step = if max > 0.0 { step } else { 1.0 };
        Self { max: ((max / step).ceil() * step).max(step), step }
    }

    /// How high an amount is: 0 to 1.
    pub(super) fn part(self, amount: f64) -> f64 {
        (amount / self.max).clamp(0.0, 1.0)
    }

    /// Amounts worth a line, with their names.
    pub(super) fn ticks(self) -> Vec<(f64, String)> {
        let count = (self.max / self.step).round() as u32;
        (0..=count)
            .map(|nth| f64::from(nth) * self.step)
            .map(|amount| (amount, amount_says(amount)))
            .collect()
    }
}

impl Logarithmic {
    /// An axis that shows everything from `min` to `max`, both greater than zero.
    pub(super) fn spanning(min: f64, max: f64) -> Self {
        let low = min.max(f64::MIN_POSITIVE).log10().floor() as i32;
        let high = max.max(f64::MIN_POSITIVE).log10().ceil() as i32;
        Self { low, high: high.max(low + 1) }
    }

    /// How high an amount is: 0 to 1.
    pub(super) fn part(self, amount: f64) -> f64 {
        let power = amount.max(f64::MIN_POSITIVE).log10();
        ((power - f64::from(self.low)) / f64::from(self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The powers of ten, with their names.
    pub(super) fn ticks(self) -> Vec<(f64, String)> {
        (self.low..=self.high).map(|power| 10_f64.powi(power)).map(|a| (a, amount_says(a))).collect()
    }
}

/// 1, 2 or 5 times a power of ten: the smallest that is not less.
fn round_up(amount: f64) -> f64 {
    let power = 10_f64.powf(amount.log10().floor());
    let leading = [1.0, 2.0, 5.0, 10.0].into_iter().find(|leading| leading * power >= amount * 0.999_999);
    leading.unwrap_or(10.0) * power
}

/// Between two lines of the time axis, in microseconds: at most ten of them.
fn time_step(end_us: u64) -> u64 {
    const STEPS_MS: [u64; 18] = [
        10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000,
        1_800_000, 3_600_000, 10_800_000,
    ];
    let fits = STEPS_MS.into_iter().map(|ms| ms * 1000).find(|step| end_us / step <= 10);
    fits.unwrap_or_else(|| (end_us / 10).max(1))
}

fn amount_says(amount: f64) -> String {
    match amount {
        a if a >= 10_000.0 => format!("{}k", a / 1000.0),
        a => format!("{}", (a * 1000.0).round() / 1000.0),
    }
}

/// A round time: whole seconds where all are.
fn tick(t_us: u64, step_us: u64) -> String {
    match t_us {
        0..60_000_000 if step_us.is_multiple_of(1_000_000) => format!("{} s", t_us / 1_000_000),
        0..60_000_000 if step_us < 100_000 => format!("{:.2} s", t_us as f64 / 1e6),
        _ => moment(t_us),
    }
}

/// A moment of the run: `4.2 s`, `3:20`, `1:03:20`.
pub(crate) fn moment(t_us: u64) -> String {
    let tenths = t_us.saturating_add(50_000) / 100_000;
    let seconds = tenths / 10;
    match seconds {
        0..60 => format!("{seconds}.{} s", tenths % 10),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_shortly() {
        let said: Vec<_> =
            [0, 20_000, 4_200_000, 12_000_000, 59_960_000, 200_000_000, 3_800_000_000].map(moment).into();
        assert_eq!(said, ["0.0 s", "0.0 s", "4.2 s", "12.0 s", "1:00", "3:20", "1:03:20"]);
    }

    #[test]
    fn ticks_are_as_exact_as_their_distance() {
        assert_eq!(tick(3_000_000, 1_000_000), "3 s");
        assert_eq!(tick(1_500_000, 500_000), "1.5 s");
        assert_eq!(tick(40_000, 20_000), "0.04 s");
        assert_eq!(tick(90_000_000, 30_000_000), "1:30");
    }

    #[test]
    fn there_are_a_few_ticks_whatever_the_span() {
        for end_us in [1, 90_000, 1_000_000, 14_200_000, 61_000_000, 3_600_000_000, 400_000_000_000] {
            let ticks = end_us / time_step(end_us);
            assert!(ticks <= 11, "{end_us}: {ticks}");
            assert!(end_us < 100_000 || ticks >= 2, "{end_us}: {ticks}");
        }
        for max in [0.0, 0.3, 1.0, 7.0, 299.0, 100_000.0] {
            let axis = Linear::up_to(max);
            let ticks = axis.ticks();
            assert!(axis.max >= max && (2..=6).contains(&ticks.len()), "{max}: {ticks:?}");
            assert!(axis.max <= (max * 2.0).max(1.0), "{max}: {axis:?}");
        }
    }

    #[test]
    fn powers_of_ten_are_equally_high() {
        let axis = Logarithmic::spanning(0.3, 512.0);
        assert_eq!(
            axis.ticks().iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(),
            ["0.1", "1", "10", "100", "1000"]
        );
        assert!((axis.part(10.0) - 0.5).abs() < 1e-9);
        assert_eq!((axis.part(0.0), axis.part(1e9)), (0.0, 1.0));
    }
}
