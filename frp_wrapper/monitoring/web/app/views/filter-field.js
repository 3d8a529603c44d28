// A field for the filter language, and what is wrong with what stands in it. The text is kept in the address.

import { html } from "../../vendor/preact.js";
import { t } from "../i18n.js";
import { setParameters } from "../router.js";
import { showDialog } from "../ui/dialog.js";
import { Button, Icon } from "../ui/parts.js";
import { FilterHelp } from "./help.js";

export function FilterField({ query, problems, label, placeholder, withHelp = false }) {
  return html`<div class="filter">
    <div class="field with-icon">
      <${Icon} name="search" />
      <input type="search" value=${query} onInput=${(event) => setParameters({ q: event.target.value })} placeholder=${placeholder} aria-label=${label}
        aria-describedby=${problems.length ? "filter-problems" : undefined} autocomplete="off" autocapitalize="off" spellcheck=${false} data-filter />
      ${query === "" && html`<kbd aria-hidden="true">/</kbd>`}
      ${withHelp && html`<${Button} icon="help" label=${t("filter.help")} kind="ghost" onClick=${() => showDialog(FilterHelp)} />`}
    </div>
    ${
      problems.length > 0 &&
      html`<ul id="filter-problems" class="problems">
      ${problems.map((problem) => html`<li key=${problem.term}><${Icon} name="warning" />${t(`filter.${problem.code}`, problem)}</li>`)}
    </ul>`
    }
  </div>`;
}
