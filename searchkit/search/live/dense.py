"""The vectors of a folder index, searched: who may be found, and whose chunks are nearest."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from searchkit.errors import UnknownName
from searchkit.index.live.catalogue import DocumentRecord, Places
from searchkit.index.live.generation import Generation, encoded_part
from searchkit.index.live.query import NONE, Filters, Match, Query
from searchkit.index.vector import Vectors
from searchkit.search.contents import EXACT
from searchkit.search.live.nearest import Encoded, Mask, Nearest, Row

_REMEMBERED = 16  # sets of filters whose documents are known, and of words whose chunks are

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Dense:
    """The vectors of a generation, and what was found out about who may be found."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self._allowed: OrderedDict[tuple[Filters, ...], npt.NDArray[np.int64]] = OrderedDict()
        self._held: OrderedDict[tuple[Match, ...], npt.NDArray[np.int64] | None] = OrderedDict()

    def nearest(
        self,
        asked: Query,
        vector: Vectors,
        encoded: Sequence[Encoded],
        k: int,
        *,
        per_document: bool,
        filters: Filters,
    ) -> list[tuple[int, float]]:
        """The k documents, or chunks, that are nearest to a vector.

        Words that must be there, or must not, by the query have to be so for these as well.

        Args:
            asked: the query.
            vector: (D,), float32, of unit length: of the query's text.
            encoded: the segments to search; see `encoded`.
            k: how many.
            per_document: the best chunk of each document, or all.
            filters: hold besides those of the query.

        Returns:
            Their chunks, the best of each document or all, by id and score.
        """
        wanted = self._wanted(asked, [one.segment for one in encoded], filters)
        search = Nearest(encoded, vector, self._rows_with(wanted))
        best: dict[int, tuple[int, float]] = {}  # by document, or by chunk
        count = 2 * k if per_document else k
        while True:
            rows = search.best(count)
            for chunk_id, score, document in self._chunks_of_rows(rows, wanted):
                best.setdefault(document if per_document else chunk_id, (chunk_id, score))
            if len(best) >= k or len(rows) < count:
                return sorted(best.values(), key=lambda hit: (-hit[1], hit[0]))[:k]
            # A long document may fill whole lists, and none of its chunks can matter any more.
            for segment, chunks in wanted.items():
                chunks &= ~np.isin(self._places(segment).documents, list(best))
            search.narrow(self._rows_with(wanted))
            count *= 2

    def vector_index(self, name: str, kind: str | None) -> str:
        """The vector index to search; by default the one that covers most.

        Raises:
            UnknownName: the one asked for was not built for this encoder.
        """
        generation = self.generation
        built = generation.kinds(name)
        if kind not in (None, EXACT, *built):
            raise UnknownName(
                f"{generation.store.path} has no vector index {kind!r} over {name}; there are: "
                f"{', '.join([EXACT, *built])}; build one with: searchkit index ... --vector-index"
            )
        return kind or max(built, key=lambda one: self._rows_under(one, name), default=EXACT)

    def encoded(self, name: str, kind: str) -> list[Encoded]:
        """The segments that an encoder has encoded, each with its vector index if it has one.

        Args:
            name: of the encoder.
            kind: a vector index; "flat" for none.
        """
        generation, found = self.generation, []
        for segment in generation.encoders()[name].segments:
            vectors = generation.vectors(name, segment)
            assert vectors is not None  # `segments` are those that have some
            index = None if kind == EXACT else generation.vector_index(kind, name, segment)
            found.append(Encoded(segment, vectors, index))
        return found

    def _wanted(
        self, asked: Query, segments: Iterable[int], filters: Filters
    ) -> dict[int, npt.NDArray[np.bool_]]:
        """Which of the `places` of each segment may be found."""
        given = tuple(one for one in (asked.filters, filters) if one != NONE)
        allowed = self._documents(given) if given else None
        must = [self._holding((one.match,)) for one in asked.clauses if one.occur == "must"]
        never = self._holding(tuple(one.match for one in asked.clauses if one.occur == "not"))
        wanted = {}
        for segment in segments:
            places = self._places(segment)
            mask = np.ones(len(places.rows), np.bool_)
            if allowed is not None:
                mask &= np.isin(places.documents, allowed)
            for holding in must:
                if holding is not None:
                    mask &= np.isin(places.chunk_ids, holding)
            if never is not None:
                mask &= ~np.isin(places.chunk_ids, never)
            wanted[segment] = mask
        return wanted

    def _places(self, segment: int) -> Places:
        return self.generation.catalogue.places(segment)

    def _rows_with(self, wanted: Mapping[int, npt.NDArray[np.bool_]]) -> dict[int, Mask]:
        """The rows of each segment that a wanted chunk points to."""
        masks = {}
        for segment, chunks in wanted.items():
            masks[segment] = np.zeros(self.generation.segments[segment], np.bool_)
            masks[segment][self._places(segment).rows[chunks]] = True
        return masks

    def _chunks_of_rows(
        self, rows: Iterable[Row], wanted: Mapping[int, npt.NDArray[np.bool_]]
    ) -> list[tuple[int, float, int]]:
        """The wanted chunks of rows, best first: id, score, and the document's number."""
        scores: dict[int, dict[int, float]] = {}
        for row in rows:
            scores.setdefault(row.segment, {})[row.row] = row.score
        found: list[tuple[int, float, int]] = []
        for segment, of in scores.items():
            places = self._places(segment)
            chosen = np.flatnonzero(wanted[segment] & np.isin(places.rows, list(of)))
            columns = (places.chunk_ids, places.rows, places.documents)
            ids, here, documents = (column[chosen].tolist() for column in columns)
            found += zip(ids, (of[row] for row in here), documents, strict=True)
        return sorted(found, key=lambda one: (-one[1], one[0]))

    def _holding(self, matches: tuple[Match, ...]) -> npt.NDArray[np.int64] | None:
        """The chunks that hold one of some words; None if there are none to look for."""
        if not matches:
            return None

        def find() -> npt.NDArray[np.int64] | None:
            found = self.generation.words.holding(matches)
            return None if found is None else np.array(found, np.int64)

        return _remembered(self._held, matches, find)

    def _documents(self, given: tuple[Filters, ...]) -> npt.NDArray[np.int64]:
        """The numbers of the documents that pass all of some filters."""

        def passes(document: DocumentRecord) -> bool:
            return all(_accepts(one, document) for one in given)

        def find() -> npt.NDArray[np.int64]:
            return np.array(self.generation.catalogue.matching(passes), np.int64)

        return _remembered(self._allowed, given, find)

    def _rows_under(self, kind: str, name: str) -> int:
        """How many rows the vector indexes of a kind cover."""
        there = set(self.generation.store.names())
        sizes = self.generation.segments.items()
        return sum(size for number, size in sizes if encoded_part(kind, name, number) in there)


def _remembered(
    known: "OrderedDict[Asked, Answer]", asked: Asked, find: Callable[[], Answer]
) -> Answer:
    """An answer that is found once while it is among the last ones; threads may share them."""
    try:
        answer = known[asked]
    except KeyError:
        answer = known[asked] = find()
        if len(known) > _REMEMBERED:
            known.popitem(last=False)
    return answer


def _accepts(filters: Filters, document: DocumentRecord) -> bool:
    return filters.accept(
        path=document.relative,
        format=document.format,
        language=document.language,
        modified_s=document.modified,
    )
