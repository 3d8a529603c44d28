// All tunnels at a glance: the tiles, the filter, the table; without the token, a field for it.

import { html, useMemo, useState } from "../../vendor/preact.js";
import { get, sendToken } from "../api.js";
import { parseFilter } from "../filter.js";
import { t } from "../i18n.js";
import { connect, dataNow } from "../live.js";
import { link, route, setParameters } from "../router.js";
import { alerts, asOf, client, mode, statusCounts, tick, totals, tunnels } from "../store.js";
import { tunnelFields, tunnelText } from "../tunnel-fields.js";
import { showDialog } from "../ui/dialog.js";
import { Button, Empty, Icon, Problem, Shape, Since, Unknown, Value } from "../ui/parts.js";
import { AddTunnel } from "./add-tunnel.js";
import { FilterField } from "./filter-field.js";
import { TotalSpark } from "../ui/chart.js";
import { readSort, SORTABLE, TunnelTable, writeSort } from "./tunnel-table.js";

function Tile({ label, aside, href, tone = "", children, note }) {
  return html`<section class=${`tile ${tone}`}>
    <div class="tile-head"><h2>${href ? html`<a href=${href}>${label}</a>` : label}</h2>${aside}</div>
    <div class="tile-value">${children}</div>
    ${note && html`<div class="tile-note">${note}</div>`}
  </section>`;
}

const notMeasured = (sum) => sum.unknown > 0 && sum.value !== null && t("tile.not_measured", { n: sum.unknown });

function ClientTile() {
  const { connected, uptime, server, port, server_latency: roundTrip } = client.value;
  const since = connected ? asOf.value - uptime * 1000 : null;
  const where = port ? `${server}:${port}` : server;
  return html`<${Tile} label=${t("tile.client")} tone=${connected ? "" : "is-error"} aside=${html`<span class="cut" title=${where}>${where}</span>`}
    note=${html`${connected && html`<${Since} time=${since} />`}
      <span>${t("tile.round_trip")} <${Value} value=${roundTrip} as="latency" why=${mode.value === "full" ? "why.not_yet" : "why.token"} /></span>`}>
    <span class=${`status is-${connected ? "online" : "offline"}`}><${Shape} name=${connected ? "online" : "offline"} />
      ${t(connected ? "tile.connected" : "tile.disconnected")}</span>
  <//>`;
}

function TunnelsTile() {
  const { online, error, offline, starting, unknown } = statusCounts.value;
  const bad = [
    ["error", error],
    ["offline", offline],
    ["starting", starting],
    ["unknown", unknown],
  ].filter(([, n]) => n > 0);
  return html`<${Tile} label=${t("tile.tunnels")} tone=${error + offline ? "is-warning" : ""}
    note=${
      bad.length
        ? bad.map(
            ([
              status,
              n,
            ]) => html`<a key=${status} class=${`status is-${status}`} href=${link("overview", null, { q: `status:${status}` })}>
          <${Shape} name=${status} />${n} ${t(`status.${status}`)}</a>`,
          )
        : t(tunnels.value.size ? "tile.all_up" : "tile.none_yet")
    }>
    <span><${Value} value=${online} /><span class="tile-of"> / <${Value} value=${tunnels.value.size} /></span></span>
  <//>`;
}

function TrafficTile() {
  const { sent, received } = totals.value;
  return html`<${Tile} label=${t("tile.traffic")} aside=${html`<${TotalSpark} />`} note=${notMeasured(sent)}>
    <span class="way is-out" title=${t("col.out.title")}><${Icon} name="up" /><span class="spoken">${t("col.out")}</span><${Value} value=${sent.value} as="byteRate" /></span>
    <span class="way is-in" title=${t("col.in.title")}><${Icon} name="down" /><span class="spoken">${t("col.in")}</span><${Value} value=${received.value} as="byteRate" /></span>
  <//>`;
}

function ErrorsTile() {
  const { errors, recentErrors } = totals.value;
  const recent = recentErrors.value ?? 0;
  return html`<${Tile} label=${t("tile.errors")} href=${link("overview", null, { q: "errors>0", sort: "-errors" })} tone=${recent ? "is-error" : ""}
    note=${recentErrors.value === null ? t("tile.errors_since_start") : t("tile.recent_errors", { n: recent })}>
    <${Value} value=${errors.value} />
  <//>`;
}

function AlertsTile() {
  if (mode.value !== "full") {
    return html`<${Tile} label=${t("tile.alerts")} note=${t("why.token")}><${Unknown} why="why.token" /><//>`;
  }
  const firing = alerts.value.alerts.filter((alert) => alert.state === "firing");
  const pending = alerts.value.alerts.length - firing.length;
  const silenced = firing.filter((alert) => alert.silenced).length;
  const notes = [pending && t("tile.pending", { n: pending }), silenced && t("tile.silenced", { n: silenced })].filter(
    Boolean,
  );
  return html`<${Tile} label=${t("tile.alerts")} href=${link("events")} tone=${firing.length - silenced > 0 ? "is-error" : ""}
    note=${notes.join(", ") || t(firing.length ? "tile.alerts_firing" : "tile.alerts_quiet")}>
    <${Value} value=${firing.length} />
  <//>`;
}

