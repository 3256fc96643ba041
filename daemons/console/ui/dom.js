// Makes elements; text always as text, never as markup.

// An element: attributes are set as they are, functions listen (`onclick`), children are elements or text.
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

// A table of rows, each row one cell per heading; of a `wide` one, each row becomes a card on a narrow screen.
export function table(width, headings, rows) {
  const head = h("thead", {}, h("tr", {}, headings.map((heading) => h("th", { scope: "col" }, heading))));
  const cells = (row) => row.map((cell, at) =>
    h("td", { "data-label": headings[at], class: cell ? null : "none" }, cell || "–"));
  return h("table", { class: width }, head, h("tbody", {}, rows.map((row) => h("tr", {}, cells(row)))));
}

// A word that stands out by its colour as well: `tone` is good, wait, busy, bad or quiet.
export function badge(tone, text) {
  return h("span", { class: `badge ${tone}` }, text);
}

// What is said where there is nothing to show.
export function notice(kind, text) {
  return h("p", { class: `notice ${kind}`, role: kind === "error" ? "alert" : "status" }, text);
}
