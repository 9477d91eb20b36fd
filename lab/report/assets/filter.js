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

const contains = (column, wanted) => (at) => column[at]?.toLowerCase().includes(wanted) ?? false;

function fieldTest(field, wanted, ops) {
  switch (field) {
    case "key":
      return contains(ops.key, wanted);
    case "value":
      return contains(ops.value, wanted);
    case "client":
      return (at) => String(ops.client[at]) === wanted;
    case "node":
      return (at) => ops.node[at] === wanted || ops.asked[at] === wanted;
    case "op":
      return (at) => ops.op[at] === wanted || (wanted === "write" && ops.op[at] !== "get") || (wanted === "read" && ops.op[at] === "get");
    case "level":
      return (at) => ops.level[at] === wanted;
    default:
      return (at) => outcomeIs(ops, at, wanted);
  }
}

function outcomeIs(ops, at, wanted) {
  if (wanted === "stale") return ops.stale[at] !== null;
  if (wanted === "violation") return ops.violations.has(at);
  return ending(ops, at) === wanted || (wanted === "unknown" && ending(ops, at) === "open");
}

function anyTest(word, ops) {
  const tests = ["key", "value", "node", "op", "level", "outcome"].map((field) => fieldTest(field, word, ops));
  return (at) => tests.some((test) => test(at));
}
