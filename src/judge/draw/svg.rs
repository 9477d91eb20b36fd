//! SVG as text, written element by element. Whatever is written is escaped here and nowhere else.

use std::fmt::{self, Display, Write};

/// A drawing, or a part of one, under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Svg(String);

/// The name and the value of an attribute.
pub type Attribute<'a> = (&'a str, &'a dyn Display);

impl Svg {
    /// An element that holds nothing: `<rect x="1"/>`.
    pub fn empty(&mut self, name: &str, attributes: &[Attribute<'_>]) -> &mut Self {
        self.tag(name, attributes, "/>")
    }

    /// An element that holds text and no other element.
    pub fn text(&mut self, name: &str, attributes: &[Attribute<'_>], text: &str) -> &mut Self {
        self.open(name, attributes).escaped(&text).close(name)
    }

    /// The beginning of an element, up to [`Svg::close`].
    pub fn open(&mut self, name: &str, attributes: &[Attribute<'_>]) -> &mut Self {
        self.tag(name, attributes, ">")
    }

    /// The end of an element.
    pub fn close(&mut self, name: &str) -> &mut Self {
        self.raw(&["</", name, ">"])
    }

    /// The end of a line, for who reads the source.
    pub fn end_line(&mut self) -> &mut Self {
        self.raw(&["\n"])
    }

    /// All that another part holds.
    pub fn append(&mut self, part: &Self) -> &mut Self {
        self.raw(&[&part.0])
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As text.
    pub fn finish(self) -> String {
        self.0
    }

    fn tag(&mut self, name: &str, attributes: &[Attribute<'_>], end: &str) -> &mut Self {
        self.raw(&["<", name]);
        for (name, value) in attributes {
            self.raw(&[" ", name, "=\""]).escaped(value).raw(&["\""]);
        }
        self.raw(&[end])
    }

    fn raw(&mut self, parts: &[&str]) -> &mut Self {
        self.0.extend(parts.iter().copied());
        self
    }

    fn escaped(&mut self, value: &dyn Display) -> &mut Self {
        write!(Escaping(&mut self.0), "{value}").expect("a string takes everything");
        self
    }
}

/// Takes text as XML: without markup, and without the characters that XML cannot hold.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\n' | '\t' => self.0.push(c),
                '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                c if c.is_control() => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Svg;

    #[test]
    fn whatever_is_written_stays_text() {
        let mut svg = Svg::default();
        svg.open("g", &[("class", &"\"><script>")]).text("text", &[("x", &1.5)], "</text>&\0\u{1b}\u{ffff}'");
        svg.empty("rect", &[]).close("g");
        assert_eq!(
            svg.finish(),
            "<g class=\"&quot;&gt;&lt;script&gt;\"><text x=\"1.5\">&lt;/text&gt;&amp;\u{fffd}\u{fffd}\u{fffd}'\
             </text><rect/></g>"
        );
    }
}
