//! Draws a diagram as SVG.

use std::fmt::Display;

use super::svg::Svg;
use super::{Diagram, Layout, NOTE_MIN, Placed, broken};

/// Pixels of a column and of a lane.
const COLUMN: usize = 8;
const LANE: usize = 34;
const BAR: usize = 22;
const MARGIN: usize = 12;

/// Colours are named once, for light and for dark. Widths follow from the layout: the font is of fixed width.
const STYLE: &str = "\
:root{--ink:#1f2328;--soft:#59636e;--paper:#ffffff;--bar:#ddf4ff;--edge:#0969da;--bad:#ffebe9;--bad-edge:#cf222e}\
@media(prefers-color-scheme:dark){:root{--ink:#f0f6fc;--soft:#9198a1;--paper:#0d1117;--bar:#121d2f;--edge:#4493f8;\
--bad:#25171c;--bad-edge:#f85149}}\
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:var(--ink)}\
.who,.part{fill:var(--soft)}.part{font-weight:bold}\
rect.bar{fill:var(--bar);stroke:var(--edge)}rect.bad{fill:var(--bad);stroke:var(--bad-edge);stroke-width:2}\
rect.open{stroke-dasharray:4 3}";

/// Draws lanes, the parts that each plays at the right, and the notes. `styled`: with a style sheet of its own.
pub(super) fn draw(diagram: &Diagram, styled: bool) -> String {
    let layout = diagram.layout(usize::MAX);
    let notes: Vec<String> =
        diagram.notes.iter().flat_map(|note| broken(note, layout.width.max(NOTE_MIN))).collect();
    let columns = notes.iter().map(|note| note.chars().count()).max().unwrap_or(0).max(layout.width);
    let (width, lanes) = (2 * MARGIN + columns * COLUMN, layout.lanes.len() * LANE);
    let height = 2 * MARGIN + lanes + if notes.is_empty() { 0 } else { MARGIN + notes.len() * 18 };
    let mut svg = Svg::default();
    let view_box = format!("0 0 {width} {height}");
    svg.open(
        "svg",
        &[
            ("xmlns", &"http://www.w3.org/2000/svg"),
            ("width", &width),
            ("height", &height),
            ("viewBox", &view_box),
            ("role", &"img"),
        ],
    );
    let title = diagram.notes.first().map_or("operations in space and time", |note| note);
    svg.end_line().text("title", &[], title).end_line();
    if styled {
        svg.text("style", &[], STYLE).end_line();
    }
    svg.empty("rect", &[("width", &"100%"), ("height", &"100%"), ("fill", &"var(--paper)")]).end_line();
    for (nth, (who, bars)) in layout.lanes.iter().enumerate() {
        let top = MARGIN + nth * LANE;
        svg.text("text", &[("class", &"who"), ("x", &MARGIN), ("y", &(top + 20))], who).end_line();
        for placed in bars {
            draw_bar(&mut svg, &layout, placed, top);
        }
    }
    for (nth, note) in notes.iter().enumerate() {
        let y = 2 * MARGIN + lanes + 14 + nth * 18;
        svg.text("text", &[("x", &MARGIN), ("y", &y)], note).end_line();
    }
    svg.close("svg").end_line();
    svg.finish()
}

fn draw_bar(svg: &mut Svg, layout: &Layout<'_>, placed: &Placed<'_>, top: usize) {
    let x = |column: usize| MARGIN + (layout.who_width + 2 + column) * COLUMN;
    let (from, to) = (x(placed.from), x(placed.to) + COLUMN);
    let bad = if placed.bar.accused { " bad" } else { "" };
    let open = if placed.bar.ended.is_none() { " open" } else { "" };
    let class = format!("bar{bad}{open}");
    let (y, width, baseline) = (top + 4, to - from, top + 20);
    svg.empty(
        "rect",
        &[("class", &class), ("x", &from), ("y", &y), ("width", &width), ("height", &BAR), ("rx", &4)],
    );
    let middle = usize::midpoint(from, to);
    let at = [("x", &middle as &dyn Display), ("y", &baseline), ("text-anchor", &"middle")];
    svg.text("text", &at, &placed.label).end_line();
    if !placed.bar.parts.is_empty() {
        let right = layout.lanes.iter().flat_map(|lane| &lane.1).map(|placed| placed.to).max().unwrap_or(0);
        let at = [("class", &"part" as &dyn Display), ("x", &x(right + 3)), ("y", &baseline)];
        svg.text("text", &at, &placed.bar.parts).end_line();
    }
}
