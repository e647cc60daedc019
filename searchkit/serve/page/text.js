// Elements made of data, and texts whose places count characters as the server does.

/** An element: `make("p", {class: "x", onclick: f}, "text", child)`; a null child is left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== ""));
  return element;
}

/** Text for screen readers alone. */
export const unseen = (text) => make("span", { class: "unseen" }, text);

/** A text by characters: a place of the server counts one where JavaScript may count two. */
export class Characters {
  constructor(text) {
    this.text = text;
    this.points = /[\ud800-\udfff]/.test(text) ? Array.from(text) : null;
    this.length = (this.points ?? text).length;
  }

  slice(start, end) {
    return this.points ? this.points.slice(start, end).join("") : this.text.slice(start, end);
  }
}

/**
 * The nodes of [start, end) of a text, with stretches of it marked.
 *
 * Stretches are [start, end, what]: "mark" becomes a <mark>, anything else a class.
 */
export function painted(characters, start, end, stretches) {
  const within = stretches
    .map(([from, to, what]) => [Math.max(from, start), Math.min(to, end), what])
    .filter(([from, to]) => from < to);
  const cuts = [...new Set([start, end, ...within.flatMap(([from, to]) => [from, to])])];
  cuts.sort((one, other) => one - other);
  return cuts.slice(1).map((to, row) => {
    const from = cuts[row];
    const over = within.filter(([first, last]) => first <= from && to <= last);
    const kinds = new Set(over.map(([, , what]) => what));
    const text = characters.slice(from, to);
    const marked = kinds.delete("mark");
    if (!marked && !kinds.size) return document.createTextNode(text);
    return make(marked ? "mark" : "span", { class: [...kinds].join(" ") || null }, text);
  });
}

const WIDTH = 260; // characters of a snippet: two lines of a wide list
const LEAST = 100; // that it has, where the passage has as many

/**
 * The stretch of a passage to show in a list: around what answers best, or the first mark.
 *
 * A heading that stands above it as the title is left out.
 */
export function snippet(result) {
  const characters = new Characters(result.text);
  const head = /^#*\s*(.*)\n\s*/.exec(result.text);
  const least = head && result.trail.includes(head[1].trim()) ? new Characters(head[0]).length : 0;
  const [from, to] = result.best[1] > result.best[0] ? result.best : (result.marks[0] ?? [0, 0]);
  let start = Math.max(least, Math.min(from, characters.length - LEAST));
  if (start === from && from > 0 && to - from < 40) start = Math.max(least, from - 50); // a mere word
  if (start > least) {
    const before = characters.slice(Math.max(0, start - 1), start + 30);
    const space = before.search(/\s/);
    if (space >= 0) start += space;
  }
  const end = Math.min(characters.length, start + WIDTH);
  const marks = result.marks.map(([first, last]) => [first, last, "mark"]);
  return [
    start > least ? "…" : "",
    ...painted(characters, start, end, marks),
    end < characters.length ? "…" : "",
  ];
}

/** Title and headings of a result, the id where it has neither. */
export const titleOf = (result) => result.trail[0] || result.title || result.doc_id;

/** `lines 10 to 14`, `page 3`, or nothing. */
export function whereabouts({ lines, page }) {
  if (page) return `page ${page}`;
  if (!lines) return "";
  return lines[0] === lines[1] ? `line ${lines[0]}` : `lines ${lines[0]} to ${lines[1]}`;
}
