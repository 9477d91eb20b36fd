//! The shapes of the drawing: rectangles, lines, areas and texts.

use std::fmt::{self, Write as _};

use kvlab::judge::svg::{Attribute, Svg};

/// A drawing under way.
#[derive(Debug, Default)]
pub(super) struct Drawing(Svg);

/// A place or a length in the drawing, printed with at most one decimal.
#[derive(Clone, Copy)]
struct Px(f64);

/// Where a text stands relative to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Drawing {
    /// A rectangle; `title`, if not empty, says what it is.
    pub(super) fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), title: &str) {
        let (x, y, width, height) = (Px(x), Px(y), Px(width.max(0.0)), Px(height.max(0.0)));
        let attributes: [Attribute<'_>; 5] =
            [("class", &class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)];
        if title.is_empty() {
            self.0.empty("rect", &attributes).end_line();
        } else {
            self.0.open("rect", &attributes).text("title", &[], title).close("rect").end_line();
        }
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let (x1, y1, x2, y2) = (Px(x1), Px(y1), Px(x2), Px(y2));
        let attributes: [Attribute<'_>; 5] =
            [("class", &class), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)];
        self.0.empty("line", &attributes).end_line();
    }

    /// One line of text.
    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y) = (Px(x), Px(y));
        let attributes: [Attribute<'_>; 4] =
            [("class", &class), ("x", &x), ("y", &y), ("text-anchor", &anchor)];
        self.0.text("text", &attributes, text).end_line();
    }

    /// A line through points; it is interrupted wherever a point is missing.
    pub(super) fn polyline(&mut self, class: &str, points: impl IntoIterator<Item = Option<(f64, f64)>>) {
        let mut path = String::new();
        let mut pen_down = false;
        for point in points {
            let Some((x, y)) = point else {
                pen_down = false;
                continue;
            };
            let _ = write!(path, "{}{} {}", if pen_down { "L" } else { "M" }, Px(x), Px(y));
            pen_down = true;
        }
        self.path(class, &path);
    }

    /// The areas between a line through points and `base`; interrupted wherever a point is missing.
    pub(super) fn area(&mut self, class: &str, points: &[Option<(f64, f64)>], base: f64) {
        let mut path = String::new();
        for run in points.split(Option::is_none) {
            let run: Vec<_> = run.iter().flatten().collect();
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let _ = write!(path, "M{} {}", Px(first.0), Px(base));
            for (x, y) in &run {
                let _ = write!(path, "L{} {}", Px(*x), Px(*y));
            }
            let _ = write!(path, "L{} {}Z", Px(last.0), Px(base));
        }
        self.path(class, &path);
    }

    fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            self.0.empty("path", &[("class", &class), ("d", &path)]).end_line();
        }
    }

    /// A group with a class.
    pub(super) fn group(&mut self, class: &str, draw: impl FnOnce(&mut Self)) {
        self.0.open("g", &[("class", &class)]).end_line();
        draw(self);
        self.0.close("g").end_line();
    }

    /// This and what is above it, as a document to stand within a page. `title` and `description` are what is read
    /// aloud.
    pub(super) fn document(
        &self,
        above: &Self,
        (width, height): (f64, f64),
        title: &str,
        description: &str,
    ) -> String {
        let mut svg = Svg::default();
        let view_box = format!("0 0 {} {}", Px(width), Px(height));
        let root: [Attribute<'_>; 4] = [
            ("xmlns", &"http://www.w3.org/2000/svg"),
            ("viewBox", &view_box),
            ("role", &"img"),
            ("aria-label", &title),
        ];
        svg.open("svg", &root).end_line().text("title", &[], title).end_line();
        svg.text("desc", &[], description).end_line();
        svg.append(&self.0).append(&above.0).close("svg").end_line();
        svg.finish()
    }
}

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round() / 10.0;
        write!(f, "{}", if tenths == 0.0 { 0.0 } else { tenths })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::words::visible;

    #[test]
    fn whatever_a_run_says_is_text() {
        let nasty = &visible("</svg><script>alert(1)</script>&\"'\u{0}\u{1b}\u{202e}\u{2028}");
        let mut drawing = Drawing::default();
        drawing.text("t", (0.0, 0.0), Anchor::Start, nasty);
        drawing.rect("r", (0.0, 0.0), (1.0, -1.0), nasty);
        let document = drawing.document(&Drawing::default(), (10.0, 10.0), nasty, nasty);
        let parsed = roxmltree::Document::parse(&document).expect("well-formed");
        let text = parsed.descendants().find(|node| node.has_tag_name("text")).and_then(|node| node.text());
        assert_eq!(text, Some("</svg><script>alert(1)</script>&\"'\\u{0}\\u{1b}\\u{202e}\\u{2028}"));
        assert!(!parsed.descendants().any(|node| node.has_tag_name("script")));
    }

    #[test]
    fn lines_are_interrupted_where_nothing_is_known() {
        let points = [Some((0.0, 1.0)), Some((1.0, 2.04)), None, Some((3.0, -0.01))];
        let mut drawing = Drawing::default();
        drawing.polyline("l", points);
        drawing.area("a", &points, 9.0);
        assert_eq!(
            drawing.0.finish(),
            "<path class=\"l\" d=\"M0 1L1 2M3 0\"/>\n<path class=\"a\" d=\"M0 9L0 1L1 2L1 9ZM3 9L3 0L3 9Z\"/>\n"
        );
        let mut empty = Drawing::default();
        empty.polyline("l", [None, None]);
        assert!(empty.0.is_empty());
    }
}
