// What can be left out of an index: chips that are pressed, and days.

import { parts } from "./state.js";
import { make } from "./text.js";

const SHOWN = 6; // chips before one asks for more

const DAYS = { after: "changed after", before: "before" };
const NAMES = { format: "", lang: "language", path: "path" };

/**
 * Fill the row of filters.
 *
 * Args:
 *   row: the element.
 *   index: whose filters are offered, but for those that leave all of it.
 *   held: those that hold.
 *   chosen: called with all that are to hold from now on.
 */
export function fillFilters(row, index, held, chosen) {
  const everything = index.documents.toLocaleString("en");
  const offered = index.filters.filter(
    ({ text, note }) => held.includes(text) || note.split(" ")[0] !== everything,
  );
  const days = offered.filter(({ text }) => parts(text)[0] in DAYS && !parts(text)[1]);
  const values = offered.filter((one) => !days.includes(one));
  const missing = held.filter(
    (one) => !(parts(one)[0] in DAYS) && !values.some(({ text }) => text === one),
  );
  const all = [...missing.map((text) => ({ text, note: "" })), ...values];
  const open = row.dataset.open === "";
  const shown = all.filter((one, at) => open || at < SHOWN || held.includes(one.text));
  const toggle = (text) =>
    chosen(held.includes(text) ? held.filter((one) => one !== text) : [...held, text]);
  const focused = row.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  row.replaceChildren(
    ...shown.map((filter) => chip(filter, held.includes(filter.text), () => toggle(filter.text))),
    ...(shown.length < all.length
      ? [
          make(
            "button",
            {
              type: "button",
              class: "chip",
              "data-key": "more",
              onclick: () => {
                row.dataset.open = "";
                fillFilters(row, index, held, chosen);
                row.children[shown.length]?.focus();
              },
            },
            `${all.length - shown.length} more`,
          ),
        ]
      : []),
    ...days.map(({ text }) => day(parts(text)[0], held, chosen)),
    ...(held.length
      ? [
          make(
            "button",
            { type: "button", class: "plain", "data-key": "none", onclick: () => chosen([]) },
            "Clear filters",
          ),
        ]
      : []),
  );
  row.hidden = !row.children.length;
  if (focused)
    (
      [...row.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused) ??
      row.querySelector("button, input")
    )?.focus();
}

function chip({ text, note }, pressed, onclick) {
  const [name, value] = parts(text);
  const kind = NAMES[name] ?? name;
  return make(
    "button",
    {
      type: "button",
      class: "chip",
      "aria-pressed": String(pressed),
      "data-key": text,
      title: text,
      onclick,
    },
    kind && make("span", { class: "kind" }, `${kind} `),
    value,
    note && make("span", { class: "note" }, ` ${note.replace(/ documents?$/, "")}`),
  );
}

function day(name, held, chosen) {
  const now = held.find((one) => parts(one)[0] === name);
  const others = held.filter((one) => one !== now);
  const input = make("input", {
    type: "date",
    "aria-label": `changed ${name}`,
    value: now ? parts(now)[1] : "",
    "data-key": name,
    onchange: () => chosen(input.value ? [...others, `${name}:${input.value}`] : others),
  });
  return make("label", { class: "day" }, DAYS[name], " ", input);
}
