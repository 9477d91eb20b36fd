// Draws what is in view. Operations narrower than a pixel share one, and the most telling of them shows.

const COLOURS = ["paper", "ground", "ink", "soft", "line", "ok", "relaxed", "warn", "bad", "stale", "accent",
  "band-cut", "band-slow", "band-paused", "band-down"];
const FONT = "11px system-ui, sans-serif";
const MONO = "11px ui-monospace, Menlo, Consolas, monospace";

// From dull to telling.
function rank(ops, at) {
  if (ops.violations.has(at)) return 6;
  const end = ending(ops, at);
  if (end === "unknown" || end === "open") return 5;
  if (end === "failed") return 4;
  if (ops.stale[at] !== null) return 3;
  return ops.level[at] === "quorum" ? 2 : 1;
}

const LOUD = 3; // From this rank on it is drawn higher.
const MATCHING = 8; // Above every rank.
const RANK_COLOUR = ["", "relaxed", "ok", "stale", "soft", "warn", "bad"];

function paint(canvas, view, data, fits, colour) {
  const scale = devicePixelRatio || 1;
  const [width, height] = [view.width, heightOf(view)];
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.fillStyle = colour.paper;
  pen.fillRect(0, 0, width, height);
  paintTime(pen, view, data, colour);
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, 0, width - GUTTER, height);
  pen.clip();
  data.lanes.forEach((lane, nth) => paintLane(pen, view, data, lane, view.head + nth * view.laneHeight, fits, colour));
  for (const at of data.ops.violations.keys()) paintMark(pen, view, data, at, colour);
  for (const at of new Set([view.hovered, view.selected])) {
    if (at >= 0) paintRing(pen, view, data, at, colour);
  }
  pen.restore();
  paintNames(pen, view, data, colour);
}

// Faults and steps behind, the axis below.
function paintTime(pen, view, data, colour) {
  const bottom = heightOf(view) - FOOT;
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, 0, view.width - GUTTER, bottom + FOOT);
  pen.clip();
  pen.font = FONT;
  for (const fault of data.faults) paintFault(pen, view, fault, bottom, colour);
  let free = 0;
  for (const [at, number] of data.steps) {
    const x = xOf(view, at);
    if (x < GUTTER || x > view.width) continue;
    pen.fillStyle = colour.line;
    pen.fillRect(x, view.head - STEPS + 4, 1, bottom - view.head + STEPS - 4);
    pen.fillStyle = colour.ink;
    if (x < free) continue; // Its number would be written over the one before.
    pen.fillText(String(number), x + 3, view.head - 6);
    free = x + 16;
  }
  paintAxis(pen, view, bottom, colour);
  pen.restore();
}

// A bar with its name in its row, and a shade over the lanes.
function paintFault(pen, view, fault, bottom, colour) {
  const [from, to] = [Math.max(xOf(view, fault.since), GUTTER), Math.min(xOf(view, fault.until), view.width)];
  if (to < GUTTER || from > view.width) return;
  const top = fault.row * FAULT;
  pen.fillStyle = colour[`band-${fault.kind}`];
  pen.globalAlpha = 0.07;
  pen.fillRect(from, top, Math.max(1, to - from), bottom - top);
  pen.globalAlpha = 0.3;
  pen.fillRect(from, top, Math.max(1, to - from), FAULT - 2);
  pen.globalAlpha = 1;
  const room = to - from - 6;
  if (room < 8) return;
  const name = pen.measureText(fault.name).width < room ? fault.name : fault.name.split(" ")[0];
  pen.fillStyle = colour.ink;
  pen.fillText(name, from + 4, top + 10);
}

function paintAxis(pen, view, bottom, colour) {
  const rough = spanOf(view) / Math.max(2, (view.width - GUTTER) / 130);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((lead) => lead * power).find((step) => step >= rough);
  const digits = Math.max(0, Math.min(6, 6 - Math.floor(Math.log10(step))));
  for (let at = Math.ceil(Math.max(0, view.from) / step) * step; at <= view.to; at += step) {
    const x = xOf(view, at);
    pen.fillStyle = colour.line;
    pen.fillRect(x, view.head - 8, 1, bottom - view.head + 8);
    pen.fillStyle = colour.soft;
    pen.fillText(`${(at / 1e6).toFixed(digits)} s`, x + 3, bottom + 14);
  }
}

function paintNames(pen, view, data, colour) {
  pen.fillStyle = colour.paper;
  pen.fillRect(0, 0, GUTTER - 1, heightOf(view));
  pen.font = FONT;
  data.lanes.forEach((lane, nth) => {
    const y = view.head + nth * view.laneHeight;
    pen.fillStyle = colour.line;
    pen.fillRect(0, y + view.laneHeight - 1, view.width, 1);
    const chosen = view.selected >= 0 && data.ops.client[view.selected] === lane.client;
    pen.fillStyle = chosen ? colour.ink : colour.soft;
    const home = data.ops.asked[lane.places[0]];
    const name = `client ${lane.client}${home === null ? "" : ` · ${home}`}`;
    pen.fillText(name, 4, y + view.laneHeight / 2 + 4);
  });
}

