//! The screen drawn from a run's events, without a terminal.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Rect, Size};

use crate::screen::input::ProofCard;
use crate::screen::{self, Theme, UiState, ViewState};

/// The screen of a state, by the same drawing as on the live terminal; with the proof of this violation opened.
pub fn frame(view: &ViewState, proof: Option<usize>, size: Size, theme: Theme) -> Buffer {
    let proof = proof.map(|index| ProofCard { index, scroll: 0 });
    let mut ui = UiState { proof, ..UiState::default() };
    // Nobody is at the keys: the member that matters most is selected.
    if let Some(leader) = view.claims().last() {
        ui.selected = leader.node;
    }
    let area = Rect::from((ratatui::layout::Position::ORIGIN, size));
    let mut buf = Buffer::empty(area);
    screen::render(area, &mut buf, view, &ui, theme);
    buf
}

/// The frame as plain text, one line a row, without spaces at their ends.
pub fn to_text(buf: &Buffer) -> String {
    let mut text = String::new();
    for y in buf.area.top()..buf.area.bottom() {
        let row: String =
            (buf.area.left()..buf.area.right()).filter_map(|x| buf.cell((x, y))).map(Cell::symbol).collect();
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}
