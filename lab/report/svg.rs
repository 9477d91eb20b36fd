//! SVG as text, written piece by piece. Whatever comes from a run is escaped here and nowhere else.

use std::fmt::{self, Write as _};

/// A drawing under way.
#[derive(Debug, Default)]
pub(super) struct Svg(String);

/// A place or a length in the drawing, printed with one decimal.
#[derive(Clone, Copy)]
struct Px(f64);

/// Text with everything escaped that markup, or a reader, could take for something else.
pub(super) struct Escaped<'a>(pub(super) &'a str);

/// Where a text stands relative to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// A rectangle; `title`, if not empty, says what it is.
    pub(super) fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), title: &str) {
        let (width, height) = (Px(width.max(0.0)), Px(height.max(0.0)));
        let (x, y) = (Px(x), Px(y));
        let open =
            format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"");
        if title.is_empty() {
            let _ = writeln!(self.0, "{open}/>");
        } else {
            let _ = writeln!(self.0, "{open}><title>{}</title></rect>", Escaped(title));
        }
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let (x1, y1, x2, y2) = (Px(x1), Px(y1), Px(x2), Px(y2));
        let _ = writeln!(self.0, "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>");
    }

    /// One line of text.
    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (Px(x), Px(y), Escaped(text));
        let _ = writeln!(
            self.0,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
        );
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
        if !path.is_empty() {
            let _ = writeln!(self.0, "<path class=\"{class}\" d=\"{path}\"/>");
        }
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
        if !path.is_empty() {
            let _ = writeln!(self.0, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }

    /// What another drawing holds, above what is here.
    pub(super) fn join(&mut self, above: &Self) {
        self.0.push_str(&above.0);
    }

    /// A group with a class.
    pub(super) fn group(&mut self, class: &str, draw: impl FnOnce(&mut Self)) {
        let _ = writeln!(self.0, "<g class=\"{class}\">");
        draw(self);
        self.0.push_str("</g>\n");
    }

    /// The whole document, to stand within a page. `title` and `description` are what is read aloud.
    pub(super) fn document(self, (width, height): (f64, f64), title: &str, description: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{title}\">\n\
             <title>{title}</title>\n<desc>{}</desc>\n{}</svg>\n",
            Px(width),
            Px(height),
            Escaped(description),
            self.0,
            title = Escaped(title),
        )
    }
}

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round() / 10.0;
        write!(f, "{}", if tenths == 0.0 { 0.0 } else { tenths })
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c if is_treacherous(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Whether a character cannot be seen, or turns around what can be: it is shown by its number.
pub(super) fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

/// The text with characters that cannot be seen shown by their numbers. Line breaks become spaces.
pub(super) fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => seen.push(' '),
            c if is_treacherous(c) => seen.extend(c.escape_unicode()),
            c => seen.push(c),
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_run_says_is_text() {
        let nasty = "</svg><script>alert(1)</script>&\"'\u{0}\u{1b}\u{202e}\u{2028}";
        let mut svg = Svg::default();
        svg.text("t", (0.0, 0.0), Anchor::Start, nasty);
        svg.rect("r", (0.0, 0.0), (1.0, -1.0), nasty);
        let document = svg.document((10.0, 10.0), nasty, nasty);
        let parsed = roxmltree::Document::parse(&document).expect("well-formed");
        let text = parsed.descendants().find(|node| node.has_tag_name("text")).and_then(|node| node.text());
        assert_eq!(text, Some("</svg><script>alert(1)</script>&\"'\\u{0}\\u{1b}\\u{202e}\\u{2028}"));
        assert!(!parsed.descendants().any(|node| node.has_tag_name("script")));
    }

    #[test]
    fn lines_are_interrupted_where_nothing_is_known() {
        let points = [Some((0.0, 1.0)), Some((1.0, 2.04)), None, Some((3.0, -0.01))];
        let mut svg = Svg::default();
        svg.polyline("l", points);
        svg.area("a", &points, 9.0);
        assert_eq!(
            svg.0,
            "<path class=\"l\" d=\"M0 1L1 2M3 0\"/>\n<path class=\"a\" d=\"M0 9L0 1L1 2L1 9ZM3 9L3 0L3 9Z\"/>\n"
        );
        let mut empty = Svg::default();
        empty.polyline("l", [None, None]);
        assert_eq!(empty.0, "");
    }

    #[test]
    fn what_cannot_be_seen_is_named() {
        assert_eq!(visible("a\u{202e}b\n\u{7}é日"), "a\\u{202e}b \\u{7}é日");
    }
}
