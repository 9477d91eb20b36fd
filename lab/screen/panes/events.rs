//! What happened, in plain words, the newest first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::scene::Scene;
use crate::run::event::Level;
use crate::screen::layout::{Extent, Pane};
use crate::screen::paint::Row;
use crate::screen::theme::{Glyph, Tone};
use crate::text::words;

/// Cells of the time and the sign.
const LABEL: usize = 10;

/// Draws the pane.
pub fn render(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let scroll = scene.ui.scroll.min(scene.view.story.len().saturating_sub(1));
    let remark = if scroll > 0 { format!("{scroll} newer above, Esc") } else { String::new() };
    let inner = scene.frame(area, buf, Pane::Events, "Events", &remark);
    let width = usize::from(inner.width).saturating_sub(LABEL + 1);
    let mut line = 0;
    for event in scene.view.story.iter().rev().skip(scroll) {
        let (sign, tone) = match event.level {
            Level::Debug => (Glyph::Unasked, Tone::Dim),
            Level::Info => (Glyph::Unasked, Tone::Text),
            Level::Warn => (Glyph::Warn, Tone::Warn),
            Level::Error => (Glyph::No, Tone::Bad),
        };
        // What is wrong is told in full; the rest in one row where rows are few.
        let rows = if scene.extent == Extent::Compact && event.level < Level::Warn { 1 } else { 2 };
        for (i, text) in words::wrap(&event.text, width, rows).iter().enumerate() {
            if line >= inner.height {
                return;
            }
            let mut row = Row::new(buf, scene.theme, inner, line);
            if i == 0 {
                row.cell(&words::clock(event.t_us), 8, Tone::Dim).sign(sign, tone);
            }
            row.to(LABEL).put(text, tone);
            line += 1;
        }
    }
}
