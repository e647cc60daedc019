// When an index is asked: for words at every key, for the whole answer when typing rests.

import * as api from "./api.js";

const REST_MS = 150; // without a key, after which typing rests

/** Searches of which only the newest is heard. */
export class Lookup {
  #abort = new AbortController();
  #number = 0;
  #timer = 0;

  /**
   * Ask for the answer to a request; what was asked before is no longer wanted.
   *
   * Args:
   *   index: its name.
   *   request: the body of a search.
   *   typed: whether a key was just pressed: words then come first.
   *   on: {words(answer), whole(answer), failed(error)}.
   */
  look(index, request, typed, on) {
    this.stop();
    const number = this.#number;
    const { signal } = this.#abort;
    let answered = false;
    const ask = async (body, heard) => {
      try {
        const answer = await api.search(index, body, signal);
        if (number === this.#number && !answered) heard(answer);
      } catch (error) {
        if (error.name !== "AbortError" && number === this.#number) on.failed(error);
      }
    };
    this.flush = () => {
      clearTimeout(this.#timer);
      this.flush = () => {};
      return ask(request, (answer) => {
        answered = true;
        on.whole(answer);
      });
    };
    if (!typed) return this.flush();
    if (on.words) ask({ ...request, mode: "bm25", variant: null }, on.words);
    this.#timer = setTimeout(() => this.flush(), REST_MS);
  }

  /** Ask for the whole answer now, if it is waited for. */
  flush = () => {};

  /** Hear no answer of before. */
  stop() {
    clearTimeout(this.#timer);
    this.flush = () => {};
    this.#number += 1;
    this.#abort.abort();
    this.#abort = new AbortController();
  }
}
