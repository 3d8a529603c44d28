// Alerts that fire or are about to, what is kept quiet, and everything that happened.

import { html, useMemo, useState } from "../../vendor/preact.js";
import { endSilence, silence } from "../actions.js";
import { parseFilter } from "../filter.js";
import * as format from "../format.js";
import { locale, t, word } from "../i18n.js";
import { now } from "../live.js";
import { link, route, setParameters } from "../router.js";
import { alerts, events } from "../store.js";
import { Ago, Button, Empty, Icon, Shape } from "../ui/parts.js";
import { FilterField } from "./filter-field.js";

const SILENCES = [
  [900, "silence.15m"],
  [3600, "silence.1h"],
  [28800, "silence.8h"],
];

/** A menu that is a native select: it works with every input, and reads well. */
function SilenceChoice({ label, target }) {
  const choose = (event) => {
    silence(Number(event.target.value), target);
    event.target.value = "";
  };
  return html`<label class="silence"><${Icon} name="mute" /><span class="spoken">${label}</span>
    <select onChange=${choose}><option value="">${t("silence.action")}</option>
      ${SILENCES.map(([seconds, key]) => html`<option key=${seconds} value=${seconds}>${t(key)}</option>`)}</select></label>`;
}

const plain = (value) => String(Number(value.toPrecision(4)));
const SHOWN = {
  high_error_rate: (value) => format.percent(value * 100, locale()),
  bandwidth: (value) => format.byteRate(value, locale()),
  no_traffic: (value) => format.duration(value, locale()),
};
const YES_OR_NO = new Set(["tunnel_down", "disconnected"]);

/** What was measured and what it must not be above, in the unit of the rule; "" where that says no more than its name. */
export function measured(rule, value, limit) {
  if (YES_OR_NO.has(rule) || typeof value !== "number" || typeof limit !== "number") return "";
  const show = SHOWN[rule] ?? plain;
  return t("alert.value", { value: show(value), limit: show(limit) });
}

function AlertRow({ alert }) {
  const { rule, tunnel_id: tunnel, state, value, limit, seconds, silenced, since } = alert;
  const name = word("rule", rule);
  return html`<li class=${`alert is-${state} ${silenced ? "is-silenced" : ""}`}>
    <span class=${`status is-${state === "firing" ? "error" : "warning"}`}><${Shape} name=${state === "firing" ? "error" : "warning"} />${t(`alert.${state}`)}</span>
    <span class="alert-what"><strong>${name}</strong>
      ${tunnel && html` <a href=${link("tunnels", tunnel)}>${tunnel}</a>`}
      <span class="hint"> ${measured(rule, value, limit)}</span></span>
    <span class="hint" title=${format.exact(format.parseTime(since), locale())}>${t("alert.for", { time: format.duration(seconds, locale()) })}</span>
    ${
      silenced
        ? html`<span class="badge"><${Icon} name="mute" /> ${t("alert.silenced")}</span>`
        : html`<${SilenceChoice} label=${t("silence.of", { name: `${name} ${tunnel ?? ""}` })} target=${{ rule, tunnel_id: tunnel }} />`
    }
  </li>`;
}

const ORDER = { firing: 0, pending: 1 };

export function AlertList({ alerts }) {
  if (!alerts.length) return null;
  const sorted = [...alerts].sort((a, b) => a.silenced - b.silenced || ORDER[a.state] - ORDER[b.state]);
  return html`<ul class="alerts card">${sorted.map((alert) => html`<${AlertRow} key=${`${alert.rule} ${alert.tunnel_id}`} alert=${alert} />`)}</ul>`;
}

function SilenceAll() {
  return html`<${SilenceChoice} label=${t("silence.all")} target=${{}} />`;
}

/** What is silenced. `at` is when the list came, in milliseconds: the time left counts down from there. */
function Silences({ silences, at }) {
  if (!silences.length) return null;
  return html`<ul class="silences">${silences.map((each, index) => {
    const left = each.seconds_left - (now.value - at) / 1000;
    const what =
      [each.rule && word("rule", each.rule), each.tunnel_id].filter(Boolean).join(" · ") || t("silence.everything");
    return html`<li key=${each.id ?? index} class="hint"><${Icon} name="mute" /> ${what}: ${t("silence.left", { time: format.duration(Math.max(0, left), locale()) })}
      ${each.id != null && html`<${Button} kind="ghost" onClick=${() => endSilence(each.id)}>${t("silence.end")}<//>`}</li>`;
  })}</ul>`;
}

const SHAPES = {
  tunnel_connected: "online",
  client_connected: "online",
  tunnel_created: "starting",
  tunnel_closed: "closed",
  tunnel_disconnected: "offline",
  client_disconnected: "offline",
  tunnel_error: "error",
  metric_threshold: "warning",
  client_reconnecting: "offline",
  tunnel_flapping: "warning",
  health_changed: "warning",
  connection_failed: "error",
  connection_refused: "warning",
};
const SAID_ELSEWHERE = new Set(["tunnel_id", "tunnel_type", "local_port"]);

