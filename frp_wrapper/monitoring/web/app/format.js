// Numbers and times as people read them. Pure: everything it needs are arguments, so tests need no page.
// Every function gives null for a number that is not known; what to show then is the caller's choice.

const numberFormats = new Map();

function number(value, locale, options) {
  const key = locale + JSON.stringify(options);
  let format = numberFormats.get(key);
  if (!format) numberFormats.set(key, (format = new Intl.NumberFormat(locale, options)));
  return format.format(value);
}

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** Three significant digits, but never fewer than stand before the point: 1.53, 15.3, 153. */
function threeDigits(value, locale) {
  const size = Math.abs(value);
  const digits = size >= 99.95 || Number.isInteger(value) ? 0 : size >= 9.995 ? 1 : 2;
  return number(value, locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const PREFIXES = ["", "k", "M", "G", "T", "P"];

function scaled(value, unit, locale) {
  let step = 0;
  while (Math.abs(value) >= 999.5 && step < PREFIXES.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${step ? threeDigits(value, locale) : number(value, locale, { maximumFractionDigits: 0 })} ${PREFIXES[step]}${unit}`;
}

/** Bytes in units of 1,000: "1.53 MB". */
export function bytes(value, locale = "en") {
  return known(value) ? scaled(value, "B", locale) : null;
}

/** Bytes a second: "1.53 MB/s". */
export function byteRate(value, locale = "en") {
  return known(value) ? scaled(value, "B/s", locale) : null;
}

/** A whole number: "12,345". */
export function count(value, locale = "en") {
  return known(value) ? number(value, locale, { maximumFractionDigits: 0 }) : null;
}

/** Something a second: "0.25/s". */
export function perSecond(value, locale = "en") {
  return known(value) ? `${threeDigits(value, locale)}/s` : null;
}

/** Percent of 0..100: "99.95%". */
export function percent(value, locale = "en") {
  return known(value) ? number(value / 100, locale, { style: "percent", maximumFractionDigits: 2 }) : null;
}

/** A short time, such as a latency, from seconds: "350 µs", "1.20 ms", "2.50 s". */
export function latency(seconds, locale = "en") {
  if (!known(seconds)) return null;
  if (seconds === 0) return "0 ms";
  if (seconds < 0.0009995) return `${threeDigits(Math.round(seconds * 1e6), locale)} µs`;
  if (seconds < 0.9995) return `${threeDigits(seconds * 1e3, locale)} ms`;
  return `${threeDigits(seconds, locale)} s`;
}

const UNITS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** A span in its two largest units: "3m 12s", "2h 5m", "4d 1h". */
export function duration(seconds, locale = "en") {
  if (!known(seconds)) return null;
  let rest = Math.max(0, Math.floor(seconds));
  const first = UNITS.findIndex(([, size]) => rest >= size);
  if (first < 0) return unit(0, "second", locale);
  const parts = [];
  for (const [name, size] of UNITS.slice(first, first + 2)) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount) parts.push(unit(amount, name, locale));
  }
  return parts.join(" ");
}

/** The length of something that may be short or long: "1.20 ms", "3m 12s". */
export function span(seconds, locale = "en") {
  return known(seconds) && seconds >= 60 ? duration(seconds, locale) : latency(seconds, locale);
}

function unit(amount, name, locale) {
  return number(amount, locale, { style: "unit", unit: name, unitDisplay: "narrow" });
}

const relativeFormats = new Map();

/** How long ago, from two times in milliseconds: "now", "12s ago", "3h ago". */
export function ago(then, now, locale = "en") {
  if (!known(then)) return null;
  let format = relativeFormats.get(locale);
  if (!format) {
    format = new Intl.RelativeTimeFormat(locale, { style: "narrow", numeric: "auto" });
    relativeFormats.set(locale, format);
  }
  const seconds = Math.round((now - then) / 1000);
  if (Math.abs(seconds) < 2) return format.format(0, "second");
  const [name, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length);
  return format.format(-Math.trunc(seconds / size), name);
}

const EXACT = {
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZoneName: "short",
};
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const dateFormats = new Map();

function date(ms, locale, options) {
  const key = locale + Object.keys(options).join();
  let format = dateFormats.get(key);
  if (!format) dateFormats.set(key, (format = new Intl.DateTimeFormat(locale, options)));
  return format.format(ms);
}

/** The moment in the reader's own time zone, with its name. */
export function exact(ms, locale = "en") {
  return known(ms) ? date(ms, locale, EXACT) : null;
}

/** The time of day: "14:03:05", without seconds where they say nothing. */
export function clock(ms, locale = "en", withSeconds = true) {
  if (!known(ms)) return null;
  const { second, ...short } = CLOCK;
  return date(ms, locale, withSeconds ? CLOCK : short);
}

/** The day: "Thursday, November 26". */
export function day(ms, locale = "en") {
  return known(ms) ? date(ms, locale, { weekday: "long", month: "long", day: "numeric" }) : null;
}

/** Milliseconds of an ISO time; null where there is none. */
export function parseTime(text) {
  const ms = text ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? null : ms;
}
