//! The last operations, and what each member had to say to each.

use std::time::Duration;

use kvlab::judge::{Consistency, OpKind};
use kvlab::types::{NodeId, Vote};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::scene::Scene;
use crate::run::event::{Operation, Outcome};
use crate::screen::layout::{Extent, Pane};
use crate::screen::paint::Row;
use crate::screen::theme::{Glyph, Tone};
use crate::text::words;

/// Widths of the columns of one drawing.
struct Columns {
    kind: usize,
    at: usize,
    key: usize,
    vote: usize,
    count: usize,
    result: usize,
    took: usize,
}

/// Cells of the number of an operation, the gap after it included.
const NUMBER: usize = 8;

impl Columns {
    fn fitting(width: usize, members: usize) -> Self {
        let mut columns = Self { kind: 13, at: 4, key: 6, vote: 3, count: 5, result: 11, took: 6 };
        let needs =
            |c: &Self| NUMBER + c.kind + c.at + c.key + c.vote * members + c.count + c.result + c.took;
        let narrower: [fn(&mut Self); 5] =
            [|c| c.kind = 6, |c| c.vote = 2, |c| c.took = 0, |c| c.at = 0, |c| c.count = 0];
        for make in narrower {
            if needs(&columns) > width {
                make(&mut columns);
            }
        }
        let spare = width.saturating_sub(needs(&columns));
        columns.key += spare.min(10);
        columns.result += spare.saturating_sub(10).min(12);
        columns
    }
}

/// Draws the pane.
pub fn render(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let inner = scene.frame(area, buf, Pane::Votes, "Votes of the last operations", "");
    let members = scene.view.members();
    let columns = Columns::fitting(usize::from(inner.width), members.len());
    let legend = u16::from(scene.extent != Extent::Compact && inner.height >= 5);
    let head_height = u16::from(inner.height >= 3);
    if head_height > 0 {
        head(inner, buf, scene, &members, &columns);
    }
    let rows = usize::from(inner.height.saturating_sub(legend + head_height));
    if scene.view.asked.is_empty() && scene.view.operations.is_empty() {
        let mut row = Row::new(buf, scene.theme, inner, head_height);
        row.skip(2).put("none yet: w writes, b starts background load", Tone::Dim);
    }
    for (line, (operation, mine)) in (head_height..).zip(chosen(scene, rows)) {
        let row = Row::new(buf, scene.theme, inner, line);
        draw(row, scene, operation, mine, &members, &columns);
    }
    if legend > 0 {
        self::legend(Row::new(buf, scene.theme, inner, inner.height - 1));
    }
}

/// What was asked for by a person or a step keeps up to half of the rows, above the background's.
fn chosen<'a>(scene: &Scene<'a>, rows: usize) -> Vec<(&'a Operation, bool)> {
    let view = scene.view;
    let background = view.operations.len();
    let asked = view.asked.len().min(rows.saturating_sub(background).max(rows.div_ceil(2)));
    let mine = view.asked.iter().rev().take(asked).map(|(_, operation)| (operation, true));
    let others = view.operations.iter().rev().take(rows - asked).map(|(_, operation)| (operation, false));
    mine.chain(others).collect()
}

fn head(inner: Rect, buf: &mut Buffer, scene: &Scene<'_>, members: &[NodeId], columns: &Columns) {
    let mut row = Row::new(buf, scene.theme, inner, 0);
    row.cell("  op", NUMBER, Tone::Dim).cell("kind", columns.kind, Tone::Dim);
    if columns.at > 0 {
        row.cell("at", columns.at, Tone::Dim);
    }
    row.cell("key", columns.key, Tone::Dim);
    for member in members {
        let name = if columns.vote >= 3 { member.to_string() } else { member.0.to_string() };
        row.cell(&name, columns.vote, Tone::Dim);
    }
    row.cell(if columns.count > 0 { "acks" } else { "" }, columns.count, Tone::Dim);
    row.cell("result", columns.result, Tone::Dim);
    if columns.took > 0 {
        row.cell_right("ms", columns.took.min(row.left()), Tone::Dim);
    }
}

