//! Who can reach whom: a star around the primary, and the matrix from → to.

use kvlab::types::NodeId;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::scene::Scene;
use super::topology;
use crate::action::SlowLink;
use crate::run::event::LinkState;
use crate::screen::layout::Pane;
use crate::screen::paint::Row;
use crate::screen::theme::{Glyph, Tone};
use crate::text::words;

/// Draws the pane.
pub fn render(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let inner = scene.frame(area, buf, Pane::Links, "Links", "");
    let members = scene.view.members();
    let matrix_height = u16::try_from(members.len() + 1).unwrap_or(u16::MAX);
    let star_height = topology::HEIGHT.min(inner.height);
    let room = inner.height.saturating_sub(matrix_height);
    if members.len() > 1 && room >= topology::HEIGHT {
        let star = Rect { height: star_height, ..inner };
        topology::render(star, buf, scene);
        let below = Rect { y: inner.y + star_height, height: inner.height - star_height, ..inner };
        let gap = u16::from(below.height > matrix_height);
        matrix(Rect { y: below.y + gap, height: below.height - gap, ..below }, buf, scene);
    } else {
        matrix(inner, buf, scene);
    }
}

fn matrix(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    const LABEL: usize = 9;
    let members = scene.view.members();
    let room = usize::from(area.width).saturating_sub(LABEL + 1);
    let width = (room / members.len().max(1)).clamp(3, 6);
    let mut row = Row::new(buf, scene.theme, area, 0);
    row.skip(1).cell("from\\to", LABEL - 1, Tone::Dim);
    for &to in &members {
        row.cell(&to.to_string(), width, head_tone(scene, to));
    }
    for (line, &from) in (1..).zip(&members) {
        let mut row = Row::new(buf, scene.theme, area, line);
        row.skip(4).cell(&from.to_string(), LABEL - 4, head_tone(scene, from));
        for &to in &members {
            let (text, tone) = if width >= 4 { wide(scene, from, to) } else { narrow(scene, from, to) };
            row.cell(&text, width, tone);
        }
    }
}

/// The matrix with one cell a link, beside the table of nodes; its rows are the table's.
pub(super) fn small_matrix(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let members = scene.view.members();
    let mut row = Row::new(buf, scene.theme, area, 0);
    row.put("to ", Tone::Dim);
    for to in &members {
        row.cell(&to.0.to_string(), 2, Tone::Dim);
    }
    for (line, &from) in (1..).zip(&members) {
        let mut row = Row::new(buf, scene.theme, area, line);
        row.skip(3);
        for &to in &members {
            let (text, tone) = narrow(scene, from, to);
            row.cell(&text, 2, tone);
        }
    }
}

/// A member that does not run reaches nobody, whatever its links are.
fn head_tone(scene: &Scene<'_>, id: NodeId) -> Tone {
    let runs = scene.view.nodes.get(&id).is_some_and(crate::screen::state::NodeView::runs);
    if runs { scene.member_tone(id) } else { Tone::Dim }
}

fn wide(scene: &Scene<'_>, from: NodeId, to: NodeId) -> (String, Tone) {
    let glyph = |g: Glyph| scene.theme.glyph(g);
    match scene.view.links.get(from, to) {
        _ if from == to => (glyph(Glyph::Unasked).to_owned(), Tone::Dim),
        LinkState::Cut => (format!("{} ", glyph(Glyph::Cut)), Tone::Bad),
        LinkState::Slow(how) => (format!("{}{}", glyph(Glyph::Slow), slow(&how)), Tone::Slow),
        LinkState::Up if !scene.view.links.passes(to, from) => {
            (format!("{}{}", glyph(Glyph::Both), glyph(Glyph::OneWay)), Tone::Warn)
        }
        LinkState::Up => (glyph(Glyph::Both).repeat(2), Tone::Dim),
    }
}

/// The delay in milliseconds; of a link that is not slow, how much it loses or repeats.
fn slow(how: &SlowLink) -> String {
    match how {
        SlowLink { delay, .. } if !delay.is_zero() => delay.as_millis().to_string(),
        SlowLink { loss: 1.., .. } => format!("-{}", words::share(how.loss)),
        _ => format!("+{}", words::share(how.duplicate)),
    }
}

fn narrow(scene: &Scene<'_>, from: NodeId, to: NodeId) -> (String, Tone) {
    let (glyph, tone) = match scene.view.links.get(from, to) {
        _ if from == to => (Glyph::Unasked, Tone::Dim),
        LinkState::Cut => (Glyph::Cut, Tone::Bad),
        LinkState::Slow(_) => (Glyph::Slow, Tone::Slow),
        LinkState::Up if !scene.view.links.passes(to, from) => (Glyph::OneWay, Tone::Warn),
        LinkState::Up => (Glyph::Both, Tone::Dim),
    };
    (scene.theme.glyph(glyph).to_owned(), tone)
}
