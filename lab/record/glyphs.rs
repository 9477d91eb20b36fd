//! Lines, blocks, braille and a few signs as outlines, so that they join without seams and need no font.

use std::fmt::Write as _;

/// What outlines are drawn on: in pixels of a cell, from its left top corner.
pub trait Canvas {
    /// The inside of a polygon.
    fn polygon(&mut self, points: &[(f32, f32)]);
    /// From `x0`, `y0` to `x1`, `y1`.
    fn rect(&mut self, x0: f32, y0: f32, x1: f32, y1: f32);
    /// A disc of the radius `r`, but for the part of it within the radius `hole`.
    fn disc(&mut self, x: f32, y: f32, r: f32, hole: f32);
}

/// Width of a cell in pixels.
pub const CELL_WIDTH: f32 = 8.4;
/// Height of a cell in pixels.
pub const CELL_HEIGHT: f32 = 18.0;
/// Half of the width of a thin line.
const THIN: f32 = 0.6;
/// Half of the width of a thick line.
const THICK: f32 = 1.3;

/// Whether [`draw`] knows the character.
pub fn is_drawn(c: char) -> bool {
    arms(c).is_some()
        || matches!(c, '▁'..='█' | '░' | '╳' | '┊' | '┆' | '┄' | '\u{2800}'..='\u{28ff}')
        || matches!(c, '✓' | '✗' | '◆' | '●' | '○' | '▸' | '→' | '↑' | '↓' | '…' | '·')
}

/// Appends the character's outline to an SVG path, in the cell whose left top corner is given.
pub fn draw(c: char, left: f32, top: f32, path: &mut String) {
    draw_on(c, &mut SvgPath { path, left, top });
}

/// Draws the character.
pub fn draw_on(c: char, canvas: &mut dyn Canvas) {
    let mut pen = Pen { canvas };
    let (w, h) = (CELL_WIDTH, CELL_HEIGHT);
    let (cx, cy) = (w / 2.0, h / 2.0);
    if let Some(arms) = arms(c) {
        pen.lines(arms);
        return;
    }
    match c {
        '▁'..='█' => {
            let eighths = (c as u32 - '▁' as u32 + 1) as f32;
            pen.rect(0.0, h - h * eighths / 8.0, w, h);
        }
        '░' => shade(&mut pen),
        '╳' => {
            pen.stroke(&[(1.0, 3.5), (w - 1.0, h - 3.5)], 1.5);
            pen.stroke(&[(w - 1.0, 3.5), (1.0, h - 3.5)], 1.5);
        }
        '┊' => (0..4).for_each(|i| {
            let y = h * i as f32 / 4.0 + 1.0;
            pen.rect(cx - 0.8, y, cx + 0.8, y + 2.4);
        }),
        '┆' => (0..3).for_each(|i| {
            let y = h * i as f32 / 3.0 + 1.0;
            pen.rect(cx - THIN, y, cx + THIN, y + 3.8);
        }),
        '┄' => (0..3).for_each(|i| {
            let x = w * i as f32 / 3.0 + 0.4;
            pen.rect(x, cy - THIN, x + 2.0, cy + THIN);
        }),
        '\u{2800}'..='\u{28ff}' => braille(c as u32 - 0x2800, &mut pen),
        _ => sign(c, &mut pen),
    }
}

/// A path of SVG.
struct SvgPath<'a> {
    path: &'a mut String,
    left: f32,
    top: f32,
}

impl Canvas for SvgPath<'_> {
    fn polygon(&mut self, points: &[(f32, f32)]) {
        for (i, (x, y)) in points.iter().enumerate() {
            let verb = if i == 0 { 'M' } else { 'L' };
            let _ = write!(self.path, "{verb}{} {}", tidy(self.left + x), tidy(self.top + y));
        }
        self.path.push_str("Z ");
    }

    fn rect(&mut self, x0: f32, y0: f32, x1: f32, y1: f32) {
        let (x, y, dx, dy) = (tidy(self.left + x0), tidy(self.top + y0), tidy(x1 - x0), tidy(y1 - y0));
        let _ = write!(self.path, "M{x} {y}h{dx}v{dy}h-{dx}Z ");
    }

    /// The inner circle runs the other way round, and so is left out.
    fn disc(&mut self, x: f32, y: f32, r: f32, hole: f32) {
        for (r, way) in [(r, 0), (hole, 1)].into_iter().filter(|(r, _)| *r > 0.0) {
            let (x, y, r2) = (tidy(self.left + x - r), tidy(self.top + y), tidy(2.0 * r));
            let r = tidy(r);
            let _ = write!(self.path, "M{x} {y}a{r} {r} 0 1 {way} {r2} 0a{r} {r} 0 1 {way} -{r2} 0Z ");
        }
    }
}

struct Pen<'a> {
    canvas: &'a mut dyn Canvas,
}

