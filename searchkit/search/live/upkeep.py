"""Looking after an index: is it whole, what can be mended, what can be made smaller."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from searchkit.errors import BadInput, SearchkitError, UnknownName
from searchkit.index.live import catalogue as catalogues
from searchkit.index.live import words
from searchkit.index.live.catalogue import Catalogue, Root
from searchkit.index.live.generation import (
    CATALOGUE,
    KIND,
    WORDS,
    Generation,
    texts_part,
)
from searchkit.index.live.query import Filters, Query
from searchkit.index.live.segments import Segment, key_of
from searchkit.index.mapped import map_array
from searchkit.index.store import Draft, Store
from searchkit.search.live import compaction
from searchkit.search.live.batch import add_words, segment_numbers, summary

_TRIES = 5  # commits that may fall into one check
_UNIT = 1e-3  # how far from 1 the length of a vector may be
_ROWS_AT_ONCE = 4096
_LOST = "its text in the index was damaged, and it was not read again yet"
_EVERYTHING = Filters(not_format=("\0",))  # a filter that nothing is left out by


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a part of an index, or what `repair` did with it."""

    part: str
    what: str


def verify(path: Path) -> list[Finding]:
    """Everything that is wrong with an index; nothing if it is whole.

    Every file is compared with its hash, and what the parts say with each other. What a part says
    is looked at only if its files are whole.

    Raises:
        UnknownName: there is no index.
        BadInput: it is not the index of a folder.
        CorruptFile: its manifest is damaged.
        SearchkitError: it was rebuilt again and again while it was looked at.
    """
    for _ in range(_TRIES):
        store = Store.open(path)
        _refuse_others(store)
        try:
            faults = list(_faults(store))
        except (OSError, ValueError, sqlite3.Error, SearchkitError):  # as of files that went away
            if store.is_newest():
                raise
            continue
        if not faults or store.is_newest():
            return faults
    raise SearchkitError(f"{path} was rebuilt {_TRIES} times during one check; try again")


def repair(path: Path) -> list[Finding]:
    """Mend what can be mended; the next `sync` does the rest.

    Words are built anew from catalogue and texts. Vectors that are damaged are dropped, and will be
    encoded again. Files whose texts are damaged leave the index until they are read again. Without
    its catalogue an index forgets its files, but not its texts and vectors, so that reading them
    again encodes nothing.

    Raises:
        UnknownName: there is no index.
        BadInput: it is not the index of a folder.
        CorruptFile: its manifest is damaged: nothing can be believed any more.
        SearchkitError: another process is writing the index.
    """
    store = Store.open(path)
    _refuse_others(store)
    with store.writing() as draft:
        return _Repair(store, draft, {fault.part for fault in _faults(store)}).run()


def compact(path: Path) -> dict[str, int]:
    """Merge the segments of an index, and drop what nothing points to; nothing is encoded.

    Returns:
        The bytes of the index before and after, by those words.

    Raises:
        UnknownName: there is no index.
        BadInput: it is not the index of a folder.
        CorruptFile: a part is damaged.
        SearchkitError: another process is writing the index.
    """
    store = Store.open(path)
    _refuse_others(store)
    with store.writing() as draft:
        before = _bytes(store)
        generation = Generation(store)
        rows = compaction.rows_of(generation)
        groups = [
            group
            for group in compaction.together(generation, rows)
            if len(group) > 1 or any(rows[number].live < rows[number].all for number in group)
        ]
        compaction.merge(store, draft, groups)
        generation = Generation(store)
        with Catalogue.copy(store.part(CATALOGUE), draft.add(CATALOGUE)) as copy:
            facts = summary(copy)
            copy.save(pack=True)
        draft.describe(CATALOGUE, facts)
        if generation.words.removed:
            _build_words(generation.catalogue, generation, draft)
        draft.commit()
        return {"before": before, "after": _bytes(store)}


