"""Lists of one generation of a folder index: what words find, what vectors find, and both fused.

A list is filtered before it is cut, dead rows are in none, and its entries are chunks: the best one
of each document, or all.
"""

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit import catalog
from searchkit.errors import BadInput
from searchkit.index.live.catalogue import ChunkRecord, DocumentRecord
from searchkit.index.live.generation import Generation
from searchkit.index.live.query import Clause, Filters, Query
from searchkit.records import Hit
from searchkit.search import contents
from searchkit.search.live import passages
from searchkit.search.live.passages import Listed, Passage
from searchkit.search.modes import FUSIONS

if TYPE_CHECKING:
    from searchkit.index.vector import Vectors
    from searchkit.search.live.dense import Dense
    from searchkit.search.live.nearest import Encoded

WORDS = "bm25"  # what the list of what words find is called
EXACT = contents.EXACT

PASSAGES = 200  # the most that are listed of one document: as many as a person looks through

_LONG = 50  # chunks in one list, from which a document is passed over in the next, longer one


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk in a list; `score` is the list's own."""

    chunk: ChunkRecord
    score: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one way of searching found for one query.

    Attributes:
        name: "bm25", or the name of an encoder.
        found: best first, equal scores in the order of the chunks' ids.
        asked: the query as it was read.
        per_document: whether only the best chunk of each document is listed.
        lists: of the generation that was searched.
    """

    name: str
    found: tuple[Found, ...]
    asked: Query
    per_document: bool
    lists: "Lists" = field(repr=False, compare=False)

    def hits(self) -> list[Hit]:
        """The ranking as a fusion reads it, of documents, or else of chunks by their numbers."""
        return [
            Hit(self._key(one.chunk), one.score, rank)
            for rank, one in enumerate(self.found, start=1)
        ]

    def _key(self, chunk: ChunkRecord) -> str:
        return chunk.doc_id if self.per_document else f"{chunk.chunk_id:020}"


@dataclass(frozen=True, slots=True)
class Place:
    """One place of rankings fused: the chunk to show, and who listed what is ranked there."""

    score: float
    found: Found
    ranking: Ranking
    lists: tuple[Listed, ...]


class Lists:
    """The lists of a generation."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation

    def words(self, asked: Query, k: int, *, per_document: bool, filters: Filters) -> Ranking:
        """The k best documents, or chunks, by BM25."""
        catalogue, words = self.generation.catalogue, self.generation.words
        if not per_document:
            return self._ranking(WORDS, words.search(asked, k, filters=filters), asked, False)
        most = min(k, catalogue.number_of_documents())
        best: dict[int, tuple[int, float]] = {}  # by document
        passed: list[range] = []
        count = 2 * k
        while True:
            hits = words.search(asked, count, filters=filters, without=passed)
            owners = catalogue.documents_of_chunks([chunk_id for chunk_id, _ in hits])
            for hit in hits:
                best.setdefault(owners[hit[0]], hit)
            if len(best) >= most or len(hits) < count:
                return self._ranking(WORDS, list(best.values())[:k], asked, True)
            # A long document may fill whole lists, and none of its chunks can matter any more.
            held = Counter(owners.values())
            long = [document for document, chunks in held.items() if chunks >= _LONG]
            passed += catalogue.chunk_ids(long)
            count *= 4

    def passages(self, asked: Query, doc_id: str) -> tuple[Ranking, bool]:
        """The passages of a document with words of a query, in the order of its text.

        Returns:
            The best `PASSAGES` of them by BM25, and whether there are more.

        Raises:
            UnknownName: the index has no document of that id.
        """
        catalogue = self.generation.catalogue
        within = catalogue.chunk_ids_of_document(doc_id)
        wanted = tuple(Clause(one.match) for one in asked.clauses if one.occur != "not")
        hits = self.generation.words.search(Query(asked.text, wanted), PASSAGES + 1, within=within)
        found = tuple(
            Found(chunk, 0.0)
            for chunk in catalogue.chunks(chunk_id for chunk_id, _ in sorted(hits[:PASSAGES]))
            # The words may stand in its headings alone, as those of a title do in all of them.
            if passages.matches_of(asked, self.generation.row(chunk).text)
        )
        return Ranking(WORDS, found, asked, per_document=False, lists=self), len(hits) > PASSAGES

    def nearest(
        self,
        name: str,
        asked: Query,
        vector: "Vectors",
        encoded: "Sequence[Encoded]",
        k: int,
        *,
        per_document: bool,
        filters: Filters,
    ) -> Ranking:
        """The k documents, or chunks, that are nearest to a vector; see `Dense.nearest`."""
        found = self.dense.nearest(
            asked, vector, encoded, k, per_document=per_document, filters=filters
        )
        return self._ranking(name, found, asked, per_document)

    @cached_property
    def dense(self) -> "Dense":
        """The vectors of the generation."""
        from searchkit.search.live.dense import Dense  # NumPy loads here

        return Dense(self.generation)

    def _ranking(
        self, name: str, best: Sequence[tuple[int, float]], asked: Query, per_document: bool
    ) -> Ranking:
        """A ranking of chunks by id that can be shown whatever is committed from here on."""
        chunks = self.generation.catalogue.chunks(chunk_id for chunk_id, _ in best)
        for segment in {chunk.segment for chunk in chunks}:
            self.generation.segment(segment)
        found = (Found(chunk, score) for chunk, (_, score) in zip(chunks, best, strict=True))
        return Ranking(name, tuple(found), asked, per_document, self)


