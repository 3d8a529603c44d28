// The connection to the dashboard: the stream, what to do when it ends, and what the page may claim meanwhile.
//
//   connecting ──► live ──► lost ──(countdown)──► connecting        live ──► stopped: the dashboard said goodbye
//        └──► polling (no token)                                    any  ──► asleep: the page is hidden

import { batch, computed, signal } from "../vendor/preact.js";
import { ApiError, get, url } from "./api.js";
import * as store from "./store.js";

const RETRY_SECONDS = [1, 2, 4, 8, 15];
const POLL_SECONDS = 2;
const WATCH_MS = 500;
const SILENT_SECONDS = 3; // a frame comes each second: after three of silence the numbers are old

/** { state, retryAt }: retryAt is a time of Date.now() while a next try is waited for. */
export const live = signal({ state: "connecting", retryAt: null });
/** This machine's time, once a second, for everything that counts on. */
export const now = signal(Date.now());
/** The version of frp_wrapper that answers. */
export const version = signal(null);

let stream = null;
let timer = null;
let attempt = 0;
let generation = 0; // an answer to an earlier try must not change the state of a later one
let lastFrame = 0; // performance.now() of the newest numbers
let lastId = "";
let run = null; // which run of the client's program the events are of
let interval = 1;
const logListeners = new Set();

/** Whether the numbers on the page are those of now. */
export const fresh = computed(() => live.value.state === "live" || live.value.state === "polling");
/** Seconds since the numbers were fresh. */
export const age = computed(() => (store.asOf.value === null ? null : Math.max(0, now.value - frameAt.value) / 1000));
const frameAt = signal(Date.now());
/** The server's time up to which durations may be counted on: it stands still while the page is not live. */
export const dataNow = computed(() => (fresh.value ? now.value - Date.now() + store.serverNow() : store.asOf.value));

function enter(state, retryAt = null) {
  const before = live.peek();
  if (before.state !== state || before.retryAt !== retryAt) live.value = { state, retryAt };
}

function gotFrame() {
  lastFrame = performance.now();
  frameAt.value = Date.now();
  attempt = 0;
}

function close() {
  generation += 1;
  clearTimeout(timer);
  stream?.close();
  stream = null;
}

/** Begin, or begin again at once. */
export async function connect() {
  close();
  const mine = generation;
  if (live.peek().state !== "stopped") enter("connecting");
  try {
    const body = await get("api/tunnels");
    if (mine !== generation) return;
    batch(() => {
      store.mode.value = "full";
      store.takeSnapshot(body);
    });
    gotFrame();
    openStream();
  } catch (error) {
    if (mine !== generation) return;
    if (error instanceof ApiError && error.status === 401) poll();
    else later("lost");
  }
}

function openStream() {
  stream?.close();
  const mine = (stream = new EventSource(url("api/stream", { logs: logListeners.size ? 1 : null, last_id: lastId })));
  lastFrame = performance.now();
  const on = (name, take) =>
    mine.addEventListener(name, (frame) => {
      if (mine !== stream) return;
      if (frame.lastEventId) lastId = frame.lastEventId;
      take(JSON.parse(frame.data || "null"));
    });
  on("hello", takeHello);
  on("snapshot", numbers(store.takeSnapshot));
  on("delta", numbers(store.takeDelta));
  on("event", (event) => store.takeEvent(event));
  on("alerts", (body) => (store.alerts.value = body));
  on("log", (body) => logListeners.forEach((listener) => listener(body.lines)));
  on("bye", () => later("stopped"));
  mine.onerror = () => mine === stream && later("lost");
}

function takeHello(hello) {
  store.setServerTime(hello.server_time);
  interval = hello.interval ?? 1;
  version.value = hello.version ?? null;
  if (run !== null && run === hello.run) return; // the stream goes on after `last_id`
  run = hello.run ?? "";
  store.loadEvents(get("api/events", { limit: 1000 }));
}

const numbers = (take) => (body) => {
  batch(() => {
    take(body);
    gotFrame();
    enter("live");
  });
};

/** Try again after a while, longer each time. A dashboard that was stopped stays "stopped" until it answers. */
function later(state) {
  close();
  if (live.peek().state === "stopped") state = "stopped";
  const seconds = RETRY_SECONDS[Math.min(attempt, RETRY_SECONDS.length - 1)];
  attempt += 1;
  enter(state, Date.now() + seconds * 1000);
  timer = setTimeout(connect, seconds * 1000);
}

async function poll() {
  close();
  const mine = generation;
  store.mode.value = "open";
  try {
    const body = await get("api/status");
    if (mine !== generation) return;
    store.takeStatus(body);
    gotFrame();
    enter("polling");
    timer = setTimeout(poll, POLL_SECONDS * 1000);
  } catch {
    if (mine === generation) later("lost");
  }
}

/** Get log lines as they come. Returns what ends it. The stream carries logs only while somebody listens. */
export function listenToLogs(listener) {
  logListeners.add(listener);
  if (logListeners.size === 1 && stream) openStream();
  return () => {
    logListeners.delete(listener);
    if (logListeners.size === 0 && stream) openStream();
  };
}

function watch() {
  now.value = Date.now();
  const silent = (performance.now() - lastFrame) / 1000;
  if (stream && silent > Math.max(SILENT_SECONDS, SILENT_SECONDS * interval)) later("lost");
}

/** A hidden page gives its connection back: browsers open six to one address, over all tabs. */
function visibilityChanged() {
  if (document.visibilityState === "hidden") sleep();
  else if (live.peek().state === "asleep") connect();
}

function sleep() {
  close();
  attempt = 0;
  enter("asleep");
}

export function start() {
  document.addEventListener("visibilitychange", visibilityChanged);
  addEventListener("pagehide", sleep);
  addEventListener("pageshow", (event) => event.persisted && connect());
  setInterval(watch, WATCH_MS);
  if (document.visibilityState === "hidden") enter("asleep");
  else connect();
}
