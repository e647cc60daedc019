"""Scores and rows of a vector index to hits: no padding, and ties in the order of their ids.

A ranking that leaves ties to chance makes a measure depend on the batch size, the thread and the
library.
"""

from collections.abc import Callable, Sequence

import numpy as np

from searchkit.index.strings import Strings
from searchkit.index.vector import Rows, Scores, Vectors
from searchkit.records import Hit

# An index picks candidates by float32 sums of up to D terms, and scores them exactly afterwards.
# For unit vectors the two differ by a few 1e-7, so a row that ties with the k-th place can be
# picked this much later.
_NOISE = 2e-6


def top(
    search: Callable[[Vectors, int], tuple[Scores, Rows]],
    queries: Vectors,
    k: int,
    ids: Sequence[str],
) -> list[list[Hit]]:
    """The k best documents of each query: descending score, then ascending id.

    The cut at k falls inside a group of equal scores only after the whole group was read, so which
    of its members are kept depends on their ids alone.

    Args:
        search: `VectorIndex.search` of an index of N vectors.
        queries: (Q, D), float32, unit rows.
        k: the length of a ranking; shorter where the index finds less.
        ids: the ids of the N rows.

    Returns:
        Q rankings, ranks from 1.

    Raises:
        ValueError: k < 1, or whatever `search` finds wrong with the queries.
    """
    if k < 1:
        raise ValueError(f"k is {k}, not at least 1")
    rankings: list[list[Hit]] = [[] for _ in queries]
    pending = np.arange(len(queries))
    depth = min(k + 1, len(ids))  # one more than asked for shows whether a tie crosses the cut
    while pending.size:
        scores, rows = search(queries[pending], depth)
        again = np.zeros(len(pending), bool)
        if k < depth < len(ids):
            again = scores[:, -1] >= scores[:, k - 1] - np.float32(_NOISE)
            again &= rows[:, -1] >= 0
        for place in np.flatnonzero(~again):
            rankings[pending[place]] = hits(scores[place], rows[place], k, ids)
        pending = pending[again]
        depth = min(2 * depth, len(ids))
    return rankings


def hits(scores: Scores, rows: Rows, k: int, ids: Sequence[str]) -> list[Hit]:
    """The k best of one query's scored rows: descending score, then ascending id.

    Args:
        scores: (C,), float32.
        rows: (C,), integers in any order; negative where nothing was found.
        k: how many to keep.
        ids: the ids by row.
    """
    found = rows >= 0
    rows = rows[found]
    names = ids.at(rows) if isinstance(ids, Strings) else [ids[row] for row in rows.tolist()]
    best = sorted(zip((-scores[found]).tolist(), names, strict=True))[:k]
    return [Hit(doc_id, -score, rank) for rank, (score, doc_id) in enumerate(best, 1)]
