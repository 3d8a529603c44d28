// What the page knows, as signals. Frames of the stream come in here; views read.

import { batch, computed, signal } from "../vendor/preact.js";
import { get } from "./api.js";
import { parseTime } from "./format.js";
import { Sparks } from "./curves.js";

const MOST_EVENTS = 1000;

/** "loading", "open" (no token: only the open overview) or "full". */
export const mode = signal("loading");
/** ClientView, or null before the first answer. */
export const client = signal(null);
/** Rows by id: TunnelView with `since`, the time in milliseconds since which it is online. A new Map for each change. */
export const tunnels = signal(new Map());
/** The server's time of the newest numbers in milliseconds; null before the first. */
export const asOf = signal(null);
/** Grows with each frame that carries numbers, also when nothing has changed. */
export const tick = signal(0);
/** EventView, oldest first; the oldest are dropped beyond a thousand. */
export const events = signal([]);
export const alerts = signal({ alerts: [], silences: [] });
export const sparks = new Sparks();

/** What the server's clock is ahead of this one, in milliseconds. */
let clockOffset = 0;
export const serverNow = () => Date.now() + clockOffset;

export function setServerTime(text) {
  const time = parseTime(text);
  if (time !== null) clockOffset = time - Date.now();
}

const filled = new Set();
const MOST_FILLED = 50; // tunnels in one question
const SERIES = "bytes_sent_per_second,bytes_received_per_second";

/** Fetch what the curves of these tunnels have missed: before the page came, or while it was not live. */
export async function fillSparks(ids) {
  const wanted = ids.filter((id) => !filled.has(id)).slice(0, MOST_FILLED);
  if (!wanted.length) return;
  for (const id of wanted) filled.add(id);
  const question = { ids: wanted.join(), range: 60, step: 1, series: SERIES };
  const body = await get("api/metrics", question).catch(() => null);
  if (!body) return;
  for (const [id, { bytes_sent_per_second: sent, bytes_received_per_second: received }] of Object.entries(
    body.tunnels,
  )) {
    const values = sent.map((value, index) => bothWays({ bytes_sent: value, bytes_received: received[index] }));
    sparks.fill(id, body.time, values);
  }
}

function row(view, time) {
  const running = view.status === "online" && typeof view.uptime === "number";
  return { ...view, since: running ? time - view.uptime * 1000 : null };
}

const bothWays = (rates) =>
  rates?.bytes_sent == null || rates.bytes_received == null ? null : rates.bytes_sent + rates.bytes_received;

/** Bytes a second both ways in the last second; null: not known. */
const trafficNow = (view) => bothWays(view.metrics?.rates?.["1"]);

function take(rows, clientView, time) {
  batch(() => {
    tunnels.value = rows;
    client.value = clientView;
    asOf.value = time;
    tick.value += 1;
  });
  sparks.push(
    Math.round(time / 1000),
    [...rows.values()].map((view) => [view.id, trafficNow(view)]),
  );
}

/** The whole state: body of /api/tunnels. */
export function takeSnapshot(body) {
  const time = parseTime(body.as_of) ?? serverNow();
  const rows = new Map(body.tunnels.map((view) => [view.id, row(view, time)]));
  for (const id of tunnels.peek().keys()) if (!rows.has(id)) sparks.forget(id);
  filled.clear();
  take(rows, body.client, time);
}

/** What has changed since. */
export function takeDelta(body) {
  const time = parseTime(body.as_of) ?? serverNow();
  let rows = tunnels.peek();
  if (body.tunnels.length || body.removed.length) {
    rows = new Map(rows);
    for (const view of body.tunnels) rows.set(view.id, row(view, time));
    for (const id of body.removed) {
      rows.delete(id);
      sparks.forget(id);
      filled.delete(id);
    }
  }
  take(rows, body.client, time);
}

/** The open overview: /api/status, which tells less. */
export function takeStatus(body) {
  const time = serverNow();
  const rows = new Map(
    body.tunnels.map((view) => [view.id, row({ urls: [], uptime: view.metrics?.uptime_seconds, ...view }, time)]),
  );
  take(rows, body.client, time);
}

let early = null; // events that come while the ones before them are still being fetched

/** Take one event; one that is known already (sent again after a reconnect) is left out. */
export function takeEvent(view) {
  if (early) early.push(view);
  else append([view]);
}

function append(views) {
  const known = events.peek();
  const last = known.length ? known[known.length - 1].id : -Infinity;
  const fresh = views.filter((view) => view.id > last);
  if (fresh.length) events.value = [...known, ...fresh].slice(-MOST_EVENTS);
}

/** Replace all events by those of an answer of /api/events, and what comes meanwhile. */
export async function loadEvents(asked) {
  const mine = (early = []);
  const body = await asked.catch(() => ({ events: [] }));
  if (mine !== early) return;
  early = null;
  events.value = body.events;
  append(mine);
}

function sum(pick) {
  let total = 0;
  let unknown = 0;
  for (const view of tunnels.value.values()) {
    const value = pick(view);
    if (value == null) unknown += 1;
    else total += value;
  }
  return { value: unknown && unknown === tunnels.value.size ? null : total, unknown };
}

/** Sums over all tunnels; `value` is null when none is known, `unknown` counts tunnels that are not in it. */
export const totals = computed(() => ({
  sent: sum((view) => view.metrics?.rates?.["10"]?.bytes_sent),
  received: sum((view) => view.metrics?.rates?.["10"]?.bytes_received),
  open: sum((view) => view.metrics?.open_connections),
  errors: sum((view) => view.metrics?.error_count),
  recentErrors: sum((view) => errorsInFiveMinutes(view)),
}));

function errorsInFiveMinutes(view) {
  const rate = view.metrics?.rates?.["300"]?.errors;
  return rate == null ? null : Math.round(rate * 300);
}

export const statusCounts = computed(() => {
  const counts = { online: 0, starting: 0, offline: 0, error: 0, closed: 0, unknown: 0 };
  for (const view of tunnels.value.values()) counts[view.status] = (counts[view.status] ?? 0) + 1;
  return counts;
});
