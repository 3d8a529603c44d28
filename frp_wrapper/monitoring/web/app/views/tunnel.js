// One tunnel: how it is, what flows, who is there, what happened.

import { html } from "../../vendor/preact.js";
import { askToClose, restartTunnel } from "../actions.js";
import { get, tunnelPath } from "../api.js";
import { parseTime } from "../format.js";
import { t } from "../i18n.js";
import { link } from "../router.js";
import { alerts, events, tick, tunnels } from "../store.js";
import { localOf, tunnelFields } from "../tunnel-fields.js";
import { usePolled } from "../ui/hooks.js";
import {
  Ago,
  Button,
  CopyButton,
  Empty,
  Icon,
  Problem,
  Since,
  Status,
  Unknown,
  Value,
  whyUnknown,
} from "../ui/parts.js";
import { AlertList, Timeline } from "./events.js";
import { LogTail } from "./log-tail.js";
import { ServerCounters } from "./server-counters.js";
import { TunnelCharts } from "./tunnel-charts.js";

const MOST_ROWS = 100;

const keyOf = (connection) => connection.id ?? `${connection.local_address} ${connection.opened_at}`;

/** The answer of .../connections, asked for with each frame. */
const useConnections = (id) => usePolled(id, tick.value, () => get(tunnelPath(id, "/connections")));

const USAGE_TICKS = 10; // days do not change as fast as rates

/** What it has moved by the calendar, as a fact: what a volume of data is paid by. */
const moved = (period, why) => html`<${Value} value=${period?.bytes_sent} as="bytes" why=${why} /> / <${Value} value=${period?.bytes_received} as="bytes" why=${why} />`;

function Visitor({ address }) {
  return address ? html`<code class="cut" title=${address}>${address}</code>` : html`<${Unknown} why="why.visitor" />`;
}

function Card({ id, title, n, children, empty }) {
  return html`<section class="card list" aria-labelledby=${id}>
    <h2 id=${id}>${title}${n > 0 && html` <span class="badge">${n}</span>`}</h2>
    ${n ? html`<div class="scroll" tabindex="0" role="region" aria-labelledby=${id}>${children}</div>` : html`<p class="card-empty">${empty}</p>`}
    ${n > MOST_ROWS && html`<p class="hint">${t("connections.first", { n: MOST_ROWS })}</p>`}
  </section>`;
}

const head = (...keys) =>
  html`<thead><tr>${keys.map((key, index) => html`<th key=${key} scope="col" class=${index ? "numeric" : ""}>${t(key)}</th>`)}</tr></thead>`;

function OpenConnections({ view, answer }) {
  const rows = answer?.open ?? [];
  const empty = answer ? (view.metrics?.source ? t("connections.none_open") : t(whyUnknown(view))) : t("loading");
  return html`<${Card} id="open-title" title=${t("connections.open")} n=${rows.length} empty=${empty}>
    <table class="plain">${head("connections.visitor", "connections.since", "col.out", "col.in", "connections.sent", "connections.received")}
      <tbody>${rows.slice(0, MOST_ROWS).map(
        (each) => html`<tr key=${keyOf(each)}>
        <td><${Visitor} address=${each.visitor} /></td>
        <td class="numeric"><${Since} time=${parseTime(each.opened_at)} /></td>
        <td class="numeric"><${Value} value=${each.sent_per_second} as="byteRate" why="why.not_yet" /></td>
        <td class="numeric"><${Value} value=${each.received_per_second} as="byteRate" why="why.not_yet" /></td>
        <td class="numeric"><${Value} value=${each.bytes_sent} as="bytes" /></td>
        <td class="numeric"><${Value} value=${each.bytes_received} as="bytes" /></td></tr>`,
      )}</tbody></table>
  <//>`;
}

