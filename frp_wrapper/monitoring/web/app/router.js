// Where the reader is: `#/tunnels/web?range=300`. Filters and ranges stand in the address, so that a link carries them.

import { signal } from "../vendor/preact.js";

function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view, ...rest] = path.split("/");
  return {
    view: view || "overview",
    id: rest.length ? decoded(rest.join("/")) : null,
    parameters: new URLSearchParams(query),
  };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a hand-written "%" is just a character
  }
}

/** The place now: { view, id, parameters }. */
export const route = signal(parse(location.hash));

addEventListener("hashchange", () => {
  clearTimeout(writing);
  route.value = parse(location.hash);
});

const REST_MS = 150; // browsers refuse an address that changes with each letter
let writing = null;

/** The link to a view, or to one thing in it. */
export function link(view, id = null, parameters = {}) {
  const path = view === "overview" ? "" : view + (id === null ? "" : `/${encodeURIComponent(id)}`);
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value)).toString();
  return `#/${path}${query ? `?${query}` : ""}`;
}

export function go(view, id, parameters) {
  location.hash = link(view, id, parameters);
}

/** Change parameters of the address without a new step in the browser's history. Empty values are left out. */
export function setParameters(changes) {
  const { view, id, parameters } = route.peek();
  const address = link(view, id, { ...Object.fromEntries(parameters), ...changes });
  route.value = parse(address);
  clearTimeout(writing);
  writing = setTimeout(() => history.replaceState(null, "", address), REST_MS);
}
