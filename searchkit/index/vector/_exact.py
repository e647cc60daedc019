"""True inner products: of all stored vectors, or of the candidates of an approximate index."""

from collections.abc import Callable

import faiss
import numpy as np

from searchkit.index.vector import Rows, Scores, Vectors

_QUERIES_AT_ONCE = 1024  # bounds what FAISS sets aside while it scans
_ROWS_AT_ONCE = 4096  # bounds the float64 copy of candidates: 32 MiB at D = 1024


def check_vectors(vectors: Vectors) -> None:
    """Refuse vectors that no index could be built on.

    Raises:
        ValueError: not (N, D), C-contiguous float32, with N and D at least 1.
    """
    if vectors.ndim != 2 or vectors.dtype != np.float32 or 0 in vectors.shape:
        raise ValueError(
            f"vectors are {vectors.shape} {vectors.dtype}, not (N, D) float32 with N, D > 0"
        )
    if not vectors.flags.c_contiguous:
        raise ValueError(f"vectors {vectors.shape} are not C-contiguous")


def check_queries(vectors: Vectors, queries: Vectors, k: int) -> None:
    """Refuse queries that the vectors cannot answer.

    Raises:
        ValueError: not (Q, D), not float32, not finite, or k < 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, not at least 1")
    if queries.ndim != 2 or queries.shape[1] != vectors.shape[1] or queries.dtype != np.float32:
        raise ValueError(
            f"queries are {queries.shape} {queries.dtype}, not (Q, {vectors.shape[1]}) float32"
        )
    if not np.isfinite(queries).all():
        raise ValueError(f"queries {queries.shape} hold NaN or infinite values")


def scan(vectors: Vectors, queries: Vectors, k: int) -> tuple[Scores, Rows]:
    """Compare every query with every vector; shapes and padding as `VectorIndex.search`."""
    check_queries(vectors, queries, k)
    depth = min(k, len(vectors))
    blocks = [
        faiss.knn(
            queries[start : start + _QUERIES_AT_ONCE],
            vectors,
            depth,
            metric=faiss.METRIC_INNER_PRODUCT,
        )[1]
        for start in range(0, len(queries), _QUERIES_AT_ONCE)
    ]
    rows = np.concatenate([np.empty((0, depth), np.int64), *blocks])
    return _rescore(vectors, queries, rows, k)


def refine(
    vectors: Vectors,
    queries: Vectors,
    k: int,
    candidates: int,
    find: Callable[[Vectors, int], Rows],
) -> tuple[Scores, Rows]:
    """Choose the k best of the candidates of an approximate search by their true inner products.

    A query for which `find` comes back with fewer than k rows is scanned instead: an inverted list
    can be short, a graph can fall apart over equal vectors, and RaBitQ loses a vector equal to the
    mean.

    Args:
        vectors: (N, D), float32.
        queries: (Q, D), float32.
        k: how many to return.
        candidates: how many to fetch; from N on everything is scanned.
        find: (queries, candidates) -> (Q, candidates) int64 rows, -1 where nothing was found.

    Returns:
        Shapes and padding as `VectorIndex.search`.
    """
    if candidates >= len(vectors):
        return scan(vectors, queries, k)
    check_queries(vectors, queries, k)
    scores, rows = _rescore(vectors, queries, find(queries, candidates), k)
    short = rows[:, k - 1] < 0
    if short.any():
        scores[short], rows[short] = scan(vectors, queries[short], k)
    return scores, rows


def _rescore(vectors: Vectors, queries: Vectors, found: Rows, k: int) -> tuple[Scores, Rows]:
    """The k best of `found`, by inner products summed in float64 and rounded once.

    FAISS sums in float32 and in an order that depends on the number of queries and on the row, so
    that equal vectors can differ in the last digit. Here a score depends on its two vectors alone,
    and ties are ties.
    """
    scores = np.full((len(queries), k), -np.inf, np.float32)
    rows = np.full((len(queries), k), -1, np.int64)
    for place, (query, some) in enumerate(zip(queries.astype(np.float64), found, strict=True)):
        candidates = np.sort(some[some >= 0])  # in the order of the file, for a memory map
        exact = np.empty(len(candidates), np.float32)
        for start in range(0, len(candidates), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            exact[block] = np.vecdot(vectors[candidates[block]].astype(np.float64), query)
        best = np.argsort(-exact, kind="stable")[:k]
        scores[place, : len(best)] = exact[best]
        rows[place, : len(best)] = candidates[best]
    return scores, rows
