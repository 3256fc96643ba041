// The way to the console's daemon: JSON under /api/v1.
import { language, words } from "/words.js";

let token = "";
let active = true;
let ahead = 0;

for (const sign of ["pointerdown", "keydown"]) addEventListener(sign, () => { active = true; }, { passive: true });

// What the daemon answered instead.
export class Refused extends Error {
  constructor(status, code, message) {
    super(words(`error.${code}`) ?? message);
    this.status = status;
    this.code = code;
  }
}

// Keeps the token that unsafe requests carry.
export function keepToken(csrf) {
  token = csrf;
}

// Milliseconds since 1970 by the clock of the appliance, to a second.
export function now() {
  return Date.now() + ahead;
}

// Calls the daemon; throws Refused. Only what a person does counts as a sign of the person.
export async function call(method, path, body) {
  const headers = { "Accept-Language": language() };
  if (method !== "GET") headers["X-CSRF-Token"] = token;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (active) headers["X-Presence"] = "active";
  active = false;
  let response;
  try {
    response = await fetch(`/api/v1/${path}`, {
      method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(35_000),
    });
  } catch {
    throw new Refused(0, "console.unreachable", "");
  }
  const date = Date.parse(response.headers.get("date"));
  // Whole seconds come over the wire: a smaller difference is none.
  if (date && Math.abs(date - Date.now()) > 2_000) ahead = date - Date.now();
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, answer.code, answer.detail ?? words("error.unknown"));
  return answer;
}
