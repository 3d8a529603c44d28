// What is around every view: the head with the ways through the page, and the truth about how live it is.

import { html, useEffect, useRef } from "../vendor/preact.js";
import { spoken } from "./announce.js";
import { duration } from "./format.js";
import { locale, t } from "./i18n.js";
import { age, connect, fresh, live, now, version } from "./live.js";
import { language, theme } from "./prefs.js";
import { link, route } from "./router.js";
import { client, mode, tick } from "./store.js";
import { DialogHost, showDialog } from "./ui/dialog.js";
import { Button, Empty, Icon, Shape, Toasts } from "./ui/parts.js";
import { EventsPage } from "./views/events.js";
import { KeyHelp } from "./views/help.js";
import { LogsPage } from "./views/log-tail.js";
import { Overview } from "./views/overview.js";
import { Palette } from "./views/palette.js";
import { TunnelPage } from "./views/tunnel.js";

const NAV = [
  ["overview", "tunnels"],
  ["events", "events"],
  ["logs", "logs"],
];
const THEMES = ["system", "light", "dark"];
const THEME_ICONS = { system: "system", light: "sun", dark: "moon" };
const SHAPES = {
  live: "online",
  polling: "online",
  connecting: "starting",
  asleep: "offline",
  lost: "error",
  stopped: "closed",
};

function LivePill() {
  const { state } = live.value;
  return html`<span class=${`live is-${SHAPES[state]}`} title=${t(`live.${state}.title`)}><${Shape} name=${SHAPES[state]} />${t(`live.${state}`)}</span>`;
}

function Head() {
  const here = route.value.view === "tunnels" ? "overview" : route.value.view;
  const nextTheme = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length];
  const otherLanguage = locale() === "ko" ? "en" : "ko";
  return html`<header class="head">
    <a class="brand" href="#/"><${Icon} name="logo" /><span>frp_wrapper</span></a>
    ${
      mode.value === "full" &&
      html`<nav aria-label=${t("nav")}>${NAV.map(
        ([view, icon]) => html`<a key=${view} href=${link(view)} aria-current=${view === here ? "page" : undefined}>
      <${Icon} name=${icon} />${t(`nav.${view}`)}</a>`,
      )}</nav>`
    }
    <${LivePill} />
    <div class="head-tools">
      <${Button} icon="search" label=${t("palette.title")} kind="ghost" aria-keyshortcuts="Control+K Meta+K" onClick=${() => showDialog(Palette)} />
      <${Button} icon=${THEME_ICONS[theme.value]} kind="ghost" onClick=${() => (theme.value = nextTheme)}
        label=${t("theme.switch", { now: t(`theme.${theme.value}`), next: t(`theme.${nextTheme}`) })} />
      <button type="button" class="button ghost language" lang=${otherLanguage} onClick=${() => (language.value = otherLanguage)}>${otherLanguage === "ko" ? "한국어" : "English"}</button>
      <${Button} icon="help" label=${t("keys.title")} kind="ghost" onClick=${() => showDialog(KeyHelp)} />
    </div>
  </header>`;
}

/** Says that the page is not live, since when, and what happens next. */
function Banner() {
  const { state, retryAt } = live.value;
  if (fresh.value || tick.value === 0) return null;
  const next = retryAt === null ? null : Math.max(0, Math.ceil((retryAt - now.value) / 1000));
  return html`<section class=${`banner is-${state}`} aria-label=${t(`live.${state}`)}>
    <${Shape} name=${SHAPES[state]} />
    <p><strong>${t(`live.${state}`)}</strong> ${t(`live.${state}.title`)} ${t("live.age", { time: duration(age.value ?? 0, locale()) })}
      ${next !== null && html` <span class="countdown">${t("live.retry", { n: next })}</span>`}</p>
    ${retryAt !== null && html`<${Button} icon="restart" onClick=${connect}>${t("live.try_now")}<//>`}
  </section>`;
}

function View() {
  const { view, id } = route.value;
  if (client.value === null) return html`<${Waiting} />`;
  if (mode.value === "open") return html`<${Overview} />`;
  if (view === "tunnels" && id !== null) return html`<${TunnelPage} id=${id} />`;
  if (view === "events") return html`<${EventsPage} />`;
  if (view === "logs") return html`<${LogsPage} />`;
  return html`<${Overview} />`;
}

function Waiting() {
  const { state, retryAt } = live.value;
  const next = retryAt === null ? 0 : Math.max(0, Math.ceil((retryAt - now.value) / 1000));
  return html`<h1 class="spoken" tabindex="-1">frp_wrapper</h1>
    <${Empty} title=${t(state === "lost" ? "no_dashboard" : "loading")}>
      ${state === "lost" && html`<p>${t("live.retry", { n: next })}</p><${Button} icon="restart" onClick=${connect}>${t("live.try_now")}<//>`}
    <//>`;
}

/** After a way through the page the focus is on the new view's heading, as after the load of a page. */
function useFocusOnArrival() {
  const { view, id } = route.value;
  const first = useRef(true);
  useEffect(() => {
    document.title = `${id ?? t(`nav.${view}`)} · frp_wrapper`;
    if (!first.current) {
      scrollTo(0, 0);
      document.querySelector("main h1")?.focus({ preventScroll: true });
    }
    first.current = false;
  }, [view, id, locale()]);
}

export function Shell() {
  useFocusOnArrival();
  const skip = (event) => {
    event.preventDefault();
    document.querySelector("main").focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>${t("skip")}</a>
    <${Head} />
    <${Banner} />
    <main id="main" tabindex="-1" class=${fresh.value || tick.value === 0 ? "" : "stale"}><${View} /></main>
    <footer class="foot">${version.value && html`frp_wrapper ${version.value}`}</footer>
    <${DialogHost} />
    <${Toasts} />
    <div class="spoken" role="status" aria-live="polite" id="spoken">${spoken.value}</div>
  `;
}
