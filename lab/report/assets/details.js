// One operation in words, below the timeline.

function describe(data, at) {
  const { ops } = data;
  const box = document.createElement("div");
  const key = JSON.stringify(ops.key[at]);
  const shown = ops.value[at] === null ? "absent" : JSON.stringify(ops.value[at]);
  const action = { put: `write ${shown} to ${key}`, get: `read ${key}`, del: `delete ${key}` }[ops.op[at]];
  const end = ending(ops, at);
  const result = ops.op[at] === "get" && end === "ok" ? `, saw ${shown}` : "";
  const ends = { ok: "ok", failed: "failed: it certainly did not happen", unknown: "unknown: it may have happened", open: "no reply: it may have happened" };
  const head = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = visible(`#${ops.i[at]} client ${ops.client[at]}: ${action}${result}`);
  head.append(strong);
  box.append(head);
  const facts = [
    `${ops.level[at]}, ${ends[end]}`,
    `asked ${ops.asked[at] ?? "nobody"}${ops.node[at] !== ops.asked[at] ? `, answered by ${ops.node[at] ?? "nobody"}` : ""}`,
    `t=${(ops.began[at] / 1e6).toFixed(6)} s` + (ops.took[at] === null ? "" : `, took ${(ops.took[at] / 1000).toFixed(3)} ms`),
  ];
  if (ops.epoch[at] !== null) facts.push(`entry ${ops.epoch[at]}/${ops.seq[at]}`);
  if (ops.stale[at] !== null) facts.push(`stale: overwritten ${ops.stale[at]} ms before, ${ops.behind[at]} versions behind`);
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
