// The page: one box, and what an index says to it.

import { Answer } from "./answer.js";
import * as api from "./api.js";
import { Column } from "./column.js";
import { fillFilters } from "./filters.js";
import { Grades } from "./grades.js";
import { helpPage, keyLine, lettersAreKeys } from "./keys.js";
import { GRADES } from "./list.js";
import { Lookup } from "./lookup.js";
import { Preview } from "./preview.js";
import { changes } from "./ranking.js";
import * as addresses from "./state.js";
import * as systems from "./systems.js";
import { make } from "./text.js";
import { askForToken } from "./token.js";

const DEPTH = 20; // results at first, and how many more at a press
const MOST = 200;
const LOOK_MS = 5000; // between looks at whether an index has grown
const INDEX_KEPT = "searchkit.index";

const by = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 759px)");

let state = addresses.start();
let all = []; // the indexes
let index = null; // the one that is searched
let depth = DEPTH;
let settled = true; // whether what is in the box was acted upon: the next key begins anew
let opening = false; // Enter was pressed before there was an answer
let asked = ""; // the request that the lists answer, in JSON
let grades = null; // what was judged of its documents

const lookup = new Lookup();
const field = by("query");

const on = {
  mark: (list) => marked(list),
  open: () => openMarked(),
  click: () => narrow.matches && openMarked(),
};
const left = new Column(by("left"), { ...on, system: (one) => choose("left", one), more });
const right = new Column(by("right"), { ...on, system: (one) => choose("right", one), more });
const answer = new Answer(by("answer"), {
  ...on,
  found: () => {
    if (state.view !== "ask") return;
    activate(answer.list);
    answer.showGrades(grades.of(answer.question));
    showOpen();
  },
  cite: (focus) => {
    activate(answer.list);
    show(focus);
    if (narrow.matches) openMarked(focus);
  },
  generate: (wanted) => change({ generate: wanted }),
  failed,
  said: (text) => tell(text),
});
const preview = new Preview(by("preview"), {
  back: close,
  judge,
  failed,
  stepped: (result, said) => {
    tell(said);
    if (state.open) remember({ open: { id: result.doc_id, start: result.start } });
  },
});
let active = left.list; // where the keys go

/** Make a list the one where the keys go; the other one shows the same document. */
function activate(list) {
  active = list;
  for (const one of [left.list, right.list, answer.list]) {
    one.element.classList.toggle("idle", one !== list);
    one.showTwin(one === list ? null : (list.current?.doc_id ?? null));
  }
}

// What is shown, and its address.

/** Take a change of the state into the address; `push` makes it a step that Back undoes. */
function remember(changed, { push = false, opened = false } = {}) {
  state = { ...state, ...changed };
  const address = addresses.written(state);
  if (address === location.hash) return;
  if (push) history.pushState({ opened }, "", address);
  else history.replaceState(history.state, "", address);
}

/** Change the state by a press: what is shown follows. */
function change(changed) {
  settled = true;
  remember({ ...changed, open: null }, { push: true });
  follow();
}

/** Show the state. */
function follow({ fresh = false } = {}) {
  const { view, query, open } = state;
  document.title = query ? `${query} · searchkit` : "searchkit";
  document.body.dataset.view = view;
  document.body.toggleAttribute("data-open", Boolean(open));
  for (const button of by("views").children) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
  }
  by("left").hidden = view === "ask";
  by("right").hidden = view !== "compare";
  by("answer").hidden = view !== "ask";
  if (view !== "ask") stopAnswer();
  if (active.element.closest("section").hidden) activate(view === "ask" ? answer.list : left.list);
  field.placeholder = view === "ask" ? "Ask a question, and press Enter" : "Search";
  if (field.value !== query) field.value = query;
  answer.showWay(state.generate);
  narrowed();
  if (!usable()) return;
  left.offer(index, leftSystem());
  right.offer(index, rightSystem());
  fillFilters(by("filters"), index, state.filters, (filters) => change({ filters }));
  if (view === "ask") askOnce();
  else search({ fresh });
  showOpen();
}

