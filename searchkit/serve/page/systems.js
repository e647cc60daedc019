// Ways to search an index: words, vectors of one encoder, or both. `hybrid:tuned` in addresses.

/** All ways to search an index, as [address, name]. */
export function choices(index) {
  const vectors = index.encoders.flatMap((name) => [
    [`hybrid:${name}`, `BM25 + ${name}`],
    [`dense:${name}`, name],
  ]);
  return [["bm25", "BM25"], ...vectors];
}

/** The address of a system as the server gives it. */
export const address = ({ mode, variant }) => (variant ? `${mode}:${variant}` : mode);

/** A system as the server takes it. */
export function fields(system) {
  const colon = system.indexOf(":");
  if (colon < 0) return { mode: system, variant: null };
  return { mode: system.slice(0, colon), variant: system.slice(colon + 1) };
}

/** The first way to search an index that is another one; "" where there is none. */
export const otherThan = (index, system) =>
  choices(index)
    .map(([one]) => one)
    .find((one) => one !== system) ?? "";
