// A list of results, one of them marked: a listbox, in which the keys move the mark.

import { byRank, changeShown, keepInPlace } from "./ranking.js";
import { make, snippet, titleOf, unseen, whereabouts } from "./text.js";

const SETTLE_MS = 500; // after which an untouched list has been seen, and its first result stays

/** What grades mean, from 0. */
export const GRADES = ["not relevant", "relevant", "highly relevant", "perfect"];

let lists = 0;

/**
 * Results as options of a listbox.
 *
 * Attributes:
 *   element: the listbox.
 *   results: as they are shown.
 *   at: the row of the marked one, -1 where there is none.
 *   waiting: whether they answer an earlier query.
 */
export class ResultList {
  /** `on`: {mark(list), open(list)}, called when another result is marked, or one opened. */
  constructor(label, on, { numbered = false } = {}) {
    this.on = on;
    this.numbered = numbered;
    this.name = `list${(lists += 1)}`;
    this.element = make("ol", {
      role: "listbox",
      tabindex: 0,
      id: this.name,
      ...label,
      onclick: (event) => this.#clicked(event),
      ondblclick: () => this.current && this.on.open(this),
      onpointerdown: () => (this.touched = true),
    });
    this.clear();
  }

  get current() {
    return this.results[this.at] ?? null;
  }

  get waiting() {
    return this.element.classList.contains("waiting");
  }

  set waiting(waiting) {
    this.element.classList.toggle("waiting", waiting);
    this.element.setAttribute("aria-busy", String(waiting));
  }

  /** Show no results. */
  clear() {
    this.asked = null;
    this.results = [];
    this.at = -1;
    this.touched = false;
    this.changes = this.grades = this.twin = null;
    this.waiting = false;
    this.#draw();
  }

  /**
   * Show a ranking: of something new, or a better one of what was asked.
   *
   * Who is at a result finds it in its row: once it was moved to, or has been seen for a moment.
   */
  present(asked, ranking, { other = "", changes = null, grades = null } = {}) {
    const again = asked === this.asked && this.results.length > 0;
    const held =
      again && (this.touched || performance.now() - this.since > SETTLE_MS) ? this.current : null;
    if (!again) {
      this.since = performance.now();
      this.touched = false;
      this.element.scrollTop = 0;
    }
    this.results = keepInPlace(ranking, held, this.at);
    if (!held) this.at = this.results.length ? 0 : -1;
    Object.assign(this, { asked, other, changes, grades });
    this.waiting = false;
    this.#draw();
  }

  /** Mark a result, the nearest there is, and bring it into view. */
  mark(row, { quietly = false } = {}) {
    if (!this.results.length) return;
    this.touched = true;
    this.at = Math.min(Math.max(row, 0), this.results.length - 1);
    this.#showMark();
    this.element.children[this.at].scrollIntoView({ block: "nearest" });
    if (!quietly) this.on.mark(this);
  }

  /** Mark the result of a document; false if it has none. */
  markDocument(id, options) {
    const row = this.results.findIndex((one) => one.doc_id === id);
    if (row >= 0) this.mark(row, options);
    return row >= 0;
  }

  /** Mark the best result, with all of them in rank order. */
  first() {
    this.results = byRank(this.results);
    this.#draw();
    this.mark(0);
  }

  /** Show the document that is marked in another list. */
  showTwin(id) {
    this.twin = id;
    for (const [row, option] of [...this.element.children].entries()) {
      option.classList.toggle("twin", id !== null && this.results[row].doc_id === id);
    }
  }

  /** Show what documents were judged. */
  showGrades(grades) {
    this.grades = grades;
    this.#draw();
  }

  /** How many rows there are in view. */
  get page() {
    const height = this.element.firstElementChild?.offsetHeight || 1;
    return Math.max(1, Math.floor(this.element.parentElement.clientHeight / height) - 1);
  }

  #clicked(event) {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    this.mark([...this.element.children].indexOf(option));
    this.on.click?.(this);
  }

  #draw() {
    this.element.replaceChildren(...this.results.map((result, row) => this.#option(result, row)));
    this.#showMark();
    if (this.twin) this.showTwin(this.twin);
  }

  #showMark() {
    for (const [row, option] of [...this.element.children].entries()) {
      option.setAttribute("aria-selected", String(row === this.at));
    }
    if (this.at >= 0) this.element.setAttribute("aria-activedescendant", `${this.name}-${this.at}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  #option(result, row) {
    const headings = result.trail.slice(1);
    const where = whereabouts(result);
    const page = result.page && !result.place.includes(`page ${result.page}`) ? where : "";
    return make(
      "li",
      { role: "option", id: `${this.name}-${row}`, "data-id": result.doc_id },
      make("span", { class: "rank" }, ...this.#rank(result)),
      make(
        "span",
        { class: "title", dir: "auto" },
        make("b", {}, titleOf(result)),
        headings.map((heading) => make("span", { class: "heading" }, ` › ${heading}`)),
      ),
      make("span", { class: "badges" }, this.#change(result), this.#grade(result)),
      make("span", { class: "place" }, result.place || result.doc_id, page && ` · ${page}`),
      make("span", { class: "snippet", dir: "auto" }, ...snippet(result)),
    );
  }

  #rank(result) {
    if (this.numbered) return [unseen("passage "), `${result.number}`];
    return result.rank ? [`${result.rank}`] : ["·", unseen("not in this ranking")];
  }

  #change(result) {
    if (!this.changes?.has(result.doc_id)) return null;
    const change = this.changes.get(result.doc_id);
    const [text, said] = changeShown(change, this.other);
    const kind = change === null ? "new" : change > 0 ? "up" : change < 0 ? "down" : "same";
    const shown = make("span", { "aria-hidden": "true" }, text);
    return make("span", { class: `change ${kind}`, title: said }, shown, unseen(` ${said} `));
  }

  #grade(result) {
    const grade = this.grades?.get(result.doc_id);
    if (grade === undefined) return null;
    const said = GRADES[grade] ?? `grade ${grade}`;
    return make("span", { class: `grade ${grade ? "good" : "bad"}` }, said);
  }
}
