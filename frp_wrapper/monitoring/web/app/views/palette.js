// Everything that can be gone to or done, found by typing (Ctrl/Cmd+K).

import { html, useLayoutEffect, useMemo, useRef, useState } from "../../vendor/preact.js";
import { askToClose, restartTunnel, silence } from "../actions.js";
import { fuzzyBest } from "../filter.js";
import { t } from "../i18n.js";
import { language, theme } from "../prefs.js";
import { go, route } from "../router.js";
import { mode, tunnels } from "../store.js";
import { showDialog, useModal } from "../ui/dialog.js";
import { copy, Icon } from "../ui/parts.js";
import { AddTunnel } from "./add-tunnel.js";
import { FilterHelp, KeyHelp } from "./help.js";

const MOST_SHOWN = 50;

function pages() {
  return ["overview", "events", "logs"].map((view) => ({
    icon: view === "overview" ? "tunnels" : view,
    text: t("palette.go", { name: t(`nav.${view}`) }),
    run: () => go(view),
  }));
}

function ofTunnel(view) {
  return [
    ...(view.url ? [{ icon: "copy", text: t("copy_url_of", { name: view.id }), run: () => copy(view.url) }] : []),
    { icon: "restart", text: t("palette.restart", { name: view.id }), run: () => restartTunnel(view.id) },
    { icon: "close", text: t("palette.close", { name: view.id }), run: () => askToClose(view) },
  ];
}

function settings() {
  return [
    ...["light", "dark", "system"].map((each) => ({
      icon: each === "dark" ? "moon" : each === "light" ? "sun" : "system",
      text: t("palette.theme", { name: t(`theme.${each}`) }),
      run: () => (theme.value = each),
    })),
    { icon: "open", text: "English", run: () => (language.value = "en") },
    { icon: "open", text: "한국어", run: () => (language.value = "ko") },
    { icon: "help", text: t("keys.title"), run: () => showDialog(KeyHelp) },
    { icon: "help", text: t("filter.help"), run: () => showDialog(FilterHelp) },
  ];
}

/** All entries: of the tunnel that is shown first, then pages, tunnels, and the rest. */
function entries() {
  if (mode.value !== "full") return settings();
  const here = route.value.view === "tunnels" ? tunnels.value.get(route.value.id) : null;
  const all = [...tunnels.value.values()];
  return [
    ...(here ? ofTunnel(here) : []),
    ...pages(),
    { icon: "add", text: t("add_tunnel"), run: () => showDialog(AddTunnel) },
    { icon: "mute", text: t("palette.silence"), run: () => silence(3600) },
    ...all.map((view) => ({ icon: "tunnels", text: view.id, note: view.url ?? "", run: () => go("tunnels", view.id) })),
    ...settings(),
    ...all.filter((view) => view !== here).flatMap(ofTunnel),
  ];
}

export function Palette({ close }) {
  const [typed, setTyped] = useState("");
  const [chosen, setChosen] = useState(0);
  const box = useRef(null);
  const all = useMemo(entries, []);
  const shown = fuzzyBest(typed, all, (entry) => `${entry.text} ${entry.note ?? ""}`, MOST_SHOWN);
  useModal(box);
  useLayoutEffect(
    () => box.current.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" }),
    [chosen, typed],
  );
  const run = (entry) => {
    close();
    entry?.run();
  };
  const key = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setChosen((chosen + step + shown.length) % Math.max(shown.length, 1));
    else if (event.key === "Enter") run(shown[chosen]);
    else return;
    event.preventDefault();
  };
  const type = (event) => {
    setTyped(event.target.value);
    setChosen(0);
  };
  return html`<dialog ref=${box} class="palette" aria-label=${t("palette.title")} onClose=${close} onMouseDown=${(event) => event.target === box.current && close()}>
    <div class="dialog-body">
      <div class="field with-icon"><${Icon} name="search" /><input type="text" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-autocomplete="list"
        aria-activedescendant=${shown.length ? `palette-${chosen}` : undefined} aria-label=${t("palette.title")} placeholder=${t("palette.placeholder")}
        value=${typed} onInput=${type} onKeyDown=${key} autocomplete="off" spellcheck=${false} autofocus /></div>
      <ul id="palette-list" role="listbox" aria-label=${t("palette.title")}>
        ${shown.map(
          (
            entry,
            index,
          ) => html`<li key=${entry.text} id=${`palette-${index}`} role="option" aria-selected=${index === chosen} onClick=${() => run(entry)} onMouseMove=${() => setChosen(index)}>
          <${Icon} name=${entry.icon} /><span class="cut">${entry.text}</span>${entry.note && html`<span class="hint cut">${entry.note}</span>`}</li>`,
        )}
      </ul>
      ${!shown.length && html`<p class="card-empty" role="status">${t("palette.nothing")}</p>`}
    </div>
  </dialog>`;
}
