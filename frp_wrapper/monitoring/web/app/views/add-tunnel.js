// The dialog that opens a tunnel. The server checks; what it says stands in the dialog, and nothing typed is lost.

import { html, useState } from "../../vendor/preact.js";
import { post } from "../api.js";
import { t } from "../i18n.js";
import { go } from "../router.js";
import { Dialog } from "../ui/dialog.js";
import { Button, Problem, toast } from "../ui/parts.js";

const TYPES = ["tcp", "udp", "http", "https", "tcpmux"];
const WITH_PORT = new Set(["tcp", "udp"]);
const METERS = ["auto", "passive", "relay", "off"];

function Field({ name, hint, ...input }) {
  const id = `add-${name}`;
  return html`<div class="form-field"><label for=${id}>${t(`add.${name}`)}</label>
    <input id=${id} name=${name} autocomplete="off" spellcheck=${false} aria-describedby=${hint ? `${id}-hint` : undefined} ...${input} />
    ${hint && html`<p id=${`${id}-hint`} class="hint">${hint}</p>`}</div>`;
}

/** The body of the request: only what was filled in, numbers as numbers, domains as a list. */
function bodyOf(form) {
  const entries = [...form.entries()].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value !== "");
  const body = Object.fromEntries(entries);
  for (const name of ["local_port", "remote_port"]) if (name in body) body[name] = Number(body[name]);
  if ("custom_domains" in body) body.custom_domains = body.custom_domains.split(/[\s,]+/).filter(Boolean);
  return body;
}

export function AddTunnel({ close }) {
  const [type, setType] = useState("tcp");
  const [state, setState] = useState({ busy: false, fault: null });
  const submit = async (event) => {
    event.preventDefault();
    setState({ busy: true, fault: null });
    try {
      const view = await post("api/tunnels", bodyOf(new FormData(event.target)));
      toast({ text: t("add.done", { name: view.id }) });
      close();
      go("tunnels", view.id);
    } catch (error) {
      setState({ busy: false, fault: error });
    }
  };
  const port = { type: "number", min: 1, max: 65535, inputmode: "numeric" };
  return html`<${Dialog} title=${t("add_tunnel")} close=${close} kind="narrow">
    <form onSubmit=${submit}>
      <div class="form-field"><label for="add-type">${t("add.type")}</label>
        <select id="add-type" name="type" value=${type} onChange=${(event) => setType(event.target.value)}>
          ${TYPES.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}</select>
        <p class="hint">${t(`add.type.${type}`)}</p></div>
      <div class="form-row"><${Field} name="local_host" placeholder="127.0.0.1" /><${Field} name="local_port" required autofocus ...${port} /></div>
      <${Field} name="name" hint=${t("add.name.hint")} maxlength="100" />
      ${
        WITH_PORT.has(type)
          ? html`<${Field} key="remote" name="remote_port" hint=${t("add.remote_port.hint")} ...${port} />`
          : html`<${Field} key="sub" name="subdomain" /><${Field} key="domains" name="custom_domains" hint=${t("add.custom_domains.hint")} />`
      }
      ${type === "http" && html`<${Field} key="path" name="path" placeholder="/api" hint=${t("add.path.hint")} />`}
      <div class="form-field"><label for="add-meter">${t("add.meter")}</label>
        <select id="add-meter" name="meter">${METERS.map((each) => html`<option key=${each} value=${each}>${t(`meter.${each}`)}</option>`)}</select></div>
      <div role="alert">${state.fault && html`<${Problem} error=${state.fault} />`}</div>
      <footer><${Button} onClick=${close}>${t("cancel")}<//><button class="button primary" disabled=${state.busy}>${t(state.busy ? "add.busy" : "add.send")}</button></footer>
    </form>
  <//>`;
}
