"""The vectors of one encoder over the segments of an index, and those nearest to a query.

A segment is scanned, or searched through the vector index that was built on it. Scores are true
inner products either way, so results of several segments are merged as they are. Rows that are not
wanted, dead ones or those that a filter leaves out, never take the place of others: they are left
out before anything is cut off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from searchkit.index.vector import Rows, Scores, VectorIndex, Vectors

Mask = npt.NDArray[np.bool_]

# Sums of D products in float32 may differ from the true ones by a few 1e-7 for unit vectors.
_NOISE = np.float32(2e-6)
_ROWS_AT_ONCE = 4096  # bounds the copy of picked rows: 16 MiB at D = 1024
# Scanning so few rows costs less than to search an index for many and to drop most of them.
_FEW_ROWS = 5000
_SPARSE = 0.25  # picking this share of the rows out of a file costs what reading all of it does


@dataclass(frozen=True, slots=True)
class Encoded:
    """The vectors of a segment by one encoder: (N, D) float32, unit rows, memory-mapped.

    `index` is one that was built on them; None to scan them.
    """

    segment: int
    vectors: Vectors
    index: VectorIndex | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was found; `score` is the inner product of its vector and the query's."""

    score: float
    segment: int
    row: int


class _Search(Protocol):
    """One segment's answer to one query."""

    def best(self, count: int) -> tuple[Scores, Rows]:
        """The `count` best wanted rows and all that tie with the last; fewer if there are fewer."""

    def narrow(self, wanted: Mask) -> None:
        """Look only for these from now on, (N,); at least one, all of which were wanted before."""


class Nearest:
    """One query against several segments; asking for more rows goes on from what is known.

    Args:
        segments: of one encoder.
        query: (D,), float32, of unit length.
        wanted: by segment, (N,), True on the rows that may be found; a segment without one is left
            out.
    """

    def __init__(
        self, segments: Sequence[Encoded], query: Vectors, wanted: Mapping[int, Mask]
    ) -> None:
        self._searches: dict[int, _Search] = {
            one.segment: _search(one, query, wanted[one.segment])
            for one in segments
            if one.segment in wanted and wanted[one.segment].any()
        }

    def narrow(self, wanted: Mapping[int, Mask]) -> None:
        """Look only for these rows from now on, all of which were wanted before."""
        self._searches = {
            segment: search for segment, search in self._searches.items() if wanted[segment].any()
        }
        for segment, search in self._searches.items():
            search.narrow(wanted[segment])

    def best(self, count: int) -> list[Row]:
        """The `count` rows with the highest scores, and all others that tie with the last of them.

        In descending order of score, then ascending of segment and row; fewer than `count` if fewer
        rows are wanted.
        """
        share = min(count, 2 * count // max(1, len(self._searches)) + 10)
        asked = dict.fromkeys(self._searches, share)
        answers: dict[int, tuple[Scores, Rows]] = {}
        more, least = list(asked), -np.inf
        while more:
            answers |= {segment: self._searches[segment].best(asked[segment]) for segment in more}
            every = np.concatenate([scores for scores, _ in answers.values()])
            # What a segment has not given yet lies below all that it gave.
            least = np.partition(every, -count)[-count] if len(every) >= count else -np.inf
            more = [
                segment
                for segment, (scores, _) in answers.items()
                if asked[segment] <= len(scores) < count and scores[-1] > least
            ]
            asked |= {segment: min(count, 2 * asked[segment]) for segment in more}
        found = [
            Row(score, segment, row)
            for segment, (scores, rows) in answers.items()
            for score, row in zip(scores.tolist(), rows.tolist(), strict=True)
            if score >= least
        ]
        return sorted(found, key=lambda one: (-one.score, one.segment, one.row))


def _search(encoded: Encoded, query: Vectors, wanted: Mask) -> _Search:
    rows = np.flatnonzero(wanted)
    if encoded.index is None or len(rows) <= _FEW_ROWS:
        return _Scan(encoded.vectors, query, rows)
    return _Through(encoded.index, encoded.vectors, query, wanted)


class _Scan:
    """Every wanted row is compared with the query, once."""

    def __init__(self, vectors: Vectors, query: Vectors, rows: Rows) -> None:
        self._vectors, self._query, self._rows = vectors, query, rows
        self._rough = _products(vectors, query, rows)

    def narrow(self, wanted: Mask) -> None:
        """See `_Search`."""
        kept = wanted[self._rows]
        self._rows, self._rough = self._rows[kept], self._rough[kept]

    def best(self, count: int) -> tuple[Scores, Rows]:
        """See `_Search`."""
        rows = self._rows
        if count < len(rows):
            last = np.partition(self._rough, len(rows) - count)[len(rows) - count]
            rows = rows[self._rough >= last - _NOISE]
        return _ranked(_true_scores(self._vectors, self._query, rows), rows, count)


class _Through:
    """A vector index is asked for more and more rows until enough of them are wanted ones."""

    def __init__(self, index: VectorIndex, vectors: Vectors, query: Vectors, wanted: Mask) -> None:
        self._index, self._vectors, self._query = index, vectors, query
        self._wanted = wanted
        self._scan: _Scan | None = None

    def narrow(self, wanted: Mask) -> None:
        """See `_Search`."""
        self._wanted = wanted
        if self._scan is not None:
            self._scan.narrow(wanted)

    def best(self, count: int) -> tuple[Scores, Rows]:
        """See `_Search`; what ties with the last, as far as the index finds it."""
        there, size = int(self._wanted.sum()), len(self._wanted)
        depth = min(count, there) * size // there + 1
        while self._scan is None and depth < size * _SPARSE:
            scores, rows = (part[0] for part in self._index.search(self._query[None], depth))
            kept = (rows >= 0) & self._wanted[rows]  # -1: nothing was found
            if kept.sum() > count and scores[kept][count] < scores[kept][count - 1]:
                return _ranked(scores[kept], rows[kept], count)
            depth *= 2
        if self._scan is None:
            self._scan = _Scan(self._vectors, self._query, np.flatnonzero(self._wanted))
        return self._scan.best(count)


def _ranked(scores: Scores, rows: Rows, count: int) -> tuple[Scores, Rows]:
    """Best first, equal ones in the order of their rows; cut after those that tie with `count`."""
    order = np.lexsort((rows, -scores))
    scores, rows = scores[order], rows[order]
    if count < len(rows):
        enough = scores >= scores[count - 1]
        scores, rows = scores[enough], rows[enough]
    return scores, rows


def _products(vectors: Vectors, query: Vectors, rows: Rows) -> Scores:
    """Inner products of some rows with a query, summed in float32 in whatever order is fast."""
    if len(rows) == len(vectors):
        return np.asarray(vectors @ query)
    if len(rows) > len(vectors) * _SPARSE:
        return np.asarray((vectors @ query)[rows])
    found = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        found[block] = vectors[rows[block]] @ query
    return found


def _true_scores(vectors: Vectors, query: Vectors, rows: Rows) -> Scores:
    """Inner products summed in float64 and rounded once: they depend on the two vectors alone."""
    found = np.empty(len(rows), np.float32)
    exact = query.astype(np.float64)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        found[block] = np.vecdot(vectors[rows[block]].astype(np.float64), exact)
    return found
