//! The star: the primary above, every other member below it, and what the link between them does.

use kvlab::types::NodeId;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::scene::{Scene, severity_tone};
use crate::screen::paint::Row;
use crate::screen::state::Health;
use crate::screen::theme::{Glyph, Tone};
use crate::text::words;

/// Rows that it takes.
pub(super) const HEIGHT: u16 = 5;

/// Draws the star.
pub(super) fn render(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let members = scene.view.members();
    let hub = scene.view.leader().map(|l| l.node);
    let below: Vec<_> = members.into_iter().filter(|&n| Some(n) != hub).collect();
    let slot = usize::from(area.width) / below.len().max(1);
    let centre = |i: usize| i * slot + slot / 2;
    let all = slot * below.len();

    head(area, buf, scene, hub, all);
    if hub.is_some() {
        let mut row = Row::new(buf, scene.theme, area, 1);
        for cell in 0..all {
            row.to(cell).put(branch(cell, all / 2, below.len(), &centre), Tone::Border);
        }
    }
    for (i, &id) in below.iter().enumerate() {
        if let Some(hub) = hub {
            let (text, tone) = edge(scene, hub, id);
            Row::new(buf, scene.theme, area, 2).to(centre(i)).put(&text, tone);
        }
        member(area, buf, scene, id, i * slot, slot);
    }
}

fn head(area: Rect, buf: &mut Buffer, scene: &Scene<'_>, hub: Option<NodeId>, all: usize) {
    let mut row = Row::new(buf, scene.theme, area, 0);
    let Some(node) = hub.and_then(|h| scene.view.nodes.get(&h)) else {
        let text = "no primary";
        let tone = if scene.view.is_starting() { Tone::Dim } else { Tone::Bad };
        row.skip((all / 2).saturating_sub(text.len() / 2)).put(text, tone);
        return;
    };
    let text = format!("{} PRIMARY {}", node.id, node.term);
    let health = scene.view.health(node.id);
    let state = if health == Health::Up { String::new() } else { format!(" {}", health.word()) };
    let width = words::width(&text) + words::width(&state) + 2;
    row.skip((all / 2).saturating_sub(width / 2)).sign(Glyph::Primary, Tone::Primary);
    row.skip(1).put(&text, Tone::Primary).put(&state, severity_tone(health.severity()));
}

/// The line of the branches: `┌────┴────┐`.
fn branch(cell: usize, trunk: usize, count: usize, centre: &dyn Fn(usize) -> usize) -> &'static str {
    let (first, last) = (centre(0), centre(count.saturating_sub(1)));
    let (left, right) = (first.min(trunk), last.max(trunk));
    if cell < left || cell > right {
        return " ";
    }
    let is_leaf = (0..count).any(|i| centre(i) == cell);
    let (west, east) = (cell > left, cell < right);
    match (cell == trunk, is_leaf, west, east) {
        (true, true, true, true) => "┼",
        (true, true, false, false) => "│",
        (true, true, true, false) => "┤",
        (true, true, false, true) => "├",
        (true, false, true, true) => "┴",
        (true, false, false, true) => "└",
        (true, false, true, false) => "┘",
        (false, true, true, true) => "┬",
        (false, true, false, true) => "┌",
        (false, true, true, false) => "┐",
        _ => "─",
    }
}

/// What the pair of links between the primary and a member does.
fn edge(scene: &Scene<'_>, hub: NodeId, id: NodeId) -> (String, Tone) {
    let links = &scene.view.links;
    let delay = links.delay(hub, id).or_else(|| links.delay(id, hub));
    match (links.passes(hub, id), links.passes(id, hub)) {
        (false, false) => (scene.theme.glyph(Glyph::Cut).to_owned(), Tone::Bad),
        (true, false) => ("↓".to_owned(), Tone::Warn),
        (false, true) => ("↑".to_owned(), Tone::Warn),
        _ => match delay {
            Some(delay) => (format!("{}{}", scene.theme.glyph(Glyph::Slow), delay.as_millis()), Tone::Slow),
            None => ("│".to_owned(), Tone::Border),
        },
    }
}

fn member(area: Rect, buf: &mut Buffer, scene: &Scene<'_>, id: NodeId, start: usize, slot: usize) {
    let Some(node) = scene.view.nodes.get(&id) else { return };
    let middle = |text: &str| start + (slot / 2).saturating_sub(words::width(text) / 2);
    let tone = scene.member_tone(id);
    let name = format!("{} {id}", scene.theme.glyph(scene.member_sign(node)));
    Row::new(buf, scene.theme, area, 3).to(middle(&name)).put(&name, tone);
    let health = scene.view.health(id);
    let old = scene.view.is_old_primary(id);
    let (text, tone) = match health {
        _ if old => (scene.role_word(node).to_owned(), Tone::Bad),
        Health::Up => (scene.role_word(node).to_owned(), Tone::Dim),
        _ => (health.word(), severity_tone(health.severity())),
    };
    if slot > words::width(&text) {
        Row::new(buf, scene.theme, area, 4).to(middle(&text)).put(&text, tone);
    }
}
