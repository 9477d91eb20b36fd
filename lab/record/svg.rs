//! A frame as SVG: what a terminal would show, at any size, without fonts of our own.
//!
//! Each piece of text is pinned to the cells that it takes, so that another font in the viewer does not move what
//! follows. Lines, blocks and braille are drawn as paths: they join without seams in every viewer.

use std::fmt;

use kvlab::judge::svg::{Attribute, Svg};
use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::style::{Color, Modifier};

use super::glyphs::{self, CELL_HEIGHT, CELL_WIDTH};
use crate::screen::theme::Background;

/// The colours of what has none of its own.
#[derive(Clone, Copy, Debug)]
struct Plain {
    /// Of text.
    ink: u32,
    /// Behind text.
    ground: u32,
}

const DARK: Plain = Plain { ink: 0xd6_dae0, ground: 0x10_1418 };
const LIGHT: Plain = Plain { ink: 0x1f_2328, ground: 0xff_ffff };
/// The colours that a terminal theme defines: black, red, green, yellow, blue, magenta, cyan, white, then the bright ones.
const SIXTEEN: [u32; 16] = [
    0x1b_2026, 0xd5_5e00, 0x00_9e73, 0xe6_9f00, 0x38_82c4, 0xcc_79a7, 0x56_b4e9, 0xc4_c9d1, 0x6b_7280,
    0xf0_8040, 0x40_c09a, 0xf0_e442, 0x6f_b0e8, 0xe0_a0c8, 0x8f_d0f5, 0xf5_f7fa,
];
/// Around the cells, in pixels.
const MARGIN: f32 = 10.0;
/// Height of the text within a cell.
const FONT_SIZE: f32 = 14.0;
/// From the top of a cell to the line on which text stands.
const BASELINE: f32 = 13.5;
/// Fonts in order of preference; the last is every viewer's own.
const FONTS: &str = "'JetBrains Mono','DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace";

/// How one cell looks, its colours resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    ink: u32,
    ground: u32,
    bold: bool,
    dim: bool,
    italic: bool,
    underlined: bool,
}

/// Draws the frame on the background that it was drawn for. `title` is for screen readers.
pub fn to_svg(buf: &Buffer, title: &str, background: Background) -> String {
    let plain = match background {
        Background::Dark => DARK,
        Background::Light => LIGHT,
    };
    let (columns, rows) = (f32::from(buf.area.width), f32::from(buf.area.height));
    let (width, height) = (Px(columns * CELL_WIDTH + 2.0 * MARGIN), Px(rows * CELL_HEIGHT + 2.0 * MARGIN));
    let mut svg = Svg::default();
    let root: [Attribute<'_>; 6] = [
        ("xmlns", &"http://www.w3.org/2000/svg"),
        ("viewBox", &format!("0 0 {width} {height}")),
        ("width", &width),
        ("height", &height),
        ("role", &"img"),
        ("aria-label", &title),
    ];
    svg.open("svg", &root).end_line().text("title", &[], title).end_line();
    let style = format!(
        "text{{font-family:{FONTS};font-size:{FONT_SIZE}px;white-space:pre}}.b{{font-weight:700}}\
         .d{{opacity:.6}}.i{{font-style:italic}}.u{{text-decoration:underline}}"
    );
    svg.text("style", &[], &style).end_line();
    let ground = Colour(plain.ground);
    svg.empty("rect", &[("width", &width), ("height", &height), ("rx", &8), ("fill", &ground)]).end_line();
    svg.open("g", &[("transform", &format!("translate({MARGIN} {MARGIN})"))]).end_line();
    for y in 0..buf.area.height {
        row(&mut svg, buf, y, plain);
    }
    svg.close("g").end_line().close("svg").end_line();
    svg.finish()
}

/// A length in pixels, printed with one decimal.
struct Px(f32);

/// A colour, printed as `#d6dae0`.
struct Colour(u32);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.0)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06x}", self.0)
    }
}

fn row(svg: &mut Svg, buf: &Buffer, y: u16, plain: Plain) {
    let cells: Vec<_> = (0..buf.area.width)
        .filter_map(|x| buf.cell((buf.area.x + x, buf.area.y + y)))
        .map(|cell| (cell, look(cell, plain)))
        .collect();
    backgrounds(svg, &cells, y, plain.ground);
    paths(svg, &cells, y);
    text(svg, &cells, y);
}

