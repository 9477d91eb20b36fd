// Numbers and names from little text. The other side is lab/report/pack.rs.

// Seven bits a byte, the lowest first. Beyond 31 bits shifts would lose what is above, so it multiplies.
function plain(base64, count) {
  const bytes = atob(base64);
  const out = new Float64Array(count);
  let [at, value, factor] = [0, 0, 1];
  for (let b = 0; b < bytes.length; b++) {
    const byte = bytes.charCodeAt(b);
    value += (byte & 127) * factor;
    factor *= 128;
    if (byte < 128) {
      out[at++] = value;
      [value, factor] = [0, 1];
    }
  }
  return out;
}

// Each zero is followed by how many more zeros follow.
function sparse(base64, count) {
  const packed = plain(base64, 2 * count);
  const out = new Float64Array(count);
  for (let [from, to] = [0, 0]; to < count; from++) {
    if (packed[from] === 0) to += packed[++from] + 1;
    else out[to++] = packed[from];
  }
  return out;
}

const signed = (zigzag) => (zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2);

// Adds up, in place.
function summed(steps) {
  let sum = 0;
  for (let at = 0; at < steps.length; at++) steps[at] = sum += signed(steps[at]);
  return steps;
}

// Stems with numbers that count on.
function names({ count, stems, stem, number }) {
  const stemOf = plain(stem, count);
  const steps = plain(number, count);
  const last = new Float64Array(stems.length);
  let next = 0;
  return Array.from(stemOf, (coded) => {
    const stem = Math.floor(coded / 2);
    return coded % 2 === 0 ? stems[stem] : stems[stem] + (last[stem] += signed(steps[next++]));
  });
}
