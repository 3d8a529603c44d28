// The keyboard. Single keys do nothing while the reader types, or when they were switched off.

import { shortcuts } from "./prefs.js";
import { go } from "./router.js";
import { dialogIsOpen, showDialog } from "./ui/dialog.js";
import { KeyHelp } from "./views/help.js";
import { Palette } from "./views/palette.js";

const PREFIX_MS = 1200; // how long `g` waits for the second key
const GO = { o: "overview", t: "overview", e: "events", l: "logs" };
let prefixAt = -Infinity;

const main = () => document.querySelector("main");
const items = () => [...main().querySelectorAll("[data-item]")];

function isTyping(target) {
  return target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName);
}

/** Put the focus on the next or previous thing of the page's list. Rows that are not drawn yet are, once it has moved. */
function move(step) {
  const all = items();
  if (!all.length) return;
  const now = all.indexOf(document.activeElement);
  const next = now < 0 ? firstVisible(all) : all[Math.min(Math.max(now + step, 0), all.length - 1)];
  next.focus({ preventScroll: true });
  next.closest("tr, li")?.scrollIntoView({ block: "nearest" });
}

function firstVisible(all) {
  return all.find((item) => item.getBoundingClientRect().top >= 0) ?? all[0];
}

function focusFilter() {
  const field = main().querySelector("[data-filter]");
  field?.focus();
  field?.select();
  return Boolean(field);
}

function press(selector) {
  const button = main().querySelector(selector);
  button?.click();
  return Boolean(button);
}

const SINGLE = {
  "/": focusFilter,
  "?": () => showDialog(KeyHelp),
  j: () => move(1),
  k: () => move(-1),
  n: () => press(".newest"),
  p: () => press("[data-pause]"),
  g: () => (prefixAt = performance.now()),
};

function follow(key) {
  go(GO[key]);
  if (key === "t") setTimeout(() => items()[0]?.focus()); // after the page is drawn
}

function escape(target) {
  if (!target.matches?.("input[type=search]")) return;
  if (target.value) {
    target.value = "";
    target.dispatchEvent(new Event("input", { bubbles: true }));
  } else target.blur();
}

function single(event) {
  const waiting = performance.now() - prefixAt < PREFIX_MS;
  prefixAt = -Infinity;
  if (waiting && event.key in GO) return follow(event.key);
  return SINGLE[event.key]?.(event) ?? false;
}

function pressed(event) {
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey) {
    event.preventDefault();
    showDialog(Palette);
    return;
  }
  if (dialogIsOpen() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") escape(event.target);
  else if (!isTyping(event.target) && shortcuts.peek() === "on" && (event.key in SINGLE || event.key in GO)) {
    if (single(event) !== false) event.preventDefault();
  }
}

export function startKeys() {
  document.addEventListener("keydown", pressed);
}
