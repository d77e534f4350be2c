// DOM helpers. Values from the API become text, never markup.
import { SignedOut } from "/console/api.js";

/** The first element below `root` that matches `selector`. */
export const find = (root, selector) => root.querySelector(selector);

/** An element with attributes, listeners (`onclick`) and children; strings become text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export const button = (text, about, onclick, kind) => element(
  "button", { type: "button", "aria-label": `${text} ${about}`, class: kind, onclick }, text);

export const chip = (text, kind) => element("span", { class: `chip ${kind ?? ""}` }, text);

/** A table row of [heading, content…]; narrow screens show each heading beside its cell. */
export function row(...cells) {
  const made = cells.map(([heading, ...content]) =>
    element("td", { role: "cell", "data-heading": heading }, ...content.filter((part) => part !== null)));
  return element("tr", { role: "row" }, ...made);
}

/** Shows rows in the table of a section, or the text `otherwise` if there are none. */
export function fill(section, rows, otherwise) {
  const table = find(section, "table");
  find(table, "tbody").replaceChildren(...rows);
  table.hidden = rows.length === 0;
  refocus();
  note(section, rows.length === 0 ? otherwise : "");
}

/** If the focused button was removed with its row, moves the focus to the heading for keyboard users. */
export function refocus() {
  const isLost = document.activeElement === document.body || !document.activeElement;
  if (isLost) document.querySelector("section:not([hidden]) > h2")?.focus({ preventScroll: true });
}

/** Shows why the section is empty. */
export const note = (section, text) => { find(section, ".empty").textContent = text; };

/** Shows pairs of names and values in a list. */
export function facts(list, pairs) {
  const shown = pairs.filter((pair) => pair);
  if (list.childElementCount !== shown.length) {
    list.replaceChildren(...shown.map(() => element("div", {}, element("dt"), element("dd"))));
  }
  shown.forEach(([name, value, kind], at) => {
    const place = list.children[at];
    place.className = kind ?? "";
    place.children[0].textContent = name;
    place.children[1].textContent = value;
  });
}

/** The work in progress of each form or section. */
const running = new WeakMap();

/** Runs `work` for a form or section after its work in progress; shows errors there. */
export function attempt(place, work) {
  const turn = (running.get(place) ?? Promise.resolve()).then(() => one(place, work)).finally(() => {
    if (running.get(place) === turn) running.delete(place);
  });
  running.set(place, turn);
  return turn;
}

async function one(place, work) {
  // The section's own error line, not that of a form within it.
  const fault = find(place, ":scope > .fault");
  place.setAttribute("aria-busy", "true");
  try {
    await work();
    fault.hidden = true;
    fault.textContent = "";
  } catch (problem) {
    if (problem instanceof SignedOut) return;
    fault.textContent = problem.message;
    fault.hidden = false;
  } finally {
    place.removeAttribute("aria-busy");
  }
}

export const isBusy = (place) => running.has(place);

/** Runs `work` when the form is submitted, one at a time; the browser itself never submits it. */
export const onsubmit = (form, work) => form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isBusy(form)) attempt(form, work);
});

export const lines = (text) => text.split("\n").map((line) => line.trim()).filter((line) => line);

/** Shows `2026-11-26T21:14:23Z` in a readable form. */
export const date = (text) => element("time", { datetime: text }, `${text.slice(0, 16).replace("T", " ")} UTC`);

export const count = (number) => number.toLocaleString("en");

/** A duration in its two largest units. */
export function span(seconds) {
  const units = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, length]) => seconds >= length);
  if (first < 0) return "0 s";
  let left = seconds;
  return units.slice(first, first + 2).map(([unit, length]) => {
    const whole = Math.floor(left / length);
    left -= whole * length;
    return whole ? `${whole} ${unit}` : "";
  }).filter((part) => part).join(" ");
}

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(number, 1)) / 10));
  const value = number / 1024 ** step;
  return `${value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 })} ${units[step]}`;
}