const usable = () => index?.status === "ready";
const leftSystem = () => state.left || systems.address(index.default);
const rightSystem = () => {
  const wanted = state.right || systems.otherThan(index, leftSystem());
  return wanted === leftSystem() ? systems.otherThan(index, wanted) : wanted;
};

/** Search a column otherwise; if the other one is searched so, the two change places. */
function choose(side, system) {
  const before = { left: leftSystem(), right: rightSystem() };
  const other = side === "left" ? "right" : "left";
  const changed = { [side]: system };
  if (state.view === "compare" && before[other] === system) changed[other] = before[side];
  change(changed);
}

// Searching.

function request() {
  const body = {
    query: state.query,
    k: depth,
    typing: true, // as in the terminal: the last word may be the beginning of one
    ...(state.left ? systems.fields(state.left) : { mode: null, variant: null }),
    ...addresses.filterFields(state.filters),
  };
  if (state.view !== "compare") return body;
  return { ...body, ...systems.fields(leftSystem()), compare: systems.fields(rightSystem()) };
}

/** Search for what the state says, unless the lists answer it. */
function search({ typed = false, fresh = false } = {}) {
  if (!state.query.trim()) {
    lookup.stop();
    asked = "";
    left.say(...welcome());
    right.say();
    if (!state.open) preview.clear();
    return;
  }
  const body = request();
  const { k, ...what } = body;
  const key = JSON.stringify([index.name, what]);
  if (asked === `${key} ${k}` && !fresh) return;
  asked = `${key} ${k}`;
  const compared = Boolean(body.compare);
  left.list.waiting = left.list.results.length > 0;
  right.list.waiting = right.list.results.length > 0;
  const words = !compared && leftSystem() !== "bm25";
  lookup.look(index.name, body, typed, {
    words: words ? (found) => shown(key, found, { whole: false }) : null,
    whole: (found) => shown(key, found, { whole: true }),
    failed: (error) => {
      asked = "";
      opening = false;
      left.list.waiting = right.list.waiting = false;
      left.remark.textContent = "no answer";
      failed(error);
    },
  });
}

/** Show what was found; words alone are followed by the whole answer. */
function shown(key, found, { whole }) {
  const { results, compared } = found;
  note(found.notes?.join(" · ") ?? "");
  if (!results.length && !compared?.results.length) {
    if (!whole) return;
    left.say(...nothing());
    right.say();
    if (!state.open) preview.clear();
    tell("nothing found");
    opening = false;
    return;
  }
  const count = `${results.length}`;
  const remark = whole
    ? `${count} found, ${milliseconds(found.took_ms)}`
    : `${count} by words, vectors to come`;
  const given = grades.of(state.query);
  const more = whole && !compared && results.length >= depth && depth < MOST;
  left.present(key, results, remark, { grades: given }, more);
  if (compared) {
    right.present(
      key,
      compared.results,
      `${compared.results.length} found`,
      { grades: given, other: left.name, changes: changes(results, compared.results) },
      false,
    );
  }
  activate(active);
  const beside = compared ? `, beside ${compared.results.length} by ${right.name}` : "";
  if (whole) tell(`${count} found${beside}`);
  if (whole && found.generation && index.generation !== found.generation) grown();
  showOpen();
  if (whole && opening) {
    opening = false;
    activate(left.list);
    openMarked();
  }
}

function milliseconds(took) {
  if (took >= 1000) return `${(took / 1000).toFixed(1)} s`;
  return took < 1 ? "under 1 ms" : `${Math.round(took)} ms`;
}

function more() {
  depth = Math.min(MOST, depth + DEPTH);
  left.list.touched = true;
  search();
}

/** What is said before anything was asked. */
function welcome() {
  const syntax = index.syntax ? index.syntax.split(/ {2,}/) : [];
  const count = `${index.documents.toLocaleString("en")} document${index.documents === 1 ? "" : "s"}`;
  return [
    make("p", {}, `${count}. Type what you are looking for.`),
    syntax.length
      ? make("p", { class: "syntax" }, ...syntax.map((one) => make("code", {}, one)))
      : "",
  ];
}

