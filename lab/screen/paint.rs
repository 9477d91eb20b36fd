//! What the panes draw with: text that stays on its row, frames, bars.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, BorderType, Widget};

use super::theme::{Glyph, Theme, Tone};
use crate::text::words;

/// A row of an area, written from left to right. What does not fit is left out.
pub struct Row<'a> {
    buf: &'a mut Buffer,
    theme: Theme,
    x: u16,
    y: u16,
    start: u16,
    end: u16,
}

impl<'a> Row<'a> {
    /// Line `line` of `area`, empty if there is no such line.
    pub fn new(buf: &'a mut Buffer, theme: Theme, area: Rect, line: u16) -> Self {
        let area = area.intersection(buf.area);
        let (x, y) = (area.x, area.y.saturating_add(line));
        let end = if line < area.height { area.right() } else { x };
        Self { buf, theme, x, y, start: x, end }
    }

    /// Cells left.
    pub fn left(&self) -> usize {
        usize::from(self.end.saturating_sub(self.x))
    }

    /// Cells written.
    pub fn written(&self) -> usize {
        usize::from(self.x - self.start)
    }

    /// Writes a text.
    pub fn put(&mut self, text: &str, tone: Tone) -> &mut Self {
        let style = self.theme.style(tone);
        self.put_styled(text, style)
    }

    /// Writes a text in a style of its own.
    pub fn put_styled(&mut self, text: &str, style: Style) -> &mut Self {
        let left = self.left();
        if left > 0 {
            self.x = self.buf.set_stringn(self.x, self.y, text, left, style).0.min(self.end);
        }
        self
    }

    /// Writes a sign.
    pub fn sign(&mut self, glyph: Glyph, tone: Tone) -> &mut Self {
        self.put(self.theme.glyph(glyph), tone)
    }

    /// Leaves cells as they are.
    pub fn skip(&mut self, cells: usize) -> &mut Self {
        self.x = u16::try_from(cells).map_or(self.end, |c| self.x.saturating_add(c)).min(self.end);
        self
    }

    /// Goes on at the cell `cells` from the start; never goes back.
    pub fn to(&mut self, cells: usize) -> &mut Self {
        self.skip(cells.saturating_sub(self.written()))
    }

    /// Writes a text in `width` cells, clipped, filled up on the right.
    pub fn cell(&mut self, text: &str, width: usize, tone: Tone) -> &mut Self {
        let before = self.written();
        self.put(&words::clip(text, width), tone).to(before + width)
    }

    /// Writes a text in `width` cells, clipped, filled up on the left.
    pub fn cell_right(&mut self, text: &str, width: usize, tone: Tone) -> &mut Self {
        let before = self.written();
        let text = words::clip(text, width);
        self.skip(width.saturating_sub(words::width(&text))).put(&text, tone).to(before + width)
    }

    /// Gives what is left of the row a style.
    pub fn fill(&mut self, tone: Tone) -> &mut Self {
        let rest = Rect::new(self.x, self.y, self.end.saturating_sub(self.x), u16::from(self.x < self.end));
        self.buf.set_style(rest, self.theme.style(tone));
        self
    }
}

/// Draws a pane's frame with its title and a remark at the right, and gives what is within.
pub fn frame(area: Rect, buf: &mut Buffer, theme: Theme, focus: bool, title: &str, remark: &str) -> Rect {
    let area = area.intersection(buf.area);
    let (tone, kind) =
        if focus { (Tone::Focus, BorderType::Thick) } else { (Tone::Border, BorderType::Plain) };
    let block = Block::bordered().border_type(kind).border_style(theme.style(tone));
    let inner = block.inner(area);
    block.render(area, buf);
    if area.width >= 8 && area.height >= 1 {
        let top = Rect::new(area.x + 2, area.y, area.width - 4, 1);
        let mut row = Row::new(buf, theme, top, 0);
        // Styles add up: without this, the title would have the frame's colour.
        let plain = |tone: Tone| Style::reset().patch(theme.style(tone));
        row.put_styled(
            &format!(" {} ", words::clip(title, row.left().saturating_sub(2))),
            plain(Tone::Strong),
        );
        let remark = format!(" {remark} ");
        let width = words::width(&remark);
        if width > 2 && width < row.left() {
            row.skip(row.left() - width).put_styled(&remark, plain(Tone::Dim));
        }
    }
    inner
}

/// A progress bar of `width` cells, brackets not counted.
pub fn progress(row: &mut Row<'_>, done: f64, width: usize, tone: Tone) {
    let full = (done.clamp(0.0, 1.0) * width as f64).round() as usize;
    let (on, off) = (row.theme.glyph(Glyph::Full), row.theme.glyph(Glyph::Empty));
    row.put("[", Tone::Dim).put(&on.repeat(full), tone);
    row.put(&off.repeat(width - full), Tone::Dim).put("]", Tone::Dim);
}

/// A line of blocks, one cell for each value, scaled to `max`; unknown values stay empty. What is above zero
/// shows at least the lowest block.
pub fn sparkline(row: &mut Row<'_>, values: &[Option<u64>], max: u64, tone: Tone) {
    for value in values {
        let eighths = value.map_or(0, |v| eighths(v, max, 1));
        row.put(row.theme.bar(eighths), tone);
    }
}

/// How many eighths of `rows` cells a value fills; at least one if it is known.
pub fn eighths(value: u64, max: u64, rows: usize) -> usize {
    let all = rows * 8;
    let share = if max == 0 { 0.0 } else { value as f64 / max as f64 };
    ((share * all as f64).round() as usize).clamp(1, all.max(1))
}