def forget_encoder(path: Path, name: str) -> None:
    """Drop the vectors of an encoder; what is added from now on is not encoded by it.

    Raises:
        UnknownName: there is no index, or no such encoder in it.
        BadInput: it is not the index of a folder.
        SearchkitError: another process is writing the index.
    """
    store = Store.open(path)
    _refuse_others(store)
    with store.writing() as draft:
        facts = {part: store.facts(part) for part in store.names()}
        parts = [part for part in facts if name in (facts[part].get("name"), facts[part].get("of"))]
        if not parts:
            there = ", ".join(Generation(store).encoders()) or "none"
            raise UnknownName(f"{path} has no encoder {name!r}; there are: {there}")
        chosen = [part for part in facts if facts[part].get("variant") == name]  # as the default
        for part in parts + chosen:
            draft.remove(part)


def _refuse_others(store: Store) -> None:
    if store.corpus.get("kind") != KIND:
        raise BadInput(
            f"{store.path} is not the index of a folder; searchkit status says whether it is whole"
        )


def _bytes(store: Store) -> int:
    return sum(map(store.size_bytes, store.names()))


def _faults(store: Store) -> Iterator[Finding]:
    """Faults of files first, then those that lie in what they say."""
    damaged = set()
    for part in (CATALOGUE, WORDS):
        if part not in store.names():
            damaged.add(part)
            yield Finding(part, "is missing")
    for part in store.names():
        for line in store.faults(part):
            damaged.add(part)
            yield Finding(part, line)
    sizes = {
        number: int(store.facts(texts_part(number))["rows"]) for number in segment_numbers(store)
    }
    for number in sizes:
        if texts_part(number) not in damaged:
            yield from _of_texts(store, number)
    for part in store.names():
        if part not in damaged and part.startswith("vectors."):
            yield from _of_vectors(store, part, sizes)
    if CATALOGUE in damaged:
        return
    wrong = catalogues.faults(store.part(CATALOGUE))
    yield from (Finding(CATALOGUE, line) for line in wrong)
    if wrong:
        return
    yield from _of_chunks(store, sizes)
    if WORDS not in damaged:
        yield from _of_words(store)


def _of_texts(store: Store, number: int) -> Iterator[Finding]:
    segment = Segment.open(store.part(texts_part(number)))
    rows = int(store.facts(texts_part(number))["rows"])
    if len(segment) != rows:
        yield Finding(texts_part(number), f"has {len(segment)} rows, not {rows}")
    wrong = [place for place, row in enumerate(segment) if key_of(*row) != segment.key(place)]
    if wrong:
        yield Finding(
            texts_part(number), f"has another text than its key says in rows {_few(wrong)}"
        )


def _of_vectors(store: Store, part: str, sizes: dict[int, int]) -> Iterator[Finding]:
    facts = store.facts(part)
    vectors = map_array(store.part(part) / "vectors.npy")
    shape = (sizes.get(facts["segment"]), facts["dimension"])
    if vectors.shape != shape or vectors.dtype != np.float32:
        yield Finding(part, f"holds {vectors.shape} {vectors.dtype}, not {shape} float32")
        return
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        lengths = np.linalg.norm(vectors[start : start + _ROWS_AT_ONCE], axis=1)
        wrong = start + np.flatnonzero(~(np.abs(lengths - 1) <= _UNIT))  # NaN is wrong, too
        if len(wrong):
            yield Finding(part, f"has vectors whose length is not 1 in rows {_few(wrong.tolist())}")
            return


def _of_chunks(store: Store, sizes: dict[int, int]) -> Iterator[Finding]:
    with Catalogue.open(store.part(CATALOGUE)) as catalogue:
        for segment, last in catalogue.last_rows().items():
            if last >= sizes.get(segment, 0):
                there = f"has {sizes[segment]} rows" if segment in sizes else "is not there"
                yield Finding(
                    CATALOGUE, f"points to row {last} of segment {segment}, which {there}"
                )


