// Where results stand in a list: which stay in place when better ones come, and which moved.

/** A new ranking around a result that a person is at: it keeps its row, the others give way. */
export function keepInPlace(results, held, row) {
  if (!held) return results;
  const others = results.filter((one) => one.doc_id !== held.doc_id);
  const kept = results.find((one) => one.doc_id === held.doc_id) ?? { ...held, rank: 0, lists: [] };
  return others.toSpliced(row, 0, kept);
}

/** Results in rank order; what has no rank stands at the end. */
export const byRank = (results) =>
  results.toSorted((one, other) => (one.rank || Infinity) - (other.rank || Infinity));

/** By document, how far it stands above its place in the other ranking; null: not in that one. */
export function changes(other, results) {
  const ranks = new Map(other.filter((one) => one.rank).map((one) => [one.doc_id, one.rank]));
  return new Map(
    results
      .filter((one) => one.rank)
      .map(({ doc_id: id, rank }) => [id, ranks.has(id) ? ranks.get(id) - rank : null]),
  );
}

/** A change as it is written beside a result, and as it is read out. */
export function changeShown(change, other) {
  if (change === null) return ["new", `new: not among the first of ${other}`];
  if (change === 0) return ["=", `the same place as in ${other}`];
  const places = `${Math.abs(change)} place${Math.abs(change) === 1 ? "" : "s"}`;
  return change > 0
    ? [`▲${change}`, `${places} up from ${other}`]
    : [`▼${-change}`, `${places} down from ${other}`];
}
