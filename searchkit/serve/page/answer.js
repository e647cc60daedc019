// Questions and their answers: sentences with the passages they rest on, and what follows up.

import * as api from "./api.js";
import { ResultList } from "./list.js";
import { make, unseen } from "./text.js";

const LOOKS_BACK = 5; // turns of a conversation that the server is told

const percent = (share) => `${Math.round(100 * share)} %`;
const number = (value) => value.toFixed(2);
const UNANSWERED = "The documents do not answer this.";
const UNSUPPORTED = "No answer that the documents bear out.";
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

/**
 * A conversation about an index.
 *
 * Attributes:
 *   list: the passages that the last answer could rest on.
 *   question: the last one; empty if none was asked.
 *   turns: the earlier questions and their answers.
 */
export class Answer {
  #abort = new AbortController();

  /** `on`: as of a list, and {found(), cite(focus), generate(wanted), said(text), failed(error)}. */
  constructor(element, on) {
    this.element = element;
    this.on = on;
    this.list = new ResultList({ "aria-labelledby": "evidence-what" }, on, { numbered: true });
    this.ways = make(
      "div",
      { class: "segments", role: "group", "aria-label": "How to answer" },
      (this.quote = this.#way("Quote", "sentences of the documents", false)),
      (this.write = this.#way("Write", "a language model's words", true)),
    );
    this.remark = make("span", { class: "remark" });
    this.earlier = make("div", { class: "earlier" });
    this.asked = make("h3", { dir: "auto" });
    this.text = make("div", { class: "sentences", dir: "auto", "aria-live": "polite" });
    this.sure = make("p", { class: "sure" });
    this.evidence = make(
      "div",
      { class: "evidence", hidden: true },
      (this.what = make("h3", { id: "evidence-what" }, "Passages")),
      this.list.element,
    );
    this.field = make("input", {
      type: "text",
      id: "further",
      autocomplete: "off",
      placeholder: "Ask further",
    });
    this.form = make(
      "form",
      {
        class: "further",
        hidden: true,
        onsubmit: (event) => {
          event.preventDefault();
          const question = this.field.value.trim();
          if (question) this.ask(this.index, question, this.options, { further: true });
        },
      },
      make("label", { class: "unseen", for: "further" }, "Ask further"),
      this.field,
      make("button", { type: "submit" }, "Ask"),
    );
    this.hint = make("div", { class: "nothing" });
    element.append(
      make(
        "header",
        {},
        make("h2", { id: "answer-what", class: "unseen" }, "Answer"),
        this.ways,
        this.remark,
      ),
      (this.scrolled = make(
        "div",
        { class: "scrolled" },
        this.hint,
        this.earlier,
        make("article", {}, this.asked, this.text, this.sure),
        this.evidence,
      )),
      this.form,
    );
    this.clear();
  }

  #way(name, title, generate) {
    return make(
      "button",
      {
        type: "button",
        title,
        "aria-label": `${name}: ${title}`,
        onclick: () => this.on.generate(generate),
      },
      name,
    );
  }

  /** Show which of the two ways is chosen. */
  showWay(generate) {
    this.quote.setAttribute("aria-pressed", String(!generate));
    this.write.setAttribute("aria-pressed", String(generate));
  }

  /** Forget the conversation. */
  clear(...hint) {
    this.stop();
    this.question = "";
    this.turns = [];
    this.passages = [];
    this.given = null;
    this.list.clear();
    for (const part of [this.earlier, this.asked, this.text, this.sure]) part.replaceChildren();
    this.hint.replaceChildren(...hint);
    this.remark.textContent = "";
    this.evidence.hidden = this.form.hidden = true;
  }

  /** Whether an answer is on its way. */
  get busy() {
    return this.text.getAttribute("aria-busy") === "true";
  }

  /** Listen to no answer any more. */
  stop() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.text.setAttribute("aria-busy", "false");
  }

