//! Where the panes are. A pure function of the terminal's size and the number of members.

use ratatui::layout::Rect;

/// The smallest size that shows anything: below, a message says so.
pub const MIN_SIZE: (u16, u16) = (40, 10);
/// The smallest size of the compact screen.
pub const COMPACT_SIZE: (u16, u16) = (80, 24);
/// The smallest size of the full screen.
pub const FULL_SIZE: (u16, u16) = (120, 36);
/// The links pane of the full screen, and the pane under it, are this wide.
const SIDE_WIDTH: u16 = 40;

/// A pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// Members: role, state, epoch, seq, lag.
    #[default]
    Nodes,
    /// Topology, and who can reach whom.
    Links,
    /// The last operations and who voted for them.
    Votes,
    /// Latency and throughput.
    Load,
    /// What happened, in words.
    Events,
    /// The scenario, or what to try.
    Script,
}

impl Pane {
    /// All, in the order in which Tab visits them.
    pub const ALL: [Self; 6] =
        [Self::Nodes, Self::Links, Self::Votes, Self::Load, Self::Events, Self::Script];
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every pane.
    Full,
    /// Every pane, in short; the links within the nodes.
    Compact,
    /// One pane.
    Single,
}

/// Where everything is. Areas do not overlap and lie within the given one; an empty one is not drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub extent: Extent,
    /// What runs, how long, live or frozen.
    pub header: Rect,
    /// The cluster in one sentence.
    pub situation: Rect,
    /// Promise and harm.
    pub verdict: Rect,
    pub panes: Vec<(Pane, Rect)>,
    /// Compact: the scenario's step, or what to try, in one line.
    pub script_line: Rect,
    /// Keys.
    pub footer: Rect,
}

/// Lays the screen out; `None` if it is too small. In `focus`, one pane takes the place of all if `zoom` is set,
/// or if there is room for one only.
pub fn layout(area: Rect, members: usize, focus: Pane, zoom: bool) -> Option<Layout> {
    let fits = |(w, h): (u16, u16)| area.width >= w && area.height >= h;
    if !fits(MIN_SIZE) {
        return None;
    }
    let extent = match () {
        () if zoom || !fits(COMPACT_SIZE) => Extent::Single,
        () if fits(FULL_SIZE) => Extent::Full,
        () => Extent::Compact,
    };
    let mut rest = area;
    let header = take_top(&mut rest, 1);
    let situation = take_top(&mut rest, 1);
    let verdict = take_top(&mut rest, if area.height < 12 { 1 } else { 2 });
    let footer = take_bottom(&mut rest, if fits(COMPACT_SIZE) { 2 } else { 1 });
    let members = u16::try_from(members).unwrap_or(u16::MAX).clamp(1, 9);
    let mut script_line = Rect::default();
    let panes = match extent {
        Extent::Single => vec![(focus, rest)],
        Extent::Full => full(rest, members),
        Extent::Compact => {
            script_line = take_bottom(&mut rest, 1);
            compact(rest, members, focus)
        }
    };
    Some(Layout { extent, header, situation, verdict, panes, script_line, footer })
}

fn full(area: Rect, members: u16) -> Vec<(Pane, Rect)> {
    let mut rest = area;
    let spare = area.height.saturating_sub(30);
    let top = take_top(&mut rest, (members + 9).clamp(12, 16) + spare / 4);
    let height = rest.height / 2;
    let middle = take_top(&mut rest, height);
    let (links, nodes) = split(top, SIDE_WIDTH);
    let (votes, load) = split(middle, middle.width / 2 + 4);
    let (events, script) = split(rest, rest.width - SIDE_WIDTH);
    vec![
        (Pane::Links, links),
        (Pane::Nodes, nodes),
        (Pane::Votes, votes),
        (Pane::Load, load),
        (Pane::Events, events),
        (Pane::Script, script),
    ]
}

/// Links and script have no place of their own here: in focus, they take that of the votes and the load.
fn compact(area: Rect, members: u16, focus: Pane) -> Vec<(Pane, Rect)> {
    let mut rest = area;
    let nodes = take_top(&mut rest, members + 3);
    let mut panes = vec![(Pane::Nodes, nodes)];
    let guest = matches!(focus, Pane::Links | Pane::Script);
    // The middle needs a frame and two lines to be worth its place, and leaves the events at least two.
    let middle = (rest.height / 2 + 1).min(rest.height.saturating_sub(4));
    if middle >= 4 {
        let middle = take_top(&mut rest, middle);
        let (votes, load) = split(middle, middle.width - middle.width * 3 / 8);
        panes.extend(if guest {
            vec![(focus, middle)]
        } else {
            vec![(Pane::Votes, votes), (Pane::Load, load)]
        });
        panes.push((Pane::Events, rest));
    } else {
        let guest = if matches!(focus, Pane::Nodes) { Pane::Events } else { focus };
        panes.push((guest, rest));
    }
    panes
}

fn take_top(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    let top = Rect { height, ..*rest };
    *rest = Rect { y: rest.y + height, height: rest.height - height, ..*rest };
    top
}

fn take_bottom(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    rest.height -= height;
    Rect { y: rest.bottom(), height, ..*rest }
}

fn split(area: Rect, left: u16) -> (Rect, Rect) {
    let left = left.min(area.width);
    (Rect { width: left, ..area }, Rect { x: area.x + left, width: area.width - left, ..area })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_fits_without_overlap() {
        for (width, height) in (0..=200).flat_map(|w| (0..=60).map(move |h| (w, h))) {
            for members in [1, 3, 5, 9] {
                for (focus, zoom) in Pane::ALL.iter().flat_map(|&p| [(p, false), (p, true)]) {
                    check(Rect::new(0, 0, width, height), members, focus, zoom);
                }
            }
        }
    }

    fn check(area: Rect, members: usize, focus: Pane, zoom: bool) {
        let Some(layout) = layout(area, members, focus, zoom) else {
            assert!(area.width < MIN_SIZE.0 || area.height < MIN_SIZE.1);
            return;
        };
        let parts: Vec<_> =
            [layout.header, layout.situation, layout.verdict, layout.script_line, layout.footer]
                .into_iter()
                .chain(layout.panes.iter().map(|(_, rect)| *rect))
                .filter(|r| !r.is_empty())
                .collect();
        let cells: u32 = parts.iter().map(|r| u32::from(r.width) * u32::from(r.height)).sum();
        assert_eq!(
            cells,
            u32::from(area.width) * u32::from(area.height),
            "{area:?}: every cell has one owner"
        );
        for (i, part) in parts.iter().enumerate() {
            assert_eq!(area.intersection(*part), *part, "{area:?} {members}");
            assert!(parts[i + 1..].iter().all(|o| part.intersection(*o).is_empty()), "{area:?} {members}");
        }
        assert!(layout.panes.iter().any(|(pane, _)| *pane == focus), "{area:?}: the pane in focus is there");
        assert!(layout.panes.iter().all(|(_, r)| r.height >= 3 && r.width >= 20), "{area:?} {layout:?}");
    }

    #[test]
    fn the_two_sizes_that_people_have() {
        let kind = |w, h| layout(Rect::new(0, 0, w, h), 3, Pane::Nodes, false).map(|l| l.extent);
        assert_eq!(kind(120, 36), Some(Extent::Full));
        assert_eq!(kind(119, 36), Some(Extent::Compact));
        assert_eq!(kind(80, 24), Some(Extent::Compact));
        assert_eq!(kind(79, 24), Some(Extent::Single));
        assert_eq!(kind(40, 10), Some(Extent::Single));
        assert_eq!(kind(39, 10), None);
    }
}