def merged(
    rankings: Sequence[Ranking],
    k: int,
    fusion: str = "rrf",
    weights: Mapping[str, float] | None = None,
) -> list[Place]:
    """The k best of rankings of one query.

    Documents are fused where the rankings are of documents, and then the chunk shown is that of the
    ranking which gave most, the first of those that gave the same.

    Args:
        rankings: at least one; all of documents or all of chunks. One alone keeps its scores.
        k: how many.
        fusion: a choice of rank/fusion.
        weights: of each ranking by its name, for a fusion that weighs; 1 for one that is not there.

    Raises:
        UnknownName: there is no such fusion.
        BadInput: it has no weights, and some are given.
    """
    if len(rankings) == 1:
        (only,) = rankings
        return [
            Place(one.score, one, only, (Listed(only.name, rank, one.score, one.score),))
            for rank, one in enumerate(only.found[:k], start=1)
        ]
    fuse = catalog.load(FUSIONS, fusion).fuse
    if weights is not None and "weights" not in inspect.signature(fuse).parameters:
        raise BadInput(f"{fusion} knows no weights; choose --fusion weighted, or leave them out")

    def fused(these: Sequence[Ranking], depth: int) -> list[Hit]:
        options = {"weights": [weights.get(one.name, 1.0) for one in these]} if weights else {}
        hits: list[Hit] = fuse([one.hits() for one in these], depth, **options)
        return hits

    listed: dict[str, list[tuple[Listed, Found, Ranking]]] = {}
    for ranking in rankings:
        # A fusion adds up what each list gives, and that is what the list gives alone.
        shares = {hit.doc_id: hit.score for hit in fused([ranking], len(ranking.found))}
        for hit, one in zip(ranking.hits(), ranking.found, strict=True):
            entry = Listed(ranking.name, hit.rank, hit.score, shares[hit.doc_id])
            listed.setdefault(hit.doc_id, []).append((entry, one, ranking))
    places = []
    for hit in fused(rankings, k):
        entries = sorted(listed[hit.doc_id], key=lambda entry: -entry[0].share)
        _, found, ranking = entries[0]
        places.append(Place(hit.score, found, ranking, tuple(entry for entry, _, _ in entries)))
    return places


def shown(places: Sequence[Place]) -> list[Passage]:
    """What is shown at each place, from the first on."""
    documents = {
        (id(lists), doc_id): document
        for lists in {place.ranking.lists for place in places}
        for doc_id, document in lists.generation.catalogue.documents(
            place.found.chunk.doc_id for place in places if place.ranking.lists is lists
        ).items()
    }
    return [
        _passage(rank, place, documents[id(place.ranking.lists), place.found.chunk.doc_id])
        for rank, place in enumerate(places, start=1)
    ]


def _passage(rank: int, place: Place, document: DocumentRecord) -> Passage:
    chunk, ranking = place.found.chunk, place.ranking
    text = ranking.lists.generation.row(chunk).text
    matches = passages.matches_of(ranking.asked, text)
    return Passage(
        rank=rank,
        score=place.score,
        doc_id=chunk.doc_id,
        path=Path(document.path),
        format=document.format,
        title=document.title,
        language=document.language,
        modified=document.modified,
        headings=chunk.headings,
        text=text,
        page=chunk.page,
        first_line=chunk.first_line,
        last_line=chunk.last_line,
        start=chunk.start,
        end=chunk.end,
        chunk_id=chunk.chunk_id,
        best=passages.best_stretch(text, matches),
        marks=passages.marks_of(matches),
        lists=place.lists,
    )
