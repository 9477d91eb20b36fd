//! A question over the middle of the screen, answered with y or n.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Clear, Widget};

use super::scene::Scene;
use crate::screen::input::Question;
use crate::screen::paint::{self, Row};
use crate::screen::theme::Tone;
use crate::text::words;

/// Draws the question, if one is asked.
pub fn question(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let Some(question) = scene.ui.question else { return };
    let (title, text, yes, no) = match question {
        Question::Force(node) => (
            format!("Promote {node} by force?"),
            "It asks nobody for a vote. There may be two primaries then, and writes that were acknowledged may be \
             lost. P asks for votes instead.",
            "make it primary",
            "leave it",
        ),
        Question::Wipe(node) => (
            format!("Wipe {node} and restart it?"),
            "Its log and its promises are gone for good. It comes back as a learner, which neither votes nor counts \
             until it has caught up. That is one member failed.",
            "throw its data away",
            "keep it",
        ),
        Question::Quit => (
            "Quit?".to_owned(),
            "The scenario still runs. Without its end there is no verdict.",
            "quit without a verdict",
            "go on",
        ),
    };
    let width = 58.min(area.width);
    let lines = words::wrap(text, usize::from(width.saturating_sub(4)), 5);
    let height = u16::try_from(lines.len() + 4).unwrap_or(u16::MAX).min(area.height);
    let popup = area.centered(Constraint::Length(width), Constraint::Length(height));
    Clear.render(popup, buf);
    let inner = paint::frame(popup, buf, scene.theme, true, &title, "");
    for (line, text) in (0..).zip(&lines) {
        Row::new(buf, scene.theme, inner, line).skip(1).put(text, Tone::Text);
    }
    let mut row = Row::new(buf, scene.theme, inner, inner.height.saturating_sub(1));
    row.skip(1).put("y", Tone::Key).skip(1).put(yes, Tone::Bad);
    row.skip(4).put("n", Tone::Key).skip(1).put(no, Tone::Text);
}
