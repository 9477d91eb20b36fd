//! The diagram as text.

use super::{Diagram, NOTE_MIN, Placed, broken};

/// Draws lanes, the parts that each plays at the right, and the notes.
pub(super) fn draw(diagram: &Diagram, width: usize) -> String {
    let layout = diagram.layout(width);
    let mut text = String::new();
    for (who, bars) in &layout.lanes {
        let who_width = layout.who_width;
        let mut line: Vec<char> = format!("{who:<who_width$}  ").chars().collect();
        let left = line.len();
        for placed in bars {
            draw_bar(&mut line, left, placed);
        }
        let parts: Vec<&str> =
            bars.iter().map(|placed| &*placed.bar.parts).filter(|parts| !parts.is_empty()).collect();
        if !parts.is_empty() {
            let right =
                layout.lanes.iter().flat_map(|lane| &lane.1).map(|placed| placed.to).max().unwrap_or(0);
            line.resize(left + right + 1 + 2, ' ');
            line.extend(parts.join(", ").chars());
        }
        text.extend(line);
        text.push('\n');
    }
    for note in &diagram.notes {
        text.push('\n');
        for line in broken(note, width.max(NOTE_MIN)) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// `├─ read "a" ─┤`; heavy if it is the one that gave the violation away, open if it is not known to have ended.
fn draw_bar(line: &mut Vec<char>, left: usize, placed: &Placed<'_>) {
    let (open, along, close) = if placed.bar.accused { ('┣', '━', '┫') } else { ('├', '─', '┤') };
    let (from, to) = (left + placed.from, left + placed.to);
    if line.len() <= to {
        line.resize(to + 1, ' ');
    }
    line[from..=to].fill(along);
    line[from] = open;
    line[to] = if placed.bar.ended.is_some() { close } else { '┄' };
    let space = (to - from - 1).saturating_sub(placed.label.chars().count() + 2);
    let start = from + 1 + space / 2;
    let label = std::iter::once(' ').chain(placed.label.chars()).chain([' ']);
    for (cell, c) in line[start..to].iter_mut().zip(label) {
        *cell = c;
    }
}
