// What part of time is in view, and where things are in it. Knows nothing of drawing.

const SPAN_MIN = 200; // Microseconds: shorter than any operation over a network.
const GUTTER = 92; // Left of the lanes, in CSS pixels: who it is.
const STEPS = 20; // Above the lanes: the numbers of the steps.
const FAULT = 15; // Above these: a row for each fault that overlaps with others.
const FAULT_ROWS_MAX = 5;
const FOOT = 22; // Below: the axis.

function newView(data) {
  const pad = data.end * 0.005;
  const rows = placeFaults(data.faults);
  return {
    whole: { from: -pad, to: data.end + pad },
    from: -pad,
    to: data.end + pad,
    width: 0,
    head: rows * FAULT + STEPS,
    lanes: data.lanes.length,
    laneHeight: Math.max(12, Math.min(30, Math.floor(460 / Math.max(1, data.lanes.length)))),
    selected: -1,
    hovered: -1,
  };
}

// Gives each fault the first row that is free when it begins; what finds none shares the last. Returns how many there are.
function placeFaults(faults) {
  const ends = [];
  for (const fault of faults) {
    const free = ends.findIndex((end) => end <= fault.since);
    fault.row = free >= 0 ? free : Math.min(ends.length, FAULT_ROWS_MAX - 1);
    ends[fault.row] = fault.until;
  }
  return ends.length;
}

const heightOf = (view) => view.head + view.lanes * view.laneHeight + FOOT;
const spanOf = (view) => view.to - view.from;
const xOf = (view, us) => GUTTER + ((us - view.from) / spanOf(view)) * (view.width - GUTTER);
const timeAt = (view, x) => view.from + ((x - GUTTER) / Math.max(1, view.width - GUTTER)) * spanOf(view);
const laneAt = (view, y) => Math.floor((y - view.head) / view.laneHeight);

function show(view, from, to) {
  const whole = view.whole.to - view.whole.from;
  const span = Math.min(whole, Math.max(SPAN_MIN, to - from));
  const middle = (from + to) / 2;
  const start = Math.min(Math.max(middle - span / 2, view.whole.from), view.whole.to - span);
  view.from = start;
  view.to = start + span;
}

// Keeps what is at `around` where it is.
function zoom(view, factor, around) {
  const whole = view.whole.to - view.whole.from;
  const span = Math.min(whole, Math.max(SPAN_MIN, spanOf(view) * factor));
  const part = (around - view.from) / spanOf(view);
  show(view, around - part * span, around + (1 - part) * span);
}

function move(view, part) {
  const by = spanOf(view) * part;
  show(view, view.from + by, view.to + by);
}

// Where to zoom when no pointer says it: the chosen operation, if it is in view, or the middle.
function centreOf(view, ops) {
  const chosen = view.selected >= 0 ? ops.began[view.selected] : NaN;
  return chosen >= view.from && chosen <= view.to ? chosen : (view.from + view.to) / 2;
}

// Moves, and zooms if it must, until the operation can be seen for what it is.
function reveal(view, ops, at) {
  const [began, ended] = [ops.began[at], ops.end[at]];
  const took = Math.max(ended - began, 50);
  const wide = (took / spanOf(view)) * (view.width - GUTTER);
  if (wide < 3) {
    const span = (took * (view.width - GUTTER)) / 24;
    show(view, began + took / 2 - span / 2, began + took / 2 + span / 2);
  } else if (began < view.from || began > view.to) {
    const span = spanOf(view);
    show(view, began - span / 2, began + span / 2);
  }
}

// The operation at a point, or -1: the one that is nearest within a few pixels.
function hit(view, data, x, y) {
  const lane = data.lanes[laneAt(view, y)];
  if (!lane || x < GUTTER) return -1;
  const time = timeAt(view, x);
  const slack = (4 / (view.width - GUTTER)) * spanOf(view);
  const { ops } = data;
  const after = firstAtLeast(lane.places.length, (nth) => ops.began[lane.places[nth]], time);
  const near = [lane.places[after - 1], lane.places[after]].filter((at) => at !== undefined);
  const distance = (at) => Math.max(0, ops.began[at] - time, time - ops.end[at]);
  const best = near.sort((a, b) => distance(a) - distance(b) || ops.rank[b] - ops.rank[a])[0];
  return best !== undefined && distance(best) <= slack ? best : -1;
}
