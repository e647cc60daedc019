// The keys of the page, and the page that tells them.

import { GRADES } from "./list.js";
import { make } from "./text.js";

const STORED = "searchkit.keys";

const KEYS = [
  ["/", "to the search box"],
  ["↑ ↓  j k", "the result before, the next one"],
  ["Home End  g G", "the first, in rank order; the last"],
  ["← →", "side by side: the other list"],
  ["Enter", "open the document"],
  ["Esc", "back"],
  ["0 1 2 3", `judge: ${GRADES.join(", ")}`],
  ["m M", "the next passage of the document that matches, the one before"],
  ["c", "side by side, or one list"],
  ["a", "answer the question in the box"],
  ["t", "light or dark"],
  ["?", "this page"],
];

const LINE = [
  ["/", "search"],
  ["↑↓", "move"],
  ["Enter", "open"],
  ["0–3", "judge"],
  ["m", "passages"],
  ["c", "side by side"],
  ["a", "answer"],
  ["Esc", "back"],
  ["?", "help"],
];

let off = false;
try {
  off = localStorage.getItem(STORED) === "off";
} catch {
  // Storage may be forbidden: keys are on.
}

/** Whether single letters and digits are keys; people who speak to their computer turn them off. */
export const lettersAreKeys = () => !off;

/** The last line of the page. */
export function keyLine(element) {
  element.append(...LINE.flatMap(([key, what]) => [make("span", {}, make("kbd", {}, key), what)]));
}

/** Fill the help page; `syntax` is what queries of the index understand. */
export function helpPage(dialog, syntax) {
  const rows = KEYS.flatMap(([key, what]) => [
    make(
      "dt",
      {},
      key.split(/ +/).map((one) => make("kbd", {}, one)),
    ),
    make("dd", {}, what),
  ]);
  const box = make("input", {
    type: "checkbox",
    id: "letters",
    checked: !off,
    onchange: () => {
      off = !box.checked;
      try {
        localStorage.setItem(STORED, off ? "off" : "on");
      } catch {
        // As above.
      }
    },
  });
  dialog.replaceChildren(
    make(
      "form",
      { method: "dialog" },
      make("h2", { id: "help-what", tabindex: -1, autofocus: true }, "Keys"),
      make("dl", {}, rows),
      make("p", {}, make("label", {}, box, " letters and digits are keys outside of text fields")),
      ...(syntax
        ? [
            make("h2", {}, "Queries"),
            make(
              "p",
              { class: "syntax" },
              ...syntax.split(/ {2,}/).map((one) => make("code", {}, one)),
            ),
          ]
        : []),
      make("p", { class: "actions" }, make("button", { type: "submit", class: "main" }, "Close")),
    ),
  );
}