/** What is said where nothing was found. */
function nothing() {
  const offer = (text, onclick) => make("p", {}, make("button", { type: "button", onclick }, text));
  const hybrid = systems.choices(index).find(([one]) => one.startsWith("hybrid:"));
  return [
    make("p", {}, "Nothing found."),
    state.filters.length ? offer("Search without the filters", () => change({ filters: [] })) : "",
    leftSystem() === "bm25" && hybrid
      ? offer(`Search with ${hybrid[1]}`, () => choose("left", hybrid[0]))
      : make("p", {}, "Try fewer words, or other ones."),
  ];
}

// Asking.

/** Listen to no answer that is on its way; whoever comes back asks for it anew. */
function stopAnswer() {
  if (!answer.busy) return;
  answer.stop();
  answer.key = null;
}

/** Ask what the state says, unless the answer is there. */
function askOnce() {
  lookup.stop();
  left.list.clear();
  right.list.clear();
  asked = "";
  activate(answer.list);
  if (!state.query.trim()) {
    answer.clear(
      make("p", {}, "Ask a question: the answer names the passages it rests on, or there is none."),
    );
    if (!state.open) preview.clear();
    return;
  }
  const key = JSON.stringify([index.name, state.query, state.left, state.filters, state.generate]);
  if (answer.key === key) return;
  answer.key = key;
  note("");
  answer.ask(index.name, state.query, () => ({
    ...(state.left ? systems.fields(state.left) : { mode: null, variant: null }),
    ...addresses.filterFields(state.filters),
    generate: state.generate,
  }));
}

// Documents.

/** A result was marked by a person. */
function marked(list) {
  activate(list);
  settled = true;
  if (state.open && !narrow.matches) remember({ open: null });
  document.body.toggleAttribute("data-open", Boolean(state.open));
  show();
}

/** The query that is shown. */
const need = () => (state.view === "ask" ? answer.question : state.query);

/** Show the document that is marked, if there is room for it or it is to be read. */
function show(focus = null) {
  if (!active.element.closest("section").checkVisibility()) {
    activate(state.view === "ask" ? answer.list : left.list);
  }
  const result = active.current;
  if (!result) return preview.clear();
  if (narrow.matches && !state.open) return;
  preview.show(index.name, need(), result, { focus, grade: grades.of(need()).get(result.doc_id) });
}

/** Read the document that is marked. */
function openMarked(focus = null) {
  const result = active.current;
  if (!result || active.waiting) return;
  settled = true;
  const open = { id: result.doc_id, start: result.start };
  remember({ open }, { push: true, opened: true });
  document.body.toggleAttribute("data-open", true);
  narrowed();
  show(focus);
  (narrow.matches ? preview.title : preview.body).focus();
}

/** Show the document that the address names, else the one that is marked. */
function showOpen() {
  const { open } = state;
  if (!open) return show();
  const isOpen = (one) => one?.doc_id === open.id && one.start === open.start;
  const found = active.results.find(isOpen);
  if (found) active.markDocument(open.id, { quietly: true });
  const there = isOpen(preview.result) && preview.index === index.name;
  if (there && (preview.result.text || !found)) return;
  const place = { doc_id: open.id, start: open.start, text: "", trail: [open.id] };
  preview.show(index.name, need(), found ?? place, { grade: grades.of(need()).get(open.id) });
}

/** Back from the document to the list it was found in. */
function close() {
  if (state.open && history.state?.opened) return history.back(); // `popstate` does the rest
  remember({ open: null });
  document.body.toggleAttribute("data-open", false);
  narrowed();
  active.element.focus();
}

/** On a narrow page a document covers the rest, which is then out of reach. */
function narrowed() {
  const covered = narrow.matches && Boolean(state.open);
  for (const part of [by("top"), by("filters"), by("lists")]) part.inert = covered;
  by("preview").inert = narrow.matches && !covered;
}

// Judging.

async function readGrades() {
  const now = grades;
  try {
    await now.read();
    if (now === grades) showGrades();
  } catch (error) {
    failed(error);
  }
}

