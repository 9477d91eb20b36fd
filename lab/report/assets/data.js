// The operations, by column. The other side is lab/report/encode.rs.

const END = { ok: "ok", fail: "failed", info: "unknown", invoke: "open" };

// Columns as JSON, compressed, in base64.
async function unpacked(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = text.charCodeAt(at);
  const json = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(json).text());
}

async function readData() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const ops = await unpacked(data.operations);
  const count = ops.i.length;
  ops.count = count;
  ops.end = new Float64Array(count);
  ops.violations = new Map(); // From an operation's place to the numbers of its violations.
  for (let at = 0; at < count; at++) {
    ops.end[at] = ops.took[at] === null ? data.end : ops.began[at] + ops.took[at];
  }
  for (const violation of data.violations) {
    violation.places = violation.operations.map((i) => placeOf(ops, i)).filter((place) => place >= 0);
    for (const place of violation.places) {
      ops.violations.set(place, [...(ops.violations.get(place) ?? []), violation.number]);
    }
  }
  const lanes = lanesOf(ops);
  ops.lane = new Uint16Array(count);
  lanes.forEach((lane, nth) => lane.places.forEach((at) => (ops.lane[at] = nth)));
  ops.rank = Uint8Array.from({ length: count }, (_, at) => rank(ops, at));
  return { ...data, operations: undefined, ops, lanes };
}

// Operations come in the order of their index.
function placeOf(ops, i) {
  const place = firstAtLeast(ops.count, (at) => ops.i[at], i);
  return place < ops.count && ops.i[place] === i ? place : -1;
}

function firstAtLeast(count, of, wanted) {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (of(middle) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

// A lane for each client, with the places of its operations in the order of time.
function lanesOf(ops) {
  const lanes = new Map();
  for (let at = 0; at < ops.count; at++) {
    const client = ops.client[at];
    if (!lanes.has(client)) lanes.set(client, { client, places: [] });
    lanes.get(client).places.push(at);
  }
  return [...lanes.values()].sort((a, b) => a.client - b.client);
}

const ending = (ops, at) => END[ops.phase[at]];

// Characters that cannot be seen, or that turn around what can be, are shown by their numbers.
function visible(text) {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g,
    (c) => `\\u{${c.charCodeAt(0).toString(16)}}`,
  );
}

// A moment, in seconds; as exactly as the width of what is in view asks for.
function seconds(us, span) {
  const digits = span > 30e6 ? 1 : span > 300e3 ? 3 : 6;
  return `${(us / 1e6).toFixed(digits)} s`;
}
