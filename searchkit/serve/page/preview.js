// The document at a passage: more of it where a person scrolls, and what else of it matches.

import * as api from "./api.js";
import { GRADES } from "./list.js";
import { Characters, make, painted, titleOf, whereabouts } from "./text.js";

const AROUND = 2500; // characters on either side of a passage at first
const MORE = 5000; // characters that are fetched where one scrolls
const NEAR = 400; // pixels from the end at which more is fetched
const PAUSE_MS = 90; // before a document is fetched: marks may be on their way elsewhere

/** Whether a stretch of the document lies in what a result shows of it. */
const within = ([from, to], { start, text }) =>
  start <= from && to <= start + new Characters(text).length;

/**
 * The text of one document.
 *
 * Attributes:
 *   element: the section.
 *   result: what is shown, null at first.
 */
export class Preview {
  #abort = new AbortController();
  #timer = 0;

  /** `on`: {back(), judge(grade), stepped(result, said), failed(error)}. */
  constructor(element, on) {
    this.element = element;
    this.on = on;
    this.title = make("h2", { id: "preview-what", dir: "auto", tabindex: -1 });
    this.place = make("span", { class: "place" });
    this.where = make("span", { class: "where" });
    this.steps = make(
      "span",
      { class: "steps", hidden: true },
      make(
        "button",
        {
          type: "button",
          class: "plain",
          "aria-label": "Passage before",
          onclick: () => this.step(-1),
        },
        "‹",
      ),
      (this.counted = make("span")),
      make(
        "button",
        {
          type: "button",
          class: "plain",
          "aria-label": "Next passage",
          onclick: () => this.step(1),
        },
        "›",
      ),
    );
    this.body = make("div", {
      class: "text",
      tabindex: 0,
      role: "region",
      "aria-label": "Text",
      onscroll: () => this.#scrolled(),
    });
    this.lists = make("p", { class: "lists" });
    this.judging = make(
      "div",
      { class: "judging", role: "group", "aria-label": "Judge this document for the query" },
      GRADES.map((name, grade) =>
        make(
          "button",
          {
            type: "button",
            "aria-pressed": "false",
            "aria-keyshortcuts": grade,
            onclick: () => this.on.judge(grade),
          },
          make("kbd", { "aria-hidden": "true" }, `${grade}`),
          name,
        ),
      ),
    );
    element.append(
      make(
        "header",
        {},
        make(
          "button",
          { type: "button", class: "back", onclick: () => this.on.back() },
          "‹ Results",
        ),
        this.title,
        make("p", { class: "about" }, this.place, this.where, this.steps),
      ),
      this.body,
      make("footer", {}, this.lists, this.judging),
    );
    this.clear();
  }

  /** Show nothing. */
  clear() {
    this.#stop();
    this.result = null;
    this.element.classList.add("empty");
    this.title.textContent = "Document";
    this.body.replaceChildren();
  }

  /**
   * Show a document at a passage.
   *
   * Args:
   *   index: its name.
   *   query: whose words are marked.
   *   result: as the server gives it; of a mere place, {doc_id, start, text: ""}.
   *   focus: [start, end) of the document to look at, rather than what is best of the passage.
   */
  show(index, query, result, { focus = null, grade } = {}) {
    if (focus && !within(focus, result)) {
      result = { ...result, start: focus[0], text: "", best: [0, 0], marks: [] };
    }
    const same =
      this.result &&
      this.index === index &&
      this.query === query &&
      this.result.doc_id === result.doc_id &&
      this.result.start === result.start &&
      this.result.text === result.text;
    this.#stop();
    Object.assign(this, { index, query, result, focus });
    this.element.classList.remove("empty");
    this.title.textContent = titleOf(result);
    this.place.textContent = result.place || result.doc_id;
    this.showGrade(grade);
    this.#say();
    if (same) {
      this.#draw();
      this.#scrollToPassage();
      if (this.others) return;
    } else {
      this.from = result.start;
      this.characters = new Characters(result.text);
      this.length = null;
      this.format = "";
      this.language = null;
      this.others = null;
      this.#count();
      this.#draw();
      this.#scrollToPassage();
    }
    this.#timer = setTimeout(() => this.#fetch(), PAUSE_MS);
  }

  /** Show what the document was judged. */
  showGrade(grade) {
    this.grade = grade;
    for (const [value, button] of [...this.judging.children].entries()) {
      button.setAttribute("aria-pressed", String(value === grade));
    }
  }