fn backgrounds(svg: &mut Svg, cells: &[(&Cell, Look)], y: u16, plain: u32) {
    for (start, run) in runs(cells, |a, b| a.1.ground == b.1.ground) {
        let ground = run[0].1.ground;
        if ground != plain {
            let (x, width) = (Px(start as f32 * CELL_WIDTH), Px(run.len() as f32 * CELL_WIDTH));
            let (top, height) = (Px(f32::from(y) * CELL_HEIGHT), Px(CELL_HEIGHT));
            let place: [Attribute<'_>; 4] = [("x", &x), ("y", &top), ("width", &width), ("height", &height)];
            svg.empty("rect", &[&place[..], &[("fill", &Colour(ground))]].concat()).end_line();
        }
    }
}

/// Lines, blocks and braille: one path for each run of one colour.
fn paths(svg: &mut Svg, cells: &[(&Cell, Look)], y: u16) {
    for (start, run) in runs(cells, |a, b| a.1 == b.1) {
        let mut path = String::new();
        for (i, (cell, _)) in run.iter().enumerate() {
            if let Some(c) = single(cell).filter(|&c| glyphs::is_drawn(c)) {
                let left = (start + i) as f32 * CELL_WIDTH;
                glyphs::draw(c, left, f32::from(y) * CELL_HEIGHT, &mut path);
            }
        }
        if !path.is_empty() {
            let Look { ink, dim, .. } = run[0].1;
            let (path, ink) = (path.trim_end(), Colour(ink));
            let mut attributes: Vec<Attribute<'_>> = vec![("d", &path), ("fill", &ink)];
            if dim {
                attributes.push(("class", &"d"));
            }
            svg.empty("path", &attributes).end_line();
        }
    }
}

fn text(svg: &mut Svg, cells: &[(&Cell, Look)], y: u16) {
    let is_text = |cell: &Cell| !single(cell).is_some_and(|c| c == ' ' || glyphs::is_drawn(c));
    let mut spans = Svg::default();
    for (start, run) in runs(cells, |a, b| a.1 == b.1) {
        for (offset, words) in words_of(run, is_text) {
            span(&mut spans, start + offset, words);
        }
    }
    if !spans.is_empty() {
        let baseline = Px(f32::from(y) * CELL_HEIGHT + BASELINE);
        svg.open("text", &[("y", &baseline), ("xml:space", &"preserve")]);
        svg.append(&spans).close("text").end_line();
    }
}

/// One pinned piece of text.
fn span(spans: &mut Svg, start: usize, cells: &[(&Cell, Look)]) {
    let look = cells[0].1;
    let text: String = cells.iter().map(|(cell, _)| cell.symbol()).collect();
    let columns: u16 = cells.iter().map(|(cell, _)| cell.symbol().cell_width().max(1)).sum();
    let (x, width) = (Px(start as f32 * CELL_WIDTH), Px(f32::from(columns) * CELL_WIDTH));
    let classes: Vec<_> = [(look.bold, "b"), (look.dim, "d"), (look.italic, "i"), (look.underlined, "u")]
        .into_iter()
        .filter_map(|(on, class)| on.then_some(class))
        .collect();
    let (ink, classes) = (Colour(look.ink), classes.join(" "));
    let mut attributes: Vec<Attribute<'_>> =
        vec![("x", &x), ("textLength", &width), ("lengthAdjust", &"spacingAndGlyphs"), ("fill", &ink)];
    if !classes.is_empty() {
        attributes.push(("class", &classes));
    }
    spans.text("tspan", &attributes, &text);
}

/// Pieces of ASCII text with single spaces within, and every other sign on its own, where a fallback font with
/// another width does no harm.
fn words_of<'a, 'b>(
    run: &'a [(&'b Cell, Look)],
    is_text: impl Fn(&Cell) -> bool,
) -> Vec<(usize, &'a [(&'b Cell, Look)])> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < run.len() {
        if !is_text(run[at].0) {
            at += 1;
            continue;
        }
        let mut end = at + 1;
        if run[at].0.symbol().is_ascii() {
            let plain = |i: usize| run.get(i).is_some_and(|(c, _)| is_text(c) && c.symbol().is_ascii());
            let space = |i: usize| run.get(i).is_some_and(|(c, _)| c.symbol() == " ");
            while plain(end) || (space(end) && plain(end + 1)) {
                end += 1;
            }
        }
        pieces.push((at, &run[at..end]));
        at = end;
    }
    pieces
}

/// The maximal stretches of neighbours that are alike, each with its start.
fn runs<T>(items: &[T], alike: impl Fn(&T, &T) -> bool) -> Vec<(usize, &[T])> {
    let mut start = 0;
    items
        .chunk_by(alike)
        .map(|run| {
            let at = start;
            start += run.len();
            (at, run)
        })
        .collect()
}

fn single(cell: &Cell) -> Option<char> {
    let mut chars = cell.symbol().chars();
    chars.next().filter(|_| chars.next().is_none())
}

fn look(cell: &Cell, plain: Plain) -> Look {
    let has = |m: Modifier| cell.modifier.contains(m);
    let (mut ink, mut ground) = (rgb(cell.fg, plain.ink), rgb(cell.bg, plain.ground));
    if has(Modifier::REVERSED) {
        (ink, ground) = (ground, ink);
    }
    Look {
        ink,
        ground,
        bold: has(Modifier::BOLD),
        dim: has(Modifier::DIM),
        italic: has(Modifier::ITALIC),
        underlined: has(Modifier::UNDERLINED),
    }
}

fn rgb(colour: Color, default: u32) -> u32 {
    let i = match colour {
        Color::Reset => return default,
        Color::Rgb(r, g, b) => return u32::from_be_bytes([0, r, g, b]),
        Color::Indexed(i) => i,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
    };
    indexed(i)
}

/// xterm's 256 colours: 16 of the theme, a cube of 6×6×6, 24 greys.
fn indexed(i: u8) -> u32 {
    let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
    match i {
        0..16 => SIXTEEN[usize::from(i)],
        16..232 => {
            let i = i - 16;
            u32::from_be_bytes([0, level(i / 36), level(i / 6 % 6), level(i % 6)])
        }
        232.. => {
            let grey = 8 + 10 * (i - 232);
            u32::from_be_bytes([0, grey, grey, grey])
        }
    }
}
