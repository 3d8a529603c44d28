// Help: the filter language, and the keys.

import { html } from "../../vendor/preact.js";
import { t } from "../i18n.js";
import { shortcuts } from "../prefs.js";
import { setParameters } from "../router.js";
import { tunnelFields } from "../tunnel-fields.js";
import { Dialog } from "../ui/dialog.js";

const EXAMPLES = [
  ["web", "word"],
  ['"my web"', "phrase"],
  ["status:online", "status"],
  ["status:offline,error", "either"],
  ["-type:udp", "not"],
  ["errors>0", "errors"],
  ["rate>1M", "rate"],
  ["latency>=250ms", "latency"],
  ["idle>1h", "idle"],
  ["name=web", "exactly"],
];

/** An example that is pressed becomes the filter. */
export function FilterHelp({ close }) {
  const use = (example) => {
    setParameters({ q: example });
    close();
  };
  const fields = Object.entries(tunnelFields(0));
  return html`<${Dialog} title=${t("filter.help")} close=${close}>
    <p>${t("filter.help.intro")}</p>
    <table class="plain"><tbody>
      ${EXAMPLES.map(
        ([example, key]) => html`<tr key=${key}>
        <th scope="row"><button type="button" class="code-button" onClick=${() => use(example)}><code>${example}</code></button></th>
        <td>${t(`filter.example.${key}`)}</td></tr>`,
      )}
    </tbody></table>
    <h3>${t("filter.help.fields")}</h3>
    <dl class="fields">
      ${fields.map(
        ([name, { kind, values }]) => html`<div key=${name}><dt><code>${name}</code></dt>
        <dd>${t(`field.${name}`)}<span class="hint"> ${values ? values.join(", ") : t(`filter.kind.${kind}`)}</span></dd></div>`,
      )}
    </dl>
  <//>`;
}

const command = /Mac|iP/.test(navigator.platform) ? "⌘" : "Ctrl";
const KEYS = [
  ["/", "filter"],
  [`${command} K`, "palette"],
  ["g o", "overview"],
  ["g t", "table"],
  ["g e", "events"],
  ["g l", "logs"],
  ["j", "next"],
  ["k", "previous"],
  ["Enter", "open"],
  ["n", "newest"],
  ["p", "pause"],
  ["Esc", "escape"],
  ["?", "help"],
];

/** Which keys do what, and whether single keys do anything. */
export function KeyHelp({ close }) {
  return html`<${Dialog} title=${t("keys.title")} close=${close} kind="narrow">
    <table class="plain"><tbody>${KEYS.map(
      ([keys, name]) => html`<tr key=${name}>
      <th scope="row">${keys.split(" ").map((key) => html`<kbd key=${key}>${key}</kbd> `)}</th><td>${t(`keys.${name}`)}</td></tr>`,
    )}</tbody></table>
    <label class="check"><input type="checkbox" checked=${shortcuts.value === "on"} onChange=${(event) => (shortcuts.value = event.target.checked ? "on" : "off")} />
      <span>${t("keys.single")}</span></label>
  <//>`;
}
