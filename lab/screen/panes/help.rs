//! `?`: every key, from the table.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};

use super::scene::Scene;
use crate::screen::keys::{Danger, KEYS};
use crate::screen::paint::{self, Row};
use crate::screen::theme::Tone;
use crate::text::words;

/// Cells of a line: key, gap, what it does.
const LINE: u16 = 12 + 45;

/// A line of the list.
enum Line {
    Title(&'static str),
    Key(&'static str, &'static str, Danger),
    Blank,
}

/// Draws the list over the middle of the screen.
pub fn help(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let lines = lines();
    let columns = if area.width >= 2 * LINE + 4 { 2 } else { 1 };
    let rows = u16::try_from(lines.len().div_ceil(columns)).unwrap_or(u16::MAX);
    let width = (u16::try_from(columns).unwrap_or(1) * LINE + 3).min(area.width);
    let height = (rows + 2).min(area.height);
    let popup = area
        .centered(ratatui::layout::Constraint::Length(width), ratatui::layout::Constraint::Length(height));
    Clear.render(popup, buf);
    let visible = usize::from(height.saturating_sub(2)) * columns;
    let start = scene.ui.help_scroll.min(lines.len().saturating_sub(visible));
    let remark =
        if lines.len() > visible { "j k Space scroll, any other key closes" } else { "any key closes" };
    let inner = paint::frame(popup, buf, scene.theme, true, "Keys", remark);
    let column_width = inner.width / u16::try_from(columns).unwrap_or(1);
    let per_column = usize::from(inner.height).max(1);
    for (i, line) in lines.iter().skip(start).take(visible).enumerate() {
        let (column, row) = (i / per_column, i % per_column);
        let x = inner.x + u16::try_from(column).unwrap_or(0) * column_width;
        let at = Rect { x, width: column_width.saturating_sub(1), ..inner };
        draw(Row::new(buf, scene.theme, at, u16::try_from(row).unwrap_or(u16::MAX)), line);
    }
}

fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    let mut scope = None;
    for binding in KEYS {
        if scope != Some(binding.scope) {
            if scope.is_some() {
                lines.push(Line::Blank);
            }
            lines.push(Line::Title(binding.scope.title()));
            scope = Some(binding.scope);
        }
        lines.push(Line::Key(binding.label, binding.help, binding.danger));
    }
    lines
}

fn draw(mut row: Row<'_>, line: &Line) {
    row.skip(1);
    match line {
        Line::Blank => {}
        Line::Title(text) => {
            row.put(text, Tone::Strong);
        }
        Line::Key(label, text, danger) => {
            let tone = match danger {
                Danger::Safe => Tone::Text,
                Danger::Fault => Tone::Warn,
                Danger::Loss => Tone::Bad,
            };
            row.skip(1).cell(label, 10, Tone::Key);
            let width = row.left();
            row.put(&words::clip(text, width), tone);
        }
    }
}