  /**
   * Ask, and show what comes.
   *
   * Args:
   *   index: its name.
   *   question: what is asked.
   *   options: () => filters and the way, as the server takes them.
   *   further: whether it follows the conversation; otherwise it begins one.
   */
  async ask(index, question, options, { further = false } = {}) {
    if (further) this.#keep();
    else this.clear();
    this.stop();
    Object.assign(this, { index, question, options, given: null, passages: [], streamed: "" });
    this.hint.replaceChildren();
    this.asked.textContent = question;
    this.text.replaceChildren();
    this.sure.replaceChildren();
    this.text.setAttribute("aria-busy", "true");
    this.list.clear();
    this.evidence.hidden = true;
    this.field.value = "";
    this.remark.textContent = "reading…";
    if (further) this.asked.scrollIntoView({ block: "start" });
    const { signal } = this.#abort;
    const began = performance.now();
    try {
      const body = { question, ...options(), history: this.turns.slice(-LOOKS_BACK) };
      for await (const { event, data } of api.ask(index, body, signal)) {
        if (signal.aborted) return;
        if (event === "error") throw new api.Refused(0, String(data.message));
        if (event === "passages") {
          this.#found(data.passages);
          if (body.generate) this.remark.textContent = "writing…";
        }
        if (event === "text") this.#stream(data.text);
        if (event === "answer") this.#answered(data);
      }
      if (signal.aborted) return;
      if (!this.given) throw new api.Refused(0, "the answer broke off; ask again");
      this.remark.textContent = `${((performance.now() - began) / 1000).toFixed(1)} s`;
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      this.remark.textContent = "no answer";
      this.on.failed(error);
    } finally {
      if (!signal.aborted) {
        this.text.setAttribute("aria-busy", "false");
        this.form.hidden = false;
      }
    }
  }

  /** Show the grades of the passages' documents. */
  showGrades(grades) {
    this.list.showGrades(grades);
  }

  /** Move the last answer among the earlier ones. */
  #keep() {
    if (!this.given) return;
    const answer = this.given.abstained ? "" : this.given.text;
    this.turns.push({ question: this.question, answer });
    const shown = answer || UNANSWERED;
    this.earlier.append(
      make(
        "article",
        {},
        make("h3", { dir: "auto" }, this.question),
        make("p", { dir: "auto" }, shown),
      ),
    );
  }

  #found(passages) {
    this.passages = passages;
    this.evidence.hidden = !passages.length;
    this.what.textContent = "Passages";
    this.list.present(this.question, passages);
    this.on.found();
  }

  #stream(text) {
    this.streamed += text;
    this.text.textContent = this.streamed;
  }

  #answered(given) {
    this.given = given;
    const weak = given.confidence < given.threshold;
    if (given.abstained) {
      this.what.textContent = "What comes closest";
      this.text.replaceChildren(
        make("p", { class: "abstained" }, weak ? UNANSWERED : UNSUPPORTED),
        ...(given.missing ? [make("p", {}, sentence(given.missing))] : []),
      );
    } else {
      this.text.replaceChildren(
        make(
          "p",
          {},
          given.sentences.flatMap((one) => this.#sentence(one)),
        ),
      );
      this.#showCited();
    }
    this.sure.replaceChildren(...this.#sureness(given));
    this.on.said(given.abstained ? "no answer" : "answered");
  }

  #sureness(given) {
    const parts = [];
    const { confidence, threshold, sentences } = given;
    const limit = confidence < threshold ? "below" : "threshold";
    parts.push(`confidence ${number(confidence)}, ${limit} ${number(threshold)}`);
    if (!given.abstained) {
      const doubted = sentences.filter((one) => !one.verified).length;
      const verified = `${percent(given.verified_share)} verified`;
      const written = given.mode === "generative";
      parts.push(given.note || `${verified}${doubted ? `, ${doubted} not` : ""}`);
      parts.push(written ? "written by a language model" : "quoted from the documents");
    }
    return parts.map((part) => make("span", {}, part));
  }

  #sentence(sentence) {
    const citations = sentence.citations.map((cited) => this.#citation(sentence, cited));
    const doubt = sentence.verified ? null : make("span", { class: "doubt" }, "unverified");
    const kind = sentence.verified ? "sentence" : "sentence unverified";
    return [
      make("span", { class: kind }, make("span", {}, sentence.text), doubt, ...citations),
      " ",
    ];
  }

  #citation(sentence, cited) {
    const passage = this.passages.find((one) => one.number === cited);
    const where = passage ? passage.place || passage.doc_id : "";
    return make(
      "button",
      {
        type: "button",
        class: "citation",
        title: where,
        onclick: () => this.#cite(sentence, cited),
      },
      unseen("passage "),
      `${cited}`,
      where && unseen(`, ${where}`),
    );
  }

  #cite(sentence, cited) {
    const row = this.list.results.findIndex((one) => one.number === cited);
    if (row < 0) return;
    const found = cited === sentence.citations[0] && sentence.end > sentence.start;
    this.list.mark(row, { quietly: true });
    this.list.element.children[row].scrollIntoView({ block: "nearest", behavior: "auto" });
    this.on.cite(found ? [sentence.start, sentence.end] : null);
  }

  /** Tell the passages that the answer rests on from the others. */
  #showCited() {
    const cited = new Set(this.given.sentences.flatMap((one) => one.citations));
    for (const [row, option] of [...this.list.element.children].entries()) {
      option.classList.toggle("uncited", !cited.has(this.list.results[row].number));
    }
  }
}
