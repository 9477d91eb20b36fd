// The operations, from columns of packed numbers to arrays. The other side is lab/report/encode.rs.

const WHAT = ["put", "get", "del"];
const LEVEL = ["async", "eventual", "quorum"];
const END = ["ok", "failed", "unknown", "open"];

function readData() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { count, columns } = data.operations;
  const as = (unpack, name) => unpack(columns[name], count);
  const ops = {
    count,
    keys: names(data.operations.keys),
    values: names(data.operations.values),
    epochs: data.operations.epochs,
    nodes: data.operations.nodes,
    i: summed(as(plain, "i")),
    began: summed(as(plain, "began")),
    took: as(plain, "took"),
    client: as(plain, "client"),
    asked: as(plain, "asked"),
    node: as(plain, "node"),
    kind: as(plain, "kind"),
    key: summed(as(plain, "key")),
    value: summed(as(plain, "value")),
    epoch: summed(as(sparse, "epoch")),
    seq: summed(as(plain, "seq")),
    stale: as(sparse, "stale"),
    behind: as(sparse, "behind"),
    end: new Float64Array(count),
    violations: new Map(), // From an operation's place to the numbers of its violations.
  };
  for (let at = 0; at < count; at++) {
    ops.end[at] = ops.took[at] > 0 ? ops.began[at] + ops.took[at] - 1 : data.end;
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

const what = (ops, at) => WHAT[ops.kind[at] % 3];
const level = (ops, at) => LEVEL[Math.floor(ops.kind[at] / 3) % 3];
const end = (ops, at) => END[Math.floor(ops.kind[at] / 9)];
const nodeName = (ops, place) => (place > 0 ? ops.nodes[place - 1] : "nobody");
const value = (ops, at) => (ops.value[at] > 0 ? ops.values[ops.value[at] - 1] : null);

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
