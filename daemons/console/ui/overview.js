// The centre at this moment: asked for once a second, redrawn where something changed.
import { call, now } from "/api.js";
import { badge, h, notice, table } from "/dom.js";
import { words } from "/words.js";

const SECOND = 1_000;
const STAGES = { arriving: "quiet", announcing: "quiet", choosing: "quiet", waiting: "wait", offering: "wait", talking: "busy", ending: "quiet" };
const STATES = { ready: "good", talking: "busy", offered: "wait", wrap_up: "wait", aux: "quiet", signed_out: "quiet" };
const REACH = { reachable: "good", unreachable: "bad", unknown: "quiet" };

const PANELS = [
  { name: "calls", path: "calls/live", draw: ({ calls }) => calls.length && drawCalls(calls) },
  { name: "queues", path: "queues", draw: ({ queues }) => queues.length && drawQueues(queues) },
  { name: "agents", path: "agents", draw: ({ agents }) => agents.length && drawAgents(agents) },
  { name: "endpoints", path: "endpoints", draw: ({ endpoints }) => endpoints.length && drawEndpoints(endpoints) },
];

// Shows the overview; returns how to leave it.
export function overview(page, main) {
  const figures = h("dl", { class: "figures", "aria-label": words("figures") });
  const panels = PANELS.map((panel) => {
    const body = h("div", { class: "body" }, notice("loading", words("loading")));
    const box = h("section", { class: `card ${panel.name}` }, h("h2", {}, words(panel.name)), body);
    return { ...panel, box, body, drawn: null, answer: null };
  });
  main.append(h("h1", { class: "unseen" }, words("overview")), figures,
    h("div", { class: "panels" }, panels.map((panel) => panel.box)));
  tally(figures, panels);

  let over = false;
  let timer;
  const round = async () => {
    const outcomes = document.hidden ? [] : await Promise.all(panels.map(refresh));
    if (over) return;
    if (outcomes.some((refused) => refused?.status === 401)) return page.end(words("session.ended"));
    tally(figures, panels);
    tick(main);
    timer = setTimeout(round, SECOND);
  };
  round();
  return () => { over = true; clearTimeout(timer); };
}

// Asks for one panel's content; returns what was said instead.
async function refresh(panel) {
  let refused = null;
  let content;
  try {
    panel.answer = await call("GET", panel.path);
    content = JSON.stringify(panel.answer);
  } catch (told) {
    refused = told;
    panel.answer = null;
    content = `refused ${told.message}`;
  }
  if (content !== panel.drawn) {
    panel.drawn = content;
    const drawn = refused ? notice("error", refused.message) : panel.draw(panel.answer);
    panel.body.replaceChildren(drawn || notice("empty", words(`${panel.name}.none`)));
  }
  return refused;
}

// The figures at the top: of what is known, nothing is guessed.
function tally(figures, panels) {
  const [calls, queues, agents, endpoints] = panels.map((panel) => panel.answer);
  const count = (list, holds) => list && list.filter(holds).length;
  const trunks = endpoints?.endpoints.filter(([endpoint]) => "trunk" in endpoint);
  const shown = [
    ["figure.calls", calls?.calls.length],
    ["figure.waiting", queues?.queues.reduce((sum, queue) => sum + queue.waiting.length, 0)],
    ["figure.talking", count(calls?.calls, (call) => call.stage === "talking")],
    ["figure.ready", count(agents?.agents, (agent) => agent.state === "ready"),
      count(agents?.agents, (agent) => agent.state !== "signed_out")],
    ["figure.trunks", count(trunks, ([, reach]) => reach === "reachable"), trunks?.length],
  ];
  figures.replaceChildren(...shown.map(([name, value, of]) =>
    h("div", {}, h("dt", {}, words(name)),
      h("dd", {}, String(value ?? "–"), of === undefined ? null : h("small", {}, ` / ${of}`)))));
}

function drawCalls(calls) {
  const headings = ["call.from", "call.dialled", "call.stage", "call.queue", "call.agent", "call.recording", "call.time"];
  return table("wide", headings.map((heading) => words(heading)), calls.map((call) => [
    h("span", { class: "number" }, call.from || words("withheld")),
    h("span", { class: "number" }, call.dialled),
    badge(STAGES[call.stage] ?? "quiet", words(`stage.${call.stage}`) ?? call.stage),
    call.queue,
    call.agent,
    call.recording ? h("span", { class: "recording" }, words("recording.on")) : null,
    since(call.offered),
  ]));
}

function drawQueues(queues) {
  const headings = ["queue.name", "queue.waiting", "queue.ready", "queue.signed-in"];
  return table("narrow", headings.map((heading) => words(heading)), queues.map((queue) => [
    queue.queue,
    queue.waiting.length ? badge("wait", String(queue.waiting.length)) : "0",
    String(queue.agents.ready),
    String(Object.values(queue.agents).reduce((sum, count) => sum + count, 0)),
  ]));
}

function drawAgents(agents) {
  const headings = ["agent.name", "agent.state", "agent.phone", "agent.since"];
  return table("narrow", headings.map((heading) => words(heading)), agents.map((agent) => {
    const state = typeof agent.state === "string" ? agent.state : "aux";
    const reason = agent.state.aux ? `${words("colon")}${agent.state.aux}` : "";
    return [
      agent.agent,
      badge(STATES[state] ?? "quiet", (words(`state.${state}`) ?? state) + reason),
      agent.phone && h("span", { class: "number" }, agent.phone),
      since(agent.since),
    ];
  }));
}

function drawEndpoints(endpoints) {
  const headings = ["endpoint.kind", "endpoint.name", "endpoint.reach"];
  return table("narrow", headings.map((heading) => words(heading)), endpoints.map(([endpoint, reach]) => {
    const [[kind, name]] = Object.entries(endpoint);
    return [words(`endpoint.${kind}`) ?? kind, h("span", { class: "number" }, name), badge(REACH[reach], words(`reach.${reach}`))];
  }));
}

// A length of time that goes on; `nanoseconds` since 1970.
function since(nanoseconds) {
  const cell = h("time", { class: "number", "data-since": nanoseconds / 1e6 });
  write(cell);
  return cell;
}

function tick(main) {
  for (const cell of main.querySelectorAll("[data-since]")) write(cell);
}

function write(cell) {
  cell.textContent = length(now() - Number(cell.dataset.since));
}

// `4:05`, `1:04:05`.
export function length(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / SECOND));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
