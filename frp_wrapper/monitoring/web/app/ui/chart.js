// Charts over time and small curves, drawn as SVG: they take their colours from the style sheet. A chart's numbers can be
// had as a table too; beside a small curve they stand in words.

import { html, signal, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { areaPath, linePath, nearest, sparkPath, timeTicks, valueTicks } from "../curves.js";
import * as format from "../format.js";
import { locale, t } from "../i18n.js";
import { sparks, tick } from "../store.js";
import { Button } from "./parts.js";

const HEIGHT = 176;
const EDGE = { left: 68, right: 10, top: 8, bottom: 22 };
const TICK_ROOM = 80; // pixels for a time below the chart
const SMALLEST_ZOOM = 4; // pixels: less is a click, not a brush
const WHOLE = new Set(["count", "byteRate"]); // what comes in whole numbers needs no ticks between them

/** The time under the pointer, in all charts at once; null: the pointer is elsewhere. */
const pointed = signal(null);

function useWidth(box) {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return width;
}

function scales({ data, as, span: [from, to] }, width) {
  const [times, ...columns] = data;
  const inside = (value, index) => value != null && times[index] >= from && times[index] <= to;
  const top = columns.reduce(
    (most, column) =>
      column.reduce((high, value, index) => (inside(value, index) ? Math.max(high, value) : high), most),
    0,
  );
  const values = valueTicks(top, WHOLE.has(as));
  const room = { width: width - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom };
  return {
    values,
    x: (time) => EDGE.left + ((time - from) / (to - from)) * room.width,
    y: (value) => EDGE.top + room.height * (1 - value / values.at(-1)),
    timeAt: (pixel) => from + Math.min(Math.max((pixel - EDGE.left) / room.width, 0), 1) * (to - from),
    times: timeTicks([from, to], room.width / TICK_ROOM, -new Date(to * 1000).getTimezoneOffset() * 60),
  };
}

function Grid({ scale, as, width }) {
  const floor = HEIGHT - EDGE.bottom;
  return html`<g class="chart-grid">
    ${scale.values.map(
      (value) => html`<path key=${value} d="M${EDGE.left} ${scale.y(value).toFixed(1)}H${width - EDGE.right}" />
      <text x=${EDGE.left - 8} y=${(scale.y(value) + 4).toFixed(1)} text-anchor="end">${format[as](value, locale())}</text>`,
    )}
    ${scale.times.ticks.map(
      (time) => html`<path key=${time} d="M${scale.x(time).toFixed(1)} ${EDGE.top}V${floor}" />
      <text x=${scale.x(time).toFixed(1)} y=${HEIGHT - 6} text-anchor="middle">${format.clock(time * 1000, locale(), scale.times.step < 60)}</text>`,
    )}
  </g>`;
}

function Lines({ series, data, scale }) {
  const [times, ...columns] = data;
  return series.map(({ label, color, dashed, filled }, index) => {
    const line = linePath(times, columns[index], scale.x, scale.y);
    return html`<g key=${label} class=${`chart-line ${color} ${dashed ? "dashed" : ""}`}>
      ${filled && html`<path class="chart-area" d=${areaPath(line, HEIGHT - EDGE.bottom)} />`}<path d=${line} /></g>`;
  });
}

function Pointer({ at, data, series, scale }) {
  const left = scale.x(data[0][at]).toFixed(1);
  return html`<g class="chart-pointer"><path d="M${left} ${EDGE.top}V${HEIGHT - EDGE.bottom}" />
    ${series.map(({ label, color }, index) => data[index + 1][at] != null && html`<circle key=${label} class=${color} cx=${left} cy=${scale.y(data[index + 1][at]).toFixed(1)} r="3" />`)}</g>`;
}

/** Drag to zoom: the handlers, and the two pixels between which the brush is. */
function useBrush(scale, onZoom) {
  const [brush, setBrush] = useState(null);
  const pixel = (event) => event.clientX - event.currentTarget.getBoundingClientRect().left;
  return {
    brush,
    onPointerDown: (event) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      setBrush([pixel(event), pixel(event)]);
    },
    onPointerMove: (event) => {
      pointed.value = scale.timeAt(pixel(event));
      if (brush) setBrush([brush[0], pixel(event)]);
    },
    onPointerUp: () => {
      const [from, to] = (brush ?? [0, 0]).toSorted((a, b) => a - b);
      setBrush(null);
      if (to - from >= SMALLEST_ZOOM) onZoom([scale.timeAt(from), scale.timeAt(to)]);
    },
    onPointerCancel: () => setBrush(null),
    onPointerLeave: () => (pointed.value = null),
    onDblClick: () => onZoom(null),
  };
}

