//! A film as an animated SVG that plays where neither scripts nor fonts may be loaded, as in a README.
//!
//! What never changes is drawn once. Every stretch of a row that changes is a strip: its states one below another,
//! behind a window one row high, moved by a CSS animation in steps. A state that comes back is there only once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use ratatui::buffer::{Buffer, Cell, CellWidth};

use super::about::About;
use super::colours::{Look, Plain, single};
use super::film::{Cue, Sink, What};
use super::glyphs::{self, CELL_HEIGHT, CELL_WIDTH};
use super::svg::{BASELINE, FONT_SIZE, FONTS, MARGIN, Px, runs, words_of};

/// No more frames are kept; of a longer film every second one, and so on.
const FRAMES_MAX: usize = 300;
/// At least so long between two frames at first: 5 a second.
const STEP_MIN: Duration = Duration::from_millis(200);
/// The last frame stays so long before it all begins again.
const LAST_FOR: Duration = Duration::from_secs(3);
/// Stretches that change and are so few cells apart are one.
const GAP: usize = 3;

/// Writes a film as an animated SVG.
pub(super) struct Strip<'a, W> {
    out: W,
    about: &'a About,
    frames: Frames,
}

/// Some of a film's frames, at times that are whole steps.
#[derive(Debug)]
pub(super) struct Frames {
    step: Duration,
    /// Each with the number of its step.
    kept: Vec<(u64, Buffer)>,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { step: STEP_MIN, kept: Vec::new() }
    }

    /// The step in which this time is shown: it is never shown too early.
    fn slot(&self, at: Duration) -> u64 {
        u64::try_from(at.as_micros().div_ceil(self.step.as_micros())).unwrap_or(u64::MAX)
    }

    /// Keeps a frame. Of those within one step the last is kept.
    pub(super) fn push(&mut self, at: Duration, frame: &Buffer) {
        self.put(self.slot(at), frame.clone());
        while self.kept.len() > FRAMES_MAX {
            self.step *= 2;
            for (slot, frame) in std::mem::take(&mut self.kept) {
                self.put(slot.div_ceil(2), frame);
            }
        }
    }

    fn put(&mut self, slot: u64, frame: Buffer) {
        self.kept.pop_if(|(last, _)| *last == slot);
        self.kept.push((slot, frame));
    }

    /// The frames with the times at which they are shown.
    pub(super) fn timed(&self) -> impl Iterator<Item = (Duration, &Buffer)> {
        let step = self.step.as_secs_f64();
        self.kept.iter().map(move |(slot, frame)| (Duration::from_secs_f64(*slot as f64 * step), frame))
    }
}

impl<'a, W: Write> Strip<'a, W> {
    pub(super) fn begin(out: W, about: &'a About) -> Self {
        Self { out, about, frames: Frames::new() }
    }
}

impl<W: Write> Sink for Strip<'_, W> {
    fn take(&mut self, cue: &Cue) -> anyhow::Result<()> {
        match &cue.what {
            What::Frame(frame) => self.frames.push(cue.at, frame),
            What::Mark(_) => {}
            What::End => {
                let svg = draw(&self.frames, cue.at, self.about);
                self.out.write_all(svg.as_bytes())?;
            }
        }
        Ok(())
    }
}

/// The document, bit by bit.
struct Document {
    plain: Plain,
    /// Classes of colours.
    inks: BTreeMap<u32, usize>,
    /// Signs that have been drawn, each once.
    signs: BTreeMap<char, usize>,
    /// Animations, by their steps.
    moves: BTreeMap<String, usize>,
    body: String,
}

fn draw(frames: &Frames, end: Duration, about: &About) -> String {
    let timed: Vec<_> = frames.timed().collect();
    let plain = Plain::on(about.recording.background);
    let total = end.max(timed.last().map_or(end, |(at, _)| *at)) + LAST_FOR;
    let mut document = Document {
        plain,
        inks: BTreeMap::new(),
        signs: BTreeMap::new(),
        moves: BTreeMap::new(),
        body: String::new(),
    };
    let size = about.recording.size;
    for y in 0..size.height {
        document.row(&timed, y, total);
    }
    document.finish(about, total)
}

