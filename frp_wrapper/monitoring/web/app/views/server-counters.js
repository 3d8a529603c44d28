// What frps itself has counted of a tunnel, beside what is counted here. Only with access to frps's dashboard.

import { html } from "../../vendor/preact.js";
import { get, tunnelPath } from "../api.js";
import { t } from "../i18n.js";
import { asOf, client, tick } from "../store.js";
import { usePolled } from "../ui/hooks.js";
import { Ago, Problem, Unknown, Value, whyUnknown } from "../ui/parts.js";

const TICKS = 5; // frames between two questions: the server asks frps every ten seconds at most

const ROWS = [
  ["fact.sent", "bytes_sent", "bytes_sent_today", "bytes"],
  ["fact.received", "bytes_received", "bytes_received_today", "bytes"],
  ["fact.open", "open_connections", "open_connections", "count"],
];

export function ServerCounters({ view }) {
  if (!client.value?.server_dashboard) return null;
  return html`<${Card} view=${view} />`;
}

function Card({ view }) {
  const answer = usePolled(view.id, Math.floor(tick.value / TICKS), () => get(tunnelPath(view.id)));
  const error = client.value.server_counters_error;
  return html`<section class="card list" aria-labelledby="counters-title">
    <h2 id="counters-title">${t("counters.title")}</h2>
    ${error && html`<${Problem} title=${t("counters.failed")} error=${error} />`}
    <${Numbers} view=${view} ours=${view.metrics ?? {}} theirs=${answer?.server_counters ?? null} />
    <p class="hint">${t("counters.hint")}</p>
  </section>`;
}

function Numbers({ view, ours, theirs }) {
  const why = view.type === "xtcp" ? "why.not_through_frps" : "why.frps_silent";
  const text = (value) => (theirs ? (value ?? t("why.never")) : html`<${Unknown} why=${why} />`);
  const row = (key, here, there) =>
    html`<tr key=${key}><th scope="row">${t(key)}</th><td class="numeric">${here}</td><td class="numeric">${there}</td></tr>`;
  return html`<table class="plain">
    <thead><tr><th scope="col">${t("counters.by")}</th><th scope="col" class="numeric">${ours.source ?? t("meter.none")}</th>
      <th scope="col" class="numeric">${theirs?.source ?? "frps"}</th></tr></thead>
    <tbody>
      ${ROWS.map(([key, here, there, as]) =>
        row(
          key,
          html`<${Value} value=${ours[here]} as=${as} why=${whyUnknown(view)} />`,
          html`<${Value} value=${theirs?.[there]} as=${as} why=${theirs ? "why.not_measured" : why} />`,
        ),
      )}
      ${row("counters.since", t("counters.since_made"), t("counters.since_midnight"))}
      ${row("counters.age", html`<${Ago} time=${asOf.value} />`, theirs ? html`<${Ago} time=${theirs.as_of} />` : text())}
      ${row("counters.last_start", "", text(theirs?.last_start))}
      ${row("counters.last_close", "", text(theirs?.last_close))}
    </tbody></table>`;
}