function ClosedConnections({ answer }) {
  const rows = answer?.recent ?? [];
  return html`<${Card} id="closed-title" title=${t("connections.closed")} n=${rows.length} empty=${t(answer ? "connections.none_closed" : "loading")}>
    <table class="plain">${head("connections.visitor", "connections.ended", "connections.lasted", "connections.sent", "connections.received")}
      <tbody>${rows.slice(0, MOST_ROWS).map(
        (each, index) => html`<tr key=${`${keyOf(each)} ${index}`}>
        <td><${Visitor} address=${each.visitor} />${each.error && html`<span class="has-errors" lang="en"> ${each.error}</span>`}</td>
        <td class="numeric"><${Ago} time=${each.closed_at} /></td>
        <td class="numeric"><${Value} value=${each.duration} as="span" /></td>
        <td class="numeric"><${Value} value=${each.bytes_sent} as="bytes" /></td>
        <td class="numeric"><${Value} value=${each.bytes_received} as="bytes" /></td></tr>`,
      )}</tbody></table>
  <//>`;
}

function Visitors({ view, answer }) {
  const rows = answer?.visitors ?? [];
  const empty = answer ? t(view.metrics?.source === "relay" ? "connections.no_visitors" : "why.visitor") : t("loading");
  return html`<${Card} id="visitors-title" title=${t("connections.visitors")} n=${rows.length} empty=${empty}>
    <table class="plain">${head("connections.address", "connections.count", "connections.sent", "connections.received")}
      <tbody>${rows.map(
        (each) => html`<tr key=${each.address}>
        <td><${Visitor} address=${each.address} /></td>
        <td class="numeric"><${Value} value=${each.connections} /></td>
        <td class="numeric"><${Value} value=${each.bytes_sent} as="bytes" /></td>
        <td class="numeric"><${Value} value=${each.bytes_received} as="bytes" /></td></tr>`,
      )}</tbody></table>
  <//>`;
}

const FIELDS = tunnelFields(0);
const MOST_EVENTS = 50;

export function TunnelPage({ id }) {
  const view = tunnels.value.get(id);
  if (!view) {
    return html`<${Back} /><h1 tabindex="-1">${id}</h1>
      <${Empty} title=${t("empty.no_such_tunnel", { name: id })}><p>${t("empty.no_such_tunnel.hint")}</p>
        <a class="button" href=${link("overview")}>${t("nav.overview")}</a><//>`;
  }
  return html`<${Shown} key=${id} view=${view} />`;
}

function Back() {
  return html`<a class="back" href=${link("overview")}><${Icon} name="back" />${t("nav.overview")}</a>`;
}

function Shown({ view }) {
  const answer = useConnections(view.id);
  const mine = events.value.filter((event) => event.data?.tunnel_id === view.id).slice(-MOST_EVENTS);
  return html`
    <${Back} />
    <${Heading} view=${view} />
    ${view.error && html`<${Problem} title=${t("tunnel.problem")} error=${view.error} />`}
    <${AlertList} alerts=${alerts.value.alerts.filter((alert) => alert.tunnel_id === view.id)} />
    <${Facts} view=${view} />
    <${TunnelCharts} view=${view} />
    <div class="cards">
      <${OpenConnections} view=${view} answer=${answer} />
      <${ClosedConnections} answer=${answer} />
      <${Visitors} view=${view} answer=${answer} />
      <${Errors} view=${view} />
      <${ServerCounters} view=${view} />
    </div>
    <section aria-labelledby="events-title"><div class="section-head"><h2 id="events-title">${t("nav.events")}</h2></div>
      <${Timeline} events=${mine} ofTunnel empty=${t("empty.no_events")} /></section>
    <section aria-labelledby="log-title"><div class="section-head"><h2 id="log-title">${t("nav.logs")}</h2></div>
      <${LogTail} tunnelId=${view.id} /></section>
  `;
}

