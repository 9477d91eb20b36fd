//! An animated SVG, read back as a viewer would.

use std::collections::BTreeMap;

use super::*;

/// Cells of a row: all that is still, or one window.
struct Piece {
    /// In pixels.
    left: f32,
    row: usize,
    /// By which steps its strip moves; `None`: it is still.
    steps: Option<String>,
    /// Each with its x and y in pixels, of the strip.
    signs: Vec<(f32, f32, String)>,
}

/// An animated SVG as a viewer understands it.
pub(super) struct Shown {
    total: f64,
    signs: BTreeMap<String, char>,
    steps: BTreeMap<String, Vec<(f64, f32)>>,
    pieces: Vec<Piece>,
}

impl Shown {
    pub(super) fn read(document: &Document<'_>) -> Self {
        let style = document
            .descendants()
            .find(|n| n.has_tag_name("style"))
            .and_then(|n| n.text().map(str::to_owned))
            .expect("a style");
        let total = style
            .split("animation-duration:")
            .nth(1)
            .and_then(|s| s.split('s').next())
            .expect("a length")
            .parse()
            .expect("seconds");
        let mut steps = BTreeMap::new();
        for rule in style.split("@keyframes ").skip(1) {
            let (name, rest) = rule.split_once('{').expect("a rule");
            let body = rest.split("}}").next().expect("its end");
            let step = |text: &str| {
                let (share, rest) = text.split_once("%{transform:translateY(").expect("a step");
                (
                    share.parse().expect("a share"),
                    rest.trim_end_matches('}').trim_end_matches("px)").parse().expect("pixels"),
                )
            };
            steps.insert(name.to_owned(), body.split_inclusive('}').map(step).collect());
        }
        let mut signs = BTreeMap::new();
        let drawn: BTreeMap<String, char> = (0u32..0x1_0000)
            .filter_map(char::from_u32)
            .filter(|&c| is_drawn(c))
            .map(|c| {
                let mut path = String::new();
                glyphs::draw(c, 0.0, 0.0, &mut path);
                (path.trim_end().to_owned(), c)
            })
            .collect();
        for path in document.descendants().filter(|n| n.has_tag_name("path")) {
            signs.insert(
                format!("#{}", path.attribute("id").expect("a name")),
                drawn[path.attribute("d").expect("a path")],
            );
        }
        let mut shown = Self { total, signs, steps, pieces: Vec::new() };
        let rows = document.root_element().children().rfind(|n| n.has_tag_name("g")).expect("rows");
        for (y, row) in rows.children().filter(|n| n.has_tag_name("g")).enumerate() {
            let (mut still, mut windows) = (Vec::new(), Vec::new());
            for node in row.children().filter(Node::is_element) {
                if node.has_tag_name("svg") {
                    windows.push(node);
                } else {
                    still.extend(shown.read_signs(node));
                }
            }
            shown.pieces.push(Piece { left: 0.0, row: y, steps: None, signs: still });
            for window in windows {
                let strip = window.first_element_child().expect("a strip");
                let name = strip
                    .attribute("class")
                    .and_then(|c| c.strip_prefix("a "))
                    .expect("its steps")
                    .to_owned();
                let texts =
                    strip.children().filter(Node::is_element).flat_map(|n| shown.read_signs(n)).collect();
                shown.pieces.push(Piece {
                    left: number(window, "x"),
                    row: y,
                    steps: Some(name),
                    signs: texts,
                });
            }
        }
        shown
    }

    /// Every text and sign in a piece that is moved down so far: x, y in pixels, and what it says.
    fn read_signs(&self, piece: Node<'_, '_>) -> Vec<(f32, f32, String)> {
        let moved =
            piece.attribute("transform").and_then(|t| t.strip_prefix("translate(0 ")?.strip_suffix(')'));
        let top = moved.map_or(0.0, |y| y.parse().expect("pixels"));
        let say = |n: Node<'_, '_>| match n.tag_name().name() {
            "text" => Some((number(n, "x"), top, n.text().unwrap_or_default().to_owned())),
            "use" => Some((number(n, "x"), top, self.signs[n.attribute("href")?].to_string())),
            _ => None,
        };
        piece.descendants().filter_map(say).collect()
    }

    /// What is to be read at a moment.
    pub(super) fn text_at(&self, at: f64) -> String {
        let share = at / self.total * 100.0;
        let mut rows = vec![vec![' '; 120]; 36];
        for Piece { left, row, steps, signs } in &self.pieces {
            let up = steps.as_ref().map_or(0.0, |name| {
                let begun = self.steps[name].iter().take_while(|(from, _)| *from <= share + 0.001);
                begun.last().expect("a first step").1
            });
            let is_seen = |top: f32| steps.is_none() || (top + up).abs() < 0.1;
            for (x, _, text) in signs.iter().filter(|(_, top, _)| is_seen(*top)) {
                let column = ((left + x) / CELL_WIDTH).round() as usize;
                text.chars().enumerate().for_each(|(i, c)| rows[*row][column + i] = c);
            }
        }
        let line = |row: &Vec<char>| row.iter().collect::<String>().trim_end().to_owned() + "\n";
        rows.iter().map(line).collect()
    }
}