  /** Go to the next passage that matches, or the one before. */
  step(by) {
    if (!this.others || this.others.length < 2) return;
    const passage = this.others.at((this.#row() + by) % this.others.length);
    const { rank, lists } = this.result;
    this.show(this.index, this.query, { ...passage, rank, lists }, { grade: this.grade });
    this.on.stepped(this.result, this.counted.textContent);
  }

  /** Which of the passages that match is shown. */
  #row() {
    return Math.max(
      0,
      this.others.findIndex((one) => one.start === this.result.start),
    );
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#abort = new AbortController();
    this.loading = false;
  }

  #say() {
    const { result } = this;
    const where = whereabouts(result);
    this.where.textContent = where && !this.place.textContent.includes(where) ? where : "";
    this.lists.textContent = (result.lists ?? [])
      .map(({ name, rank, score }) => `${name} #${rank} ${score.toPrecision(3)}`)
      .concat(
        result.rank && result.lists?.length > 1
          ? `→ #${result.rank} ${result.score.toPrecision(3)}`
          : [],
      )
      .join(" · ")
      .replace(" · →", " →");
  }

  #count() {
    const several = this.others?.length > 1;
    this.steps.hidden = !several;
    this.counted.textContent = several ? `passage ${this.#row() + 1} of ${this.others.length}` : "";
  }

  /** The text around the passage, and what else of the document matches. */
  async #fetch() {
    const { signal } = this.#abort;
    const { doc_id: id, start } = this.result;
    try {
      if (this.length === null) {
        const end = start + this.characters.length + AROUND;
        const span = await api.span(this.index, id, Math.max(0, start - AROUND), end, signal);
        this.#take(span);
      }
      if (this.others === null && this.query) {
        const found = await api.passages(this.index, id, this.query, signal);
        if (signal.aborted) return;
        const others = found.filter((one) => one.start !== start);
        if (this.result.text) others.push(this.result);
        this.others = others.sort((one, other) => one.start - other.start);
        this.#count();
        this.#draw();
      }
    } catch (error) {
      if (error.name !== "AbortError") this.on.failed(error);
    }
  }

  #take(span) {
    const first = this.length === null;
    this.from = span.start;
    this.characters = new Characters(span.text);
    this.length = span.length;
    this.format = span.format ?? "";
    this.language = span.language || null;
    this.#draw();
    if (first) this.#scrollToPassage();
  }

  async #scrolled() {
    if (this.length === null || this.loading) return;
    const { scrollTop, scrollHeight, clientHeight } = this.body;
    const end = this.from + this.characters.length;
    const up = scrollTop < NEAR && this.from > 0;
    const down = scrollHeight - clientHeight - scrollTop < NEAR && end < this.length;
    if (!up && !down) return;
    this.loading = true;
    const { signal } = this.#abort;
    try {
      const [start, stop] = up ? [Math.max(0, this.from - MORE), this.from] : [end, end + MORE];
      const span = await api.span(this.index, this.result.doc_id, start, stop, signal);
      if (signal.aborted) return;
      const text = this.characters.text;
      this.characters = new Characters(up ? span.text + text : text + span.text);
      if (up) this.from = span.start;
      this.#draw();
    } catch (error) {
      if (error.name !== "AbortError") this.on.failed(error);
    } finally {
      if (!signal.aborted) this.loading = false;
    }
  }

  /** The text that is there, with the passage where it was on the screen. */
  #draw() {
    const before = this.passage?.isConnected ? this.passage.getBoundingClientRect().top : null;
    const { result, characters, from } = this;
    const end = from + characters.length;
    const start = result.start;
    const stop = start + new Characters(result.text).length;
    const marks = [...(this.others ?? []), result].flatMap((one) =>
      (one.marks ?? []).map(([a, b]) => [one.start + a - from, one.start + b - from, "mark"]),
    );
    const [first, last] = this.focus ?? (result.best ?? [0, 0]).map((at) => start + at);
    const best = [first - from, last - from, this.focus ? "best cited" : "best"];
    const paint = (a, b) =>
      a < b ? painted(characters, a - from, b - from, [...marks, best]) : [];
    this.passage = make("div", { class: "passage" }, ...paint(start, Math.min(stop, end)));
    this.body.classList.toggle("code", this.format === "code");
    if (this.language) this.body.setAttribute("lang", this.language);
    else this.body.removeAttribute("lang");
    this.body.replaceChildren(
      make("div", { dir: "auto" }, ...paint(from, Math.min(start, end))),
      this.passage,
      make("div", { dir: "auto" }, ...paint(Math.max(stop, from), end)),
    );
    this.passage.dir = "auto";
    if (before !== null) {
      this.body.scrollTop += this.passage.getBoundingClientRect().top - before;
    }
  }

  #scrollToPassage() {
    const target =
      this.body.querySelector(".best") ?? this.body.querySelector(".passage mark") ?? this.passage;
    const room = this.body.clientHeight / 4;
    const top = target.getBoundingClientRect().top - this.body.getBoundingClientRect().top;
    const whole = this.passage.getBoundingClientRect().top - this.body.getBoundingClientRect().top;
    // The beginning of the passage, unless what matters of it would then be out of view.
    this.body.scrollTop += top - whole < 2 * room ? whole - room / 2 : top - room;
  }
}