function Heading({ view }) {
  const web = /^https?:\/\//.test(view.url ?? "");
  return html`<div class="heading">
    <div class="heading-name"><h1 tabindex="-1">${view.id}</h1><span class="badge">${view.type}</span><${Status} status=${view.status} /></div>
    <div class="heading-way">
      ${
        view.url
          ? html`<code class="cut">${view.url}</code><${CopyButton} text=${view.url} label=${t("copy_url_of", { name: view.id })} />`
          : html`<${Unknown} why=${view.error ? "why.refused" : "why.no_url"} />`
      }
      ${web && html`<a class="button bare ghost" href=${view.url} target="_blank" rel="noopener noreferrer" aria-label=${t("open_url")} title=${t("open_url")}><${Icon} name="open" /></a>`}
      <span class="arrow" aria-label=${t("leads_to")}>→</span><code>${localOf(view) || t("why.no_local")}</code>
    </div>
    ${html`<div class="heading-actions">
      <${Button} icon="restart" onClick=${() => restartTunnel(view.id)}>${t("restart.action")}<//>
      <${Button} icon="close" kind="danger-quiet" onClick=${() => askToClose(view)}>${t("close.action")}<//>
    </div>`}
  </div>`;
}

function Fact({ name, children }) {
  return html`<div><dt>${t(name)}</dt><dd>${children}</dd></div>`;
}

function Facts({ view }) {
  const metrics = view.metrics ?? {};
  const why = whyUnknown(view);
  const usage = usePolled(view.id, Math.floor(tick.value / USAGE_TICKS), () => get(tunnelPath(view.id, "/usage")));
  const number = (field, as) => html`<${Value} value=${FIELDS[field].get(view)} as=${as} why=${why} />`;
  return html`<dl class="facts card">
    <${Fact} name="fact.out">${number("out", "byteRate")}<//><${Fact} name="fact.in">${number("in", "byteRate")}<//>
    <${Fact} name="fact.sent">${number("sent", "bytes")}<//><${Fact} name="fact.received">${number("received", "bytes")}<//>
    <${Fact} name="fact.today">${moved(usage?.today, why)}<//><${Fact} name="fact.this_month">${moved(usage?.this_month, why)}<//>
    <${Fact} name="fact.open">${number("open")}<//><${Fact} name="fact.conns">${number("conns")}<//>
    <${Fact} name="fact.errors">${number("errors")}<//>
    <${Fact} name="fact.refused"><${Value} value=${FIELDS.refused.get(view)} why=${whyUnknown(view, true)} /><//>
    <${Fact} name="fact.latency"><${Value} value=${metrics.latency?.p50} as="latency" why=${whyUnknown(view, true)} /> / <${Value} value=${metrics.latency?.p95} as="latency" why=${whyUnknown(view, true)} /><//>
    <${Fact} name="fact.duration"><${Value} value=${metrics.duration?.p50} as="span" why=${why} /><//>
    <${Fact} name="fact.up"><${Since} time=${view.since} /><//>
    <${Fact} name="fact.uptime_percent"><${Value} value=${metrics.uptime_percent} as="percent" why="why.not_yet" /><//>
    <${Fact} name="fact.reconnects"><${Value} value=${metrics.reconnects} why="why.not_yet" /><//>
    <${Fact} name="fact.activity"><${Ago} time=${metrics.last_activity} /><//>
    <${Fact} name="fact.meter">${metrics.source ?? t("meter.none")}<//>
  </dl>`;
}

function Errors({ view }) {
  const reasons = Object.entries({ ...view.metrics?.errors, ...view.metrics?.refused }).sort(([, a], [, b]) => b - a);
  return html`<section class="card list" aria-labelledby="errors-title"><h2 id="errors-title">${t("errors.title")}</h2>
    ${
      reasons.length
        ? html`<table class="plain"><tbody>${reasons.map(([reason, n]) => html`<tr key=${reason}><th scope="row"><code>${reason}</code></th><td class="numeric"><${Value} value=${n} /></td></tr>`)}</tbody></table>`
        : html`<p class="card-empty">${t(view.metrics?.error_count === 0 ? "errors.none" : whyUnknown(view))}</p>`
    }
  </section>`;
}
