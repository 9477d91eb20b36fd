//! A frame as SVG: what a terminal would show, at any size, without fonts of our own.
//!
//! Each piece of text is pinned to the cells that it takes, so that another font in the viewer does not move what
//! follows. Lines, blocks and braille are drawn as paths: they join without seams in every viewer.

use std::fmt;

use kvlab::judge::svg::{Attribute, Svg};
use ratatui::buffer::{Buffer, Cell, CellWidth};

use super::colours::{Look, Plain, single};
use super::glyphs::{self, CELL_HEIGHT, CELL_WIDTH};
use crate::screen::theme::Background;

/// Around the cells, in pixels.
pub(super) const MARGIN: f32 = 10.0;
/// Height of the text within a cell.
pub(super) const FONT_SIZE: f32 = 14.0;
/// From the top of a cell to the line on which text stands.
pub(super) const BASELINE: f32 = 13.5;
/// Fonts in order of preference; the last is every viewer's own.
pub(super) const FONTS: &str =
    "'JetBrains Mono','DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace";

/// Draws the frame on the background that it was drawn for. `title` is for screen readers.
pub fn to_svg(buf: &Buffer, title: &str, background: Background) -> String {
    let plain = Plain::on(background);
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
pub(super) struct Px(pub(super) f32);

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
        .map(|cell| (cell, Look::of(cell, plain)))
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
pub(super) fn words_of<'a, 'b>(
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
pub(super) fn runs<T>(items: &[T], alike: impl Fn(&T, &T) -> bool) -> Vec<(usize, &[T])> {
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
