//! Latency and throughput over time, with the times of faults shaded.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::scene::Scene;
use crate::screen::layout::Pane;
use crate::screen::paint::{self, Row};
use crate::screen::state::Column;
use crate::screen::theme::{Glyph, Tone};
use crate::text::words;

/// Cells of the axis labels, the gap after them included.
const LABEL: u16 = 7;

/// Draws the pane.
pub fn render(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let label = if area.width >= 42 { LABEL } else { 0 };
    let count = usize::from(area.width.saturating_sub(2 + label));
    let seconds = if count >= 40 { 1 } else { 2 };
    let inner = scene.frame(
        area,
        buf,
        Pane::Load,
        "Latency and throughput",
        &format!("last {} s", count as u64 * seconds),
    );
    let axis = u16::from(inner.height >= 6);
    let bars = inner.height.saturating_sub(1 + axis);
    figures(Row::new(buf, scene.theme, inner, 0), scene);
    let columns = scene.view.load.columns(scene.view.now_us, seconds * 1_000_000, count);
    let gap = u16::from(bars >= 5);
    let upper = (bars - gap) / 2;
    let lower = bars - gap - upper;
    let part = |y: u16, height: u16| Rect { y: inner.y + 1 + y, height, ..inner };

    let p99_max = nice(columns.iter().filter_map(|c| c.p99_us).max().unwrap_or(0).max(1_000));
    let text = format!("{} ms", p99_max / 1_000);
    let at = axis_label(part(0, upper), buf, scene, label, "p99", &text);
    draw(at, buf, scene, &columns, p99_max, |c| (c.p99_us, if c.fault { Tone::Slow } else { Tone::Ok }));

    let rate = |c: &Column| c.ok_per_s.map(|r| r.round() as u64);
    let ok_max = nice(columns.iter().filter_map(rate).max().unwrap_or(0).max(10));
    let at = axis_label(part(upper + gap, lower), buf, scene, label, "ok/s", &words::count(ok_max, 6));
    draw(at, buf, scene, &columns, ok_max, |c| {
        (rate(c), if c.bad_per_s > 0.0 { Tone::Warn } else { Tone::Ok })
    });
    if axis > 0 {
        fault_row(Row::new(buf, scene.theme, inner, inner.height - 1), label, &columns);
    }
}

fn figures(mut row: Row<'_>, scene: &Scene<'_>) {
    let load = &scene.view.load;
    let Some((t_us, sample)) = load.samples.newest() else {
        row.put("no load yet; b starts it", Tone::Dim);
        return;
    };
    let age = scene.view.now_us.saturating_sub(*t_us);
    if age > 1_000_000 {
        let age = words::age(Duration::from_micros(age));
        row.put(&format!("no sample for {age}"), Tone::Warn);
        return;
    }
    let wide = row.left() >= 50;
    row.put("p50 ", Tone::Dim).put(&latency(sample.p50_us), Tone::Text);
    row.put("  p99 ", Tone::Dim).put(&latency(sample.p99_us), Tone::Text);
    if wide {
        row.put("  max ", Tone::Dim).put(&latency(sample.max_us), Tone::Text);
    }
    row.put(" ms", Tone::Dim);
    if let Some((ok, bad)) = load.rates(scene.view.now_us) {
        row.skip(if wide { 3 } else { 1 }).put(&format!("{ok:.0}/s"), Tone::Text);
        if bad > 0.0 && row.left() > 12 {
            row.skip(if wide { 3 } else { 1 }).put(&format!("failed {bad:.0}/s"), Tone::Warn);
        }
    }
}

fn latency(us: u64) -> String {
    if us == 0 { "-".to_owned() } else { words::ms(us) }
}

/// Writes the labels left of a chart, and gives the chart's own place.
fn axis_label(area: Rect, buf: &mut Buffer, scene: &Scene<'_>, width: u16, name: &str, max: &str) -> Rect {
    let labels = Rect { width: width.min(area.width), ..area };
    let cells = usize::from(width.saturating_sub(1));
    Row::new(buf, scene.theme, labels, 0).cell_right(max, cells, Tone::Dim);
    if area.height >= 2 {
        Row::new(buf, scene.theme, labels, area.height - 1).cell_right(name, cells, Tone::Dim);
    }
    Rect { x: area.x + labels.width, width: area.width - labels.width, ..area }
}

/// The next of 1, 2, 5, 10, 20, ...: a scale that changes seldom and leaves the bars some air.
fn nice(max: u64) -> u64 {
    let mut unit = 1u64;
    loop {
        for step in [1, 2, 5] {
            let nice = unit.saturating_mul(step);
            if nice >= max || nice == u64::MAX {
                return nice;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

fn draw(
    area: Rect,
    buf: &mut Buffer,
    scene: &Scene<'_>,
    columns: &[Column],
    max: u64,
    value: impl Fn(&Column) -> (Option<u64>, Tone),
) {
    let rows = usize::from(area.height);
    for line in 0..rows {
        let below = (rows - 1 - line) * 8;
        let mut row = Row::new(buf, scene.theme, area, u16::try_from(line).unwrap_or(u16::MAX));
        for column in columns {
            let (value, tone) = value(column);
            let eighths = value.map_or(0, |v| paint::eighths(v, max, rows)).saturating_sub(below);
            match (eighths, column.fault) {
                (0, true) => row.sign(Glyph::Band, Tone::Band),
                (0, false) => row.skip(1),
                _ => row.put(scene.theme.bar(eighths), tone),
            };
        }
    }
}

/// Under the charts: when something was broken.
fn fault_row(mut row: Row<'_>, label: u16, columns: &[Column]) {
    if columns.iter().any(|c| c.fault) {
        row.cell_right("fault", usize::from(label.saturating_sub(1)), Tone::Warn).to(usize::from(label));
    } else {
        row.to(usize::from(label));
    }
    for column in columns {
        if column.fault {
            row.sign(Glyph::Band, Tone::Warn);
        } else {
            row.skip(1);
        }
    }
}
