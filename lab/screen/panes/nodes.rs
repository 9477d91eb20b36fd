//! The table of members: the role of each, its state, where its log ends and how far it is behind.

use std::time::Duration;

use kvlab::types::{NodeId, Role};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::scene::{Scene, severity_tone};
use crate::run::event::LinkState;
use crate::screen::layout::{Extent, Pane};
use crate::screen::paint::{self, Row};
use crate::screen::state::{Freshness, Health, NodeView};
use crate::screen::theme::{Glyph, Tone};
use crate::text::words;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Name,
    Role,
    State,
    Epoch,
    Seq,
    Commit,
    Lag,
    Applied,
    Stale,
    Vote,
}

/// Left to right: the heading, and the width with the gap after it.
const COLUMNS: [(Column, &str, usize); 10] = [
    (Column::Name, "  node", 7),
    (Column::Role, "role", 12),
    (Column::State, "state", 11),
    (Column::Epoch, "epoch", 7),
    (Column::Seq, "seq", 7),
    (Column::Commit, "commit", 7),
    (Column::Lag, "lag", 6),
    (Column::Applied, "app/s", 6),
    (Column::Stale, "stale", 6),
    (Column::Vote, "vote", 8),
];
/// Numbers stand at the right of their column.
const NUMBERS: [Column; 5] = [Column::Seq, Column::Commit, Column::Lag, Column::Applied, Column::Stale];
/// What goes first when it gets narrow. Never `Stale`: the age of what is not live takes its place.
const DROP_FIRST: [Column; 6] =
    [Column::Vote, Column::Applied, Column::Commit, Column::Seq, Column::Role, Column::Epoch];

/// Draws the pane.
pub fn render(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let remark = match scene.extent {
        Extent::Compact => "1-9 selects",
        Extent::Full | Extent::Single => "",
    };
    let inner = scene.frame(area, buf, Pane::Nodes, "Nodes", remark);
    let members = scene.view.members();
    let matrix = if scene.extent == Extent::Compact { 3 + 2 * members.len() } else { 0 };
    let columns = fitting(usize::from(inner.width).saturating_sub(matrix));
    head(inner, buf, scene, &columns);
    // Where there is no room for all, the selected one is among those shown.
    let room = usize::from(inner.height.saturating_sub(1));
    let selected = members.iter().position(|&n| n == scene.ui.selected).unwrap_or(0);
    let hidden = (selected + 1).saturating_sub(room).min(members.len().saturating_sub(room));
    for (line, &id) in (1..).zip(members.iter().skip(hidden)) {
        member(inner, buf, scene, line, id, &columns);
    }
    if matrix > 0 && usize::from(inner.width) > matrix {
        let width = u16::try_from(matrix - 1).unwrap_or(0);
        let beside = Rect { x: inner.right() - width, width, ..inner };
        super::links::small_matrix(beside, buf, scene);
    }
    let used = u16::try_from(members.len() + 1).unwrap_or(u16::MAX).min(inner.height);
    let below = Rect { y: inner.y + used, height: inner.height - used, ..inner };
    below_table(below, buf, scene);
}

fn fitting(width: usize) -> Vec<(Column, &'static str, usize)> {
    let mut columns = COLUMNS.to_vec();
    for drop in DROP_FIRST {
        if columns.iter().map(|(_, _, width)| width).sum::<usize>() <= width + 1 {
            break;
        }
        columns.retain(|(column, ..)| *column != drop);
    }
    columns
}

fn head(inner: Rect, buf: &mut Buffer, scene: &Scene<'_>, columns: &[(Column, &str, usize)]) {
    let mut row = Row::new(buf, scene.theme, inner, 0);
    for &(column, title, width) in columns {
        cell(&mut row, column, title, width, Tone::Dim);
    }
}

/// A cell of the table and the gap after it.
fn cell(row: &mut Row<'_>, column: Column, text: &str, width: usize, tone: Tone) {
    if NUMBERS.contains(&column) {
        row.cell_right(text, width - 1, tone).skip(1);
    } else {
        row.cell(text, width - 1, tone).skip(1);
    }
}

fn member(
    inner: Rect,
    buf: &mut Buffer,
    scene: &Scene<'_>,
    line: u16,
    id: NodeId,
    columns: &[(Column, &str, usize)],
) {
    let mut row = Row::new(buf, scene.theme, inner, line);
    let Some(node) = scene.view.nodes.get(&id) else { return };
    let age = match node.freshness(scene.view.now_us) {
        Freshness::Old(age) => Some(age),
        _ => None,
    };
    let is_rate = |column| matches!(column, Column::Applied | Column::Stale);
    let rates: usize =
        columns.iter().filter(|(column, ..)| is_rate(*column)).map(|(_, _, width)| width).sum();
    let mut aged = false;
    for &(column, _, width) in columns {
        match (column, age) {
            (Column::Name, _) => name(&mut row, scene, node),
            // What is not live has its age where the rates would be.
            (Column::Applied | Column::Stale, Some(age)) => {
                if !aged {
                    row.cell_right(&ago(age, rates - 1), rates - 1, Tone::Warn).skip(1);
                }
                aged = true;
            }
            _ => {
                let (text, tone) = value(scene, node, column);
                cell(&mut row, column, &text, width, tone);
            }
        }
    }
}

