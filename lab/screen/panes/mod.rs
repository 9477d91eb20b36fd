//! The panes, one a file. Each draws into its area from [`Scene`], and nowhere else.

mod events;
mod footer;
mod header;
mod help;
mod links;
mod load;
mod nodes;
mod proof;
mod question;
mod script;
mod topology;
mod verdict;
mod votes;

use kvlab::types::NodeId;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::input::UiState;
use super::layout::{Extent, Pane};
use super::paint;
use super::state::{Severity, ViewState};
use super::theme::{Theme, Tone};

pub use self::footer::footer;
pub use self::header::{header, situation};
pub use self::help::help;
pub use self::proof::proof;
pub use self::question::question;
pub use self::script::script_line;
pub use self::verdict::verdict;

/// All that a pane draws from.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// What is so.
    pub view: &'a ViewState,
    /// What the person decides.
    pub ui: &'a UiState,
    /// How it looks.
    pub theme: Theme,
    /// How much is shown.
    pub extent: Extent,
}

impl Scene<'_> {
    /// Draws a pane's frame and gives what is within.
    fn frame(&self, area: Rect, buf: &mut Buffer, pane: Pane, title: &str, remark: &str) -> Rect {
        let remark = match self.extent {
            Extent::Single if remark.is_empty() && self.ui.zoom => "z goes back",
            Extent::Single if remark.is_empty() => "Tab: next pane",
            _ => remark,
        };
        paint::frame(area, buf, self.theme, self.ui.focus == pane, title, remark)
    }

    /// How a member's name looks.
    fn member_tone(&self, id: NodeId) -> Tone {
        match self.view.nodes.get(&id).and_then(|n| n.role) {
            _ if self.view.is_old_primary(id) => Tone::Bad,
            Some(kvlab::types::Role::Primary) => Tone::Primary,
            _ => Tone::Text,
        }
    }
}

/// Draws one pane.
pub fn pane(area: Rect, buf: &mut Buffer, scene: &Scene<'_>, pane: Pane) {
    match pane {
        Pane::Nodes => nodes::render(area, buf, scene),
        Pane::Links => links::render(area, buf, scene),
        Pane::Votes => votes::render(area, buf, scene),
        Pane::Load => load::render(area, buf, scene),
        Pane::Events => events::render(area, buf, scene),
        Pane::Script => script::render(area, buf, scene),
    }
}

fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Calm => Tone::Ok,
        Severity::Busy => Tone::Slow,
        Severity::Hurt => Tone::Warn,
        Severity::Alarm => Tone::Bad,
    }
}
