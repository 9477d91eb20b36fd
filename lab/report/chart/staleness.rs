//! How old what eventual reads saw was, over time.

use super::super::records::StaleReads;
use super::axis::{Linear, moment};
use super::load::scale;
use super::shapes::{Anchor, Drawing};
use super::{COLUMNS, Panel};

/// A needle for each column of time with stale reads, as high as the oldest of them.
pub(super) fn draw(svg: &mut Drawing, panel: Panel, stale: &StaleReads) {
    let oldest = stale.iter().map(|(_, _, age_us)| age_us).max().unwrap_or(0);
    let axis = Linear::up_to(oldest as f64 / 1000.0);
    scale(svg, panel, &axis.ticks(), |amount| axis.part(amount));
    let base = panel.top + panel.height;
    if oldest == 0 {
        let middle = (panel.axis.x(0).midpoint(panel.axis.x(u64::MAX)), panel.top.midpoint(base) + 4.0);
        svg.text("nothing", middle, Anchor::Middle, "no stale read was seen");
        return;
    }
    let width = (panel.axis.x(u64::MAX) - panel.axis.x(0)) / COLUMNS as f64;
    let mut drawn: Option<(f64, u64)> = None;
    let mut needles = Vec::new();
    for (t_us, count, age_us) in stale.iter() {
        let x = panel.axis.x(t_us);
        match &mut drawn {
            // Closer than an eye can tell apart: the oldest stands for both.
            Some((last, oldest)) if x - *last < width => {
                if age_us > *oldest {
                    *oldest = age_us;
                    needles.pop();
                    needles.push((x, t_us, count, age_us));
                }
            }
            _ => {
                drawn = Some((x, age_us));
                needles.push((x, t_us, count, age_us));
            }
        }
    }
    for (x, t_us, count, age_us) in needles {
        let y = panel.point(0, axis.part(age_us as f64 / 1000.0)).1;
        let reads = if count == 1 { "1 stale read".to_owned() } else { format!("{count} stale reads") };
        let title = format!("{}: {reads}, the oldest {} ms old", moment(t_us), age_us / 1000);
        svg.rect("needle", (x - width / 2.0, y), (width.max(1.5), (base - y).max(1.0)), &title);
    }
}
