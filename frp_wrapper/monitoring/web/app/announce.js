// What changed, for people who hear the page. Said at most every two seconds, and many changes as one sentence.

import { effect, signal } from "../vendor/preact.js";
import { t, word } from "./i18n.js";
import { live } from "./live.js";
import { alerts, client, tunnels } from "./store.js";

const PAUSE_MS = 2000;
const MOST_AT_ONCE = 3;

/** The text of the live region. */
export const spoken = signal("");

let waiting = [];
let timer = null;

/** Say something soon. */
export function announce(text) {
  waiting.push(text);
  timer ??= setTimeout(speak, spoken.peek() ? PAUSE_MS : 100);
}

function speak() {
  timer = null;
  if (!waiting.length) {
    spoken.value = "";
    return;
  }
  const many = waiting.length > MOST_AT_ONCE;
  spoken.value = many ? `${waiting[0]}. ${t("announce.more", { n: waiting.length - 1 })}` : waiting.join(". ");
  waiting = [];
  timer = setTimeout(speak, PAUSE_MS);
}

function compare(before, after) {
  const changed = new Map();
  for (const [id, view] of after) {
    const old = before.get(id);
    if (old && old.status !== view.status) changed.set(view.status, [...(changed.get(view.status) ?? []), id]);
  }
  for (const [status, ids] of changed) {
    const now = word("status", status);
    announce(
      ids.length > MOST_AT_ONCE
        ? t("announce.tunnels", { n: ids.length, status: now })
        : t("announce.tunnel", { name: ids.join(", "), status: now }),
    );
  }
}

/** Call `told` with the value before and after, whenever a signal changes; not for its first value. */
function onChange(read, told) {
  let before;
  effect(() => {
    const after = read();
    const last = before;
    before = after;
    if (last !== undefined && last !== after) queueMicrotask(() => told(last, after));
  });
}

const firing = () => alerts.value.alerts.filter((alert) => alert.state === "firing" && !alert.silenced);

export function startAnnouncing() {
  onChange(() => tunnels.value, compare);
  onChange(
    () => client.value?.connected,
    (_, connected) => announce(t(connected ? "announce.connected" : "announce.disconnected")),
  );
  onChange(
    () => live.value.state,
    (before, state) => {
      if (["lost", "stopped"].includes(state) && before !== "connecting") announce(t(`live.${state}`));
      if (state === "live" && before !== "asleep") announce(t("live.live"));
    },
  );
  onChange(
    () => firing().length,
    (before, after) => after > before && announce(t("announce.alerts", { n: after })),
  );
}