impl Pen<'_> {
    fn polygon(&mut self, points: &[(f32, f32)]) {
        self.canvas.polygon(points);
    }

    fn rect(&mut self, x0: f32, y0: f32, x1: f32, y1: f32) {
        self.canvas.rect(x0, y0, x1, y1);
    }

    fn disc(&mut self, x: f32, y: f32, r: f32) {
        self.canvas.disc(x, y, r, 0.0);
    }

    fn ring(&mut self, x: f32, y: f32, r: f32, width: f32) {
        self.canvas.disc(x, y, r, r - width);
    }

    /// A line of this width through the points.
    fn stroke(&mut self, points: &[(f32, f32)], width: f32) {
        for pair in points.windows(2) {
            let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
            let length = (x1 - x0).hypot(y1 - y0).max(0.01);
            let (nx, ny) = ((y1 - y0) / length * width / 2.0, (x0 - x1) / length * width / 2.0);
            self.polygon(&[(x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny)]);
        }
    }

    /// Lines from the middle to the edges; each arm is half of its width, or 0.
    fn lines(&mut self, [up, right, down, left]: [f32; 4]) {
        let (w, h) = (CELL_WIDTH, CELL_HEIGHT);
        let (cx, cy) = (w / 2.0, h / 2.0);
        let across = up.max(down);
        let along = left.max(right);
        if left > 0.0 {
            self.rect(0.0, cy - left, cx + across, cy + left);
        }
        if right > 0.0 {
            self.rect(cx - across, cy - right, w, cy + right);
        }
        if up > 0.0 {
            self.rect(cx - up, 0.0, cx + up, cy + along);
        }
        if down > 0.0 {
            self.rect(cx - down, cy - along, cx + down, h);
        }
    }
}

/// Half widths of the arms of a line character: up, right, down, left.
fn arms(c: char) -> Option<[f32; 4]> {
    const T: f32 = THIN;
    const B: f32 = THICK;
    Some(match c {
        '─' => [0.0, T, 0.0, T],
        '│' => [T, 0.0, T, 0.0],
        '┌' => [0.0, T, T, 0.0],
        '┐' => [0.0, 0.0, T, T],
        '└' => [T, T, 0.0, 0.0],
        '┘' => [T, 0.0, 0.0, T],
        '├' => [T, T, T, 0.0],
        '┤' => [T, 0.0, T, T],
        '┬' => [0.0, T, T, T],
        '┴' => [T, T, 0.0, T],
        '┼' => [T, T, T, T],
        '━' => [0.0, B, 0.0, B],
        '┃' => [B, 0.0, B, 0.0],
        '┏' => [0.0, B, B, 0.0],
        '┓' => [0.0, 0.0, B, B],
        '┗' => [B, B, 0.0, 0.0],
        '┛' => [B, 0.0, 0.0, B],
        '┣' => [B, B, B, 0.0],
        '┫' => [B, 0.0, B, B],
        _ => return None,
    })
}

fn shade(pen: &mut Pen<'_>) {
    for (row, y) in [1.5, 6.0, 10.5, 15.0].into_iter().enumerate() {
        let shift = if row % 2 == 0 { 1.2 } else { 3.3 };
        for x in [shift, shift + CELL_WIDTH / 2.0] {
            pen.rect(x, y, x + 1.5, y + 1.5);
        }
    }
}

/// Dots 1 to 8 of a braille cell: the left column from above, the right one, then the bottom row.
fn braille(dots: u32, pen: &mut Pen<'_>) {
    const PLACES: [(f32, f32); 8] =
        [(0.0, 0.0), (0.0, 1.0), (0.0, 2.0), (1.0, 0.0), (1.0, 1.0), (1.0, 2.0), (0.0, 3.0), (1.0, 3.0)];
    for (bit, (column, row)) in PLACES.into_iter().enumerate() {
        if dots & (1 << bit) != 0 {
            pen.disc(CELL_WIDTH * (0.25 + 0.5 * column), CELL_HEIGHT * (0.125 + 0.25 * row), 1.2);
        }
    }
}

fn sign(c: char, pen: &mut Pen<'_>) {
    let (w, cy) = (CELL_WIDTH, CELL_HEIGHT / 2.0);
    let cx = w / 2.0;
    match c {
        '✓' => pen.stroke(&[(1.0, cy + 0.6), (3.2, cy + 3.6), (7.6, cy - 4.0)], 1.5),
        '✗' => {
            pen.stroke(&[(1.2, cy - 3.4), (w - 1.2, cy + 3.4)], 1.5);
            pen.stroke(&[(w - 1.2, cy - 3.4), (1.2, cy + 3.4)], 1.5);
        }
        '◆' => pen.polygon(&[(cx, cy - 4.6), (w - 0.2, cy), (cx, cy + 4.6), (0.2, cy)]),
        '●' => pen.disc(cx, cy, 3.1),
        '○' => pen.ring(cx, cy, 3.1, 1.1),
        '▸' => pen.polygon(&[(1.2, cy - 3.6), (w - 1.2, cy), (1.2, cy + 3.6)]),
        '→' => {
            pen.rect(0.0, cy - THIN, w - 1.6, cy + THIN);
            pen.polygon(&[(w - 3.6, cy - 3.0), (w - 0.2, cy), (w - 3.6, cy + 3.0)]);
        }
        '↑' => {
            pen.rect(cx - THIN, 3.0, cx + THIN, CELL_HEIGHT);
            pen.polygon(&[(cx - 3.0, 5.4), (cx, 1.4), (cx + 3.0, 5.4)]);
        }
        '↓' => {
            pen.rect(cx - THIN, 0.0, cx + THIN, CELL_HEIGHT - 3.0);
            pen.polygon(&[(cx - 3.0, 12.6), (cx, 16.6), (cx + 3.0, 12.6)]);
        }
        '…' => [1.4, 4.2, 7.0].into_iter().for_each(|x| pen.disc(x, cy + 4.0, 0.8)),
        _ => pen.disc(cx, cy, 1.0),
    }
}

/// Two decimals at most.
fn tidy(x: f32) -> f32 {
    (x * 100.0).round() / 100.0
}
