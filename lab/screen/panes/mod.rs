//! The panes, one a file. Each draws into its area from a [`Scene`], and nowhere else.

mod conditions;
mod events;
mod footer;
mod header;
mod help;
mod links;
mod load;
mod nodes;
mod proof;
mod question;
mod scene;
mod script;
mod topology;
mod verdict;
mod votes;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::layout::Pane;

pub use self::conditions::conditions;
pub use self::footer::footer;
pub use self::header::{header, situation};
pub use self::help::help;
pub use self::proof::proof;
pub use self::question::question;
pub use self::scene::Scene;
pub use self::script::script_line;
pub use self::verdict::verdict;

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
