// The table of tunnels: only the rows on the screen are in the document, a thousand scroll like ten.

import { html, useEffect, useMemo, useRef, useState } from "../../vendor/preact.js";
import { CopyButton, Icon, Since, Status, Unknown, Value, whyUnknown } from "../ui/parts.js";
import { useVisibleRows } from "../ui/hooks.js";
import { t } from "../i18n.js";
import { dataNow } from "../live.js";
import { go, link } from "../router.js";
import { fillSparks, mode, tick } from "../store.js";
import { comparison, localOf, tunnelFields } from "../tunnel-fields.js";
import { Spark } from "../ui/chart.js";

const FIELDS = tunnelFields(0); // of those that do not depend on the time

const measured = (name, as) => (view) =>
  html`<${Value} value=${FIELDS[name].get(view)} as=${as} why=${whyUnknown(view)} />`;

const REST_MS = 150; // curves are filled where a scroll has ended, not where it passes

/** The columns: their names are those of the filter language. */
const COLUMNS = [
  { id: "status", cell: (view) => html`<${Status} status=${view.status} />` },
  { id: "name", cell: (view) => html`<${Name} view=${view} />` },
  { id: "url", cell: (view) => html`<${Address} view=${view} />` },
  { id: "local", cell: (view) => html`<code>${localOf(view) || html`<${Unknown} why="why.no_local" />`}</code>` },
  { id: "rate", cell: (view) => html`<${Spark} id=${view.id} />` },
  { id: "out", numeric: true, cell: measured("out", "byteRate") },
  { id: "in", numeric: true, cell: measured("in", "byteRate") },
  { id: "open", numeric: true, cell: measured("open") },
  { id: "conns", numeric: true, cell: measured("conns") },
  {
    id: "errors",
    numeric: true,
    cell: (view) =>
      html`<span class=${view.metrics?.error_count ? "has-errors" : ""}>${measured("errors")(view)}</span>`,
  },
  { id: "total", numeric: true, cell: measured("total", "bytes") },
  { id: "up", numeric: true, cell: (view) => html`<${Since} time=${view.since} />` },
];

export const SORTABLE = COLUMNS.map((column) => column.id);

function Name({ view }) {
  const badge = html`<span class="badge">${view.type}</span>`;
  if (mode.value !== "full") return html`<span class="tunnel-name">${view.id}</span> ${badge}`;
  return html`<a class="tunnel-name" data-item href=${link("tunnels", view.id)} title=${view.id}>${view.id}</a> ${badge}`;
}

function Address({ view }) {
  if (!view.url) return html`<${Unknown} why=${view.error ? "why.refused" : "why.no_url"} />`;
  return html`<span class="address"><span class="cut" title=${view.url}>${view.url}</span>
    <${CopyButton} text=${view.url} label=${t("copy_url_of", { name: view.id })} /></span>`;
}

/** "-rate" as { id, descending }. */
export function readSort(text) {
  const descending = text?.startsWith("-") ?? false;
  const id = descending ? text.slice(1) : text;
  return SORTABLE.includes(id) ? { id, descending } : { id: "name", descending: false };
}

export const writeSort = ({ id, descending }) => (descending ? "-" : "") + id;

/** Rows in order. While `held` (the reader is in the table) the order stays, so that no row runs from under a click. */
function useOrder(rows, sort, held) {
  const last = useRef({ sort: "", places: new Map() });
  const key = writeSort(sort);
  return useMemo(() => {
    const { places, sort: before } = last.current;
    const compare = comparison(tunnelFields(dataNow.peek() ?? 0)[sort.id], sort.descending);
    const place = (view) => places.get(view.id) ?? places.size;
    const keep = held && before === key;
    const ordered = [...rows].sort(keep ? (a, b) => place(a) - place(b) || compare(a, b) : compare);
    last.current = { sort: key, places: new Map(ordered.map((view, index) => [view.id, index])) };
    return ordered;
  }, [rows, key, held]);
}

/** What is drawn of each row. A row that has not changed is the same object, which Preact skips. */
function useRows(shown, start) {
  const before = useRef(new Map());
  const rows = new Map();
  shown.forEach((view, offset) => {
    const index = start + offset;
    const old = before.current.get(view.id);
    const same = old?.view === view && old.index === index;
    rows.set(view.id, same ? old : { view, index, node: html`<${Row} key=${view.id} view=${view} index=${index} />` });
  });
  before.current = rows;
  return [...rows.values()].map(({ node }) => node);
}

function useHold() {
  const [held, setHeld] = useState(false);
  const leave = (event) => setHeld(event.currentTarget.contains(event.relatedTarget));
  return {
    held,
    handlers: {
      onMouseEnter: () => setHeld(true),
      onMouseLeave: () => setHeld(false),
      onFocusIn: () => setHeld(true),
      onFocusOut: leave,
    },
  };
}

export function TunnelTable({ rows, sort, onSort }) {
  const { held, handlers } = useHold();
  const ordered = useOrder(rows, sort, held);
  const { ref, start, end, rowHeight } = useVisibleRows(ordered.length, "--row");
  const shown = ordered.slice(start, end);
  useEffect(() => {
    if (mode.peek() !== "full") return;
    const resting = setTimeout(() => fillSparks(shown.map((view) => view.id)), REST_MS);
    return () => clearTimeout(resting);
  }, [start, end, tick.value]);
  return html`<div class="table-frame">
    <table class="tunnels" aria-rowcount=${ordered.length + 1} aria-label=${t("tunnels")}>
      <${Head} sort=${sort} onSort=${onSort} held=${held} />
      <tbody ref=${ref} ...${handlers}>
        <${Space} height=${start * rowHeight} />
        ${useRows(shown, start)}
        <${Space} height=${(ordered.length - end) * rowHeight} />
      </tbody>
    </table>
  </div>`;
}

function Space({ height }) {
  return (
    height > 0 &&
    html`<tr class="space" aria-hidden="true"><td colspan=${COLUMNS.length} style=${{ height: `${height}px` }}></td></tr>`
  );
}

function Head({ sort, onSort, held }) {
  return html`<thead><tr>
    ${COLUMNS.map(({ id, numeric }) => {
      const mine = sort.id === id;
      const direction = mine ? (sort.descending ? "descending" : "ascending") : "none";
      // numbers are first asked for from the top
      const press = () => onSort({ id, descending: mine ? !sort.descending : Boolean(numeric) || id === "rate" });
      return html`<th key=${id} scope="col" class=${`col-${id} ${numeric ? "numeric" : ""}`} aria-sort=${direction}>
        <button type="button" onClick=${press} title=${t(`col.${id}.title`)}>${t(`col.${id}`)}
          ${mine && html`<${Icon} name=${sort.descending ? "down" : "up"} />`}</button>
        ${mine && held && html`<span class="held" title=${t("order_held")}><${Icon} name="pause" /></span>`}</th>`;
    })}
  </tr></thead>`;
}

function Row({ view, index }) {
  const follow = (event) => {
    if (mode.value === "full" && !event.target.closest("a, button") && !getSelection().toString())
      go("tunnels", view.id);
  };
  return html`<tr aria-rowindex=${index + 2} onClick=${follow} class=${`row-${view.status}`}>
    ${COLUMNS.map(({ id, numeric, cell }) => html`<td key=${id} class=${`col-${id} ${numeric ? "numeric" : ""}`}>${cell(view)}</td>`)}
  </tr>`;
}