async function judge(grade) {
  const reading = state.open || document.activeElement?.closest("#preview");
  const result = reading ? preview.result : active.current;
  if (!result || !need().trim() || (!reading && active.waiting)) return;
  try {
    await grades.add(need(), result.doc_id, grade);
  } catch (error) {
    failed(error);
    return;
  }
  showGrades();
  tell(`judged ${GRADES[grade]}: ${result.place || result.doc_id}`);
}

function showGrades() {
  const given = grades.of(need());
  for (const list of [left.list, right.list, answer.list]) list.showGrades(given);
  if (preview.result) preview.showGrade(given.get(preview.result.doc_id));
}

// What is said.

function tell(text) {
  by("status").textContent = text;
}

function note(text) {
  by("error").textContent = text;
  by("error").className = "note";
}

function failed(error) {
  by("error").textContent = error.message;
  by("error").className = "wrong";
  if (!(error instanceof api.Refused)) console.error(error);
}

// Indexes.

const named = (name) => all.find((one) => one.name === name);

/** Ask for the indexes, and offer them. */
async function readIndexes() {
  const before = all.map(({ name }) => name).join("\n");
  all = await api.indexes();
  if (all.map(({ name }) => name).join("\n") === before) return;
  by("index").replaceChildren(...all.map(({ name }) => make("option", { value: name }, name)));
  if (index) by("index").value = index.name;
}

/** Begin with the index of the address, else with the one that this tab had last. */
function begin() {
  const { index: wanted } = state;
  const name = [wanted, sessionStorage.getItem(INDEX_KEPT)].find(named) ?? all[0]?.name;
  if (!name) {
    left.say(
      make(
        "p",
        {},
        "There is no index yet. Build one with: ",
        make("code", {}, "searchkit index FOLDER"),
      ),
    );
    return;
  }
  if (wanted && wanted !== name) {
    failed(new api.Refused(404, `there is no index ${wanted} here; this is ${name}`));
  }
  remember({ index: name });
  enter(name);
  follow();
}

/** Go over to an index. */
function enter(name) {
  index = named(name);
  by("index").value = name;
  sessionStorage.setItem(INDEX_KEPT, name);
  by("views").querySelector("[data-view=compare]").disabled = systems.choices(index).length < 2;
  grades = new Grades(name);
  answer.stop();
  answer.key = null;
  if (usable()) readGrades();
  else left.say(make("p", {}, index.message || `${name} cannot be opened.`));
}

by("index").addEventListener("change", () => {
  enter(by("index").value);
  const view =
    state.view === "compare" && systems.choices(index).length < 2 ? "search" : state.view;
  change({ index: index.name, left: "", right: "", filters: [], view });
});

/** Take up what the indexes have become. */
async function grown() {
  try {
    await readIndexes();
  } catch {
    return; // the next press says so
  }
  if (!index) return begin();
  const before = index;
  index = named(index.name) ?? before;
  if (index.generation === before.generation && index.status === before.status) return;
  if (index.status !== before.status) enter(index.name);
  if (state.view === "ask") return;
  left.list.touched ||= left.list.results.length > 0; // nothing moves under the cursor
  follow({ fresh: true });
}

// Keys and presses.

field.addEventListener("input", () => {
  depth = DEPTH;
  opening = false;
  remember({ query: field.value, open: null }, { push: settled && Boolean(state.query) });
  settled = false;
  document.title = field.value ? `${field.value} · searchkit` : "searchkit";
  document.body.toggleAttribute("data-open", false);
  if (usable() && state.view !== "ask") search({ typed: true });
});

by("asking").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!usable()) return;
  if (state.view === "ask") {
    answer.key = null; // the same question may be asked again
    change({ query: field.value });
    return;
  }
  if (!state.query.trim()) return;
  activate(left.list);
  if (!asked) {
    opening = true; // the last search failed
    search();
  } else if (
    left.list.waiting ||
    !left.list.results.length ||
    left.remark.textContent.includes("to come")
  ) {
    opening = true;
    lookup.flush();
  } else openMarked();
});