fn draw(
    mut row: Row<'_>,
    scene: &Scene<'_>,
    operation: &Operation,
    mine: bool,
    members: &[NodeId],
    columns: &Columns,
) {
    if mine {
        row.sign(Glyph::Selected, Tone::Key);
    } else {
        row.skip(1);
    }
    let plain = if mine { Tone::Strong } else { Tone::Text };
    row.cell(
        &format!("#{}", words::count(operation.i, 6)),
        NUMBER - 1,
        if mine { Tone::Strong } else { Tone::Dim },
    );
    let long = words::operation(operation.op, operation.consistency);
    let level = match operation.consistency {
        Consistency::Async => "a",
        Consistency::Eventual => "e",
        Consistency::Quorum => "q",
    };
    let short = format!("{} {level}", words::verb(operation.op));
    row.cell(if columns.kind > 12 { &long } else { &short }, columns.kind, plain);
    if columns.at > 0 {
        row.cell(&operation.home.to_string(), columns.at, scene.member_tone(operation.home));
    }
    row.cell(&words::clip(&operation.key, columns.key - 1), columns.key, plain);
    for &member in members {
        let (glyph, tone) = vote(operation, member);
        row.cell(scene.theme.glyph(glyph), columns.vote, tone);
    }
    let acks = operation.votes.iter().filter(|v| v.vote == Vote::Ack).count();
    let count = if operation.votes.is_empty() { "-".into() } else { format!("{acks}/{}", members.len()) };
    row.cell(if columns.count > 0 { &count } else { "" }, columns.count, Tone::Dim);
    let (result, tone) = result(operation);
    row.cell(&words::clip(&result, columns.result - 1), columns.result, tone);
    if columns.took > 0 {
        row.cell_right(&words::ms(operation.took_us), columns.took.min(row.left()), Tone::Dim);
    }
}

fn vote(operation: &Operation, member: NodeId) -> (Glyph, Tone) {
    let said = operation.votes.iter().find(|v| v.node == member).map(|v| v.vote);
    match said {
        Some(Vote::Ack) => (Glyph::Yes, Tone::Done),
        Some(Vote::Nack) => (Glyph::No, Tone::Bad),
        Some(Vote::Pending) => (Glyph::Pending, Tone::Dim),
        Some(Vote::Timeout) => (Glyph::Timeout, Tone::Warn),
        Some(Vote::Unreachable) => (Glyph::Cut, Tone::Bad),
        None if operation.votes.is_empty() && operation.node == Some(member) => match operation.outcome {
            Outcome::Ok => (Glyph::Yes, Tone::Done),
            Outcome::Failed(_) => (Glyph::No, Tone::Warn),
            Outcome::Unknown(_) => (Glyph::Timeout, Tone::Warn),
        },
        None => (Glyph::Unasked, Tone::Dim),
    }
}

fn result(operation: &Operation) -> (String, Tone) {
    match &operation.outcome {
        Outcome::Failed(_) => ("refused".to_owned(), Tone::Warn),
        Outcome::Unknown(_) => ("UNKNOWN".to_owned(), Tone::Bad),
        Outcome::Ok => match (operation.op, operation.consistency, operation.stale_ms) {
            (OpKind::Get, _, Some(ms)) => {
                (format!("STALE {}", words::age(Duration::from_millis(ms)).replace(' ', "")), Tone::Warn)
            }
            (OpKind::Get, _, None) => {
                (operation.value.clone().unwrap_or_else(|| "absent".to_owned()), Tone::Text)
            }
            (_, Consistency::Quorum, _) => ("committed".to_owned(), Tone::Done),
            _ => ("acked".to_owned(), Tone::Text),
        },
    }
}

fn legend(mut row: Row<'_>) {
    let signs = [
        (Glyph::Yes, Tone::Done, "ack"),
        (Glyph::No, Tone::Bad, "nack"),
        (Glyph::Timeout, Tone::Warn, "timeout"),
        (Glyph::Cut, Tone::Bad, "no link"),
        (Glyph::Pending, Tone::Dim, "pending"),
        (Glyph::Unasked, Tone::Dim, "unasked"),
    ];
    for (glyph, tone, text) in signs {
        row.skip(1).sign(glyph, tone).skip(1).put(text, Tone::Dim).skip(1);
    }
}
