"""Queries to hits: dense, lexical and hybrid search of one index."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from searchkit import catalog
from searchkit.errors import BadInput, UnknownName
from searchkit.index import ranking
from searchkit.index.documents import DocumentStore
from searchkit.index.store import Store
from searchkit.index.text import bm25
from searchkit.index.vector import VectorIndex, Vectors
from searchkit.records import Document, Hit
from searchkit.search import contents
from searchkit.search.asked import refuse_unreadable
from searchkit.search.default import default_of
from searchkit.search.encoders import EncodeQuery, is_trained, open_encoders, query_encoder
from searchkit.search.modes import FUSIONS, Mode

FUSED_DEPTH = 1000  # how much of each ranking a fusion sees, at least


class Ranker(Protocol):
    """Whatever ranks the documents of one index."""

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k best documents of each query, fewer where there are fewer."""


class Lexical:
    """BM25 over an index."""

    def __init__(self, store: Store, ids: Sequence[str]) -> None:
        self._bm25 = bm25.open_saved(store.part("bm25"))
        self._ids = ids

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k best documents of each query; none that shares no word with it."""
        return self._bm25.search(list(queries), k, self._ids)


class Dense:
    """Nearest vectors.

    Args:
        index: over the vectors of the documents.
        encode: queries to unit vectors, (Q, D) float32.
        ids: the ids of the index's rows.
    """

    def __init__(
        self, index: VectorIndex, encode: Callable[[Sequence[str]], Vectors], ids: Sequence[str]
    ) -> None:
        self._index, self._encode, self._ids = index, encode, ids

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k documents whose vectors are nearest to each query's."""
        return ranking.top(self._index.search, self._encode(queries), k, self._ids)


