//! The proof of a broken promise, over the screen: its operations in space and time, why no order explains them, and
//! which rule was broken.

use kvlab::judge::{Diagram, Lane, Violation};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Clear, Widget};

use super::scene::Scene;
use crate::screen::input::PROOF_LINES_MAX;
use crate::screen::paint::{self, Row};
use crate::screen::theme::{Charset, Glyph, Tone};
use crate::text::words;

/// Lines longer than this are hard to read.
const WIDTH_MAX: u16 = 112;

/// A line of the card.
enum Line {
    Lane(Lane),
    Text(String, Tone),
    Blank,
}

/// Draws the card over `area`, if it is open and there is a proof.
pub fn proof(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let violations = scene.view.evidence.violations();
    let (Some(card), Some(last)) = (scene.ui.proof, violations.len().checked_sub(1)) else { return };
    let index = card.index.min(last);
    let violation = &violations[index];
    let width = WIDTH_MAX.min(area.width);
    let lines = lines(scene, violation, usize::from(width.saturating_sub(4)));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let popup = area.centered(Constraint::Length(width), Constraint::Length(height));
    Clear.render(popup, buf);
    let visible = usize::from(height.saturating_sub(2));
    let start = card.scroll.min(lines.len().saturating_sub(visible));
    let more = if start + visible < lines.len() { ", goes on below" } else { "" };
    let remark = format!("{} of {}{more}", index + 1, last + 1);
    let inner = paint::frame(popup, buf, scene.theme, true, title(violation), &remark);
    for (row, line) in (0..).zip(lines.iter().skip(start).take(visible)) {
        draw(Row::new(buf, scene.theme, inner, row), line, scene.theme.charset);
    }
}

fn title(violation: &Violation) -> &'static str {
    if violation.linearizability { "Proof: NOT linearizable" } else { "Proof: a value that nobody wrote" }
}

fn lines(scene: &Scene<'_>, violation: &Violation, width: usize) -> Vec<Line> {
    let text = |text: &str, tone: Tone| {
        let wrapped = words::wrap(text, width.max(1), PROOF_LINES_MAX);
        wrapped.into_iter().map(move |line| Line::Text(line, tone)).collect::<Vec<_>>()
    };
    let mut lines = vec![Line::Blank];
    let diagram = Diagram::with_rule(violation, None);
    lines.extend(diagram.lanes(width).into_iter().map(Line::Lane));
    lines.push(Line::Blank);
    lines.extend(text(&format!("key {:?}: {}", violation.key, violation.explanation()), Tone::Text));
    if let Some(rule) = scene.view.evidence.rule(violation) {
        lines.push(Line::Blank);
        lines.push(Line::Text("The rule that was broken".to_owned(), Tone::Strong));
        let sign = scene.theme.glyph(Glyph::No);
        lines.extend(text(&format!("{sign} {rule}"), Tone::Bad));
    }
    lines
}

fn draw(mut row: Row<'_>, line: &Line, charset: Charset) {
    row.skip(1);
    match line {
        Line::Blank => {}
        Line::Text(text, tone) => {
            row.put(text, *tone);
        }
        Line::Lane(Lane { text, accused }) => {
            let accused = accused.clone().unwrap_or(0..0);
            let part = |skip: usize, take: usize| -> String { text.chars().skip(skip).take(take).collect() };
            row.put(&part(0, accused.start), Tone::Text);
            row.put(&heavy(&part(accused.start, accused.len()), charset), Tone::Bad);
            row.put(&part(accused.end, usize::MAX), Tone::Text);
        }
    }
}

/// In 7 bits, the bar of the accused operation must still differ from the others.
fn heavy(bar: &str, charset: Charset) -> String {
    match charset {
        Charset::Unicode => bar.to_owned(),
        Charset::Ascii => bar.replace(['┣', '┫'], "#").replace('━', "="),
    }
}