function Drawing(props) {
  const box = useRef(null);
  const width = useWidth(box);
  const scale = scales(props, width);
  const { brush, ...handlers } = useBrush(scale, props.onZoom);
  const name = `clip-${props.as}-${props.series[0].color}`;
  return html`<div class="chart-drawing" ref=${box} role="img" aria-label=${props.summary}>
    ${
      width > 0 &&
      html`<svg width=${width} height=${HEIGHT} aria-hidden="true" ...${handlers}>
      <clipPath id=${name}><rect x=${EDGE.left} y="0" width=${Math.max(0, width - EDGE.left - EDGE.right)} height=${HEIGHT} /></clipPath>
      <${Grid} scale=${scale} as=${props.as} width=${width} />
      <g clip-path="url(#${name})"><${Lines} ...${props} scale=${scale} />${props.at !== null && html`<${Pointer} ...${props} scale=${scale} />`}</g>
      ${brush && html`<rect class="chart-brush" x=${Math.min(...brush)} y=${EDGE.top} width=${Math.abs(brush[1] - brush[0])} height=${HEIGHT - EDGE.top - EDGE.bottom} />`}
    </svg>`
    }
  </div>`;
}

const newest = (values) => values.findLast((value) => value != null) ?? null;

/** Which line is which, with its value under the pointer, or its newest. */
function Legend({ series, data, as, at }) {
  return html`<ul class="legend">
    ${series.map(({ label, color, dashed }, index) => {
      const value = at === null ? newest(data[index + 1]) : data[index + 1][at];
      return html`<li key=${label} class=${`${color} ${dashed ? "dashed" : ""}`}><span>${label}</span>
        <span class="number">${value == null ? "–" : format[as](value, locale())}</span></li>`;
    })}
    ${at !== null && html`<li class="legend-time number">${format.clock(data[0][at] * 1000, locale())}</li>`}
  </ul>`;
}

function Table({ title, series, data, as }) {
  const [times, ...columns] = data;
  const order = [...times.keys()].reverse();
  return html`<div class="chart-table" tabindex="0" role="region" aria-label=${title}><table class="plain">
    <thead><tr><th scope="col">${t("time")}</th>${series.map(({ label }) => html`<th key=${label} scope="col" class="numeric">${label}</th>`)}</tr></thead>
    <tbody>${order.map(
      (index) => html`<tr key=${times[index]}><th scope="row">${format.clock(times[index] * 1000, locale())}</th>
      ${columns.map((column, at) => html`<td key=${at} class="numeric">${format[as](column[index], locale()) ?? t("unknown")}</td>`)}</tr>`,
    )}</tbody>
  </table></div>`;
}

function summary(title, series, data, as) {
  const parts = series.map(({ label }, index) => {
    const values = data[index + 1].filter((value) => value != null);
    if (!values.length) return `${label}: ${t("unknown")}`;
    return t("chart.summary", {
      label,
      now: format[as](values.at(-1), locale()),
      most: format[as](Math.max(...values), locale()),
    });
  });
  return `${title}. ${parts.join(". ")}`;
}

/**
 * @param props.title what the chart shows
 * @param props.series [{ label, color, dashed?, filled? }], `color` a class: "out", "in" or "bad"
 * @param props.data [times in seconds, values of the first series, ...]; null: not known
 * @param props.as the function of format.js for the values
 * @param props.span [from, to] in seconds
 * @param props.onZoom gets such a span, or null for the whole
 * @param props.empty why there is nothing to draw
 */
export function Chart({ title, empty, ...props }) {
  const [asTable, setAsTable] = useState(false);
  const { series, data, as } = props;
  const at = pointed.value === null ? null : nearest(data[0], pointed.value);
  const nothing = data.slice(1).every((values) => values.every((value) => value == null));
  if (nothing)
    return html`<figure class="chart card"><figcaption><h3>${title}</h3></figcaption><p class="chart-empty">${empty}</p></figure>`;
  return html`<figure class="chart card">
    <figcaption><h3>${title}</h3><${Legend} ...${props} at=${at} />
      <${Button} icon="table" label=${t(asTable ? "chart.as_chart" : "chart.as_table", { title })} aria-pressed=${asTable} kind="ghost" onClick=${() => setAsTable(!asTable)} /></figcaption>
    ${asTable ? html`<${Table} title=${title} ...${props} />` : html`<${Drawing} ...${props} at=${at} summary=${summary(title, series, data, as)} />`}
  </figure>`;
}

const CURVE = { width: 90, height: 22 };

function Curve({ values }) {
  const path = sparkPath(values, CURVE.width, CURVE.height);
  return html`<svg class="spark" viewBox="0 0 ${CURVE.width} ${CURVE.height}" preserveAspectRatio="none" aria-hidden="true" focusable="false">
    <path d=${path} /></svg>`;
}

/** Of one tunnel. */
export function Spark({ id }) {
  tick.value;
  return html`<${Curve} values=${sparks.values(id)} />`;
}

/** Of all tunnels together. */
export function TotalSpark() {
  tick.value;
  return html`<${Curve} values=${sparks.total()} />`;
}