def _of_words(store: Store) -> Iterator[Finding]:
    generation = Generation(store)
    try:
        index = generation.words
    except SearchkitError as error:
        yield Finding(WORDS, str(error))
        return
    found = index.search(Query(""), max(len(index), 1), filters=_EVERYTHING)
    there = [chunk_id for chunk_id, _ in found]
    wanted = generation.catalogue.all_chunk_ids()
    if missing := sorted(wanted - set(there)):
        yield Finding(WORDS, f"lacks the chunks {_few(missing)}")
    if beyond := sorted(set(there) - wanted):
        yield Finding(WORDS, f"has the chunks {_few(beyond)}, which the catalogue lacks")
    if len(there) != len(set(there)):
        yield Finding(WORDS, f"has {len(there) - len(set(there))} chunks twice")


def _few(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"{shown} and {len(numbers) - 5} more" if len(numbers) > 5 else shown


class _Repair:
    """One repair, under the lock.

    Args:
        store: the index.
        draft: of the store.
        damaged: the parts with faults.
    """

    def __init__(self, store: Store, draft: Draft, damaged: set[str]) -> None:
        self._store, self._draft, self._damaged = store, draft, damaged
        self._dropped: set[str] = set()
        self._done: list[Finding] = []

    def run(self) -> list[Finding]:
        """Mend everything, in one commit; what was done."""
        lost = [n for n in segment_numbers(self._store) if texts_part(n) in self._damaged]
        for number in lost:
            for part in compaction.parts_of(self._store, number):
                self._drop(part, "dropped: what it held is read and encoded again")
        for part in sorted(self._damaged & set(self._store.names())):
            if part not in (CATALOGUE, WORDS):
                self._drop(part, "dropped: the next run makes it again")
                self._drop_indexes(part)
        if CATALOGUE in self._damaged:
            self._begin_anew()
        elif lost or WORDS in self._damaged:
            self._build_anew(lost)
        self._draft.commit()
        return self._done

    def _begin_anew(self) -> None:
        """An empty catalogue with the roots and the settings of the one before, and no words."""
        words.create(self._draft.add(WORDS))
        held = self._store.facts(CATALOGUE)
        with Catalogue.create(self._draft.add(CATALOGUE)) as catalogue:
            for root in held["roots"]:
                catalogue.add_root(Root(**root))
            for name, value in held["settings"].items():
                catalogue.set(name, value)
            facts = summary(catalogue)
            catalogue.save()
        self._draft.describe(CATALOGUE, facts)
        self._done.append(
            Finding(CATALOGUE, "begun anew: the next run reads all files, and encodes none again")
        )

    def _build_anew(self, lost: Sequence[int]) -> None:
        """The words of all files but those whose texts are lost: these go until they are read."""
        generation = Generation(self._store)
        folder = self._draft.add(CATALOGUE)
        with Catalogue.copy(self._store.part(CATALOGUE), folder) as catalogue:
            for record in catalogue.files_in(lost):
                catalogue.remove_documents(record.path)
                catalogue.put_file(
                    replace(record, state="failed", reason=_LOST, reading="", blake3="")
                )
                told = f"{record.path} is read again by the next run"
                self._done.append(Finding(CATALOGUE, told))
            _build_words(catalogue, generation, self._draft)
            facts = summary(catalogue)
            catalogue.save()
        self._draft.describe(CATALOGUE, facts)
        self._done.append(Finding(WORDS, "built anew from the texts"))

    def _drop(self, part: str, what: str) -> None:
        if part not in self._dropped:
            self._dropped.add(part)
            self._draft.remove(part)
            self._done.append(Finding(part, what))

    def _drop_indexes(self, part: str) -> None:
        """Drop the vector indexes over vectors that are dropped."""
        facts = self._store.facts(part)
        for other in self._store.names():
            theirs = self._store.facts(other)
            if "of" in theirs and (theirs["of"], theirs["segment"]) == (
                facts.get("name"),
                facts.get("segment"),
            ):
                self._drop(other, "dropped with the vectors it is built over")


def _build_words(catalogue: Catalogue, generation: Generation, draft: Draft) -> None:
    """Put a new word index of all chunks of a catalogue in the place of the one there is."""
    folder = draft.add(WORDS)
    words.create(folder)
    with words.writing(folder) as writer:
        for document in catalogue.documents().values():
            for chunk in catalogue.chunks_of_document(document.doc_id):
                add_words(writer, chunk.chunk_id, document, generation.row(chunk))
