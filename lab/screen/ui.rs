//! The whole screen as one pure function of the run's state, the person's choices and the theme.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::input::UiState;
use super::layout::{COMPACT_SIZE, Extent, layout};
use super::paint::Row;
use super::panes::{self, Scene};
use super::state::ViewState;
use super::theme::{Theme, Tone};

/// Draws the screen into `area`, and nothing outside it.
pub fn render(area: Rect, buf: &mut Buffer, view: &ViewState, ui: &UiState, theme: Theme) {
    let area = area.intersection(buf.area);
    match layout(area, view.members().len(), ui.focus, ui.zoom) {
        None => too_small(area, buf, theme),
        Some(layout) => {
            let scene = Scene { view, ui, theme, extent: layout.extent };
            panes::header(layout.header, buf, &scene);
            panes::situation(layout.situation, buf, &scene);
            panes::verdict(layout.verdict, buf, &scene);
            for (pane, area) in &layout.panes {
                panes::pane(*area, buf, &scene, *pane);
            }
            if layout.extent == Extent::Compact {
                panes::script_line(layout.script_line, buf, &scene);
            }
            panes::footer(layout.footer, buf, &scene);
            if ui.help {
                panes::help(area, buf, &scene);
            }
            // The keys of the card stay in sight.
            let above = Rect { height: layout.footer.y.saturating_sub(area.y), ..area };
            panes::proof(above, buf, &scene);
            panes::conditions(above, buf, &scene);
            panes::question(area, buf, &scene);
        }
    }
    theme.finish(buf);
}

fn too_small(area: Rect, buf: &mut Buffer, theme: Theme) {
    let (width, height) = COMPACT_SIZE;
    let text = format!("{width}x{height} needed, have {}x{}", area.width, area.height);
    let middle = area.height / 2;
    let mut row = Row::new(buf, theme, area, middle);
    row.skip(row.left().saturating_sub(text.len()) / 2).put(&text, Tone::Strong);
}
