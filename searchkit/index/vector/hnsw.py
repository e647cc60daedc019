"""A graph of near neighbours, walked greedily from its sparse top layer to its full bottom layer.

The file holds the graph alone. FAISS walks it over a copy of the vectors in memory, so an open
index takes N x D x 4 bytes and some 300 more a vector for the graph. Vectors cannot be removed.

Source: Malkov and Yashunin 2018, Efficient and robust approximate nearest neighbor search using
Hierarchical Navigable Small World graphs, arXiv:1603.09320.
"""

from pathlib import Path
from typing import Any

import faiss

from searchkit.index.vector import Rows, Scores, Vectors, _saved
from searchkit.index.vector._exact import check_vectors, refine

_FILE = "hnsw.faiss"
_LINKS = 32  # M: neighbours a vector keeps on each layer, twice as many on the bottom one
# On 60,000 sentence embeddings of 384 dimensions: recall@10 0.997 at 128, with 100 to build as with
# 200, which takes twice as long.
_BUILD_BEAM = 100  # efConstruction
_SEARCH_BEAM = 128  # efSearch, at least


def build(vectors: Vectors) -> "Hnsw":
    """Link every vector of `vectors`, (N, D) float32, to its near neighbours.

    Raises:
        ValueError: `vectors` is not that.
    """
    check_vectors(vectors)
    graph = faiss.IndexHNSWFlat(vectors.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = _BUILD_BEAM
    # In one call, which FAISS since 1.15.1 answers with the same graph for any number of threads.
    graph.add(vectors)
    return Hnsw(vectors, graph)


def open_saved(folder: Path, vectors: Vectors) -> "Hnsw":
    """The index that was built on `vectors` and saved in `folder`.

    Raises:
        CorruptFile: its file is no FAISS index, or one of other vectors.
    """
    graph = _saved.read(folder / _FILE, vectors)
    storage = faiss.IndexFlatIP(vectors.shape[1])
    storage.add(vectors)
    storage.this.disown()  # the graph frees it
    graph.storage = storage
    graph.own_fields = True
    return Hnsw(vectors, graph)


class Hnsw:
    """A graph over the vectors, whose best rows are scored again exactly."""

    def __init__(self, vectors: Vectors, graph: Any) -> None:
        self._vectors = vectors
        self._graph = graph

    def search(self, queries: Vectors, k: int) -> tuple[Scores, Rows]:
        """As `VectorIndex.search`; approximate, with true scores."""
        return refine(self._vectors, queries, k, k, self._find)

    def save(self, folder: Path) -> None:
        """Write the graph, without the vectors."""
        _saved.write(self._graph, folder / _FILE, faiss.IO_FLAG_SKIP_STORAGE)

    def _find(self, queries: Vectors, k: int) -> Rows:
        parameters = faiss.SearchParametersHNSW(efSearch=max(_SEARCH_BEAM, 2 * k))
        rows: Rows = self._graph.search(queries, k, params=parameters)[1]
        return rows