/** The data of an event as short text: what is known by name first, the rest as it came. */
function summaryOf(event) {
  const data = event.data ?? {};
  if (event.type === "metric_threshold") {
    const numbers = measured(data.alert, data.value, data.limit);
    return [`${word("rule", data.alert)}: ${word("alert", data.state)}`, numbers].filter(Boolean).join(" · ");
  }
  if (event.type === "health_changed" && data.healthy) return t("event.healthy");
  const known = [
    data.cause && word("cause", data.cause),
    data.reason,
    data.error,
    data.hint,
    data.url,
    data.server,
  ].filter(Boolean);
  return known.length ? known.join(" · ") : "";
}

function Item({ event, ofTunnel }) {
  const name = event.data?.tunnel_id;
  const rest = Object.fromEntries(Object.entries(event.data ?? {}).filter(([key]) => !SAID_ELSEWHERE.has(key)));
  const shape = event.data?.healthy ? "online" : (SHAPES[event.type] ?? "closed");
  const time = format.parseTime(event.at);
  return html`<li class="event">
    <time class="event-time number" dateTime=${event.at} title=${format.exact(time, locale())}>${format.clock(time, locale())}</time>
    <span class=${`status is-${shape}`}><${Shape} name=${shape} />${word("event", event.type)}</span>
    <span class="event-what">${name && !ofTunnel && html`<a href=${link("tunnels", name)}>${name}</a> `}<span>${summaryOf(event)}</span></span>
    <span class="event-ago"><${Ago} time=${event.at} /></span>
    <details><summary data-item>${t("event.data")}</summary><pre><code>${JSON.stringify(rest, null, 2)}</code></pre></details>
  </li>`;
}

function byDay(events) {
  const days = new Map();
  for (const event of [...events].reverse()) {
    const name = format.day(format.parseTime(event.at), locale()) ?? "";
    days.set(name, [...(days.get(name) ?? []), event]);
  }
  return [...days];
}

export function Timeline({ events, ofTunnel = false, empty }) {
  if (!events.length) return html`<${Empty} title=${empty} />`;
  return html`<div class="timeline">${byDay(events).map(
    ([name, items]) => html`<section key=${name}>
    <h3>${name}</h3><ol class="card">${items.map((event) => html`<${Item} key=${event.id} event=${event} ofTunnel=${ofTunnel} />`)}</ol></section>`,
  )}</div>`;
}

const TYPES = [
  "tunnel_created",
  "tunnel_connected",
  "tunnel_disconnected",
  "tunnel_error",
  "tunnel_closed",
  "client_connected",
  "client_disconnected",
  "metric_threshold",
  "client_reconnecting",
  "tunnel_flapping",
  "health_changed",
];
const PAGE = 100;
const FIELDS = {
  type: { kind: "word", values: TYPES, get: (event) => event.type },
  tunnel: { kind: "text", get: (event) => event.data?.tunnel_id },
  reason: { kind: "text", get: (event) => event.data?.reason },
};
const textOf = (event) => `${event.type} ${JSON.stringify(event.data)}`;

export function EventsPage() {
  const query = route.value.parameters.get("q") ?? "";
  const type = route.value.parameters.get("type") ?? "";
  const [pages, setPages] = useState(1);
  const filter = useMemo(() => parseFilter(query, FIELDS, textOf), [query]);
  const found = events.value.filter((event) => (!type || event.type === type) && filter.matches(event));
  return html`
    <h1 class="spoken" tabindex="-1">${t("nav.events")}</h1>
    <${Alerts} />
    <div class="section-head"><h2>${t("events.title")}</h2></div>
    <div class="toolbar">
      <${FilterField} query=${query} problems=${filter.problems} label=${t("events.filter")} placeholder=${t("events.placeholder")} />
      <label><span class="spoken">${t("events.type")}</span>
        <select value=${type} onChange=${(event) => setParameters({ type: event.target.value })}>
          <option value="">${t("events.all_types")}</option>${TYPES.map((each) => html`<option key=${each} value=${each}>${t(`event.${each}`)}</option>`)}
        </select></label>
      <span class="toolbar-count" role="status">${t("events.count", { n: found.length })}</span>
    </div>
    <${Timeline} events=${found.slice(-pages * PAGE)} empty=${t(events.value.length ? "empty.no_match" : "empty.no_events")} />
    ${found.length > pages * PAGE && html`<p class="more"><${Button} onClick=${() => setPages(pages + 1)}>${t("events.older")}<//></p>`}
  `;
}

function Alerts() {
  const { alerts: list, silences } = alerts.value;
  const at = useMemo(() => Date.now(), [alerts.value]);
  return html`<section aria-labelledby="alerts-title">
    <div class="section-head"><h2 id="alerts-title">${t("alerts.title")}</h2>${html`<${SilenceAll} />`}</div>
    ${list.length ? html`<${AlertList} alerts=${list} />` : html`<${Empty} title=${t("alerts.none")}><p>${t("alerts.none_hint")}</p><//>`}
    <${Silences} silences=${silences} at=${at} />
  </section>`;
}
