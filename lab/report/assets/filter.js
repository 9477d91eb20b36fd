// The search above the timeline: words, or field:word, all of which must fit.

const FIELDS = ["key", "value", "client", "node", "op", "level", "outcome"];

// A function from an operation's place to whether it fits; null if everything does.
function filterOf(text, ops) {
  const words = text.trim().toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return null;
  const tests = words.map((word) => {
    const [, field, wanted] = word.match(/^([a-z]+):(.*)$/) ?? [];
    return FIELDS.includes(field) ? fieldTest(field, wanted, ops) : anyTest(word, ops);
  });
  return (at) => tests.every((test) => test(at));
}

// Each key and value is looked at once, not once for each operation.
function tableTest(table, wanted) {
  const fits = table.map((name) => name.toLowerCase().includes(wanted));
  return (place) => fits[place] ?? false;
}

function fieldTest(field, wanted, ops) {
  switch (field) {
    case "key": {
      const fits = tableTest(ops.keys, wanted);
      return (at) => fits(ops.key[at]);
    }
    case "value": {
      const fits = tableTest(ops.values, wanted);
      return (at) => fits(ops.value[at] - 1);
    }
    case "client":
      return (at) => String(ops.client[at]) === wanted;
    case "node":
      return (at) => [ops.node[at], ops.asked[at]].some((node) => node > 0 && nodeName(ops, node) === wanted);
    case "op":
      return (at) => what(ops, at) === wanted || (wanted === "write" && what(ops, at) !== "get") || (wanted === "read" && what(ops, at) === "get");
    case "level":
      return (at) => level(ops, at) === wanted;
    default:
      return (at) => outcomeIs(ops, at, wanted);
  }
}

function outcomeIs(ops, at, wanted) {
  if (wanted === "stale") return ops.stale[at] > 0;
  if (wanted === "violation") return ops.violations.has(at);
  return end(ops, at) === wanted || (wanted === "unknown" && end(ops, at) === "open");
}

function anyTest(word, ops) {
  const tests = ["key", "value", "node", "op", "level", "outcome"].map((field) => fieldTest(field, word, ops));
  return (at) => tests.some((test) => test(at));
}
