"use strict";

/* What a reader can do on the page: choose colours and measures, sort and filter tables, look into
   queries. Text of the data enters as text, never as markup. */

(() => {
  const make = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value === true) made.setAttribute(key, "");
      else if (value !== null && value !== false) made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  };

  const minus = (text) => text.replace("-", "−");
  const fixed = (number) => minus(number.toFixed(3));
  const counted = (number) => number.toLocaleString("en");
  const signed = (number) => (number < 0 ? "" : "+") + fixed(number);

  let labels = 0;

  /** A labelled list of options, [value, text] each. */
  const chooser = (name, options, chosen, onchange) => {
    const id = `choose-${labels++}`;
    const select = make("select", { id, onchange: () => onchange(select.value) });
    for (const [value, text] of options) select.append(make("option", { value }, text));
    select.value = chosen;
    return make("span", { class: "chooser" }, make("label", { for: id }, name), select);
  };

  /* Colours */

  const THEME = "searchkit-theme";
  const themes = [...document.querySelectorAll("input[name=theme]")];
  const storage = () => {
    try {
      return window.localStorage;
    } catch {
      return null; // refused, as by some browsers for local files
    }
  };
  for (const theme of themes) {
    theme.addEventListener("change", () => storage()?.setItem(THEME, theme.value));
  }
  const kept = themes.find((theme) => theme.value === storage()?.getItem(THEME));
  if (kept) kept.checked = true;

  /* One of several plots */

  for (const group of document.querySelectorAll("[data-choice]")) {
    const plots = [...group.children];
    const show = (name) => {
      for (const plot of plots) plot.hidden = plot.dataset.name !== name;
    };
    if (plots.length > 1) {
      const names = plots.map((plot) => [plot.dataset.name, plot.dataset.name]);
      group.prepend(chooser(group.dataset.choice, names, names[0][0], show));
      show(names[0][0]);
    }
  }

  /* Tables that can be sorted and filtered */

  const NAMES = 4; // columns from the left: set or family, measure, A, B

  /** What a cell sorts by: its text where it holds a name, else its first number. */
  const sortKey = (text, column) => {
    if (column < NAMES) return text;
    if (text === "<.001") return 0;
    if (text.includes("∞")) return text.startsWith("−") ? -Infinity : Infinity;
    const number = text.match(/^\[?([+−-]?\d*\.?\d+)/);
    return number ? Number(number[1].replace("−", "-")) : text;
  };

  const ascending = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  };

  const markSorted = (head, down) => {
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  };

  /** Put a button into a column's head; `sort(descending)` gets what to do. */
  const sortButton = (head, downFirst, sort) => {
    const button = make("button", {
      type: "button",
      onclick: () => {
        const before = head.getAttribute("aria-sort");
        const down = before === null ? downFirst : before === "ascending";
        for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
        markSorted(head, down);
        sort(down);
      },
    });
    button.append(...head.childNodes);
    head.append(button);
    return button;
  };

  const makeSortable = (table) => {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      sortButton(head, false, (down) => {
        const keyed = rows.map((row) => [sortKey(row.cells[column].textContent, column), row]);
        keyed.sort(([a], [b]) => (down ? ascending(b, a) : ascending(a, b)));
        body.append(...keyed.map(([, row]) => row));
      });
    });
  };

  const makeFiltered = (table) => {
    const rows = [...table.tBodies[0].rows];
    const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);
    const texts = rows.map((row) => [...row.cells].slice(0, NAMES).map((cell) => cell.textContent));
    const wanted = { group: texts[0][0], measure: texts[0][1], system: "" };
    const count = make("output", { class: "count" });
    const apply = () => {
      let shown = 0;
      rows.forEach((row, i) => {
        const [group, measure, a, b] = texts[i];
        row.hidden =
          (wanted.group && wanted.group !== group) ||
          (wanted.measure && wanted.measure !== measure) ||
          (wanted.system && wanted.system !== a && wanted.system !== b);
        shown += !row.hidden;
      });
      // What all rows have in common needs no column.
      table.classList.toggle("one-group", Boolean(wanted.group));
      table.classList.toggle("one-measure", Boolean(wanted.measure));
      count.textContent = `${counted(shown)} of ${counted(rows.length)} pairs`;
    };
    const filter = (name, key, values) => {
      const options = [["", "all"], ...[...new Set(values)].map((one) => [one, one])];
      return chooser(name, options, wanted[key], (value) => {
        wanted[key] = value;
        apply();
      });
    };
    const controls = make(
      "div",
      { class: "controls" },
      filter(heads[0], "group", texts.map((text) => text[0])),
      filter("measure", "measure", texts.map((text) => text[1])),
      filter("system", "system", texts.flatMap((text) => [text[2], text[3]])),
      count,
    );
    table.closest(".scroll").before(controls);
    apply();
  };

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    makeFiltered(table);
    makeSortable(table);
  }

  /* Queries */

  const explore = (place, data) => {
    // The set and its queries, places of both systems in it, order, words to find, chosen query.
    const state = { set: null, queries: [], a: 0, b: 0, sort: "difference", down: true, find: "" };

    /** An entry of the data, with names. */
    const named = ([id, text, relevant, values, tops, grades]) => {
      return { id, text, relevant, values, tops, grades };
    };

    const name = (system) => data.systems[state.set.systems[system]];
    const difference = (query) => query.values[state.a] - query.values[state.b];
    const keys = {
      query: (query) => query.text,
      a: (query) => query.values[state.a],
      b: (query) => query.values[state.b],
      difference,
    };

    const controls = make("div", { class: "controls" });
    const region = (name, className) => {
      return make("div", { class: className, role: "region", "aria-label": name });
    };
    const list = region("Queries", "scroll tall queries");
    const detail = region("The chosen query", "query");
    place.append(
      controls,
      make("p", { class: "hint" }, "↑ and ↓ walk through the queries; headings sort."),
      list,
      detail,
    );

    const showControls = () => {
      const systems = state.set.systems.map((_, i) => [String(i), name(i)]);
      const sets = data.sets.map((set, i) => [String(i), set.name]);
      const find = make("input", {
        type: "search",
        id: "find-query",
        autocomplete: "off",
        oninput: () => {
          state.find = find.value.toLowerCase();
          state.query = null;
          showList();
        },
      });
      find.value = state.find;
      controls.replaceChildren(
        chooser("set", sets, String(data.sets.indexOf(state.set)), (value) => {
          choose(Number(value));
          controls.querySelector("select").focus();
        }),
        chooser("A", systems, String(state.a), (value) => {
          state.a = Number(value);
          showList();
        }),
        chooser("B", systems, String(state.b), (value) => {
          state.b = Number(value);
          showList();
        }),
        make("span", { class: "chooser" }, make("label", { for: "find-query" }, "find"), find),
        make("output", { class: "count", id: "queries-shown" }),
      );
    };

    const wanted = () => {
      const found = state.queries.filter((query) => query.text.toLowerCase().includes(state.find));
      const key = keys[state.sort];
      const sign = state.down ? -1 : 1;
      return found.sort((a, b) => sign * ascending(key(a), key(b)));
    };

    /** A bar to the left or right of the middle, as long as the difference in a scale of 1. */
    const bar = (number) => {
      const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      drawing.setAttribute("aria-hidden", "true");
      const length = Math.min(1, Math.abs(number)) * 50;
      const shape = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      shape.setAttribute("x", `${number < 0 ? 50 - length : 50}%`);
      shape.setAttribute("y", "25%");
      shape.setAttribute("width", `${length}%`);
      shape.setAttribute("height", "50%");
      shape.setAttribute("class", number < 0 ? "worse" : "better");
      drawing.append(shape);
      return drawing;
    };

    const showList = () => {
      const queries = wanted();
      const heads = [
        ["query", state.set.item, false],
        ["a", `A: ${name(state.a)}`, true],
        ["b", `B: ${name(state.b)}`, true],
        ["difference", "A − B", true],
      ].map(([key, text, isNumber]) => {
        return [key, make("th", { scope: "col", class: isNumber && "number" }, text)];
      });
      const row = make("tr", {}, ...heads.map(([, head]) => head));
      for (const [key, head] of heads) {
        if (key === state.sort) markSorted(head, state.down);
        sortButton(head, key !== "query", (down) => {
          state.sort = key;
          state.down = down;
          state.query = null;
          showList();
          list.querySelector(`[data-sort=${key}]`).focus();
        }).dataset.sort = key;
      }
      const body = make("tbody");
      for (const query of queries) {
        const button = make("button", { type: "button", dir: "auto" }, query.text);
        button.query = query;
        button.addEventListener("click", () => pick(button));
        body.append(
          make(
            "tr",
            {},
            make("th", { scope: "row" }, button),
            make("td", { class: "number" }, fixed(query.values[state.a])),
            make("td", { class: "number" }, fixed(query.values[state.b])),
            make("td", { class: "number" }, bar(difference(query)), signed(difference(query))),
          ),
        );
      }
      body.addEventListener("keydown", walk);
      const title = `Queries of ${state.set.name} by ${state.set.measure}`;
      const caption = make("caption", { class: "unseen" }, title);
      list.replaceChildren(make("table", {}, caption, make("thead", {}, row), body));
      const count = controls.querySelector("output");
      count.textContent = `${counted(queries.length)} of ${counted(state.set.total)}`;
      const buttons = [...body.querySelectorAll("button")];
      const current = buttons.find((button) => button.query === state.query) ?? buttons[0];
      if (current) {
        pick(current);
        // Not scrollIntoView, which would move the page too.
        list.scrollTop = current === buttons[0] ? 0 : current.offsetTop - list.clientHeight / 2;
      } else detail.replaceChildren(make("p", {}, "No query holds these words."));
    };

    /** Only the chosen query is a stop of the Tab key; arrows reach the others. */
    const pick = (button) => {
      state.query = button.query;
      for (const other of list.querySelectorAll("tbody button")) {
        other.tabIndex = other === button ? 0 : -1;
        if (other === button) other.setAttribute("aria-current", "true");
        else other.removeAttribute("aria-current");
      }
      showDetail();
    };

    const walk = (event) => {
      const buttons = [...list.querySelectorAll("tbody button")];
      const here = buttons.indexOf(event.target);
      const last = buttons.length - 1;
      const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: last }[event.key];
      if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const next = buttons[Math.max(0, Math.min(last, to))];
      pick(next);
      next.focus();
    };

    /** Pairs of rank and grade as a map, and how many documents there are. */
    const gradesOf = ([length, ...marks]) => {
      const grades = new Map();
      for (let i = 0; i < marks.length; i += 2) grades.set(marks[i], marks[i + 1]);
      return { length, grades };
    };

    const verdict = (grade) => {
      if (grade === undefined) return ["unjudged", "not judged"];
      if (grade > 0) return ["relevant", `✓ relevant, grade ${grade}`];
      return ["irrelevant", "✗ judged not relevant"];
    };

    const showDetail = () => {
      const query = state.query;
      const difference = signed(query.values[state.a] - query.values[state.b]);
      const measured = `${query.id}: A − B ${difference} ${state.set.measure}`;
      const said = `${measured}; ${query.relevant} judged relevant.`;
      const a = ["A", state.a];
      const b = ["B", state.b];
      detail.replaceChildren(
        make("h3", { dir: "auto" }, query.text),
        make("p", { class: "note" }, said),
        make("div", { class: "sides" }, side(a, b), side(b, a)),
      );
    };

    const side = ([letter, system], [otherLetter, other]) => {
      const query = state.query;
      const { length, grades } = gradesOf(query.grades[system]);
      const found = [...grades]
        .filter(([, grade]) => grade > 0)
        .map(([rank, grade]) => `rank ${rank}, grade ${grade}`);
      const inWords = found.length
        ? `Relevant: ${found.join("; ")}; of ${length} documents`
        : `None of ${length} documents is judged relevant`;
      const strip = make("p", { class: "strip", role: "img", "aria-label": inWords });
      for (let rank = 1; rank <= length; rank++) {
        const grade = grades.get(rank);
        const shown = grade === undefined ? "·" : minus(String(grade));
        strip.append(make("span", { class: verdict(grade)[0] }, shown));
      }
      const value = make("span", { class: "value" }, fixed(query.values[system]));
      const documents = make("ol");
      query.tops[system].forEach((place, i) => {
        const [title, text] = state.set.documents[place];
        const [kind, words] = verdict(grades.get(i + 1));
        const there = query.tops[other].indexOf(place) + 1;
        const elsewhere = there
          ? `rank ${there} in ${otherLetter}`
          : `not among the first ${query.tops[other].length} of ${otherLetter}`;
        documents.append(
          make(
            "li",
            { class: kind },
            title ? make("p", { class: "title", dir: "auto" }, title) : null,
            make("p", { class: "text", dir: "auto" }, text),
            make("p", { class: "note" }, `${words} · ${elsewhere}`),
          ),
        );
      });
      return make(
        "div",
        {},
        make("h4", {}, `${letter}: ${name(system)} `, value),
        strip,
        query.tops[system].length ? documents : make("p", {}, "No documents."),
      );
    };

    const choose = (number) => {
      state.set = data.sets[number];
      state.queries = state.set.queries.map(named);
      state.query = null;
      [state.a, state.b] = state.set.pair;
      showControls();
      showList();
    };

    choose(0);
    place.hidden = false;
  };

  const place = document.getElementById("explorer");
  if (place) explore(place, JSON.parse(document.getElementById("data").textContent));
})();
