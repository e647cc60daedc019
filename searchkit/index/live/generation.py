"""One generation of a folder index: all its parts as one commit left them, open for reading.

What a generation has opened it keeps, whatever writers do meanwhile; what it has not opened yet may
have been replaced, and then says `Rebuilt`; `open_newest` tries again. Of the generation before it,
it takes over what is open and did not change: a commit of one file leaves most of an index alone.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from searchkit import catalog
from searchkit.errors import BadInput, SearchkitError
from searchkit.index.live.catalogue import Catalogue, ChunkRecord
from searchkit.index.live.segments import Row, Segment
from searchkit.index.mapped import map_array
from searchkit.index.store import Rebuilt, Store, part_of

if TYPE_CHECKING:
    from searchkit.index.live.words import WordIndex
    from searchkit.index.vector import VectorIndex, Vectors

KIND = "folder"
CATALOGUE, WORDS = "catalogue", "words"
VECTOR_INDEXES = "searchkit.index.vector"

_TRIES = 20  # commits that may fall into one opening

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of an index one encoder has encoded.

    Attributes:
        facts: what is known of the encoder; `truncated` counts the texts that it cut.
        segments: those that it has encoded.
        rows: how many those hold, `of` all rows there are, dead ones included.
    """

    facts: Mapping[str, Any]
    segments: tuple[int, ...]
    rows: int
    of: int

    @property
    def whole(self) -> bool:
        """Whether nothing is left to encode."""
        return self.rows == self.of


