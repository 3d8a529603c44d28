// What can be said of a tunnel, once: the table sorts by it and the filter language names it. Pure.

import { parseTime } from "./format.js";

const STATUSES = ["online", "starting", "offline", "error", "closed", "unknown"];
const TYPES = ["tcp", "udp", "http", "https", "tcpmux", "stcp", "sudp", "xtcp"];

const metric = (name) => (view) => view.metrics?.[name] ?? null;
const rate = (name) => (view) => view.metrics?.rates?.["10"]?.[name] ?? null;
const plus = (first, second) => (view) => {
  const parts = [first(view), second(view)];
  return parts.every((part) => part === null) ? null : parts[0] + parts[1];
};

/** Where the local service is, as text; "" where it is none, as for frp's plugins. */
export const localOf = (view) => (view.local_port ? `${view.local_host ?? ""}:${view.local_port}` : "");

/** The fields by name, as the filter language takes them; `now` in them is the server's time in milliseconds. */
export function tunnelFields(now) {
  const since = (ms) => (ms === null ? null : (now - ms) / 1000);
  return {
    name: { kind: "text", get: (view) => view.id },
    status: { kind: "word", values: STATUSES, get: (view) => view.status },
    type: { kind: "word", values: TYPES, get: (view) => view.type },
    url: { kind: "text", get: (view) => [view.url, ...(view.urls ?? [])].join(" ") },
    local: { kind: "text", get: localOf },
    meter: { kind: "word", values: ["passive", "relay", "log", "auto", "off"], get: (view) => view.metrics?.source ?? view.meter },
    reason: { kind: "text", get: (view) => view.error?.reason },
    rate: { kind: "bytes", get: plus(rate("bytes_sent"), rate("bytes_received")) },
    out: { kind: "bytes", get: rate("bytes_sent") },
    in: { kind: "bytes", get: rate("bytes_received") },
    sent: { kind: "bytes", get: metric("bytes_sent") },
    received: { kind: "bytes", get: metric("bytes_received") },
    total: { kind: "bytes", get: plus(metric("bytes_sent"), metric("bytes_received")) },
    open: { kind: "number", get: metric("open_connections") },
    conns: { kind: "number", get: metric("connection_count") },
    errors: { kind: "number", get: metric("error_count") },
    refused: { kind: "number", get: metric("refused_count") },
    latency: { kind: "seconds", get: (view) => view.metrics?.latency?.p95 ?? null },
    up: { kind: "seconds", get: (view) => since(view.since) },
    idle: { kind: "seconds", get: (view) => since(parseTime(view.metrics?.last_activity)) },
  };
}

/** The text in which a plain word of a filter is looked for. */
export const tunnelText = (view) =>
  [view.id, view.type, view.status, view.url, ...(view.urls ?? []), localOf(view)].join(" ");

const byName = new Intl.Collator(undefined, { numeric: true });

/** Compare for a sort: unknown values go last, whichever way; equal ones by name, so that rows do not jump. */
export function comparison(field, descending) {
  const turn = descending ? -1 : 1;
  const rank = field.values ? (value) => field.values.indexOf(value) : null;
  return (a, b) => {
    const [x, y] = [field.get(a), field.get(b)].map((value) => (value === "" ? null : value));
    if (x == null || y == null) return (x == null) - (y == null) || byName.compare(a.id, b.id);
    const order = rank ? rank(x) - rank(y) : typeof x === "number" ? x - y : byName.compare(x, y);
    return order * turn || byName.compare(a.id, b.id);
  };
}
