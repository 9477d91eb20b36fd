//! Draws a diagram as text. It stands here and not with the lab's views: whoever judges a history with the library alone
//! wants to see the proof, and text and SVG share one layout.

use super::{Diagram, Lane, NOTE_MIN, Placed, broken, parts};

/// Draws lanes and notes.
pub(super) fn draw(diagram: &Diagram, width: usize) -> String {
    let mut text = String::new();
    let numbered = diagram.numbered(width);
    let (drawn, legend) = numbered.as_ref().map_or((diagram, &[][..]), |(drawn, legend)| (drawn, legend));
    for lane in lanes(drawn, width) {
        text.push_str(&lane.text);
        text.push('\n');
    }
    if !legend.is_empty() {
        text.push('\n');
    }
    for line in legend.iter().flat_map(|line| broken(line, width.max(NOTE_MIN))) {
        text.push_str(&line);
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

/// Draws the lanes, and the parts that each plays at the right.
pub(super) fn lanes(diagram: &Diagram, width: usize) -> Vec<Lane> {
    let layout = diagram.layout(width);
    let right = layout.lanes.iter().flat_map(|lane| &lane.1).map(|placed| placed.to).max().unwrap_or(0);
    let mut lanes = Vec::new();
    for (who, bars) in &layout.lanes {
        let who_width = layout.who_width;
        let mut line: Vec<char> = format!("{who:<who_width$}  ").chars().collect();
        let left = line.len();
        for placed in bars {
            draw_bar(&mut line, left, placed);
        }
        let accused = bars.iter().find(|placed| placed.bar.accused);
        let accused = accused.map(|placed| left + placed.from..left + placed.to + 1);
        let parts = parts(bars);
        if !parts.is_empty() {
            line.resize(left + right + 1 + 2, ' ');
            line.extend(parts.chars());
        }
        lanes.push(Lane { text: line.into_iter().collect(), accused });
    }
    lanes
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
    let (room, label) = (to - from - 1, &placed.label);
    // Where it is narrow a number stands alone.
    let label = if room < label.chars().count() + 2 { label.clone() } else { format!(" {label} ") };
    let start = from + 1 + room.saturating_sub(label.chars().count()) / 2;
    let label = label.chars();
    for (cell, c) in line[start..to].iter_mut().zip(label) {
        *cell = c;
    }
}