function paintLane(pen, view, data, lane, top, fits, colour) {
  const { ops } = data;
  const columns = Math.ceil(view.width);
  const dense = new Uint8Array(columns + 1); // Of each column, what is worth most: its rank, and MATCHING.
  const began = (nth) => ops.began[lane.places[nth]];
  const first = Math.max(0, firstAtLeast(lane.places.length, began, view.from) - 1);
  for (let nth = first; nth < lane.places.length; nth++) {
    const at = lane.places[nth];
    if (ops.began[at] > view.to) break;
    const [from, to] = [xOf(view, ops.began[at]), xOf(view, ops.end[at])];
    if (to < GUTTER) continue;
    const fit = fits === null || fits[at] === 1;
    if (to - from >= 2.5) {
      const [left, right] = [Math.max(from, GUTTER - 2), Math.min(to, view.width + 2)];
      paintOperation(pen, ops, at, [left, right], [top, view.laneHeight], fit, colour);
    } else {
      const column = Math.max(0, Math.min(columns, Math.floor(from)));
      dense[column] = Math.max(dense[column], ops.rank[at] + (fit ? MATCHING : 0));
    }
  }
  paintDense(pen, dense, top, view.laneHeight, colour);
}

function paintDense(pen, dense, top, height, colour) {
  for (let x = 0; x < dense.length; x++) {
    if (dense[x] === 0) continue;
    const from = x;
    while (x + 1 < dense.length && dense[x + 1] === dense[from]) x++;
    const rank = dense[from] % MATCHING;
    const loud = rank >= LOUD;
    pen.globalAlpha = dense[from] >= MATCHING ? 1 : 0.16;
    pen.fillStyle = colour[RANK_COLOUR[rank]];
    pen.fillRect(from, top + (loud ? 1 : 4), x + 1 - from, height - (loud ? 3 : 8));
  }
  pen.globalAlpha = 1;
}

// Writes are as high as the lane, reads half of it; failed ones are hollow; what is unknown or open is dashed.
function paintOperation(pen, ops, at, [from, to], [top, height], fit, colour) {
  const end = ending(ops, at);
  const read = ops.op[at] === "get";
  const shade = colour[RANK_COLOUR[ops.rank[at]]];
  const [y, high] = read ? [top + height / 2 - 1, height / 2 - 2] : [top + 3, height - 6];
  pen.globalAlpha = fit ? 1 : 0.14;
  pen.strokeStyle = shade;
  pen.fillStyle = shade;
  pen.lineWidth = ops.violations.has(at) ? 2 : 1;
  if (end === "ok") {
    pen.globalAlpha *= read ? 0.55 : 0.8;
    pen.fillRect(from, y, to - from, high);
    pen.globalAlpha = fit ? 1 : 0.14;
  }
  pen.setLineDash(end === "unknown" || end === "open" ? [4, 3] : []);
  pen.strokeRect(from + 0.5, y + 0.5, to - from - 1, high - 1);
  pen.setLineDash([]);
  if (to - from > 16) paintLabel(pen, ops, at, [from, to], [top, height], colour);
  pen.globalAlpha = 1;
}

const SIGN = { failed: "× ", unknown: "? ", open: "? " };

function paintLabel(pen, ops, at, [from, to], [top, height], colour) {
  const sign = ops.violations.has(at) ? "✗ " : (SIGN[ending(ops, at)] ?? (ops.stale[at] === null ? "" : "~ "));
  const read = ending(ops, at) === "ok" ? `→${ops.value[at] ?? "absent"}` : "";
  const action = { get: read, put: `=${ops.value[at]}`, del: " deleted" }[ops.op[at]];
  pen.save();
  pen.beginPath();
  pen.rect(from + 2, top, to - from - 4, height);
  pen.clip();
  pen.font = MONO;
  pen.fillStyle = colour.ink;
  pen.fillText(visible(`${sign}${ops.key[at]}${action}`), from + 4, top + height / 2 + 4);
  pen.restore();
}

// Part of a violation, however narrow it is.
function paintMark(pen, view, data, at, colour) {
  const x = xOf(view, data.ops.began[at]);
  if (xOf(view, data.ops.end[at]) - x > 16) return; // Its label says so.
  pen.font = `bold ${FONT}`;
  pen.fillStyle = colour.bad;
  pen.fillText("✗", x - 11, view.head + data.ops.lane[at] * view.laneHeight + view.laneHeight / 2 + 4);
}

function paintRing(pen, view, data, at, colour) {
  const { ops } = data;
  const [from, to] = [xOf(view, ops.began[at]), xOf(view, ops.end[at])];
  pen.strokeStyle = colour.ink;
  pen.lineWidth = at === view.selected ? 2 : 1;
  const top = view.head + ops.lane[at] * view.laneHeight;
  pen.strokeRect(from - 2, top + 1, Math.max(5, to - from + 4), view.laneHeight - 2);
}
