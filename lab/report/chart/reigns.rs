//! A lane for each member: when it led, and in which epoch. Two at once are marked as such.

use kvlab::types::NodeId;

use super::super::svg::{Anchor, Svg};
use super::axis::clock;
use super::{LEFT, Panel};
use crate::explain::Reign;

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

/// All times in which two members led at once, by their own word, in the order of their beginning. A reign that was
/// not told to have ended lasts to the end.
pub(in crate::report) fn rivalries(reigns: &[Reign], end_us: u64) -> Vec<Rivalry> {
    let mut rivalries = Vec::new();
    for (at, one) in reigns.iter().enumerate() {
        for other in reigns[at + 1..].iter().filter(|other| other.primary != one.primary) {
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

pub(super) fn draw(svg: &mut Svg, panel: Panel, nodes: &[NodeId], reigns: &[Reign]) {
    let (start, end) = (panel.axis.x(0), panel.axis.x(u64::MAX));
    for (nth, node) in nodes.iter().enumerate() {
        let y = panel.top + nth as f64 * LANE;
        svg.text("lane-name", (LEFT - 8.0, y + 14.0), Anchor::End, &node.to_string());
        svg.line("lane", (start, y + LANE - 1.0), (end, y + LANE - 1.0));
    }
    for rivalry in rivalries(reigns, u64::MAX) {
        let (from, to) = (panel.axis.x(rivalry.since_us), panel.axis.x(rivalry.until_us));
        let title = format!("two primaries, {}, from {}", rivalry.epochs, clock(rivalry.since_us));
        svg.rect("rivalry", (from, panel.top), ((to - from).max(2.0), panel.height - 2.0), &title);
        let fits = to - from > 110.0;
        let text = if fits { "! two primaries" } else { "!" };
        svg.text("rivalry-name", (from.midpoint(to), panel.top + panel.height - 6.0), Anchor::Middle, text);
    }
    for reign in reigns {
        let Some(lane) = nodes.iter().position(|node| *node == reign.primary) else { continue };
        let y = panel.top + lane as f64 * LANE;
        let (from, to) = (panel.axis.x(since_us(reign)), panel.axis.x(until_us(reign, u64::MAX)));
        let class = if reign.forced { "reign forced" } else { "reign" };
        svg.rect(class, (from, y + 2.0), ((to - from).max(2.0), LANE - 6.0), &says(reign));
        let name = if reign.forced {
            format!("◆ {} by force", reign.epoch)
        } else {
            format!("◆ {}", reign.epoch)
        };
        if to - from > name.chars().count() as f64 * 6.8 + 4.0 {
            svg.text("reign-name", (from + 5.0, y + 14.0), Anchor::Start, &name);
        }
    }
}

fn says(reign: &Reign) -> String {
    let until = reign.until.map_or("the end".to_owned(), |_| clock(until_us(reign, u64::MAX)));
    let force = if reign.forced { ", by force" } else { "" };
    format!("{} led epoch {}{force}, {} to {until}", reign.primary, reign.epoch, clock(since_us(reign)))
}

fn since_us(reign: &Reign) -> u64 {
    u64::try_from(reign.since.as_micros()).unwrap_or(u64::MAX)
}

fn until_us(reign: &Reign, end_us: u64) -> u64 {
    reign.until.map_or(end_us, |until| u64::try_from(until.as_micros()).unwrap_or(u64::MAX))
}
