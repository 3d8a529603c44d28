// The small parts that everything is made of: pictures, short messages, numbers, buttons.

import { html, signal, useEffect, useRef, useState } from "../../vendor/preact.js";
import { announce } from "../announce.js";
import * as format from "../format.js";
import { locale, t, word } from "../i18n.js";
import { dataNow, now } from "../live.js";
import { serverNow } from "../store.js";

const LINES = {
  logo: "M2 11a6 6 0 0 1 12 0M5 11a3 3 0 0 1 6 0M1 13.5h14",
  tunnels: "M2 4h12M2 8h12M2 12h8",
  events: "M8 2v6l4 2M8 14.5a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13",
  logs: "M3 2.5h10v11H3zM5.5 5.5h5M5.5 8h5M5.5 10.5h3",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10M10.8 10.8 14 14",
  copy: "M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1",
  done: "M3 8.5 6.5 12 13 4.5",
  open: "M6 3H3v10h10v-3M9 2.5h4.5V7M13.5 2.5 7.5 8.5",
  restart: "M13 8a5 5 0 1 1-1.5-3.5M12 1.5v3.2H8.8",
  close: "M4 4l8 8M12 4l-8 8",
  add: "M8 3v10M3 8h10",
  back: "M10 3 5 8l5 5",
  up: "M8 13V3M4 7l4-4 4 4",
  down: "M8 3v10M4 9l4 4 4-4",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
  moon: "M13.5 9.5A6 6 0 1 1 6.5 2.5a5 5 0 0 0 7 7",
  system: "M2 3h12v8H2zM6 14h4M8 11v3",
  help: "M6 6.2A2 2 0 1 1 8 8.5v1M8 12v.5M8 14.5a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13",
  bell: "M4 11V7a4 4 0 0 1 8 0v4l1 1.5H3zM7 14.5h2",
  mute: "M4 11V7a4 4 0 0 1 6.5-3.1M12 7.5V11l1 1.5H5M2 2l12 12M7 14.5h2",
  pause: "M5.5 3v10M10.5 3v10",
  play: "M4.5 3v10l8-5z",
  newest: "M8 2v8M4 6.5 8 10.5l4-4M3 13.5h10",
  table: "M2 3h12v10H2zM2 6.5h12M6.5 6.5V13",
  warning: "M8 2 15 14H1zM8 6.5V10M8 11.8v.4",
  key: "M10.5 9.5a3.5 3.5 0 1 0-3.3-2.3L2 12.4V14h2l.5-1.5H6L8.8 9",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${LINES[name]} /></svg>`;
}

// A shape of its own for each state: none is told by its colour alone.
const SHAPES = {
  online: html`<circle cx="8" cy="8" r="5" />`,
  starting: html`<circle cx="8" cy="8" r="5" class="hollow" /><path d="M8 3a5 5 0 0 1 0 10z" />`,
  offline: html`<circle cx="8" cy="8" r="5" class="hollow" /><path class="hollow" d="M4.5 11.5l7-7" />`,
  error: html`<path d="M8 2.2 14.5 13.5h-13z" />`,
  unknown: html`<circle cx="8" cy="8" r="5" class="hollow" /><circle cx="8" cy="8" r="1.5" />`,
  closed: html`<rect x="3.5" y="3.5" width="9" height="9" />`,
  warning: html`<path d="M8 1.8 14.2 8 8 14.2 1.8 8z" />`,
};

export function Shape({ name }) {
  return html`<svg class="shape" viewBox="0 0 16 16" aria-hidden="true" focusable="false">${SHAPES[name] ?? SHAPES.closed}</svg>`;
}

const STAY_MS = 4000;
const MOST = 4;
const toasts = signal([]);
let serial = 0;

/** Show { text, detail?, kind? }; `kind` "error" stays. */
export function toast(message) {
  const entry = { ...message, id: (serial += 1) };
  toasts.value = [...toasts.value, entry].slice(-MOST);
  if (message.kind !== "error") setTimeout(() => dismiss(entry.id), STAY_MS);
}

function dismiss(id) {
  toasts.value = toasts.value.filter((entry) => entry.id !== id);
}

/** Tell of a request that failed. */
export function toastError(text, error) {
  toast({ text, detail: [error.message, error.hint].filter(Boolean).join(" "), kind: "error" });
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map(
      (entry) => html`<div key=${entry.id} class=${`toast ${entry.kind === "error" ? "is-error" : ""}`}>
        <div>${entry.text}${entry.detail && html`<p class="hint" lang="en">${entry.detail}</p>`}</div>
        <button type="button" class="button bare ghost" aria-label=${t("dismiss")} onClick=${() => dismiss(entry.id)}>
          <${Icon} name="close" />
        </button>
      </div>`,
    )}
  </div>`;
}