function Tiles() {
  const open = totals.value.open;
  return html`<div class="tiles">
    <${ClientTile} /><${TunnelsTile} />
    <${Tile} label=${t("tile.connections")} href=${link("overview", null, { q: "open>0", sort: "-open" })}
      note=${notMeasured(open) || t("tile.open_now")}><${Value} value=${open.value} /><//>
    <${TrafficTile} /><${ErrorsTile} /><${AlertsTile} />
  </div>`;
}

function TokenGate() {
  const [state, setState] = useState({ busy: false, fault: null });
  const submit = async (event) => {
    event.preventDefault();
    const token = new FormData(event.target).get("token").trim();
    setState({ busy: true, fault: null });
    try {
      await sendToken(token);
      await get("api/alerts");
      connect();
    } catch (error) {
      setState({
        busy: false,
        fault:
          error.status === 401 || error.status === 403
            ? t("token.wrong")
            : t("token.failed", { message: error.message }),
      });
    }
  };
  return html`<form class="callout token" onSubmit=${submit}>
    <${Icon} name="key" />
    <div>
      <label for="token">${t("token.label")}</label>
      <p class="hint">${t("token.hint")}</p>
      <div class="token-line">
        <input id="token" name="token" type="password" required autocomplete="off" aria-describedby="token-fault" />
        <button class="button primary" disabled=${state.busy}>${t("token.send")}</button>
      </div>
      <p id="token-fault" class="fault" role="alert">${state.fault}</p>
    </div>
  </form>`;
}

export function Overview() {
  const query = route.value.parameters.get("q") ?? "";
  const sort = readSort(route.value.parameters.get("sort"));
  const filter = useMemo(() => parseFilter(query, tunnelFields(dataNow.peek() ?? 0), tunnelText), [query, tick.value]);
  const all = useMemo(() => [...tunnels.value.values()], [tunnels.value]);
  const rows = useMemo(() => (filter.empty ? all : all.filter(filter.matches)), [all, filter]);
  const onSort = (next) => setParameters({ sort: writeSort(next) });
  return html`
    <h1 class="spoken" tabindex="-1">${t("nav.overview")}</h1>
    ${mode.value === "open" && html`<${TokenGate} />`}
    ${client.value.login_error && !client.value.connected && html`<${Problem} title=${t("not_connected")} error=${client.value.login_error} />`}
    <${Tiles} />
    <div class="toolbar">
      <${FilterField} query=${query} problems=${filter.problems} label=${t("filter.label")} placeholder=${t("filter.placeholder")} withHelp />
      <span class="toolbar-count" role="status">${rows.length === all.length ? t("count.all", { n: all.length }) : t("count.some", { some: rows.length, n: all.length })}</span>
      <${SortChoice} sort=${sort} onSort=${onSort} />
      ${mode.value === "full" && html`<${Button} icon="add" kind="primary" onClick=${() => showDialog(AddTunnel)}>${t("add_tunnel")}<//>`}
    </div>
    ${rows.length ? html`<${TunnelTable} rows=${rows} sort=${sort} onSort=${onSort} />` : html`<${Nothing} filtered=${all.length > 0} />`}
  `;
}

/** For narrow screens, where the table has no heads to press. */
function SortChoice({ sort, onSort }) {
  const options = SORTABLE.flatMap((id) => [
    [id, t("sort.up", { column: t(`col.${id}`) })],
    [`-${id}`, t("sort.down", { column: t(`col.${id}`) })],
  ]);
  return html`<label class="sort-choice"><span class="spoken">${t("sort.label")}</span>
    <select value=${writeSort(sort)} onChange=${(event) => onSort(readSort(event.target.value))}>
      ${options.map(([key, text]) => html`<option key=${key} value=${key}>${text}</option>`)}
    </select></label>`;
}

function Nothing({ filtered }) {
  if (filtered) {
    return html`<${Empty} title=${t("empty.no_match")}>
      <${Button} onClick=${() => setParameters({ q: null })}>${t("filter.clear")}<//>
    <//>`;
  }
  return html`<${Empty} title=${t("empty.no_tunnels")}>
    <p>${t("empty.from_python")}</p>
    <pre><code>tunnel = client.expose_tcp(3000)</code></pre>
    <p>${t("empty.from_cli")}</p>
    <pre><code>frpw expose tcp 3000 --server ${client.value.server}</code></pre>
  <//>`;
}
