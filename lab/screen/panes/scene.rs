//! What every pane draws from, and what several of them draw alike.

use kvlab::types::{NodeId, Role};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::screen::input::UiState;
use crate::screen::layout::{Extent, Pane};
use crate::screen::paint;
use crate::screen::state::{Health, NodeView, Severity, ViewState};
use crate::screen::theme::{Glyph, Theme, Tone};

/// All that a pane draws from.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// What is so.
    pub view: &'a ViewState,
    /// What the person decides.
    pub ui: &'a UiState,
    pub theme: Theme,
    pub extent: Extent,
}

impl Scene<'_> {
    /// Draws a pane's frame and gives what is within.
    pub(super) fn frame(&self, area: Rect, buf: &mut Buffer, pane: Pane, title: &str, remark: &str) -> Rect {
        let remark = match self.extent {
            Extent::Single if remark.is_empty() && self.ui.zoom => "z goes back",
            Extent::Single if remark.is_empty() => "Tab: next pane",
            _ => remark,
        };
        paint::frame(area, buf, self.theme, self.ui.focus == pane, title, remark)
    }

    /// How a member's name looks.
    pub(super) fn member_tone(&self, id: NodeId) -> Tone {
        match self.view.nodes.get(&id).and_then(|n| n.role) {
            _ if self.view.is_old_primary(id) => Tone::Bad,
            Some(Role::Primary) => Tone::Primary,
            _ => Tone::Text,
        }
    }
    /// The sign of a member: leads, is well, is not.
    pub(super) fn member_sign(&self, node: &NodeView) -> Glyph {
        match node.role {
            Some(Role::Primary) => Glyph::Primary,
            _ if node.runs() && self.view.health(node.id) != Health::Isolated => Glyph::Member,
            _ => Glyph::Gone,
        }
    }

    /// The word for a member's part.
    pub(super) fn role_word(&self, node: &NodeView) -> &'static str {
        match node.role {
            Some(Role::Primary) if self.view.is_old_primary(node.id) => "OLD PRIMARY",
            Some(Role::Primary) => "PRIMARY",
            Some(Role::Replica) => "replica",
            Some(Role::Candidate) => "candidate",
            Some(Role::Learner) => "learner",
            None => "-",
        }
    }
}

/// How bad it is, as a tone.
pub(super) fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Calm => Tone::Ok,
        Severity::Busy => Tone::Slow,
        Severity::Hurt => Tone::Warn,
        Severity::Alarm => Tone::Bad,
    }
}
