// Call records, the newest first, numbers masked.
import { call } from "/api.js";
import { badge, h, notice, table } from "/dom.js";
import { length } from "/overview.js";
import { words } from "/words.js";

const PAGE = 50;
const TONES = { answered: "good", abandoned: "wait", ended_in_flow: "quiet", refused: "bad", failed: "bad" };

// Shows the call records.
export function records(page, main) {
  const body = h("div", { class: "body" });
  const more = h("button", { type: "button", class: "plain", hidden: true, onclick: () => load() }, words("records.more"));
  const refresh = h("button", { type: "button", class: "plain", onclick: () => load("anew") }, words("records.refresh"));
  main.append(h("section", { class: "card" },
    h("div", { class: "title" }, h("h1", {}, words("records")), refresh), body, more));
  let shown = [];

  async function load(from) {
    if (from === "anew") shown = [];
    if (!shown.length) body.replaceChildren(notice("loading", words("loading")));
    more.disabled = refresh.disabled = true;
    const after = shown.length ? `&after=${shown.at(-1).call}` : "";
    try {
      const answer = await call("GET", `calls?limit=${PAGE}${after}`);
      shown = shown.concat(answer.calls);
      body.replaceChildren(shown.length ? draw(shown) : notice("empty", words("records.none")));
      more.hidden = !answer.more;
    } catch (refused) {
      if (refused.status === 401) return page.end(words("session.ended"));
      const told = notice("error", refused.message);
      if (shown.length) body.append(told);
      else body.replaceChildren(told);
    } finally {
      more.disabled = refresh.disabled = false;
    }
  }
  load("anew");
}

function draw(calls) {
  const headings = ["record.offered", "call.from", "call.dialled", "call.queue", "call.agent", "record.disposition",
    "record.length", "call.recording"];
  return table("wide", headings.map((heading) => words(heading)), calls.map((record) => {
    const agents = [...new Set(record.legs.map((leg) => leg.agent).filter(Boolean))];
    const recording = record.recording;
    return [
      h("time", { class: "number" }, moment(record.offered)),
      h("span", { class: "number" }, record.from.number || words("withheld")),
      h("span", { class: "number" }, record.dialled),
      record.queued.map((queued) => queued.queue).join(" → ") || null,
      agents.join(words("comma")) || null,
      badge(TONES[record.disposition] ?? "quiet", words(`disposition.${record.disposition}`) ?? record.disposition),
      h("span", { class: "number" }, length((record.ended - record.offered) / 1e6)),
      recording.yes ? words("recording.kept") : unrecorded(recording.no?.reason),
    ];
  }));
}

// Why there is no recording: a failure stands out, for it is a gap.
function unrecorded(reason) {
  const text = words(`not-recorded.${reason}`) ?? "–";
  return reason === "failed" ? badge("bad", text) : h("span", { class: "aside" }, text);
}

// `2026-11-21 09:05:00` (ISO 8601, GB/T 7408) in the browser's zone; `nanoseconds` since 1970.
function moment(nanoseconds) {
  const date = new Date(nanoseconds / 1e6);
  const two = (number) => String(number).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")}`;
}
