//! The run at a glance: one drawing, one time axis; from top to bottom the story's steps, faults, primaries,
//! throughput, latency and stale reads. Faults shade all of it, and violations are marked through all of it.

mod axis;
mod faults;
mod leaderships;
mod load;
mod shapes;
mod staleness;
#[cfg(test)]
mod tests;

use self::axis::TimeAxis;
use self::shapes::{Anchor, Drawing};
use super::faults::Fault;
use super::records::StaleReads;
use crate::explain::Leadership;
use crate::run::event::LoadSample;
use kvlab::types::NodeId;

pub(super) use self::axis::moment;
pub(super) use self::faults::letter;
pub(super) use self::leaderships::{Rivalry, rivalries};

/// Width of the drawing, in its own units.
const WIDTH: f64 = 1000.0;
/// Where time begins: to the left of it are the names of things.
const LEFT: f64 = 64.0;
/// Between the end of time and the edge.
const RIGHT: f64 = 12.0;
/// Between two panels; the name of the lower one stands in it.
const GAP: f64 = 34.0;
/// Columns into which time is divided: as many as an eye can tell apart.
const COLUMNS: usize = 460;

/// What the drawing shows.
#[derive(Debug)]
pub(super) struct Figure<'a> {
    /// The end of time, in microseconds.
    pub(super) end_us: u64,
    pub(super) nodes: &'a [NodeId],
    /// When each step began, in microseconds, and its number.
    pub(super) steps: &'a [(u64, usize)],
    pub(super) faults: &'a [Fault],
    pub(super) leaderships: &'a [Leadership],
    /// When each sample was taken, in microseconds, and the sample.
    pub(super) samples: &'a [(u64, &'a LoadSample)],
    pub(super) stale: &'a StaleReads,
    /// When violations came to light, in microseconds.
    pub(super) violations: &'a [u64],
}

/// A band of the drawing: where it is, and the axis that all of them share.
#[derive(Clone, Copy, Debug)]
struct Panel {
    axis: TimeAxis,
    top: f64,
    height: f64,
}

impl Figure<'_> {
    /// As SVG to stand within a page, which brings the colours.
    pub(super) fn svg(&self) -> String {
        let axis = TimeAxis::new(self.end_us, LEFT, WIDTH - RIGHT);
        let mut front = Drawing::default();
        let mut bottom = self.steps(&mut front, axis, 4.0);
        let bands_top = bottom;
        bottom = faults::strip(&mut front, axis, bottom, self.faults);
        let mut panel = |front: &mut Drawing, name: &str, height: f64| {
            let top = bottom + GAP;
            front.text("panel-name", (LEFT, top - 8.0), Anchor::Start, name);
            bottom = top + height;
            Panel { axis, top, height }
        };
        let lanes = panel(&mut front, "Primary, by epoch", leaderships::height(self.nodes));
        leaderships::draw(&mut front, lanes, self.nodes, self.leaderships);
        let columns = load::columns(self.samples, self.end_us, COLUMNS);
        let throughput = panel(&mut front, "Operations a second", 110.0);
        load::throughput(&mut front, throughput, &columns);
        let latency = panel(&mut front, "Latency, ms (logarithmic)", 110.0);
        load::latency(&mut front, latency, &columns);
        let stale = panel(&mut front, "Age of stale eventual reads, ms", 80.0);
        staleness::draw(&mut front, stale, self.stale);
        let mut back = Drawing::default();
        back.group("bands", |svg| faults::bands(svg, axis, (bands_top, bottom), self.faults));
        axis.grid(&mut back, lanes.top, bottom);
        violations(&mut front, axis, bands_top, bottom, self.violations);
        back.document(&front, (WIDTH, bottom + 24.0), "The run at a glance", &self.description())
    }

    fn steps(&self, svg: &mut Drawing, axis: TimeAxis, top: f64) -> f64 {
        if self.steps.is_empty() && self.violations.is_empty() {
            return top;
        }
        if !self.steps.is_empty() {
            svg.text("lane-name", (LEFT - 8.0, top + 12.0), Anchor::End, "steps");
        }
        let mut free = 0.0;
        for (t_us, number) in self.steps {
            // A step that follows at once is drawn beside the one before, not over it.
            let x = axis.x(*t_us).max(free);
            free = x + 18.0;
            svg.rect("step", (x, top), (16.0, 16.0), "");
            svg.text("step-number", (x + 8.0, top + 12.0), Anchor::Middle, &number.to_string());
        }
        top + 20.0
    }

    /// What a reader who cannot see the drawing is told; the page says the rest in words and tables.
    fn description(&self) -> String {
        let rivals = rivalries(self.leaderships, self.end_us).len();
        format!(
            "Over {}: {} faults, {} leaderships, {} of them at the same time as another, {} violations.",
            moment(self.end_us),
            self.faults.len(),
            self.leaderships.len(),
            rivals,
            self.violations.len()
        )
    }
}

/// A line through everything, from the row of the steps down.
fn violations(svg: &mut Drawing, axis: TimeAxis, top: f64, bottom: f64, violations: &[u64]) {
    for t_us in violations {
        let x = axis.x(*t_us);
        svg.line("violation", (x, top), (x, bottom));
        svg.text("violation-mark", (x, top - 6.0), Anchor::Middle, "✗");
    }
}