by("help").addEventListener("click", () => openHelp());
by("skip").addEventListener("click", (event) => {
  event.preventDefault();
  active.element.focus();
});
for (const button of by("views").children) {
  button.addEventListener("click", () => look(button.dataset.view));
}

/** Go to a view; the question of an answer is what is in the box. */
function look(view) {
  if (!usable() || (view === "compare" && systems.choices(index).length < 2)) return;
  change({ view, query: field.value });
  activate(view === "ask" ? answer.list : left.list);
}

function openHelp() {
  helpPage(by("help-page"), index?.syntax ?? "");
  by("help-page").showModal();
}

const inText = (element) => element?.matches("input:not([type=checkbox]), textarea, select");

const MOVES = {
  ArrowDown: (list) => list.mark(list.at + 1),
  j: (list) => list.mark(list.at + 1),
  ArrowUp: (list) => (list.at <= 0 ? field.focus() : list.mark(list.at - 1)),
  k: (list) => (list.at <= 0 ? field.focus() : list.mark(list.at - 1)),
  PageDown: (list) => list.mark(list.at + list.page),
  PageUp: (list) => list.mark(list.at - list.page),
  Home: (list) => list.first(),
  g: (list) => list.first(),
  End: (list) => list.mark(Infinity),
  G: (list) => list.mark(Infinity),
  Enter: () => openMarked(),
  " ": () => openMarked(),
  ArrowLeft: () => across(left.list),
  ArrowRight: () => across(right.list),
};

/** Side by side: go to a list, at the document that is marked. */
function across(list) {
  if (state.view !== "compare" || !list.results.length) return;
  const id = active.current?.doc_id;
  list.element.focus();
  if (!list.markDocument(id)) list.mark(list.at);
}

const LETTERS = {
  "/": () => {
    field.focus();
    field.select();
  },
  c: () => look(state.view === "compare" ? "search" : "compare"),
  s: () => look(state.view === "compare" ? "search" : "compare"),
  a: () => look("ask"),
  t: () => by("theme").click(),
  m: () => preview.step(1),
  M: () => preview.step(-1),
  "?": () => openHelp(),
  ...Object.fromEntries(GRADES.map((_, grade) => [`${grade}`, () => judge(grade)])),
  j: () => active.element.focus(),
  k: () => active.element.focus(),
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.isComposing || document.querySelector("dialog[open]")) return;
  const { key, target } = event;
  const act = press(key, target);
  if (!act) return;
  event.preventDefault();
  act();
});

/** What a key does where it was pressed; null if nothing. */
function press(key, target) {
  const idle = target === field && state.view === "search" && !state.open;
  if (key === "Escape") return idle ? null : () => escape(target); // the browser empties the box
  if (target === field && key === "ArrowDown" && active.results.length)
    return () => active.element.focus();
  if (inText(target)) return null;
  const single = key.length === 1 && key !== " ";
  if (single && !lettersAreKeys()) return null;
  const list = target.closest("[role=listbox]");
  if (list && key in MOVES) return () => MOVES[key](active);
  return LETTERS[key] ?? null;
}

/** Back by one: from the document to the list, from the list to the box, there to the search. */
function escape(target) {
  if (state.open || target.closest("#preview")) close();
  else if (target !== field) field.focus();
  else look("search");
}

for (const list of [left.list, right.list, answer.list]) {
  list.element.addEventListener("focus", () => {
    if (active === list) return;
    activate(list);
    if (!narrow.matches) show();
  });
}

narrow.addEventListener("change", () => {
  narrowed();
  showOpen();
});

addEventListener("popstate", () => {
  const wasOpen = state.open;
  state = addresses.read(location.hash);
  settled = true;
  if (!index) return;
  if (state.index !== index.name && named(state.index)) enter(state.index);
  state.index = index.name;
  follow();
  if (wasOpen && !state.open) active.element.focus();
});

// Begin.

api.onTokenNeeded(askForToken);
keyLine(by("keys"));
state = addresses.read(location.hash);
follow();
try {
  await readIndexes();
  begin();
  setInterval(() => document.visibilityState === "visible" && grown(), LOOK_MS);
} catch (error) {
  failed(error);
}
