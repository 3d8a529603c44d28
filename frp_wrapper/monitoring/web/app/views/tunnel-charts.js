// The charts of one tunnel. The server keeps the numbers; the page asks again as often as they can have changed.

import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { get, tunnelPath } from "../api.js";
import { t } from "../i18n.js";
import { route, setParameters } from "../router.js";
import { tick } from "../store.js";
import { Chart } from "../ui/chart.js";
import { Button, Choice, whyUnknown } from "../ui/parts.js";
import { usePolled } from "../ui/hooks.js";

const RANGES = [60, 300, 3600, 86400];
const USUAL = 300;
const LONGEST_PAUSE = 30; // seconds between two questions, however coarse the points are

function rangeOf(parameters) {
  const range = Number(parameters.get("range"));
  return RANGES.includes(range) ? range : USUAL;
}

/** The answer of .../metrics for a range, kept up with the stream; null before the first. */
function useMetrics(id, range) {
  const pause = useRef(1);
  const answer = usePolled(`${id} ${range}`, Math.floor(tick.value / pause.current), () =>
    get(tunnelPath(id, "/metrics"), { range }),
  );
  pause.current = answer ? Math.min(Math.max(1, Math.round(answer.step)), LONGEST_PAUSE) : 1;
  return answer;
}

const blank = { time: [], series: {}, step: 1 };

export function TunnelCharts({ view }) {
  const range = rangeOf(route.value.parameters);
  const [zoom, setZoom] = useState(null);
  useEffect(() => setZoom(null), [range, view.id]);
  const { time, series } = useMetrics(view.id, range) ?? blank;
  const end = time.at(-1) ?? Date.now() / 1000;
  const column = (name) => series[name] ?? time.map(() => null);
  const common = { span: zoom ?? [end - range, end], onZoom: setZoom };
  const why = (relayOnly = false) => t(time.length ? whyUnknown(view, relayOnly) : "loading");
  return html`<section aria-labelledby="charts-title" class="charts-section">
    <div class="section-head"><h2 id="charts-title">${t("charts")}</h2>
      <${Choice} name="range" label=${t("range.label")} value=${String(range)} options=${RANGES.map((each) => [String(each), t(`range.${each}`)])}
        onChange=${(key) => setParameters({ range: Number(key) === USUAL ? null : key })} />
      ${zoom ? html`<${Button} onClick=${() => setZoom(null)}>${t("zoom.reset")}<//>` : html`<span class="hint wide-only">${t("zoom.hint")}</span>`}
    </div>
    <div class="charts">
      <${Chart} title=${t("chart.traffic")} as="byteRate" ...${common} empty=${why()}
        series=${[
          { label: t("col.out"), color: "out", filled: true },
          { label: t("col.in"), color: "in", dashed: true },
        ]}
        data=${[time, column("bytes_sent_per_second"), column("bytes_received_per_second")]} />
      <${Chart} title=${t("chart.connections")} as="count" ...${common} empty=${why()}
        series=${[{ label: t("chart.open"), color: "out", filled: true }]} data=${[time, column("open_connections")]} />
      <${Chart} title=${t("chart.rates")} as="perSecond" ...${common} empty=${why()}
        series=${[
          { label: t("chart.new"), color: "in" },
          { label: t("chart.errors"), color: "bad", dashed: true },
        ]}
        data=${[time, column("connections_per_second"), column("errors_per_second")]} />
      <${Chart} title=${t("chart.latency")} as="latency" ...${common} empty=${why(true)}
        series=${[
          { label: t("chart.latency_p95"), color: "out" },
          { label: t("chart.server_latency"), color: "in", dashed: true },
        ]}
        data=${[time, column("latency_p95"), column("server_latency")]} />
    </div>
  </section>`;
}
