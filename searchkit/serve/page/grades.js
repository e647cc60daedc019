// What documents were judged for queries; the index's ledger keeps it.

import * as api from "./api.js";

const same = (text) => text.split(/\s+/).filter(Boolean).join(" "); // as the ledger writes queries

/** The judgements about one index. */
export class Grades {
  #given = new Map(); // by query, then by document

  constructor(index) {
    this.index = index;
  }

  /** Take up what is in the ledger. */
  async read() {
    for (const { query, doc_id: id, grade } of await api.judgements(this.index)) {
      this.#note(query, id, grade);
    }
  }

  /** What was judged for a query, by document. */
  of(query) {
    return this.#given.get(same(query)) ?? new Map();
  }

  /** Judge a document; it is on the server's disk when this is done. */
  async add(query, id, grade) {
    const body = { query: same(query), doc_id: id, grade, literal: false };
    await api.judge(this.index, body);
    this.#note(query, id, grade);
  }

  #note(query, id, grade) {
    const need = same(query);
    if (!this.#given.has(need)) this.#given.set(need, new Map());
    this.#given.get(need).set(id, grade);
  }
}
