"""Exhaustive search: every query is compared with every vector, and the result is exact.

Nothing is built and nothing is saved: the stored vectors are scanned where they lie, memory-mapped
or not.
"""

from pathlib import Path

from searchkit.index.vector import Rows, Scores, Vectors
from searchkit.index.vector._exact import check_vectors, scan


def build(vectors: Vectors) -> "Flat":
    """The index of `vectors`, (N, D) float32.

    Raises:
        ValueError: `vectors` is not that.
    """
    check_vectors(vectors)
    return Flat(vectors)


def open_saved(folder: Path, vectors: Vectors) -> "Flat":
    """The index of `vectors`; there is no file of it in `folder`."""
    return build(vectors)


class Flat:
    """Vectors scanned with `faiss.knn`."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def search(self, queries: Vectors, k: int) -> tuple[Scores, Rows]:
        """As `VectorIndex.search`; no other index finds better rows."""
        return scan(self._vectors, queries, k)

    def save(self, folder: Path) -> None:
        """Write nothing: the vectors are stored already."""
