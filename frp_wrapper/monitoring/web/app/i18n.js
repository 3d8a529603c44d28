// The words of the page in the reader's language. Texts are data: `{n}` stands for a value, and an object with the
// plural forms of the language for texts that depend on `n`.

import { effect, signal } from "../vendor/preact.js";
import { count } from "./format.js";
import en from "./lang/en.js";
import ko from "./lang/ko.js";
import { language } from "./prefs.js";

const LANGUAGES = { en, ko };

function fromBrowser() {
  for (const tag of navigator.languages ?? []) {
    const name = tag.split("-")[0];
    if (name in LANGUAGES) return name;
  }
  return "en";
}

const browserLanguage = signal(fromBrowser());
addEventListener("languagechange", () => (browserLanguage.value = fromBrowser()));

/** The language now: "en" or "ko". */
export function locale() {
  return language.value === "system" ? browserLanguage.value : language.value;
}

const plurals = Object.fromEntries(Object.keys(LANGUAGES).map((name) => [name, new Intl.PluralRules(name)]));

/** The text of a key with `values` put in, numbers with their separators; a number `n` chooses the plural form. */
export function t(key, values = {}) {
  const language = locale();
  let text = LANGUAGES[language][key];
  if (text === undefined) return key;
  if (typeof text === "object") text = text[plurals[language].select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? shown(values[name], language) : all));
}

const shown = (value, language) => (typeof value === "number" ? count(value, language) : String(value));

/** Whether there is a text of that key: for words that come from the server. */
export function has(key) {
  return Object.hasOwn(LANGUAGES.en, key);
}

/** The text of `group.word`, or the word itself where the server knows one that the page does not. */
export function word(group, name) {
  return has(`${group}.${name}`) ? t(`${group}.${name}`) : String(name).replaceAll("_", " ");
}

effect(() => {
  document.documentElement.lang = locale();
});