fn name(row: &mut Row<'_>, scene: &Scene<'_>, node: &NodeView) {
    if scene.ui.selected == node.id {
        row.sign(Glyph::Selected, Tone::Key);
    } else {
        row.skip(1);
    }
    let tone = scene.member_tone(node.id);
    let sign = scene.member_sign(node);
    let selected = if scene.ui.selected == node.id && tone == Tone::Text { Tone::Strong } else { tone };
    row.sign(sign, tone).skip(1).cell(&node.id.to_string(), 4, selected);
}

fn value(scene: &Scene<'_>, node: &NodeView, column: Column) -> (String, Tone) {
    let view = scene.view;
    let known = if node.freshness(view.now_us) == Freshness::Live { Tone::Text } else { Tone::Dim };
    let status = node.status.as_ref();
    let or_none = |text: Option<String>, tone: Tone| text.map_or(("-".to_owned(), Tone::Dim), |t| (t, tone));
    match column {
        Column::Name => (node.id.to_string(), known),
        Column::Role => (scene.role_word(node).to_owned(), scene.member_tone(node.id)),
        Column::State => {
            let health = view.health(node.id);
            let tone = match health {
                Health::Up => Tone::Text,
                _ => severity_tone(health.severity()),
            };
            (health.word(), tone)
        }
        Column::Epoch => {
            let tone = if view.is_old_primary(node.id) { Tone::Bad } else { known };
            or_none(status.map(|_| node.term.to_string()), tone)
        }
        Column::Seq => or_none(status.map(|s| words::count(s.last.index, 6)), known),
        Column::Commit => or_none(status.and_then(|s| s.commit).map(|commit| words::count(commit, 6)), known),
        Column::Lag => {
            let lag = view.lag(node.id);
            let tone = if view.is_behind(node.id) { Tone::Warn } else { known };
            or_none(lag.map(|l| words::count(l, 5)), tone)
        }
        Column::Applied => or_none(status.map(|s| words::count(s.applied_per_s, 5)), known),
        Column::Stale => match status.map(|s| s.stale) {
            Some(true) => ("YES".to_owned(), Tone::Warn),
            Some(false) => ("no".to_owned(), Tone::Dim),
            None => ("-".to_owned(), Tone::Dim),
        },
        Column::Vote => vote(scene, node),
    }
}

/// The age of what is not live, in `width` cells.
fn ago(age: Duration, width: usize) -> String {
    let long = format!("{} ago", words::age(age));
    if long.len() <= width {
        return long;
    }
    match age.as_secs() {
        0..1_000 => format!("-{}s", age.as_secs()),
        seconds => format!("-{}m", (seconds / 60).min(999)),
    }
}

fn vote(scene: &Scene<'_>, node: &NodeView) -> (String, Tone) {
    match &node.last_vote {
        None => ("-".to_owned(), Tone::Dim),
        Some(vote) => {
            let (sign, tone) = if vote.granted { (Glyph::Yes, Tone::Text) } else { (Glyph::No, Tone::Warn) };
            (format!("{} {}", scene.theme.glyph(sign), vote.term), tone)
        }
    }
}

/// Lag over time, and what else is known of the selected member.
fn below_table(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let members = scene.view.members();
    let follows = |n: &&NodeView| members.contains(&n.id) && n.role != Some(Role::Primary);
    let replicas: Vec<_> = scene.view.nodes.values().filter(follows).collect();
    let details = 3.min(area.height);
    let rest = area.height - details;
    let columns = if area.width >= 60 { 2 } else { 1 };
    let rows = u16::try_from(replicas.len().div_ceil(columns)).unwrap_or(u16::MAX);
    // A blank line sets the lag off, if there is one to spare.
    let gap = u16::from(rest > rows + 1);
    let shown = rows.min(rest.saturating_sub(gap));
    if members.len() > 1 && shown > 0 {
        let lag = Rect { y: area.y + gap, height: shown, ..area };
        lags(lag, buf, scene, &replicas, columns);
    }
    let below = Rect { y: area.bottom() - details, height: details, ..area };
    self::details(below, buf, scene);
}

