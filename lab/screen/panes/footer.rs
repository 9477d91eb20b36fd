//! The last rows: keys from the table, the choice after `x X d`, or a word on the last key.

use kvlab::types::NodeId;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::scene::Scene;
use crate::run::event::LinkState;
use crate::screen::input::LinkKey;
use crate::screen::keys::{Binding, Footer, KEYS, KeyCommand, Scope};
use crate::screen::paint::Row;
use crate::screen::theme::Tone;

/// From this width on, the footer names more keys.
const WIDE: u16 = 110;

/// Draws the footer: one or two rows.
pub fn footer(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let first = Row::new(buf, scene.theme, area, 0);
    if scene.ui.proof.is_some() && scene.ui.flash.is_none() {
        return keys(first, area.width, &[Scope::Proof], None, false);
    }
    if let Some(key) = scene.ui.target {
        which_key(first, scene, key);
    } else if let Some((tone, text)) = &scene.ui.flash {
        let mut row = first;
        row.skip(1).put(text, *tone);
    } else {
        let scopes: &[Scope] = if area.height >= 2 {
            &[Scope::Move, Scope::Links, Scope::Node]
        } else {
            &[Scope::Links, Scope::Node]
        };
        keys(first, area.width, scopes, Some(scene.ui.selected), area.height < 2);
    }
    if area.height >= 2 {
        keys(Row::new(buf, scene.theme, area, 1), area.width, &[Scope::Client, Scope::Screen], None, true);
    }
}

/// Help and quit are always there, at the end.
fn keys(mut row: Row<'_>, width: u16, scopes: &[Scope], selected: Option<NodeId>, with_end: bool) {
    row.skip(1);
    if let Some(node) = selected {
        row.put(&node.to_string(), Tone::Strong).skip(2);
    }
    let is_end = |b: &&Binding| matches!(b.command, KeyCommand::Help | KeyCommand::Quit);
    let label = |b: &Binding| match b.footer {
        Footer::Always(text) => Some(text),
        Footer::Wide(text) if width >= WIDE => Some(text),
        _ => None,
    };
    let ends = if with_end { "? help  q quit ".len() } else { 0 };
    let shown = KEYS.iter().filter(|b| scopes.contains(&b.scope) && !is_end(b));
    for binding in shown {
        let Some(text) = label(binding) else { continue };
        let key = binding.label.split(' ').next().unwrap_or_default();
        if row.left() < key.len() + text.len() + 1 + ends {
            break;
        }
        row.put(key, Tone::Key).skip(1).put(text, Tone::Dim).skip(2);
    }
    if with_end {
        let gap = row.left().saturating_sub(ends);
        row.skip(gap);
        for binding in KEYS.iter().filter(is_end) {
            let Some(text) = label(binding) else { continue };
            row.put(binding.label, Tone::Key).skip(1).put(text, Tone::Dim).skip(2);
        }
    }
}

/// The other ends that there are, and what the key would do to each.
fn which_key(mut row: Row<'_>, scene: &Scene<'_>, key: LinkKey) {
    let from = scene.ui.selected;
    let what = match key {
        LinkKey::Cut => "cut both ways",
        LinkKey::CutOneWay => "cut one way",
        LinkKey::Slow => "slow by 80 ms",
    };
    row.skip(1).put(&format!("{what}: from {from} to"), Tone::Strong);
    for to in scene.view.members().into_iter().filter(|&n| n != from) {
        let bent = match (key, scene.view.links.get(from, to), scene.view.links.get(to, from)) {
            (LinkKey::Slow, a, b) => [a, b].iter().any(|l| matches!(l, LinkState::Slow(_))),
            (LinkKey::CutOneWay, a, _) => a == LinkState::Cut,
            (LinkKey::Cut, a, b) => [a, b].contains(&LinkState::Cut),
        };
        row.skip(2).put(&to.0.to_string(), Tone::Key).skip(1).put(&to.to_string(), Tone::Text);
        if bent {
            row.put(" (heals it)", Tone::Dim);
        }
    }
    row.skip(3).put("Esc", Tone::Key).put(" leaves it", Tone::Dim);
}
