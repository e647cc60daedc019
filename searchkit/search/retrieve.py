"""Queries to hits: dense, lexical and hybrid search of one index."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from searchkit import catalog
from searchkit.errors import BadInput, UnknownName
from searchkit.index import ranking
from searchkit.index.documents import DocumentStore
from searchkit.index.store import Store
from searchkit.index.text import bm25
from searchkit.index.vector import VectorIndex, Vectors
from searchkit.records import Document, Hit
from searchkit.search import contents
from searchkit.search.default import default_of

if TYPE_CHECKING:
    from searchkit.encode.embedder import TextEncoder

Mode = Literal["dense", "bm25", "hybrid"]
MODES: tuple[Mode, ...] = ("hybrid", "dense", "bm25")
FUSIONS = "searchkit.rank.fusion"
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
    ) -> None:
        if mode == "bm25" and (variant or vector_index != contents.EXACT):
            raise BadInput(
                f"--mode bm25 searches no vectors, so {variant or vector_index} has no part in it; "
                "leave it out, or choose --mode dense or hybrid"
            )
        self.store, self.mode = store, mode
        self.variant = None if mode == "bm25" else _choose_encoder(store, variant)
        self._vector_index, self._device, self._say = vector_index, device, say
        self.documents = DocumentStore.open(store.part("documents"))

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        """The k best documents of each query.

        Raises:
            BadInput: k is below 1, or a query is empty or not whole Unicode.
        """
        if k < 1:
            raise BadInput(f"k is {k}; ask for at least 1 document")
        for number, query in enumerate(queries, start=1):
            if not query.strip():
                raise BadInput(f"query {number} is empty; type what to look for")
            try:
                query.encode()
            except UnicodeEncodeError as error:  # what a terminal or JSON can bring, no index reads
                raise BadInput(
                    f"query {number} holds {query[error.start]!r}, which is not a character; "
                    "write it in UTF-8"
                ) from error
        return self._ranker.search(queries, k)

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
        name = str(self.variant)
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
    return Retriever(
        store, mode, variant=variant, vector_index=vector_index, device=device, say=say
    )


def is_trained(facts: Mapping[str, Any]) -> bool:
    """Whether whoever made the vectors that an index tells these facts of was trained to."""
    return facts["kind"] == "reference" or bool(facts["variant"]["weights"])


def open_encoders(
    store: Store,
    names: Sequence[str],
    *,
    device: str | None = None,
    memories: Path | None = None,
) -> Iterator["TextEncoder"]:
    """The encoders that made an index's vectors, to encode queries the same way.

    Variants that share a forward pass come as one; each is loaded when its turn comes, or, where
    `memories` are given, when there is a text that they do not know.

    Raises:
        BadInput: the base model on this machine is not the one that made the vectors.
    """
    facts = contents.encoders(store)
    for name in names:
        if facts[name]["kind"] == "reference":
            from searchkit.encode.reference import ReferenceEmbedder

            reference = ReferenceEmbedder(
                name, Path(facts[name]["folder"]), device=device, memories=memories
            )
            _same_base(store, facts[name], reference.facts(name)["base_hash"])
            yield reference
    # The engine and dtype of the index: no calibration at start, and the same arithmetic.
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name in names:
        if facts[name]["kind"] == "variant":
            arithmetic = (facts[name]["engine"], facts[name]["dtype"])
            rows.setdefault(arithmetic, []).append(facts[name]["variant"])
    if not rows:
        return
    from searchkit.encode import calibration, embedder, loading
    from searchkit.encode.arithmetic import dtype_name
    from searchkit.encode.variant import Variant

    for (engine, dtype), alike in rows.items():
        number = calibration.dtype_for_queries(calibration.dtype_of(dtype))
        for group in embedder.share_a_pass([Variant.from_row(row) for row in alike]):
            if memories is None:
                loaded = embedder.load(
                    group,
                    engine=engine,
                    dtype=number,
                    device=calibration.device(device),
                    allow_untrained=True,  # whoever built the index was asked
                )
            else:
                how = {"engine": engine, "dtype": dtype_name(number)}
                (loaded,) = loading.remember(
                    group, memories, device=device, allow_untrained=True, **how
                )
            for variant in group:
                _same_base(store, facts[variant.name], loaded.base.hash)
            yield loaded


def query_encoder(
    encoder: "TextEncoder", name: str, say: Callable[[str], None] = lambda line: None
) -> Callable[[Sequence[str]], Vectors]:
    """A function from queries to one encoder's vectors; `say` is told of queries that were cut."""

    def encode(queries: Sequence[str]) -> Vectors:
        encoded = encoder.encode_prepared(encoder.prepare(queries, "query"))
        if encoded.truncated:
            limit = encoder.max_tokens
            say(
                f"{encoded.truncated} of {len(queries)} queries have over {limit} tokens and were "
                f"cut"
            )
        return encoded.vectors[name]

    return encode


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


def _same_base(store: Store, facts: dict[str, Any], found: str) -> None:
    name, wanted = facts["name"], facts["base_hash"]
    if wanted != found:
        raise BadInput(
            f"the vectors of {name} in {store.path} were made by a base model with hash "
            f"{wanted[:12]}, and the one on this machine has {found[:12]}; bring that model back, "
            "or run searchkit index again, which encodes anew what the new one makes differently"
        )
