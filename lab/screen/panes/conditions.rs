//! `c`: the menu of the conditions of a member, or of its links to another, from the table of keys.

use kvlab::types::NodeId;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Clear, Widget};

use super::scene::Scene;
use crate::run::event::LinkState;
use crate::screen::keys::{Danger, KEYS, KeyCommand, Scope};
use crate::screen::menu::{self, Menu};
use crate::screen::paint::{self, Row};
use crate::screen::theme::Tone;
use crate::text::words;

/// Cells of the menu.
const WIDTH: u16 = 62;
/// Cells of a key.
const KEY: usize = 5;
/// Cells of `on`, at the right.
const ON: usize = 4;

/// Draws the menu, if it is open.
pub fn conditions(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let Some(menu) = scene.ui.menu else { return };
    let (node, view) = (scene.ui.selected, scene.view);
    let (scope, title, now) = match menu {
        Menu::Node => (Scope::NodeMenu, format!("Conditions of {node}"), of_node(scene, node)),
        Menu::Link(to) => {
            (Scope::LinkMenu, format!("The links {node} to {to} and back"), of_links(scene, node, to))
        }
    };
    let rows: Vec<_> = KEYS.iter().filter(|binding| binding.scope == scope).collect();
    let height = u16::try_from(rows.len() + 4).unwrap_or(u16::MAX).min(area.height);
    let popup = area.centered(Constraint::Length(WIDTH.min(area.width)), Constraint::Length(height));
    Clear.render(popup, buf);
    let inner = paint::frame(popup, buf, scene.theme, true, &title, "");
    let mut row = Row::new(buf, scene.theme, inner, 0);
    let width = row.left().saturating_sub(2);
    row.skip(1).put("now: ", Tone::Dim).put(&words::clip(&now, width.saturating_sub(5)), Tone::Strong);
    for (line, binding) in (2..).zip(rows) {
        let on = match menu {
            Menu::Node => menu::node_is_on(binding.command, node, view),
            Menu::Link(to) => menu::link_is_on(binding.command, (node, to), view),
        };
        let tone = match (binding.danger, binding.command) {
            (_, KeyCommand::Back) => Tone::Dim,
            (Danger::Safe, _) => Tone::Text,
            _ => Tone::Warn,
        };
        let mut row = Row::new(buf, scene.theme, inner, line);
        row.skip(1).cell(binding.label, KEY, Tone::Key);
        let width = row.left().saturating_sub(ON);
        row.cell(binding.help, width, tone).put(if on { " on" } else { "" }, Tone::Strong);
    }
}

/// The conditions of a member's disk and clock, in words.
fn of_node(scene: &Scene<'_>, node: NodeId) -> String {
    let set = scene.view.nodes.get(&node).map(crate::screen::state::NodeView::conditions).unwrap_or_default();
    if set.is_empty() { "disk and clock are as they should be".to_owned() } else { set.join(", ") }
}

/// What the links between two members do, in words.
fn of_links(scene: &Scene<'_>, a: NodeId, b: NodeId) -> String {
    let say = |from, to| match scene.view.links.get(from, to) {
        LinkState::Up => "up".to_owned(),
        LinkState::Cut => "cut".to_owned(),
        LinkState::Slow(how) => words::slow_link(&how),
    };
    let (there, back) = (say(a, b), say(b, a));
    if there == back { format!("{there}, both ways") } else { format!("{there}; back: {back}") }
}
