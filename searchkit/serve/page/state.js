// What the page shows, as the part of its address after the #: the browser does not send it.

/** A state with nothing asked for. */
export const start = () => ({
  index: "",
  query: "",
  view: "search",
  left: "", // a system as in `systems.js`; empty: the index's default
  right: "",
  filters: [],
  generate: false,
  open: null, // {id, start} of the document that is read
});

/** The state that an address holds. */
export function read(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const state = start();
  for (const name of ["index", "left", "right"]) state[name] = given.get(name) ?? "";
  state.query = given.get("q") ?? "";
  if (["compare", "ask"].includes(given.get("view"))) state.view = given.get("view");
  state.filters = [...new Set(given.getAll("f"))];
  state.generate = given.has("generate");
  const open = /^(.*)@(\d{1,12})$/s.exec(given.get("open") ?? "");
  if (open) state.open = { id: open[1], start: Number(open[2]) };
  return state;
}

/** The address of a state. */
export function written(state) {
  const fields = new URLSearchParams();
  if (state.index) fields.set("index", state.index);
  if (state.query) fields.set("q", state.query);
  if (state.view !== "search") fields.set("view", state.view);
  if (state.left) fields.set("left", state.left);
  if (state.right && state.view === "compare") fields.set("right", state.right);
  for (const filter of state.filters) fields.append("f", filter);
  if (state.generate) fields.set("generate", "");
  if (state.open) fields.set("open", `${state.open.id}@${state.open.start}`);
  return `#${fields}`;
}

/** The filters of a state as the server takes them. */
export function filterFields(filters) {
  const fields = { path: [], format: [], lang: [], after: null, before: null };
  for (const filter of filters) {
    const [name, value] = parts(filter);
    if (Array.isArray(fields[name])) fields[name].push(value);
    else if (name in fields) fields[name] = value;
  }
  return fields;
}

/** `format:"a b"` as ["format", "a b"]. */
export function parts(filter) {
  const colon = filter.indexOf(":");
  return [filter.slice(0, colon), filter.slice(colon + 1).replace(/^"(.*)"$/, "$1")];
}