class Hybrid:
    """Several rankers, fused.

    Args:
        rankers: of the same documents.
        fusion: a choice of rank/fusion.
    """

    def __init__(self, rankers: Sequence[Ranker], fusion: str = "rrf") -> None:
        self._rankers = rankers
        self._fuse = catalog.load(FUSIONS, fusion).fuse

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k best documents of each query by all rankings together."""
        depth = max(k, FUSED_DEPTH)
        results = [ranker.search(queries, depth) for ranker in self._rankers]
        return [self._fuse(rankings, k) for rankings in zip(*results, strict=True)]


class Retriever:
    """An index that is open for searching; models load at the first query that needs them.

    Args:
        store: the index.
        mode: "dense", "bm25", or "hybrid" for both fused.
        variant: whose vectors to search; may be left out where the index holds one encoder's only,
            or those of one that was trained.
        vector_index: a choice of index/vector that was built; exact search by default.
        device: where to compute; the best there is by default.
        say: told in a line what the user should know of a search.
        encode: encodes the queries; by default a model that is loaded for it.

    Raises:
        UnknownName: no such variant in the index.
        BadInput: it holds several and none is named, or "bm25" is to search one's vectors.
    """

    def __init__(
        self,
        store: Store,
        mode: Mode,
        *,
        variant: str | None = None,
        vector_index: str = contents.EXACT,
        device: str | None = None,
        say: Callable[[str], None] = lambda line: None,
        encode: EncodeQuery | None = None,
    ) -> None:
        self.store, self.mode = store, mode
        self.variant = _encoder_for(store, mode, variant, vector_index)
        self._vector_index, self._device, self._say = vector_index, device, say
        self._encode = encode
        self.documents = DocumentStore.open(store.part("documents"))

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        """The k best documents of each query.

        Raises:
            BadInput: k is below 1, or a query is empty or not whole Unicode.
        """
        if k < 1:
            raise BadInput(f"k is {k}; ask for at least 1 document")
        for number, query in enumerate(queries, start=1):
            refuse_unreadable(query, f"query {number}")
        return self._ranker.search(queries, k)

    def open(self) -> None:
        """Open what a search reads, which the first one does else."""
        assert self._ranker is not None

    def analyse(self, text: str) -> list[tuple[str, int, int]]:
        """A text as BM25 reads it: terms, and where in the text each stands."""
        return bm25.analyse(text, bm25.Parameters(**self.store.facts("bm25")))

    def document(self, doc_id: str) -> Document:
        """The document of a hit."""
        return self.documents.by_id(doc_id)

    @cached_property
    def _ranker(self) -> Ranker:
        rankers: list[Ranker] = []
        if self.mode in ("dense", "hybrid"):
            rankers.append(self._dense())
        if self.mode in ("bm25", "hybrid"):
            rankers.append(Lexical(self.store, self.documents.ids))
        return Hybrid(rankers) if len(rankers) > 1 else rankers[0]

    def _dense(self) -> Dense:
        name, given = str(self.variant), self._encode
        if given is not None:
            index = contents.open_vector_index(self.store, name, self._vector_index)

            def encode(queries: Sequence[str]) -> Vectors:
                return np.stack([given(self.store, name, query) for query in queries])

            return Dense(index, encode, self.documents.ids)
        encoder = next(open_encoders(self.store, [name], device=self._device))
        index = contents.open_vector_index(self.store, name, self._vector_index)
        return Dense(index, query_encoder(encoder, name, self._say), self.documents.ids)


def open_retriever(
    path: Path,
    mode: Mode | None = None,
    *,
    variant: str | None = None,
    vector_index: str = contents.EXACT,
    device: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Retriever:
    """Open an index for searching.

    Args:
        path: its directory.
        mode: by default what `default.set_default` noted; else hybrid where the vectors are a
            trained model's; else dense if a variant or a vector index is named, and bm25 if not:
            fused with a base that was never trained to embed, BM25 ranks worse than alone.
        variant: see `Retriever`.
        vector_index: see `Retriever`.
        device: see `Retriever`.
        say: see `Retriever`.

    Raises:
        UnknownName: no such index, or no such variant in it.
        CorruptFile: a file that is needed is not what was written.
    """
    store = Store.open(path)
    mode, variant = _defaults(store, mode, variant, vector_index)
    return Retriever(
        store, mode, variant=variant, vector_index=vector_index, device=device, say=say
    )


def choose(store: Store, mode: Mode | None, variant: str | None) -> tuple[Mode, str | None]:
    """How `open_retriever` searches a store that is open: the mode, and the encoder if any.

    Raises:
        UnknownName: no such variant in the index.
        BadInput: it holds several and none is named, or "bm25" is to search one's vectors.
    """
    mode, variant = _defaults(store, mode, variant, contents.EXACT)
    return mode, _encoder_for(store, mode, variant, contents.EXACT)


def _defaults(
    store: Store, mode: Mode | None, variant: str | None, vector_index: str
) -> tuple[Mode, str | None]:
    """See `open_retriever`."""
    chosen = default_of(store)
    if chosen and variant is None and mode != "bm25":
        # Another mode of dense search is meant for the same vectors.
        if mode is None and vector_index == contents.EXACT:
            mode = chosen["mode"]
        variant = chosen["variant"]
    if mode is None:
        there = contents.encoders(store).items()
        trained = any(is_trained(facts) for name, facts in there if variant in (None, name))
        named = variant or vector_index != contents.EXACT
        mode = "hybrid" if trained else "dense" if named else "bm25"
    return mode, variant


def _encoder_for(store: Store, mode: Mode, variant: str | None, vector_index: str) -> str | None:
    """Whose vectors are searched; None for BM25."""
    if mode == "bm25" and (variant or vector_index != contents.EXACT):
        raise BadInput(
            f"--mode bm25 searches no vectors, so {variant or vector_index} has no part in it; "
            "leave it out, or choose --mode dense or hybrid"
        )
    return None if mode == "bm25" else _choose_encoder(store, variant)


def _choose_encoder(store: Store, name: str | None) -> str:
    there = contents.encoders(store)
    if not there:
        raise UnknownName(
            f"{store.path} holds no vectors, only BM25; search with --mode bm25, or add vectors "
            "with: searchkit index ... --variant tuned"
        )
    trained = [one for one, facts in there.items() if is_trained(facts)]
    for meant in (list(there), trained):
        if name is None and len(meant) == 1:
            return meant[0]
    if name is None:
        raise BadInput(f"{store.path} holds vectors of {', '.join(there)}; choose with --variant")
    if name not in there:
        raise UnknownName(
            f"{store.path} was built by {', '.join(there)}, not {name}; choose one of them, or "
            f"add it with: searchkit index ... --variant {name}"
        )
    return name
