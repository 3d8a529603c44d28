// The end of the log, following what comes; older lines on demand.

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../vendor/preact.js";
import { get } from "../api.js";
import { clock, exact, parseTime } from "../format.js";
import { locale, t } from "../i18n.js";
import { listenToLogs } from "../live.js";
import { link, route, setParameters } from "../router.js";
import { Button, Choice, Empty, Shape } from "../ui/parts.js";

const LEVELS = ["trace", "debug", "info", "warning", "error", "critical"];
const CHOICES = ["debug", "info", "warning", "error"];
const USUAL = "info";
const MOST_LINES = 1000; // shown; older ones can be asked for again
const PAGE = 300;
const MARKS = { warning: "warning", error: "error", critical: "error" };
const NEAR_END = 40; // pixels: who is so near the newest line wants to follow

function wanted({ level, q, tunnelId }) {
  const least = LEVELS.indexOf(level);
  const text = q.toLowerCase();
  return (line) =>
    LEVELS.indexOf(line.level) >= least &&
    (!tunnelId || line.tunnel_id === tunnelId) &&
    (!text || line.message.toLowerCase().includes(text));
}

function merged(old, fresh) {
  const last = old.length ? old[old.length - 1].id : -Infinity;
  return [...old, ...fresh.filter((line) => line.id > last)];
}

/** The lines that fit, and what to do with them. While paused, new lines wait (and the oldest that wait are dropped). */
function useLines(question) {
  const key = JSON.stringify(question);
  const [state, setState] = useState({ key: null, lines: [], waiting: [], more: false, dropped: 0, fault: null });
  const [paused, setPaused] = useState(false);
  const pausedNow = useRef(paused);
  pausedNow.current = paused;
  useEffect(() => {
    let current = true;
    const fits = wanted(question);
    const take = (fresh) => setState((old) => ({ ...old, ...added(old, fresh, pausedNow.current) }));
    const stop = listenToLogs((lines) => take(lines.filter(fits)));
    const parameters = { level: question.level, tunnel_id: question.tunnelId, q: question.q, limit: PAGE };
    get("api/logs", parameters).then(
      (body) =>
        current &&
        setState((old) => ({
          key,
          lines: merged(body.lines, old.key === key ? old.lines : []),
          waiting: [],
          more: body.more,
          dropped: body.dropped,
          fault: null,
        })),
      (error) => current && setState((old) => ({ ...old, key, lines: [], fault: error })),
    );
    return () => {
      current = false;
      stop();
    };
  }, [key]);
  const older = async () => {
    const body = await get("api/logs", {
      level: question.level,
      tunnel_id: question.tunnelId,
      q: question.q,
      before: state.lines[0]?.id,
      limit: PAGE,
    });
    setState((old) => ({ ...old, lines: [...body.lines, ...old.lines], more: body.more }));
  };
  const pause = (value) => {
    setPaused(value);
    if (!value) setState((old) => ({ ...old, lines: merged(old.lines, old.waiting).slice(-MOST_LINES), waiting: [] }));
  };
  return { ...state, loading: state.key !== key, paused, pause, older };
}

function added(old, fresh, paused) {
  if (paused) return { waiting: merged(old.waiting, fresh).slice(-MOST_LINES) };
  const lines = merged(old.lines, fresh);
  return { lines: lines.slice(-MOST_LINES), more: old.more || lines.length > MOST_LINES };
}

const drawn = new WeakMap(); // a line never changes: drawn once, skipped ever after

function drawLine(line, withTunnel) {
  const known = drawn.get(line);
  if (known?.locale === locale() && known.withTunnel === withTunnel) return known.node;
  const time = parseTime(line.at);
  const mark = MARKS[line.level];
  const node = html`<li key=${line.id} class=${`line is-${line.level}`} lang="en">
    <time class="number" dateTime=${line.at} title=${exact(time, locale())}>${clock(time, locale())}</time>
    <span class="line-level">${mark && html`<${Shape} name=${mark} />`}${line.level}</span>
    ${withTunnel && (line.tunnel_id ? html`<a class="line-tunnel cut" href=${link("tunnels", line.tunnel_id)}>${line.tunnel_id}</a>` : html`<span></span>`)}
    <span class="line-text">${line.message}</span></li>`;
  drawn.set(line, { node, withTunnel, locale: locale() });
  return node;
}

export function LogTail({ tunnelId = null, tall = false }) {
  const { parameters } = route.value;
  const level = LEVELS.includes(parameters.get("level")) ? parameters.get("level") : USUAL;
  const q = parameters.get("log") ?? "";
  const log = useLines({ level, q, tunnelId });
  return html`<div class="log">
    <div class="toolbar">
      <${Choice} name="level" label=${t("logs.level")} value=${level} options=${CHOICES.map((each) => [each, t(`level.${each}`)])}
        onChange=${(key) => setParameters({ level: key === USUAL ? null : key })} />
      <${Search} value=${q} main=${tall} />
      <${Button} icon=${log.paused ? "play" : "pause"} aria-pressed=${log.paused} onClick=${() => log.pause(!log.paused)} data-pause>
        ${log.paused ? t("logs.resume", { n: log.waiting.length }) : t("logs.pause")}<//>
    </div>
    <${Lines} log=${log} withTunnel=${!tunnelId} tall=${tall} />
  </div>`;
}

/** Searching asks the server: after a short rest in typing. */
function Search({ value, main }) {
  const timer = useRef(null);
  useEffect(() => () => clearTimeout(timer.current), []);
  const change = (event) => {
    const text = event.target.value;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setParameters({ log: text }), 200);
  };
  return html`<div class="filter"><div class="field"><input type="search" defaultValue=${value} onInput=${change} placeholder=${t("logs.placeholder")}
    aria-label=${t("logs.search")} autocomplete="off" spellcheck=${false} data-filter=${main || undefined} /></div></div>`;
}

function Lines({ log, withTunnel, tall }) {
  const box = useRef(null);
  const [following, setFollowing] = useState(true);
  const toEnd = () => (box.current.scrollTop = box.current.scrollHeight);
  useLayoutEffect(() => {
    if (following && box.current) toEnd();
  }, [log.lines, following]);
  const scrolled = () => {
    const { scrollHeight, scrollTop, clientHeight } = box.current;
    setFollowing(scrollHeight - scrollTop - clientHeight < NEAR_END);
  };
  const nodes = useMemo(() => log.lines.map((line) => drawLine(line, withTunnel)), [log.lines, withTunnel, locale()]);
  if (log.fault)
    return html`<${Empty} title=${t("logs.failed")}><p lang="en">${log.fault.message} ${log.fault.hint}</p><//>`;
  if (!log.lines.length) return html`<${Empty} title=${t(log.loading ? "loading" : "logs.none")} />`;
  return html`<div class="log-frame">
    <div class=${`lines card ${tall ? "tall" : ""} ${withTunnel ? "with-tunnel" : ""}`} ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-live="off" aria-label=${t("nav.logs")}>
      ${log.more && html`<p class="more"><${Button} onClick=${log.older}>${t("logs.older")}<//></p>`}
      ${log.dropped > 0 && html`<p class="hint more">${t("logs.dropped", { n: log.dropped })}</p>`}
      <ol>${nodes}</ol>
    </div>
    ${!following && html`<${Button} icon="newest" kind="primary newest" onClick=${() => setFollowing(true)}>${t("logs.newest")}<//>`}
  </div>`;
}

export function LogsPage() {
  return html`<h1 class="spoken" tabindex="-1">${t("nav.logs")}</h1><${LogTail} tall />`;
}