/// The cells of a row.
fn cells(frame: &Buffer, y: u16) -> &[Cell] {
    let width = usize::from(frame.area.width);
    &frame.content[usize::from(y) * width..][..width]
}

impl Document {
    fn row(&mut self, frames: &[(Duration, &Buffer)], y: u16, total: Duration) {
        let Some((_, first)) = frames.first() else { return };
        let width = usize::from(first.area.width);
        let mut changes = vec![false; width];
        for pair in frames.windows(2) {
            let (before, after) = (cells(pair[0].1, y), cells(pair[1].1, y));
            for x in 0..width {
                if before[x] != after[x] {
                    let columns = before[x].symbol().cell_width().max(after[x].symbol().cell_width()).max(1);
                    changes[x..width.min(x + usize::from(columns))].fill(true);
                }
            }
        }
        let top = f32::from(y) * CELL_HEIGHT;
        let _ = write!(self.body, "<g transform=\"translate(0 {})\">", Px(top));
        let mut x = 0;
        while x < width {
            let is_strip = changes[x];
            let length = if is_strip { strip_length(&changes[x..]) } else { still_length(&changes[x..]) };
            if is_strip {
                self.strip(frames, y, x..x + length, total);
            } else {
                let still = self.piece(&cells(first, y)[x..x + length], x);
                self.body.push_str(&still);
            }
            x += length;
        }
        self.body.push_str("</g>\n");
    }

    /// One window and its strip.
    fn strip(
        &mut self,
        frames: &[(Duration, &Buffer)],
        y: u16,
        columns: std::ops::Range<usize>,
        total: Duration,
    ) {
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        let (mut drawn, mut steps) = (String::new(), String::new());
        let mut before: Option<&[Cell]> = None;
        for (at, frame) in frames {
            let now = &cells(frame, y)[columns.clone()];
            if before.replace(now) == Some(now) {
                continue;
            }
            let piece = self.piece(now, 0);
            let count = states.len();
            let state = *states.entry(piece).or_insert_with_key(|piece| {
                let below = Px(count as f32 * CELL_HEIGHT);
                let _ = match count {
                    0 => write!(drawn, "{piece}"),
                    _ => write!(drawn, "<g transform=\"translate(0 {below})\">{piece}</g>"),
                };
                count
            });
            let share = at.as_secs_f64() / total.as_secs_f64() * 100.0;
            let up = Px(-(state as f32) * CELL_HEIGHT);
            let _ = write!(steps, "{share:.3}%{{transform:translateY({up}px)}}");
        }
        let count = self.moves.len();
        let name = *self.moves.entry(steps).or_insert(count);
        let (x, width) = (Px(columns.start as f32 * CELL_WIDTH), Px(columns.len() as f32 * CELL_WIDTH));
        let _ = write!(
            self.body,
            "<svg x=\"{x}\" width=\"{width}\" height=\"{CELL_HEIGHT}\"><g class=\"a k{name}\">{drawn}</g></svg>"
        );
    }