class Generation:
    """The parts of a folder index as one manifest lists them; each is checked when it is opened.

    Args:
        store: open, and of a folder index.
        before: another generation of the same index, which stays open.

    Raises:
        BadInput: the store holds a corpus.
        CorruptFile: the catalogue is damaged.
        Rebuilt: the catalogue was replaced since the store was opened.
    """

    def __init__(self, store: Store, before: "Generation | None" = None) -> None:
        if store.corpus.get("kind") != KIND or CATALOGUE not in store.names():
            raise BadInput(
                f"{store.path} is not the index of a folder; make one with: searchkit index FOLDER"
            )
        self.store = store
        self._kept: dict[Path, Any] = {}  # by folder, which is named after what is in it
        if before is not None:
            store.trust(before.store)
            there = {store.folder(part) for part in store.names()}
            kept = before._kept.copy()  # threads that search it may add to it
            self._kept = {folder: of for folder, of in kept.items() if folder in there}
        self.catalogue = self._open(CATALOGUE, Catalogue.open)

    @classmethod
    def open(cls, path: Path) -> "Generation":
        """The newest generation of the index in a directory; see also `open_newest`.

        Raises:
            UnknownName: there is no such directory.
        """
        return open_newest(path, lambda generation: generation)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What was noted in the catalogue for the whole index."""
        return self.catalogue.settings

    @cached_property
    def segments(self) -> Mapping[int, int]:
        """How many rows each segment has, by its number, ascending."""
        parts = (self.store.facts(name) for name in self.store.names() if name.startswith("texts."))
        return dict(sorted((int(facts["segment"]), int(facts["rows"])) for facts in parts))

    def segment(self, number: int) -> Segment:
        """The texts of a segment."""
        return self._keep(texts_part(number), Segment.open)

    def row(self, chunk: ChunkRecord) -> Row:
        """The context and the text of a chunk."""
        return self.segment(chunk.segment).row(chunk.row)

    def encoders(self) -> dict[str, Coverage]:
        """The encoders of this index, by name, and how far each has come."""
        facts: dict[str, dict[str, Any]] = {}
        held: dict[str, list[int]] = {}
        for part in self.store.names():  # that of an encoder comes before its vectors
            if not part.startswith(("encoder.", "vectors.")):
                continue
            known = dict(self.store.facts(part))
            cut = facts.get(known["name"], {}).get("truncated", 0)
            facts[known["name"]] = {**known, "truncated": cut + known.get("truncated", 0)}
            if "segment" in known:
                held.setdefault(known["name"], []).append(known["segment"])
        sizes, of = self.segments, sum(self.segments.values())
        found = {}
        for name in sorted(facts):
            numbers = tuple(sorted(held.get(name, ())))
            rows = sum(sizes[number] for number in numbers)
            found[name] = Coverage(facts[name], numbers, rows, of)
        return found

    def vectors(self, name: str, segment: int) -> "Vectors | None":
        """The vectors of a segment's rows by an encoder, (N, D) float32; None where it has none."""
        part = encoded_part("vectors", name, segment)
        if part not in self.store.names():
            return None
        return self._keep(part, lambda folder: map_array(folder / "vectors.npy"))

    def kinds(self, name: str) -> list[str]:
        """The vector indexes that were built over the vectors of an encoder, `flat` left out."""
        parts = (self.store.facts(part) for part in self.store.names())
        return sorted({facts["kind"] for facts in parts if facts.get("of") == name})

    def vector_index(self, kind: str, name: str, segment: int) -> "VectorIndex | None":
        """The vector index of a kind over a segment; None where it has none: it is small."""
        part = encoded_part(kind, name, segment)
        vectors = self.vectors(name, segment)
        if part not in self.store.names() or vectors is None:
            return None
        open_saved: Callable[[Path, Vectors], VectorIndex]
        open_saved = catalog.load(VECTOR_INDEXES, kind).open_saved
        return self._keep(part, lambda folder: open_saved(folder, vectors))

    @property
    def words(self) -> "WordIndex":
        """BM25 over the chunks."""
        from searchkit.index.live.words import WordIndex  # tantivy loads here

        return self._keep(WORDS, WordIndex.open)

    def hold(self) -> None:
        """Open every part now: what writers do later takes nothing away from this generation.

        Raises:
            Rebuilt: a part was replaced already.
            CorruptFile: a file is damaged.
        """
        assert self.words is not None
        encoders = self.encoders()
        for number in self.segments:
            self.segment(number)
            for name in encoders:
                self.vectors(name, number)
                for kind in self.kinds(name):
                    self.vector_index(kind, name, number)

    def is_newest(self) -> bool:
        """Whether nothing was committed since."""
        return self.store.is_newest()

    def close(self) -> None:
        """Let go of the catalogue; what is mapped goes with its last user."""
        self.catalogue.close()

    def _keep(self, part: str, open_: Callable[[Path], Result]) -> Result:
        """A part, opened once."""
        folder = self.store.folder(part)
        if folder not in self._kept:
            self._kept[folder] = self._open(part, open_)
        kept: Result = self._kept[folder]
        return kept

    def _open(self, part: str, open_: Callable[[Path], Result]) -> Result:
        """Open a part; one that goes away after it was checked says so in many ways."""
        folder = self.store.part(part)
        try:
            return open_(folder)
        except (OSError, ValueError, sqlite3.Error, SearchkitError) as error:
            if self.store.is_newest():
                raise
            raise Rebuilt(
                f"{self.store.path} was rebuilt while it was open; open it again"
            ) from error


def texts_part(segment: int) -> str:
    """The part with the texts of a segment."""
    return f"texts.{segment}"


def encoded_part(kind: str, name: str, segment: int) -> str:
    """The part with an encoder's vectors of a segment, or with a vector index over them."""
    return f"{part_of(kind, name)}.{segment}"


def open_newest(
    path: Path, open_: Callable[[Generation], Result], before: Generation | None = None
) -> Result:
    """Open something of the newest generation, again if a commit falls into it.

    Args:
        path: the directory of a folder index.
        open_: given a generation of it; what it returns is returned.
        before: an earlier generation of it, some of which may still hold.

    Raises:
        CorruptFile: a file is damaged.
    """
    for attempt in range(_TRIES):
        try:
            before = Generation(Store.open(path), before)  # what it checked, the next need not
            return open_(before)
        except Rebuilt:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")