/** A number with its unit; a dash with the reason where it is not known. `as` names a function of format.js. */
export function Value({ value, as = "count", why = "why.not_measured" }) {
  const text = value == null ? null : format[as](value, locale());
  if (text === null) return html`<${Unknown} why=${why} />`;
  return html`<span class="number">${text}</span>`;
}

export function Unknown({ why = "why.not_measured" }) {
  return html`<span class="unknown" title=${t(why)}><span aria-hidden="true">–</span><span class="spoken">${t(why)}</span></span>`;
}

/** Why a number of a tunnel is not known, as a key of the texts. */
export function whyUnknown(view, relayOnly = false) {
  if (!view.metrics) return "why.no_metrics";
  if (view.metrics.source == null) return view.meter === "off" ? "why.meter_off" : "why.not_measured";
  return relayOnly && view.metrics.source !== "relay" ? "why.relay_only" : "why.not_yet";
}

/** How long ago, with the exact time in the title. */
export function Ago({ time }) {
  const ms = typeof time === "string" ? format.parseTime(time) : time;
  if (ms == null) return html`<${Unknown} why="why.never" />`;
  const here = now.value - Date.now() + serverNow();
  return html`<time dateTime=${new Date(ms).toISOString()} title=${format.exact(ms, locale())}>${format.ago(ms, here, locale())}</time>`;
}

/** The time that has passed since; it stands still while the page is not live. */
export function Since({ time, why = "why.not_online" }) {
  if (time == null) return html`<${Unknown} why=${why} />`;
  return html`<span class="number" title=${t("since", { time: format.exact(time, locale()) })}>
    ${format.duration((dataNow.value - time) / 1000, locale())}</span>`;
}

/** A state as a word, a shape and a colour. */
export function Status({ status }) {
  return html`<span class=${`status is-${status}`}><${Shape} name=${status} />${word("status", status)}</span>`;
}

/** What is wrong, and what to do. */
export function Problem({ error, title = null }) {
  return html`<div class="callout is-error">
    <${Icon} name="warning" />
    <div>
      ${title && html`<strong>${title}</strong>`}
      <p lang="en">${error.message} ${error.hint && html`<span class="hint">${error.hint}</span>`}</p>
      ${error.reason && html`<p><code>${error.reason}</code></p>`}
    </div>
  </div>`;
}

export function Button({ icon, children, label, kind = "", ...rest }) {
  return html`<button type="button" class=${`button ${kind} ${children ? "" : "bare"}`} aria-label=${label} title=${rest.title ?? label} ...${rest}>
    ${icon && html`<${Icon} name=${icon} />`}${children && html`<span>${children}</span>`}
  </button>`;
}

/** Copy a text; the button says that it is done. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    announce(t("copied"));
    return true;
  } catch {
    toast({ text: t("copy_failed"), detail: text, kind: "error" });
    return false;
  }
}

export function CopyButton({ text, label }) {
  const [done, setDone] = useState(false);
  const timer = useRef(null);
  useEffect(() => () => clearTimeout(timer.current), []);
  const press = async (event) => {
    event.stopPropagation();
    if (!(await copy(text))) return;
    setDone(true);
    timer.current = setTimeout(() => setDone(false), 1500);
  };
  return html`<${Button} icon=${done ? "done" : "copy"} label=${done ? t("copied") : label} onClick=${press} kind="ghost" />`;
}

/** Nothing is here, and what to do about it. */
export function Empty({ title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;
}

/** One of a few; a group of radio buttons that looks like one bar. */
export function Choice({ name, label, options, value, onChange }) {
  return html`<fieldset class="choice"><legend class="spoken">${label}</legend>
    ${options.map(
      ([key, text]) => html`<label key=${key}><input type="radio" name=${name} value=${key} checked=${key === value}
        onChange=${() => onChange(key)} /><span>${text}</span></label>`,
    )}
  </fieldset>`;
}