    /// Some cells of a row, the first in this column.
    fn piece(&mut self, cells: &[Cell], column: usize) -> String {
        let looked: Vec<_> = cells.iter().map(|cell| (cell, Look::of(cell, self.plain))).collect();
        let mut piece = String::new();
        for (start, run) in runs(&looked, |a, b| a.1.ground == b.1.ground) {
            if run[0].1.ground != self.plain.ground {
                let (x, width) = (left(column + start), Px(run.len() as f32 * CELL_WIDTH));
                let ink = self.ink(run[0].1.ground);
                let _ = write!(
                    piece,
                    "<rect class=\"c{ink}\" x=\"{x}\" width=\"{width}\" height=\"{CELL_HEIGHT}\"/>"
                );
            }
        }
        for (start, run) in runs(&looked, |a, b| a.1 == b.1) {
            let class = self.class(run[0].1);
            let mut signs = String::new();
            for (i, (cell, _)) in run.iter().enumerate() {
                if let Some(c) = single(cell).filter(|&c| glyphs::is_drawn(c)) {
                    let count = self.signs.len();
                    let sign = *self.signs.entry(c).or_insert(count);
                    let _ = write!(signs, "<use href=\"#s{sign}\" x=\"{}\"/>", left(column + start + i));
                }
            }
            if !signs.is_empty() {
                let _ = write!(piece, "<g class=\"{class}\">{signs}</g>");
            }
            let is_text = |cell: &Cell| !single(cell).is_some_and(|c| c == ' ' || glyphs::is_drawn(c));
            for (offset, words) in words_of(run, is_text) {
                let text: String = words.iter().map(|(cell, _)| escaped(cell.symbol())).collect();
                let columns: u16 = words.iter().map(|(cell, _)| cell.symbol().cell_width().max(1)).sum();
                let (x, width) = (left(column + start + offset), Px(f32::from(columns) * CELL_WIDTH));
                let _ = write!(
                    piece,
                    "<text class=\"{class}\" x=\"{x}\" y=\"{BASELINE}\" textLength=\"{width}\">{text}</text>"
                );
            }
        }
        piece
    }

    fn ink(&mut self, colour: u32) -> usize {
        let count = self.inks.len();
        *self.inks.entry(colour).or_insert(count)
    }

    fn class(&mut self, look: Look) -> String {
        let mut class = format!("c{}", self.ink(look.ink));
        let more = [(look.bold, " b"), (look.dim, " d"), (look.italic, " i"), (look.underlined, " u")];
        more.iter().filter(|(on, _)| *on).for_each(|(_, name)| class.push_str(name));
        class
    }

    fn finish(self, about: &About, total: Duration) -> String {
        let size = about.recording.size;
        let width = Px(f32::from(size.width) * CELL_WIDTH + 2.0 * MARGIN);
        let height = Px(f32::from(size.height) * CELL_HEIGHT + 2.0 * MARGIN);
        let title = escaped(&about.title);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n<style>\
             text{{font-family:{FONTS};font-size:{FONT_SIZE}px;white-space:pre}}.b{{font-weight:700}}\
             .d{{opacity:.6}}.i{{font-style:italic}}.u{{text-decoration:underline}}\
             .a{{animation-duration:{:.3}s;animation-timing-function:step-end;animation-iteration-count:infinite}}",
            total.as_secs_f64()
        );
        for (colour, name) in &self.inks {
            let _ = write!(svg, ".c{name}{{fill:#{colour:06x}}}");
        }
        for (steps, name) in &self.moves {
            let _ = write!(svg, "\n.k{name}{{animation-name:k{name}}}@keyframes k{name}{{{steps}}}");
        }
        svg.push_str("</style>\n<defs>");
        for (c, name) in &self.signs {
            let mut path = String::new();
            glyphs::draw(*c, 0.0, 0.0, &mut path);
            let _ = write!(svg, "<path id=\"s{name}\" d=\"{}\"/>", path.trim_end());
        }
        let ground = self.plain.ground;
        let _ = write!(
            svg,
            "</defs>\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#{ground:06x}\"/>\n\
             <g transform=\"translate({MARGIN} {MARGIN})\">\n{}</g>\n</svg>\n",
            self.body
        );
        svg
    }
}

/// The left edge of a column.
fn left(column: usize) -> Px {
    Px(column as f32 * CELL_WIDTH)
}

/// How many cells are a strip, of those that begin with one that changes.
fn strip_length(changes: &[bool]) -> usize {
    let mut end = 1;
    for (x, _) in changes.iter().enumerate().filter(|(_, changes)| **changes) {
        if x > end + GAP {
            break;
        }
        end = x + 1;
    }
    end
}

/// How many cells never change, of those that begin with one that does not.
fn still_length(changes: &[bool]) -> usize {
    changes.iter().position(|changes| *changes).unwrap_or(changes.len())
}

/// Text as XML has it. What XML cannot hold is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
