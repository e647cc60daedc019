// One way to search and what it found: how, how many, the list, and what is said without one.

import { ResultList } from "./list.js";
import * as systems from "./systems.js";
import { make } from "./text.js";

/**
 * A column of results.
 *
 * Attributes:
 *   list: its results.
 *   element: the section.
 */
export class Column {
  /** `on`: as of a list, and {system(address), more()}. */
  constructor(element, on) {
    const id = element.id;
    this.element = element;
    this.list = new ResultList({ "aria-labelledby": `${id}-what ${id}-system` }, on);
    this.system = make("select", {
      id: `${id}-system`,
      "aria-label": "How to search",
      onchange: () => on.system(this.system.value),
    });
    this.remark = make("span", { class: "remark" });
    this.empty = make("div", { class: "nothing" });
    this.more = make(
      "button",
      { type: "button", class: "more", hidden: true, onclick: () => on.more() },
      "Show more",
    );
    const what = make("h2", { id: `${id}-what`, class: "unseen" }, "Results");
    element.append(
      make("header", {}, what, this.system, this.remark),
      make("div", { class: "scrolled" }, this.list.element, this.empty, this.more),
    );
  }

  /** Offer the ways to search an index. */
  offer(index, chosen) {
    const usual = systems.address(index.default);
    this.system.replaceChildren(
      ...systems
        .choices(index)
        .map(([address, name]) =>
          make(
            "option",
            { value: address, selected: address === chosen },
            address === usual ? `${name} (default)` : name,
          ),
        ),
    );
    this.system.value = chosen;
  }

  /** What a column of results is called. */
  get name() {
    return this.system.selectedOptions[0]?.textContent.replace(" (default)", "") ?? "";
  }

  /** Show a ranking. */
  present(asked, results, remark, options, whole) {
    this.list.present(asked, results, options);
    this.list.element.hidden = !results.length;
    this.remark.textContent = remark;
    this.empty.replaceChildren(results.length ? "" : "Nothing found.");
    this.more.hidden = !whole;
  }

  /** Show no results but what there is to say. */
  say(...nodes) {
    this.list.clear();
    this.list.element.hidden = true;
    this.remark.textContent = "";
    this.more.hidden = true;
    this.empty.replaceChildren(...nodes);
  }
}
