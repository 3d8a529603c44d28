// Finding things by typing. The filter language: `status:online type:tcp web errors>0 rate>1M -old`. Pure: it knows no tunnels, only `fields`.
//
// Terms stand side by side and must all hold. A term is a word or "some words" (found anywhere in the item's text),
// or a field with `:` (`status:online,error` is one of both; in texts, contained), `=`, `!=`, `>`, `>=`, `<`, `<=`.
// `-` before a term turns it round. A number that is not known satisfies no comparison.
//
// A field is { kind: "text" | "word" | "bytes" | "number" | "seconds", get: (item) => value, values?: [words] }.

const TERM = /-?(?:"[^"]*"?|[^\s"]+(?:"[^"]*"?)?)+/g;
const PARTS = /^([A-Za-z_]+)(!=|>=|<=|[:=><])([\s\S]*)$/;
const NUMBER = /^(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-zµ]*)(?:\/s)?$/;

const SIZES = {
  "": 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  t: 1e12,
  tb: 1e12,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};
const SECONDS = { "": 1, s: 1, us: 1e-6, µs: 1e-6, ms: 1e-3, m: 60, min: 60, h: 3600, d: 86400 };
const UNITS = { bytes: SIZES, seconds: SECONDS, number: { "": 1, k: 1e3, m: 1e6 } };

const COMPARE = {
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  "=": (a, b) => a === b,
  ":": (a, b) => a === b,
  "!=": (a, b) => a !== b,
};

/**
 * Read a filter.
 * @param text what the user wrote
 * @param fields the fields by name
 * @param textOf gives the text of an item in which plain words are looked for
 * @returns {{ matches: (item) => boolean, problems: { code: string, term: string, field?: string }[], empty: boolean }}
 *   A term with a problem is left out (`no_field`: it is looked for as text), so that half-written filters still show rows.
 */
export function parseFilter(text, fields, textOf) {
  const problems = [];
  const tests = [];
  for (const term of text.match(TERM) ?? []) {
    const negated = term.length > 1 && term.startsWith("-");
    const test = readTerm(negated ? term.slice(1) : term, fields, textOf, problems);
    if (test) tests.push(negated ? (item) => !test(item) : test);
  }
  return { matches: (item) => tests.every((test) => test(item)), problems, empty: tests.length === 0 };
}

function readTerm(term, fields, textOf, problems) {
  const parts = term.startsWith('"') ? null : PARTS.exec(term);
  if (!parts) return contains(textOf, unquoted(term));
  const [, name, operator, rest] = parts;
  const field = Object.hasOwn(fields, name.toLowerCase()) ? fields[name.toLowerCase()] : null;
  if (!field) {
    if (!rest.startsWith("//")) problems.push({ code: "no_field", term, field: name });
    return contains(textOf, unquoted(term));
  }
  const value = unquoted(rest);
  if (value === "") {
    problems.push({ code: "no_value", term, field: name });
    return null;
  }
  return UNITS[field.kind]
    ? numeric(field, operator, value, term, problems)
    : textual(field, operator, value, term, problems);
}

function unquoted(text) {
  return text.replaceAll('"', "").toLowerCase();
}

function contains(get, wanted) {
  return (item) => lower(get(item)).includes(wanted);
}

function lower(value) {
  return value == null ? "" : String(value).toLowerCase();
}

function textual(field, operator, value, term, problems) {
  const wanted = value.split(",").filter(Boolean);
  if (operator === ":") return (item) => wanted.some((one) => fits(field, lower(field.get(item)), one));
  if (operator === "=") return (item) => wanted.includes(lower(field.get(item)));
  if (operator === "!=") return (item) => !wanted.includes(lower(field.get(item)));
  problems.push({ code: "not_a_number_field", term });
  return null;
}

/** Words may be cut short (`status:on`), unless what is written is a whole word itself (`type:tcp` is not tcpmux). */
function fits(field, have, wanted) {
  if (field.kind === "text") return have.includes(wanted);
  return (field.values ?? []).includes(wanted) ? have === wanted : have.startsWith(wanted);
}

function numeric(field, operator, value, term, problems) {
  const amount = readNumber(value, field.kind);
  if (amount === null) {
    problems.push({ code: "bad_number", term });
    return null;
  }
  return (item) => {
    const have = field.get(item);
    return typeof have === "number" && !Number.isNaN(have) && COMPARE[operator](have, amount);
  };
}

/** "1.5M" as a number of the kind's base unit; null when it is none. */
function readNumber(text, kind) {
  const parts = NUMBER.exec(text);
  const factor = parts ? UNITS[kind][parts[2].toLowerCase()] : undefined;
  return factor === undefined ? null : Number(parts[1]) * factor;
}

/** A score, higher is better, or null when the letters are not all there in order. Starts of words and runs count more. */
function fuzzyScore(typed, text) {
  const wanted = typed.toLowerCase().replace(/\s+/g, "");
  const have = text.toLowerCase();
  let score = 0;
  let at = -1;
  for (const letter of wanted) {
    const next = have.indexOf(letter, at + 1);
    if (next < 0) return null;
    const startsWord = next === 0 || /[^\p{L}\p{N}]/u.test(have[next - 1]);
    score += next === at + 1 ? 5 : startsWord ? 3 : 1;
    at = next;
  }
  const whole = typed.trim().toLowerCase();
  if (whole && have.includes(whole)) score += 10 + (have.startsWith(whole) ? 5 : 0);
  return score - have.length / 100;
}

/** The best of `items` for what was typed, best first; all in their order when nothing was typed. */
export function fuzzyBest(typed, items, textOf, most) {
  if (!typed.trim()) return items.slice(0, most);
  return items
    .map((item) => ({ item, score: fuzzyScore(typed, textOf(item)) }))
    .filter(({ score }) => score !== null)
    .sort((a, b) => b.score - a.score)
    .slice(0, most)
    .map(({ item }) => item);
}