fn lags(area: Rect, buf: &mut Buffer, scene: &Scene<'_>, nodes: &[&NodeView], columns: usize) {
    const LABEL: usize = 7;
    let width = usize::from(area.width) / columns;
    let cells = width.saturating_sub(LABEL + 4 + 6).min(60);
    let seen = |n: &&NodeView| n.lag.iter().filter_map(|(_, lag)| *lag).max().unwrap_or(0);
    let max = nodes.iter().map(seen).max().unwrap_or(0).max(10);
    for (i, node) in nodes.iter().enumerate() {
        let line = u16::try_from(i / columns).unwrap_or(u16::MAX);
        let mut row = Row::new(buf, scene.theme, area, line);
        row.skip(i % columns * width);
        row.put(if i == 0 { "  lag  " } else { "       " }, Tone::Dim);
        row.cell(&node.id.to_string(), 3, scene.member_tone(node.id));
        let values = lag_columns(node, scene.view.now_us, cells);
        let lag = scene.view.lag(node.id);
        let tone = if scene.view.is_behind(node.id) { Tone::Warn } else { Tone::Ok };
        paint::sparkline(&mut row, &values, max, tone);
        row.skip(1).cell(&lag.map_or("-".to_owned(), |l| words::count(l, 5)), 6, tone);
    }
}

/// The greatest lag of each second, the newest last.
fn lag_columns(node: &NodeView, now_us: u64, count: usize) -> Vec<Option<u64>> {
    let mut columns = vec![None; count];
    for (t_us, lag) in node.lag.iter() {
        let back =
            usize::try_from((now_us / 1_000_000).saturating_sub(t_us / 1_000_000)).unwrap_or(usize::MAX);
        if let Some(at) = count.checked_sub(1).and_then(|newest| newest.checked_sub(back)) {
            columns[at] = columns[at].max(*lag);
        }
    }
    columns
}

/// What the lab has set of a member's disk and clock, and of its links, in words.
fn conditions(scene: &Scene<'_>, node: &NodeView) -> String {
    let mut set = node.conditions();
    for to in scene.view.members() {
        if let LinkState::Slow(how) = scene.view.links.get(node.id, to) {
            set.push(format!("to {to} {}", words::slow_link(&how)));
        }
    }
    set.join("; ")
}

fn details(area: Rect, buf: &mut Buffer, scene: &Scene<'_>) {
    let Some(node) = scene.view.nodes.get(&scene.ui.selected) else { return };
    let theme = scene.theme;
    let fact = |row: &mut Row<'_>, label: &str, value: &str| {
        if words::width(label) + words::width(value) + 3 <= row.left() {
            row.skip(2).put(label, Tone::Dim).put(value, Tone::Text);
        }
    };
    let mut row = Row::new(buf, theme, area, 0);
    row.skip(1).sign(Glyph::Selected, Tone::Key).put(&node.id.to_string(), Tone::Strong);
    fact(&mut row, "process ", &node.pid().map_or("none".to_owned(), |p| p.to_string()));
    if let Some(status) = &node.status {
        fact(&mut row, "up ", &words::age(Duration::from_millis(status.uptime_ms)));
        fact(&mut row, "log ", &words::bytes(status.log_bytes));
        fact(&mut row, "keys ", &status.keys.to_string());
        fact(&mut row, "clients ", &status.connections.to_string());
    }
    fact(&mut row, "restarts ", &node.starts.saturating_sub(1).to_string());

    let mut row = Row::new(buf, theme, area, 1);
    row.skip(2);
    if let Some(status) = &node.status {
        fact(&mut row, "log ends ", &status.last.to_string());
        fact(&mut row, "durable ", &status.durable.to_string());
        match &status.kvlab {
            // What a primary has promised is its own epoch.
            Some(own) if node.role == Some(Role::Primary) => {
                let whole = words::backlog(&own.backlog);
                let short = whole.trim_end_matches(" at this rate");
                let fits = words::width("  backlog ") + words::width(&whole) < row.left();
                fact(&mut row, "backlog ", if fits { &whole } else { short });
            }
            Some(own) => fact(&mut row, "promised ", &own.promised.to_string()),
            None => {}
        }
        if let (Some(primary), Some(ms)) = (status.primary, status.heard_ms)
            && primary != node.id
        {
            let age = words::age(Duration::from_millis(ms));
            fact(&mut row, "hears ", &format!("{primary}, {age} ago"));
        }
    }
    let mut row = Row::new(buf, theme, area, 2);
    row.skip(2);
    let set = conditions(scene, node);
    if !set.is_empty() {
        let width = row.left().saturating_sub(8);
        row.skip(2).put("set: ", Tone::Dim).put(&words::clip(&set, width), Tone::Warn);
    }
    if let Some(address) = node.client_address() {
        fact(&mut row, "clients at ", address);
    }
    if let Some((t_us, what)) = &node.last_fault {
        let age = Duration::from_micros(scene.view.now_us.saturating_sub(*t_us));
        fact(&mut row, "last fault ", &format!("{what}, {} ago", words::age(age)));
    }
}
