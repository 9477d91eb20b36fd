// One operation in words, below the timeline.

function describe(data, at) {
  const { ops } = data;
  const box = document.createElement("div");
  const seen = value(ops, at);
  const key = JSON.stringify(ops.keys[ops.key[at]]);
  const shown = seen === null ? "absent" : JSON.stringify(seen);
  const deed = { put: `write ${shown} to ${key}`, get: `read ${key}`, del: `delete ${key}` }[what(ops, at)];
  const ending = end(ops, at);
  const result = what(ops, at) === "get" && ending === "ok" ? `, saw ${shown}` : "";
  const ends = { ok: "ok", failed: "failed: it certainly did not happen", unknown: "unknown: it may have happened", open: "no reply: it may have happened" };
  const head = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = visible(`#${ops.i[at]} client ${ops.client[at]}: ${deed}${result}`);
  head.append(strong);
  box.append(head);
  const facts = [
    `${level(ops, at)}, ${ends[ending]}`,
    `asked ${nodeName(ops, ops.asked[at])}${ops.node[at] !== ops.asked[at] ? `, answered by ${nodeName(ops, ops.node[at])}` : ""}`,
    `t=${(ops.began[at] / 1e6).toFixed(6)} s` + (ops.took[at] > 0 ? `, took ${((ops.took[at] - 1) / 1000).toFixed(3)} ms` : ""),
  ];
  if (ops.epoch[at] > 0) facts.push(`entry ${ops.epochs[ops.epoch[at] - 1]}/${ops.seq[at] - 1}`);
  if (ops.stale[at] > 0) facts.push(`stale: overwritten ${ops.stale[at] - 1} ms before, ${ops.behind[at]} versions behind`);
  const line = document.createElement("p");
  line.textContent = facts.join(" · ");
  box.append(line);
  const violations = ops.violations.get(at) ?? [];
  if (violations.length > 0) box.append(proofLinks(violations));
  return box;
}

function proofLinks(violations) {
  const line = document.createElement("p");
  line.className = "bad";
  line.append("✗ Part of ");
  violations.forEach((number, nth) => {
    const link = document.createElement("a");
    link.href = `#v${number}`;
    link.textContent = `violation ${number}`;
    line.append(nth > 0 ? ", " : "", link);
  });
  return line;
}
