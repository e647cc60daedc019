"""Lists of one generation of a folder index: what words find, what vectors find, and both fused.

A list is filtered before it is cut, dead rows are in none, and its entries are chunks: the best one
of each document, or all.
"""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from searchkit import catalog
from searchkit.errors import BadInput, UnknownName
from searchkit.index.live.catalogue import ChunkRecord, DocumentRecord
from searchkit.index.live.generation import Generation, encoded_part
from searchkit.index.live.query import NONE, Clause, Filters, Query
from searchkit.index.vector import Vectors
from searchkit.records import Hit
from searchkit.search import build
from searchkit.search.live import passages
from searchkit.search.live.nearest import Encoded, Mask, Nearest
from searchkit.search.live.passages import Listed, Passage
from searchkit.search.retrieve import FUSIONS

WORDS = "bm25"  # what the list of what words find is called
EXACT = build.EXACT

_REMEMBERED = 16  # sets of filters whose documents are known
# The rows of so many chunks are looked up, so that only they are scanned; of more, most are found.
_FEW_CHUNKS = 5000


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
    """A generation that is searched, and what was found out about it."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self._allowed: OrderedDict[tuple[Filters, ...], _Allowed] = OrderedDict()
        self._alive: dict[int, Mask] = {}

    def words(self, asked: Query, k: int, *, per_document: bool, filters: Filters) -> Ranking:
        """The k best documents, or chunks, by BM25."""
        catalogue, words = self.generation.catalogue, self.generation.words
        records: dict[int, ChunkRecord] = {}
        count = 2 * k if per_document else k
        while True:
            hits = words.search(asked, count, filters=filters)
            new = [chunk_id for chunk_id, _ in hits if chunk_id not in records]
            records |= zip(new, catalogue.chunks(new), strict=True)
            found = [Found(records[chunk_id], score) for chunk_id, score in hits]
            found = _best_of_documents(found) if per_document else found
            if len(found) >= k or len(hits) < count:
                return self._ranking(WORDS, found[:k], asked, per_document)
            count *= 4

    def nearest(
        self,
        name: str,
        asked: Query,
        vector: Vectors,
        encoded: Sequence[Encoded],
        k: int,
        *,
        per_document: bool,
        filters: Filters,
    ) -> Ranking:
        """The k documents, or chunks, that are nearest to a vector.

        Words that must be there, or must not, by the query have to be so for these as well.

        Args:
            name: of the encoder.
            asked: the query.
            vector: (D,), float32, of unit length: of the query's text.
            encoded: the segments to search; see `encoded`.
            k: how many.
            per_document: the best chunk of each document, or all.
            filters: hold besides those of the query.
        """
        wanted, accepts = self._wanted(asked, encoded, filters)
        search = Nearest(encoded, vector, wanted)
        known: dict[tuple[int, int], list[ChunkRecord]] = {}
        count = 2 * k if per_document else k
        while True:
            rows = search.best(count)
            new = [key for row in rows if (key := (row.segment, row.row)) not in known]
            known |= self._chunks_of_rows(new)
            found = [
                Found(chunk, row.score)
                for row in rows
                for chunk in known[row.segment, row.row]
                if accepts(chunk)
            ]
            found.sort(key=lambda one: (-one.score, one.chunk.chunk_id))
            found = _best_of_documents(found) if per_document else found
            if len(found) >= k or len(rows) < count:
                return self._ranking(name, found[:k], asked, per_document)
            count *= 2

    def encoded(self, name: str, kind: str | None) -> list[Encoded]:
        """The segments that an encoder has encoded, each with its vector index if it has one.

        Args:
            name: of the encoder.
            kind: a vector index; "flat" for none; None for the one that covers most.

        Raises:
            UnknownName: that vector index was not built for it.
        """
        generation = self.generation
        built = generation.kinds(name)
        if kind not in (None, EXACT, *built):
            raise UnknownName(
                f"{generation.store.path} has no vector index {kind!r} over {name}; there are: "
                f"{', '.join([EXACT, *built])}; build one with: searchkit index ... --vector-index"
            )
        if kind is None:
            kind = max(built, key=lambda one: self._rows_under(one, name), default=EXACT)
        current = build.encoders(generation.store)[name]["fingerprint"]
        found = []
        for segment in generation.encoders()[name].segments:
            facts = generation.store.facts(encoded_part("vectors", name, segment))
            vectors = generation.vectors(name, segment)
            if vectors is None or facts["fingerprint"] != current:  # an older design of that name
                continue
            index = None if kind == EXACT else generation.vector_index(kind, name, segment)
            found.append(Encoded(segment, vectors, index))
        return found

    def _ranking(
        self, name: str, found: Sequence[Found], asked: Query, per_document: bool
    ) -> Ranking:
        """A ranking that can be shown whatever is committed from here on."""
        for segment in {one.chunk.segment for one in found}:
            self.generation.segment(segment)
        return Ranking(name, tuple(found), asked, per_document, self)

    def _wanted(
        self, asked: Query, encoded: Sequence[Encoded], filters: Filters
    ) -> tuple[dict[int, Mask], Callable[[ChunkRecord], bool]]:
        """The rows among which to look for neighbours, and whether a chunk of them is wanted."""
        catalogue = self.generation.catalogue
        given = tuple(one for one in (asked.filters, filters) if one != NONE)
        allowed = self._documents(given) if given else None
        masks = {one.segment: self._mask(one.segment, allowed) for one in encoded}
        required, banned = self._by_words(asked)
        if required is not None and len(required) <= _FEW_CHUNKS:
            rows: dict[int, list[int]] = {}
            for chunk in catalogue.chunks(required):
                rows.setdefault(chunk.segment, []).append(chunk.row)
            for segment, mask in masks.items():
                named = np.zeros(len(mask), np.bool_)
                named[rows.get(segment, [])] = True
                masks[segment] = mask & named

        def accepts(chunk: ChunkRecord) -> bool:  # others may share its row
            return (
                (allowed is None or chunk.doc_id in allowed.doc_ids)
                and (required is None or chunk.chunk_id in required)
                and chunk.chunk_id not in banned
            )

        return masks, accepts

    def _mask(self, segment: int, allowed: "_Allowed | None") -> Mask:
        """The rows of a segment that are chunks of the documents allowed, None for all."""
        catalogue, size = self.generation.catalogue, self.generation.segments[segment]
        if allowed is not None:
            return catalogue.alive(segment, size, allowed.numbers)
        if segment not in self._alive:
            self._alive[segment] = catalogue.alive(segment, size)
        return self._alive[segment]

    def _by_words(self, asked: Query) -> tuple[frozenset[int] | None, frozenset[int]]:
        """The only chunks that have what must be there, None for all; and those to leave out.

        The latter are empty where the former are given: these are free of them.
        """
        must = tuple(clause for clause in asked.clauses if clause.occur == "must")
        never = tuple(clause for clause in asked.clauses if clause.occur == "not")
        if must:
            return self._holding(*must, *never), frozenset()
        held = (self._holding(Clause(clause.match, "must")) for clause in never)
        return None, frozenset().union(*held)

    def _holding(self, *clauses: Clause) -> frozenset[int]:
        """The chunks that meet all of some clauses."""
        words = self.generation.words
        hits = words.search(Query("", clauses), max(1, len(words)))
        return frozenset(chunk_id for chunk_id, _ in hits)

    def _documents(self, given: tuple[Filters, ...]) -> "_Allowed":
        """The documents that pass all of some filters."""
        if known := self._allowed.get(given):
            return known
        doc_ids: set[str] = set()

        def passes(document: DocumentRecord) -> bool:
            if passed := all(_accepts(one, document) for one in given):
                doc_ids.add(document.doc_id)
            return passed

        found = _Allowed(self.generation.catalogue.matching(passes), frozenset(doc_ids))
        self._allowed[given] = found
        if len(self._allowed) > _REMEMBERED:
            self._allowed.popitem(last=False)
        return found

    def _chunks_of_rows(
        self, keys: Iterable[tuple[int, int]]
    ) -> dict[tuple[int, int], list[ChunkRecord]]:
        """The chunks of each (segment, row)."""
        rows: dict[int, list[int]] = {}
        for segment, row in keys:
            rows.setdefault(segment, []).append(row)
        catalogue = self.generation.catalogue
        ids = {
            (segment, row): chunk_ids
            for segment, some in rows.items()
            for row, chunk_ids in catalogue.chunks_of_rows(segment, some).items()
        }
        every = [chunk_id for chunk_ids in ids.values() for chunk_id in chunk_ids]
        records = dict(zip(every, catalogue.chunks(every), strict=True))
        return {key: [records[chunk_id] for chunk_id in of] for key, of in ids.items()}

    def _rows_under(self, kind: str, name: str) -> int:
        """How many rows the vector indexes of a kind cover."""
        there = set(self.generation.store.names())
        sizes = self.generation.segments.items()
        return sum(size for number, size in sizes if encoded_part(kind, name, number) in there)


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What filters leave: documents by their numbers in the catalogue, and by their ids."""

    numbers: npt.NDArray[np.int64]
    doc_ids: frozenset[str]


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


def _best_of_documents(found: Iterable[Found]) -> list[Found]:
    """The first chunk of each document."""
    best: dict[str, Found] = {}
    for one in found:
        best.setdefault(one.chunk.doc_id, one)
    return list(best.values())


def _accepts(filters: Filters, document: DocumentRecord) -> bool:
    return filters.accept(
        path=document.relative,
        format=document.format,
        language=document.language,
        modified_s=document.modified,
    )
