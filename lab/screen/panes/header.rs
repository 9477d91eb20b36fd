//! The first two rows: what runs, and how the cluster is in one sentence.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::scene::{Scene, severity_tone};
use crate::screen::paint::Row;
use crate::screen::state::{Freshness, Severity};
use crate::screen::theme::{Glyph, Tone};
use crate::text::words;

/// Cells of the header that tell of quirks at most, in a wide window and in a narrow one: two primaries must still fit
/// beside them.
const QUIRKS_CELLS: (usize, usize) = (40, 28);

/// Draws the header.
pub fn header(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let (view, theme) = (scene.view, scene.theme);
    let (badge, tone) = if scene.ui.frozen { (" FROZEN ", Tone::Notice) } else { (" LIVE ", Tone::Badge) };
    let clock = format!("T+{}", words::clock(view.now_us));
    let right_width = u16::try_from(clock.len() + badge.len() + 3).unwrap_or(0).min(area.width);
    let right = Rect { x: area.right() - right_width, width: right_width, ..area };
    Row::new(buf, theme, right, 0).skip(1).put(&clock, Tone::Strong).skip(1).put(badge, tone);

    let wide = area.width >= 100;
    let gap = if wide { 3 } else { 2 };
    let left = Rect { width: area.width - right_width, ..area };
    let mut row = Row::new(buf, theme, left, 0);
    row.skip(1).put("kvlab", Tone::Strong);
    let quirks = view.quirks();
    // A room of the museum has the name of its quirk.
    let name = view.scenario.as_ref().map(|scenario| scenario.name.rsplit('/').next().unwrap_or_default());
    let room = area.width >= 70 || quirks.is_empty();
    if let Some(name) = name.filter(|name| room && *name != quirks.to_string()) {
        row.skip(2).put(&words::clip(name, 24), Tone::Strong);
    }
    if !quirks.is_empty() {
        row.skip(2).put(
            &words::clip(&format!(" QUIRK {quirks} "), if wide { QUIRKS_CELLS.0 } else { QUIRKS_CELLS.1 }),
            Tone::Alarm,
        );
    }
    // What is wrong on purpose comes before what can be counted.
    if wide || quirks.is_empty() {
        let members = view.members();
        let nodes = if members.len() == 1 { "node" } else { "nodes" };
        row.skip(gap).put(&format!("{} {nodes}", members.len()), Tone::Text);
        if area.width >= 70 {
            row.put(&format!(", quorum {}", view.quorum()), Tone::Dim);
        }
    }
    row.skip(gap);
    primaries(&mut row, scene, wide);
    if let Some((_, sample)) = view.load.samples.newest() {
        let rate = if sample.on { format!("{}/s", sample.rate) } else { "off".to_owned() };
        if_it_fits(&mut row, gap, "load ", &rate);
    }
    if let (Some(header), true) = (&view.header, wide) {
        if_it_fits(&mut row, gap, "seed ", &header.seed.to_string());
    }
    if view.missed > 0 {
        row.skip(gap).put(&format!("missed {} events", view.missed), Tone::Bad);
    }
}

/// Half a number says something else than the whole.
fn if_it_fits(row: &mut Row<'_>, gap: usize, label: &str, value: &str) {
    if row.left() >= gap + label.len() + value.len() {
        row.skip(gap).put(label, Tone::Dim).put(value, Tone::Text);
    }
}

fn primaries(row: &mut Row<'_>, scene: &Scene<'_>, wide: bool) {
    let claims = scene.view.claims();
    if wide {
        row.put(if claims.len() > 1 { "primaries " } else { "primary " }, Tone::Dim);
    }
    if claims.is_empty() {
        row.put("none", if scene.view.is_starting() { Tone::Dim } else { Tone::Bad });
    }
    for (i, claim) in claims.iter().enumerate() {
        let tone = if i == 0 { Tone::Primary } else { Tone::Bad };
        if i > 0 {
            row.put(" + ", Tone::Bad);
        }
        row.sign(Glyph::Primary, tone).put(&format!(" {} {}", claim.node, claim.term), tone);
        if let Freshness::Old(age) = claim.fresh {
            row.put(&format!(" ({} ago)", words::age(age)), Tone::Warn);
        }
    }
}

/// Draws the cluster in one sentence: a bar if somebody must look.
pub fn situation(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let situation = scene.view.situation();
    let (bar, sign) = match situation.severity {
        Severity::Calm => (None, Glyph::Member),
        Severity::Busy => (None, Glyph::Pending),
        Severity::Hurt => (None, Glyph::Warn),
        Severity::Alarm => (Some(Tone::Alarm), Glyph::No),
    };
    let tone = severity_tone(situation.severity);
    let mut row = Row::new(buf, scene.theme, area, 0);
    match bar {
        Some(bar) => {
            let line = format!(" {} {}  {}", scene.theme.glyph(sign), situation.title, situation.text);
            let width = row.left();
            row.put(&words::clip(&line, width), bar).fill(bar);
            let title = words::width(&situation.title) + 3;
            emphasise(area, buf, title);
        }
        None => {
            row.skip(1).sign(sign, tone).skip(1).put(&situation.title, tone).skip(2);
            let width = row.left();
            row.put(&words::clip(&situation.text, width), Tone::Text);
        }
    }
}

fn emphasise(area: Rect, buf: &mut Buffer, cells: usize) {
    let width = u16::try_from(cells).unwrap_or(u16::MAX).min(area.width);
    let title = Rect { width, height: area.height.min(1), ..area };
    buf.set_style(title, ratatui::style::Modifier::BOLD);
}
