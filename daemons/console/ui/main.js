// The frame of the page: who is logged in, where they are, in which language.
import { call, keepToken } from "/api.js";
import { h, notice } from "/dom.js";
import { changing, logIn, setUp } from "/entry.js";
import { overview } from "/overview.js";
import { records } from "/records.js";
import { language, otherLanguage, speak, words } from "/words.js";

const VIEWS = { "#/": overview, "#/records": records, "#/password": changing };

let who = null;
let leave = () => {};

const page = {
  // A log-in came about.
  enter(session) {
    who = session;
    keepToken(session.csrf);
    if (location.hash in VIEWS) show();
    else location.hash = "#/";
  },
  // The session is over; `why` is said beside the log-in.
  end(why) {
    who = null;
    keepToken("");
    show(why);
  },
  go(hash) {
    if (location.hash === hash) show();
    else location.hash = hash;
  },
  who: () => who,
};

addEventListener("hashchange", () => show());
start();

async function start() {
  document.documentElement.lang = language();
  document.body.replaceChildren(h("main", { class: "entry" }, notice("loading", words("loading"))));
  try {
    page.enter(await call("GET", "session"));
  } catch (refused) {
    page.end(refused.status === 401 ? undefined : refused.message);
  }
}

function show(why) {
  leave();
  leave = () => {};
  document.documentElement.lang = language();
  document.title = words("product");
  if (!who) {
    const view = location.hash === "#/setup" ? setUp : logIn;
    document.body.replaceChildren(h("main", { class: "entry" }, brand("h1"), view(page, why), tongue()));
  } else {
    const main = h("main", { id: "main", tabindex: "-1" });
    document.body.replaceChildren(skip(), header(), main);
    leave = (VIEWS[location.hash] ?? overview)(page, main) ?? leave;
  }
  document.querySelector("[data-first]")?.focus();
}

function header() {
  const link = (hash, text) =>
    h("a", { href: hash, "aria-current": (location.hash || "#/") === hash ? "page" : null }, text);
  const roles = who.roles.map((role) => words(`role.${role}`)).join(words("comma"));
  return h("header", { class: "bar" },
    brand("span"),
    h("nav", { "aria-label": words("nav") }, link("#/", words("overview")), link("#/records", words("records"))),
    h("div", { class: "person" },
      h("a", { href: "#/password", title: words("password.change") },
        h("b", {}, who.person), h("small", {}, roles || words("role.none"))),
      tongue(),
      h("button", { type: "button", class: "plain", onclick: logOut }, words("log-out"))));
}

function brand(name) {
  return h(name, { class: "brand" }, h("img", { src: "/mark.svg", alt: "", width: 28, height: 28 }), words("product"));
}

function tongue() {
  const other = otherLanguage();
  const change = () => { speak(other); show(); };
  return h("button", { type: "button", class: "plain", lang: other, onclick: change }, words("tongue", other));
}

function skip() {
  const jump = (event) => { event.preventDefault(); document.getElementById("main").focus(); };
  return h("a", { class: "skip", href: "#main", onclick: jump }, words("skip"));
}

async function logOut() {
  try {
    await call("DELETE", "session");
    page.end();
  } catch (refused) {
    if (refused.status === 401) page.end();
    else document.getElementById("main").prepend(notice("error", refused.message));
  }
}
