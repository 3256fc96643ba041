// Log-in, the change of a password, and the naming of the three officers.
import { call } from "/api.js";
import { h, notice } from "/dom.js";
import { words } from "/words.js";

const OFFICES = ["system", "security", "audit"];

// The log-in; where the password is a one-time one, its change follows at once.
export function logIn(page, why) {
  const person = field("person", { autocomplete: "username", "data-first": true });
  const password = secret("password", "current-password");
  const box = card("log-in", [person, password], "log-in", async () => {
    try {
      await enter(page, box, person.value(), password.value());
    } catch (refused) {
      if (refused.code !== "auth.must-change") throw refused;
      box.replaceWith(first(page, person.value(), password.value()));
    }
  });
  if (why) box.querySelector("h2").after(notice("error", why));
  call("GET", "setup").then(({ officers }) => {
    if (officers === "named") return;
    box.append(h("p", { class: "aside" }, words("setup.hint"), " ", h("a", { href: "#/setup" }, words("setup.go"))));
  }, () => {
    // Without this answer the log-in is offered alone, which is right for every day but the first.
  });
  return box;
}

// Logs in; where a second factor is wanted, `box` gives way to the form that asks for its code.
async function enter(page, box, person, password) {
  const opened = await call("POST", "session", { person, password });
  if (opened.outcome === "entered") page.enter(opened);
  else box.replaceWith(second(page, person, password, opened));
}

// The second factor: its code, and at the first time the secret before it and the recovery codes after it.
function second(page, person, password, opened) {
  const code = field("code", { autocomplete: "one-time-code", inputmode: "numeric", "data-first": true });
  const offered = opened.outcome === "enrol" ? [
    h("p", { class: "aside" }, words("factor.enrol")), h("p", {}, h("code", {}, opened.secret)),
    h("p", { class: "aside" }, h("a", { href: opened.uri }, words("factor.open"))),
  ] : [];
  const box = card("factor", [...offered, code], "log-in", async () => {
    const entered = await call("POST", "session", { person, password, code: code.value() });
    if (entered.outcome !== "entered") throw new Error(words("error.unknown"));
    if (!entered.recovery_codes) return page.enter(entered);
    box.replaceChildren(h("h2", {}, words("factor.done")), h("p", {}, words("factor.codes")),
      h("pre", {}, entered.recovery_codes.join("\n")),
      h("button", { type: "button", onclick: () => page.enter(entered) }, words("factor.kept")));
  });
  queueMicrotask(() => code.input.focus());
  return box;
}

// One's own password, changed from within; the session ends with it.
export function changing(page, main) {
  const old = secret("password.old", "current-password", true);
  const [next, again] = twice();
  const person = page.who().person;
  const code = field("code", { autocomplete: "one-time-code", inputmode: "numeric", required: false });
  code.box.append(h("small", { class: "aside" }, words("code.if")));
  main.append(card("password.change", [hidden(person), old, next, again, code], "password.change", async () => {
    same(next, again);
    await change(page, main.firstChild, person, old.value(), next.value(), code.value());
  }));
}

// Names the three officers with the set-up password.
export function setUp(page) {
  const password = secret("setup.password", "off", true);
  const officers = OFFICES.map((office) => ({
    office,
    person: field("person", { autocomplete: "off", id: `${office}-person` }),
    first: secret("password.first", "new-password", false, `${office}-password`),
  }));
  const groups = officers.map(({ office, person, first }) =>
    h("fieldset", {}, h("legend", {}, words(`setup.${office}`)),
      h("p", { class: "aside" }, words(`setup.${office}.duty`)), h("div", { class: "pair" }, person.box, first.box)));
  const reveal = (event) => {
    for (const { first } of officers) first.input.type = event.target.checked ? "text" : "password";
  };
  const shown = h("label", { class: "check" }, h("input", { type: "checkbox", onchange: reveal }), words("setup.show"));
  const rule = h("p", { class: "aside" }, words("password.rule"));
  const box = card("setup", [password, ...groups, rule, shown], "setup.name", async () => {
    const named = officers.map(({ office, person, first }) =>
      [office, { person: person.value(), password: first.value() }]);
    await call("POST", "setup", { password: password.value(), ...Object.fromEntries(named) });
    box.replaceChildren(h("h2", {}, words("setup.done")), h("p", {}, words("setup.next")),
      h("a", { class: "button", href: "#/" }, words("log-in")));
  });
  box.classList.add("wide");
  box.querySelector("h2").after(h("p", { class: "aside" }, words("setup.intro")));
  box.append(h("p", { class: "aside" }, h("a", { href: "#/" }, words("setup.back"))));
  return box;
}

// The change of a password that opens nothing else.
function first(page, person, old) {
  const [next, again] = twice();
  const box = card("password.change", [hidden(person), next, again], "password.set", async () => {
    same(next, again);
    await change(page, box, person, old, next.value(), "");
  });
  box.querySelector("h2").after(h("p", { class: "aside" }, words("password.must")));
  queueMicrotask(() => next.input.focus());
  return box;
}

async function change(page, box, person, old, next, code) {
  await call("POST", "password", { person, old, new: next, ...(code && { code }) });
  await enter(page, box, person, next);
}

function twice() {
  const next = secret("password.new", "new-password");
  next.box.append(h("small", { class: "aside" }, words("password.rule")));
  return [next, secret("password.again", "new-password")];
}

function same(next, again) {
  if (next.value() !== again.value()) throw new Error(words("password.differ"));
}

// A form that is sent once at a time and says what went wrong.
function card(title, fields, action, send) {
  const told = h("div", { class: "told" });
  const button = h("button", { type: "submit" }, words(action));
  const submit = async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    button.textContent = words("busy");
    told.replaceChildren();
    try {
      await send();
    } catch (refused) {
      told.replaceChildren(notice("error", refused.message));
      told.scrollIntoView({ block: "nearest" });
    } finally {
      button.disabled = false;
      button.textContent = words(action);
    }
  };
  return h("form", { class: "card", onsubmit: submit },
    h("h2", {}, words(title)), fields.map((field) => field.box ?? field), told, button);
}

function field(label, attributes) {
  const id = attributes.id ?? label.replace(".", "-");
  const input = h("input", { required: true, spellcheck: "false", autocapitalize: "none", maxlength: 64, ...attributes, id });
  const box = h("div", { class: "field" }, h("label", { for: id }, words(label)), input);
  return { box, input, value: () => input.value };
}

function secret(label, autocomplete, first = false, id = undefined) {
  return field(label, { type: "password", autocomplete, "data-first": first, maxlength: 256, id: id ?? label.replace(".", "-") });
}

// Tells a password manager whose password it is.
function hidden(person) {
  return h("input", { type: "text", autocomplete: "username", value: person, hidden: true, readonly: true });
}
