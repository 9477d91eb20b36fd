//! Faults in the drawing: a strip that names them, and bands behind everything else.

use super::super::faults::Fault;
use super::LEFT;
use super::axis::{TimeAxis, moment};
use super::shapes::{Anchor, Drawing};

/// Rows of the strip at most; what finds none free shares the last.
const ROWS_MAX: usize = 6;
const ROW: f64 = 18.0;
/// A letter of the strip's text takes about so much.
const LETTER: f64 = 6.2;

/// A fault's name in the drawing: A to Z, then AA and so on.
pub(in crate::report) fn letter(nth: usize) -> String {
    let last = char::from(b'A' + (nth % 26) as u8);
    if nth < 26 { last.to_string() } else { format!("{}{last}", letter(nth / 26 - 1)) }
}

/// A bar for each fault, with its letter, and in words where there is room. Returns where the strip ends.
pub(super) fn strip(svg: &mut Drawing, axis: TimeAxis, top: f64, faults: &[Fault]) -> f64 {
    if faults.is_empty() {
        return top;
    }
    svg.text("lane-name", (LEFT - 8.0, top + 13.0), Anchor::End, "faults");
    let mut rows: Vec<f64> = Vec::new();
    for (nth, fault) in faults.iter().enumerate() {
        let (from, to) = (axis.x(fault.since_us), axis.x(fault.until_us));
        let to = to.max(from + 14.0);
        let free = rows.iter().position(|end| *end <= from);
        let row = free.unwrap_or_else(|| {
            if rows.len() < ROWS_MAX {
                rows.push(0.0);
            }
            rows.len() - 1
        });
        rows[row] = to + 2.0;
        let y = top + row as f64 * ROW;
        let whole = format!("{} {}", letter(nth), fault.what);
        let title = format!("{whole}, {} to {}", moment(fault.since_us), moment(fault.until_us));
        let class = format!("fault fault-{}", fault.kind.class());
        svg.rect(&class, (from, y), (to - from, ROW - 2.0), &title);
        let fits = whole.chars().count() as f64 * LETTER < to - from - 6.0;
        let text = if fits { whole } else { letter(nth) };
        svg.text("fault-name", (from + 4.0, y + 12.0), Anchor::Start, &text);
    }
    top + rows.len() as f64 * ROW
}

/// A band for each fault from top to bottom.
pub(super) fn bands(svg: &mut Drawing, axis: TimeAxis, (top, bottom): (f64, f64), faults: &[Fault]) {
    for fault in faults {
        let (from, to) = (axis.x(fault.since_us), axis.x(fault.until_us));
        let class = format!("band band-{}", fault.kind.class());
        svg.rect(&class, (from, top), ((to - from).max(1.0), bottom - top), "");
    }
}

#[cfg(test)]
mod tests {
    use super::letter;

    #[test]
    fn letters_do_not_run_out() {
        assert_eq!([0, 25, 26, 27, 701, 702].map(letter), ["A", "Z", "AA", "AB", "ZZ", "AAA"]);
    }
}
