// Dialogs are the browser's own: they keep the focus inside, close on Esc and give the focus back.

import { html, signal, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { t } from "../i18n.js";
import { Button } from "./parts.js";

const shown = signal(null);
let serial = 0;

/** Show a component in a dialog; it gets `close`. One dialog at a time: a new one takes the place of the old. */
export function showDialog(component, props = {}) {
  shown.value = { component, props, id: (serial += 1) };
}

export const dialogIsOpen = () => shown.value !== null;

export function DialogHost() {
  const entry = shown.value;
  // a dialog that goes tells so later, when another may be shown already: only its own end counts
  const close = () => shown.peek()?.id === entry.id && (shown.value = null);
  return entry && html`<${entry.component} key=${entry.id} ...${entry.props} close=${close} />`;
}

/** Show the <dialog> of a ref above the page for as long as its component lives. */
export function useModal(element) {
  useLayoutEffect(() => {
    element.current.showModal();
    return () => element.current?.close();
  }, []);
}

/** The frame of a dialog. */
export function Dialog({ title, close, children, kind = "" }) {
  const element = useRef(null);
  useModal(element);
  const outside = (event) => event.target === element.current && close();
  return html`<dialog ref=${element} class=${`dialog ${kind}`} aria-labelledby="dialog-title" onClose=${close} onMouseDown=${outside}>
    <div class="dialog-body">
      <header><h2 id="dialog-title">${title}</h2><${Button} icon="close" label=${t("close_dialog")} kind="ghost" onClick=${close} /></header>
      ${children}
    </div>
  </dialog>`;
}

/** Ask before something that cannot be taken back. */
function Confirm({ title, text, action, run, close }) {
  const confirm = () => {
    close();
    run();
  };
  return html`<${Dialog} title=${title} close=${close} kind="narrow">
    <p>${text}</p>
    <footer><${Button} onClick=${close} autofocus>${t("cancel")}<//><${Button} kind="danger" onClick=${confirm}>${action}<//></footer>
  <//>`;
}

export const confirm = (props) => showDialog(Confirm, props);
