// What the user chose on this browser: language, theme, and whether single keys are shortcuts.

import { effect, signal } from "../vendor/preact.js";

const PREFIX = "frp-wrapper.";

function stored(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null; // storage can be forbidden; then a choice lasts as long as the page
  }
}

function preference(name, fallback, allowed) {
  const value = stored(name);
  const choice = signal(allowed.includes(value) ? value : fallback);
  effect(() => {
    const chosen = choice.value;
    try {
      if (chosen === fallback) localStorage.removeItem(PREFIX + name);
      else localStorage.setItem(PREFIX + name, chosen);
    } catch {
      /* as above */
    }
  });
  return choice;
}

/** "system", "light" or "dark". */
export const theme = preference("theme", "system", ["system", "light", "dark"]);
/** "system", "en" or "ko". */
export const language = preference("language", "system", ["system", "en", "ko"]);
/** "on" or "off": whether single keys do something. */
export const shortcuts = preference("shortcuts", "on", ["on", "off"]);

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
