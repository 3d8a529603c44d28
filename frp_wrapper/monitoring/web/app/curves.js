// From numbers to curves: the last minute of each tunnel, and the scales and lines of charts. Pure.

const SLOTS = 60;

export class Sparks {
  constructor() {
    this.head = 0; // the slot of the newest second, the same in all rings
    this.second = null;
    this.rings = new Map();
  }

  /** Write one moment: `second` grows; `items` are [id, bytes a second or null]. Seconds that were missed stay unknown. */
  push(second, items) {
    const steps = this.second === null ? 1 : Math.min(Math.max(second - this.second, 0), SLOTS);
    for (let step = 0; step < steps; step += 1) this.#turn();
    this.second = second;
    for (const [id, value] of items) this.#ring(id)[this.head] = value ?? NaN;
  }

  /** Fill in what was missed: `seconds` and the values then. What has been seen live is kept. */
  fill(id, seconds, values) {
    if (this.second === null) return;
    const ring = this.#ring(id);
    values.forEach((value, index) => {
      const age = this.second - Math.round(seconds[index]);
      if (age < 0 || age >= SLOTS || value === null) return;
      const slot = (this.head - age + SLOTS) % SLOTS;
      if (Number.isNaN(ring[slot])) ring[slot] = value;
    });
  }

  /** The numbers of one tunnel, oldest first. */
  values(id) {
    const ring = this.rings.get(id);
    return ring ? [...ring.subarray(this.head + 1), ...ring.subarray(0, this.head + 1)] : [];
  }

  /** The sum of all tunnels, oldest first; unknown where none is known. */
  total() {
    const sums = new Float64Array(SLOTS).fill(NaN);
    for (const ring of this.rings.values()) {
      ring.forEach((value, slot) => {
        if (!Number.isNaN(value)) sums[slot] = value + (Number.isNaN(sums[slot]) ? 0 : sums[slot]);
      });
    }
    return [...sums.subarray(this.head + 1), ...sums.subarray(0, this.head + 1)];
  }

  forget(id) {
    this.rings.delete(id);
  }

  #turn() {
    this.head = (this.head + 1) % SLOTS;
    for (const ring of this.rings.values()) ring[this.head] = NaN;
  }

  #ring(id) {
    let ring = this.rings.get(id);
    if (!ring) this.rings.set(id, (ring = new Float64Array(SLOTS).fill(NaN)));
    return ring;
  }
}

/** The curve of the last minute as the `d` of an SVG path in a box of that size. */
export function sparkPath(values, width, height) {
  const known = values.map((value) => (Number.isNaN(value) ? null : value));
  const top = Math.max(...known, 1);
  const y = (value) => height - 1 - (value / top) * (height - 2);
  return linePath([...known.keys()], known, (index) => (index * width) / (SLOTS - 1), y);
}

const DECIMAL_STEPS = [1, 2, 5];
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** Round values from 0 to above `top`, about `wanted` of them; `whole`: no fractions. The last one is the top of the chart. */
export function valueTicks(top, whole, wanted = 4) {
  const least = Math.max(top > 0 ? top : 1, Number.MIN_VALUE) / wanted;
  const power = 10 ** Math.floor(Math.log10(least));
  const digit = DECIMAL_STEPS.find((each) => each * power >= least) ?? 10;
  const step = whole ? Math.max(1, digit * power) : digit * power;
  const count = Math.max(1, Math.ceil((top > 0 ? top : 1) / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, index) => index * step);
}

/** Round times between two, in seconds, not more than `most`; `offset` is what local time is ahead of UTC, in seconds. */
export function timeTicks([from, to], most, offset = 0) {
  const step = TIME_STEPS.find((each) => (to - from) / each <= most) ?? TIME_STEPS.at(-1);
  const ticks = [];
  for (let time = Math.ceil((from + offset) / step) * step - offset; time <= to; time += step) ticks.push(time);
  return { ticks, step };
}

/** A line as the `d` of an SVG path; what is not known is a gap. `x` and `y` turn times and values into pixels. */
export function linePath(times, values, x, y) {
  let path = "";
  let drawing = false;
  times.forEach((time, index) => {
    if (values[index] == null) {
      drawing = false;
      return;
    }
    const [left, top] = [x(time).toFixed(1), y(values[index]).toFixed(1)];
    path += drawing ? `L${left} ${top}` : `M${left} ${top}h.01`;
    drawing = true;
  });
  return path;
}

/** The same line closed down to `floor`, piece by piece, to be filled. */
export function areaPath(line, floor) {
  return line
    .split("M")
    .slice(1)
    .map((piece) => {
      const points = piece.replace("h.01", "").split("L");
      const [first, last] = [points[0].split(" ")[0], points.at(-1).split(" ")[0]];
      return `M${first} ${floor}L${points.join("L")}L${last} ${floor}z`;
    })
    .join("");
}

/** The index of the time that is nearest; null where there are none. */
export function nearest(times, time) {
  if (!times.length) return null;
  let [low, high] = [0, times.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] > time) high = middle;
    else low = middle;
  }
  return time - times[low] <= times[high] - time ? low : high;
}
