//! A lane for each member: when it led, and in which epoch. Two at once are marked as such.

use kvlab::types::NodeId;

use super::axis::moment;
use super::shapes::{Anchor, Drawing};
use super::{LEFT, Panel};
use crate::explain::Leadership;

const LANE: f64 = 22.0;
/// Room below the lanes for the mark of two primaries.
const MARK: f64 = 18.0;

/// A time in which two members led at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct Rivalry {
    /// In microseconds since the run began.
    pub(in crate::report) since_us: u64,
    /// Likewise.
    pub(in crate::report) until_us: u64,
    /// The epochs, the one that opened first before the other: `1@n1 and 2@n2`.
    pub(in crate::report) epochs: String,
}

/// All times in which two members led at once, by their own word, in the order of their beginning. A leadership that was
/// not told to have ended lasts to the end.
pub(in crate::report) fn rivalries(leaderships: &[Leadership], end_us: u64) -> Vec<Rivalry> {
    let mut rivalries = Vec::new();
    for (at, one) in leaderships.iter().enumerate() {
        for other in leaderships[at + 1..].iter().filter(|other| other.primary != one.primary) {
            let since_us = since_us(one).max(since_us(other));
            let until_us = until_us(one, end_us).min(until_us(other, end_us));
            if since_us < until_us {
                let epochs = format!("{} and {}", one.epoch, other.epoch);
                rivalries.push(Rivalry { since_us, until_us, epochs });
            }
        }
    }
    rivalries.sort_by_key(|rivalry| (rivalry.since_us, rivalry.until_us));
    rivalries
}

pub(super) fn height(nodes: &[NodeId]) -> f64 {
    nodes.len() as f64 * LANE + MARK
}

pub(super) fn draw(svg: &mut Drawing, panel: Panel, nodes: &[NodeId], leaderships: &[Leadership]) {
    let (start, end) = (panel.axis.x(0), panel.axis.x(u64::MAX));
    for (nth, node) in nodes.iter().enumerate() {
        let y = panel.top + nth as f64 * LANE;
        svg.text("lane-name", (LEFT - 8.0, y + 14.0), Anchor::End, &node.to_string());
        svg.line("lane", (start, y + LANE - 1.0), (end, y + LANE - 1.0));
    }
    for rivalry in rivalries(leaderships, u64::MAX) {
        let (from, to) = (panel.axis.x(rivalry.since_us), panel.axis.x(rivalry.until_us));
        let title = format!("two primaries, {}, from {}", rivalry.epochs, moment(rivalry.since_us));
        svg.rect("rivalry", (from, panel.top), ((to - from).max(2.0), panel.height - 2.0), &title);
        let fits = to - from > 110.0;
        let text = if fits { "! two primaries" } else { "!" };
        svg.text("rivalry-name", (from.midpoint(to), panel.top + panel.height - 6.0), Anchor::Middle, text);
    }
    for leadership in leaderships {
        let Some(lane) = nodes.iter().position(|node| *node == leadership.primary) else { continue };
        let y = panel.top + lane as f64 * LANE;
        let (from, to) = (panel.axis.x(since_us(leadership)), panel.axis.x(until_us(leadership, u64::MAX)));
        let class = if leadership.forced { "leadership forced" } else { "leadership" };
        svg.rect(class, (from, y + 2.0), ((to - from).max(2.0), LANE - 6.0), &says(leadership));
        let name = if leadership.forced {
            format!("◆ {} by force", leadership.epoch)
        } else {
            format!("◆ {}", leadership.epoch)
        };
        if to - from > name.chars().count() as f64 * 6.8 + 4.0 {
            svg.text("leadership-name", (from + 5.0, y + 14.0), Anchor::Start, &name);
        }
    }
}

fn says(leadership: &Leadership) -> String {
    let until = leadership.until.map_or("the end".to_owned(), |_| moment(until_us(leadership, u64::MAX)));
    let force = if leadership.forced { ", by force" } else { "" };
    format!(
        "{} led epoch {}{force}, {} to {until}",
        leadership.primary,
        leadership.epoch,
        moment(since_us(leadership))
    )
}

fn since_us(leadership: &Leadership) -> u64 {
    u64::try_from(leadership.since.as_micros()).unwrap_or(u64::MAX)
}

fn until_us(leadership: &Leadership, end_us: u64) -> u64 {
    leadership.until.map_or(end_us, |until| u64::try_from(until.as_micros()).unwrap_or(u64::MAX))
}
