// The dashboard's HTTP interface. Addresses are relative to the page, so that it may be mounted anywhere.

/** An answer that is no success: `message` and `hint` are sentences for the user. */
export class ApiError extends Error {
  constructor(status, { code = "error", message, hint = "" } = {}) {
    super(message ?? `HTTP ${status}`);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

export function url(path, parameters = {}) {
  const address = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") address.searchParams.set(name, value);
  }
  return address;
}

async function request(method, path, { parameters, body, signal } = {}) {
  const options = { method, signal, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(url(path, parameters), options);
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, answer?.error);
  return answer;
}

export const get = (path, parameters, signal) => request("GET", path, { parameters, signal });
export const post = (path, body = {}) => request("POST", path, { body });
export const del = (path) => request("DELETE", path);

/** The path of a tunnel's resource; names may hold any character. */
export const tunnelPath = (id, rest = "") => `api/tunnels/${encodeURIComponent(id)}${rest}`;

/** Trade a pasted token for the cookie; whether it was right tells the next request. */
export async function sendToken(token) {
  await fetch(url("", { token }), { headers: { Accept: "text/html" } });
}
