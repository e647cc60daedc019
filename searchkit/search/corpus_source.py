"""An index of a corpus, as one of several sources."""

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from searchkit import catalog
from searchkit.errors import BadInput
from searchkit.index.live.query import NONE, Filters
from searchkit.index.store import Store
from searchkit.records import Hit
from searchkit.search import contents
from searchkit.search.asked import refuse_unreadable
from searchkit.search.encoders import EncodeQuery
from searchkit.search.modes import FUSIONS, Mode
from searchkit.search.notes import Notes
from searchkit.search.retrieve import FUSED_DEPTH, Lexical, Retriever, choose
from searchkit.search.source import About, Filter, Result, Source, Span, System, open_source

FUSION = "rrf"
WORDS = "bm25"  # what the list of what words find is called

_GLANCE = 20_000  # how much of a document a list is made from, in characters
_REMEMBERED = 100  # documents whose terms are known: those of the last lists, a key ago


class CorpusSource:
    """A result is a whole document; see `source.of_retriever` for the arguments."""

    def __init__(
        self, retriever: Retriever, device: str | None, encode: EncodeQuery | None = None
    ) -> None:
        self._given, self._device, self._encode = retriever, device, encode
        # Not through a retriever, which in Python 3.11 waits while another one loads its model.
        self._lexical = Lexical(retriever.store, retriever.documents.ids)
        self._dense: dict[str, Retriever] = {}
        self._lock = threading.Lock()
        self._facts = contents.encoders(retriever.store)
        self.name = retriever.store.path.resolve().name
        self.generation = retriever.store.generation
        self.documents = len(retriever.documents)
        self.encoders: Sequence[str] = tuple(self._facts)
        self.default = System(retriever.mode, retriever.variant)
        self.depth = FUSED_DEPTH
        self.syntax = ""
        self.whole = True
        self._choose = lru_cache(_REMEMBERED)(self._chosen)
        self._glance = lru_cache(_REMEMBERED)(self._analyse)
        self.notes: Notes = deque()

    @property
    def store(self) -> Store:
        """The parts of the index."""
        return self._given.store

    def refresh(self) -> bool:
        """A corpus that is built again is another index."""
        return False

    def renewed(self) -> "Source | None":
        """Another source, of what was built since."""
        store = self._given.store
        if store.is_newest():
            return None
        return open_source(store.path, self._device, self._encode)

    def hold(self) -> None:
        """Open the vectors; all else is open."""
        for variant in self.encoders:
            self._retriever(variant).open()

    def choose(self, mode: Mode | None = None, variant: str | None = None) -> System:
        """What `open_retriever` takes where a mode or an encoder is left open."""
        if mode is None and variant is None:
            return self.default
        return self._choose(mode, variant)

    def _chosen(self, mode: Mode | None, variant: str | None) -> System:
        return System(*choose(self._given.store, mode, variant))

    def find(
        self,
        query: str,
        k: int,
        *,
        mode: Mode | None = None,
        variant: str | None = None,
        filters: Filters = NONE,
        literal: bool = False,
        per_document: bool = True,
        typing: bool = False,
    ) -> list[Result]:
        """The k best documents; see `source.Source`. What is being typed is words as they are."""
        if filters != NONE or not per_document:
            raise BadInput(
                f"{self.name} is the index of a collection: its documents are whole, without a "
                "path, format, language or time; leave out filters and all passages"
            )
        if k < 1:
            raise BadInput(f"k is {k}; ask for at least 1 document")
        if typing and not query.strip():
            return []
        refuse_unreadable(query)
        system = self.choose(mode, variant)
        depth = max(k, FUSED_DEPTH) if system.mode == "hybrid" else k
        rankings: dict[str, list[Hit]] = {}
        if system.variant is not None:
            rankings[system.variant] = self.dense(query, system.variant, depth)
        if system.mode != "dense":
            rankings[WORDS] = self.words(query, depth)
        return self.results(query, rankings, k)

    def doc_ids(self) -> Sequence[str]:
        """The ids of all documents."""
        return self._given.documents.ids

    def page(self, after: str | None, limit: int) -> list[About]:
        """Some documents in the order of their rows."""
        documents = self._given.documents
        first = 0 if after is None else documents.row(after) + 1
        rows = range(first, min(first + limit, len(documents)))
        return [About(doc_id=one.doc_id, title=one.title) for one in map(documents.document, rows)]

    def about(self, doc_id: str) -> About:
        """The title: more is not known of it."""
        return About(doc_id=doc_id, title=self._given.document(doc_id).title)

    def words(self, query: str, k: int) -> list[Hit]:
        """The k best by BM25."""
        return self._lexical.search([_whole(query)], k)[0]

    def dense(self, query: str, variant: str, k: int) -> list[Hit]:
        """The k best by one encoder's vectors."""
        return self._retriever(variant).search([_whole(query)], k)[0]

    def _retriever(self, variant: str) -> Retriever:
        with self._lock:
            if variant not in self._dense:
                self._dense[variant] = Retriever(
                    self._given.store,
                    "dense",
                    variant=variant,
                    device=self._device,
                    encode=self._encode,
                )
            return self._dense[variant]

    def results(self, query: str, rankings: Mapping[str, Any], k: int) -> list[Result]:
        """The k best of one ranking, or of several fused as `searchkit search` fuses them."""
        lists: dict[str, list[Hit]] = dict(rankings)
        hits = next(iter(lists.values()))[:k]
        if len(lists) > 1:
            hits = catalog.load(FUSIONS, FUSION).fuse(list(lists.values()), k)
        said: dict[str, list[tuple[str, int, float]]] = {hit.doc_id: [] for hit in hits}
        for name, ranking in lists.items():
            for hit in ranking:
                if hit.doc_id in said:
                    said[hit.doc_id].append((name, hit.rank, hit.score))
        terms = self._terms(query)
        return [self._result(hit, terms, said[hit.doc_id]) for hit in hits]

    def text(self, doc_id: str) -> str:
        """The text of a document, which is the passage, too."""
        return self._given.document(doc_id).text

    def passages(self, query: str, doc_id: str) -> list[Result]:
        """None: a document is whole."""
        return []

    def marks(self, query: str, text: str) -> list[Span]:
        """The words of a text that a query asks for."""
        return _marks(self._given.analyse(text), self._terms(query))

    def need(self, query: str) -> str:
        """The query: it knows no filters."""
        return query

    def complaint(self, query: str) -> str:
        """Nothing: whatever is typed is words."""
        return ""

    def state(self) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def filters(self) -> list[Filter]:
        """None."""
        return []

    def version(self, variant: str) -> str:
        """The beginning of the encoder's fingerprint."""
        return str(self._facts[variant]["fingerprint"])[:12]

    def _result(self, hit: Hit, terms: set[str], said: list[tuple[str, int, float]]) -> Result:
        document = self._given.document(hit.doc_id)
        return Result(
            key=hit.doc_id,
            rank=hit.rank,
            score=hit.score,
            doc_id=hit.doc_id,
            title=document.title,
            place=hit.doc_id,
            text=document.text,
            marks=tuple(_marks(self._glance(hit.doc_id), terms)),
            lists=tuple(said),
        )

    def _terms(self, query: str) -> set[str]:
        return {term for term, _, _ in self._given.analyse(_whole(query))}

    def _analyse(self, doc_id: str) -> list[tuple[str, int, int]]:
        """The terms at the beginning of a document."""
        return self._given.analyse(self._given.document(doc_id).text[:_GLANCE])


def _marks(analysed: Iterable[tuple[str, int, int]], terms: set[str]) -> list[Span]:
    return [(start, end) for term, start, end in analysed if term in terms]


def _whole(query: str) -> str:
    """A query without halves of surrogate pairs, which a terminal can bring and no index reads."""
    return query.encode("utf-8", "replace").decode()
