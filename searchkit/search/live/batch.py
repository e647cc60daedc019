"""Changes of an index that become one commit: catalogue, texts and words together, or none of them.

The parts are copied when the first change needs them, so a batch without changes costs nothing and
commits nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, Self

from searchkit.corpus.chunk import Span
from searchkit.index.live import segments, words
from searchkit.index.live.catalogue import (
    Catalogue,
    ChunkRecord,
    DocumentRecord,
    FileRecord,
    NewChunk,
)
from searchkit.index.live.catalogue import Writer as CatalogueWriter
from searchkit.index.live.generation import CATALOGUE, WORDS, texts_part
from searchkit.index.live.segments import Keys, Row, Segment
from searchkit.index.store import Draft, Store


class KnownRows:
    """The rows of all segments of a store, live or not, found by their content."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[int, Keys] = {}
        self._segments: dict[int, Segment] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look which segments there are now."""
        self._numbers = segment_numbers(self._store)
        self._keys = {n: keys for n, keys in self._keys.items() if n in self._numbers}
        self._segments = {n: one for n, one in self._segments.items() if n in self._numbers}

    def find(self, key: bytes) -> tuple[int, int] | None:
        """The segment and the row of a key; None where no segment has it."""
        for number in self._numbers:
            if number not in self._keys:  # texts are not read to know whether a new one is there
                folder = self._store.part(texts_part(number), only=segments.KEYS)
                self._keys[number] = Keys(folder)
            if (row := self._keys[number].find(key)) is not None:
                return number, row
        return None

    def row(self, segment: int, row: int) -> Row:
        """The context and the text of a row."""
        if segment not in self._segments:
            self._segments[segment] = Segment.open(self._store.part(texts_part(segment)))
        return self._segments[segment].row(row)


class Batch:
    """One commit: made if the `with` block ends well, forgotten if it raises.

    Args:
        store: its lock is held.
        draft: of the store; it has no changes of its own.
        known: rows that need not be stored again.

    Attributes:
        chunks: how many were added.
        rows: how many of them had to be stored.
    """

    def __init__(self, store: Store, draft: Draft, known: KnownRows) -> None:
        self._store, self._draft, self._known = store, draft, known
        self._open = ExitStack()
        self._catalogue: CatalogueWriter | None = None
        self._words: words.Writer | None = None
        self._segment: tuple[int, segments.Writer] | None = None
        self._new_rows: dict[bytes, int] = {}
        self.chunks = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit, or close what is open; the draft deletes its files."""
        if kind is None:
            self._commit()
            return
        try:
            self._open.__exit__(kind, error, traceback)
        finally:
            if self._catalogue is not None:
                self._catalogue.close()

    @property
    def catalogue(self) -> CatalogueWriter:
        """The catalogue of the next generation."""
        if self._catalogue is None:
            folder = self._draft.add(CATALOGUE)
            if CATALOGUE in self._store.names():
                self._catalogue = Catalogue.copy(self._store.part(CATALOGUE), folder)
            else:
                self._catalogue = Catalogue.create(folder)
                self.words  # noqa: B018 - a new index has words from the start
        return self._catalogue

    @property
    def words(self) -> words.Writer:
        """The words of the next generation."""
        if self._words is None:
            folder = self._draft.add(WORDS)
            if WORDS in self._store.names():
                words.clone(self._store.part(WORDS), folder)
            else:
                words.create(folder)
            self._words = self._open.enter_context(words.writing(folder))
        return self._words

    def note(self, record: FileRecord) -> None:
        """Note what is known of a path; its documents stay, but for the time that it gave them."""
        old = self.catalogue.file(record.path)
        self.catalogue.put_file(record)
        for document in self.catalogue.documents_of_file(record.path):
            new = _retimed(document, old, record)
            if new.modified == document.modified:
                continue
            self.catalogue.set_modified(new.doc_id, new.modified)
            for chunk in self.catalogue.chunks_of_document(new.doc_id):
                self.words.remove(chunk.chunk_id)
                add_words(self.words, chunk.chunk_id, new, self._row(chunk))

    def forget(self, path: str) -> None:
        """Forget a path and its documents."""
        self._remove_words(self.catalogue.remove_file(path))

    def replace(
        self,
        record: FileRecord,
        documents: Iterable[tuple[DocumentRecord, Sequence[tuple[Span, Row]]]] = (),
    ) -> None:
        """Put a file's documents in the place of those it had.

        Args:
            record: what is known of the file.
            documents: with the ids that they want; their chunks, and what those hold.
        """
        self._remove_words(self.catalogue.remove_documents(record.path))
        self.catalogue.put_file(record)
        for document, passages in documents:
            stored = [(_placed(span, *self._place_of(row)), row) for span, row in passages]
            self._add(document, stored)

    def move(self, old: str, record: FileRecord, doc_id: Callable[[str], str]) -> None:
        """Let the documents of a path have another one; their rows stay.

        Args:
            old: the path before.
            record: what is known of the file, with the path that it has now.
            doc_id: gives the id that the document of a part wants.
        """
        before = self.catalogue.file(old)
        moved = [
            (_retimed(document, before, record), self.catalogue.chunks_of_document(document.doc_id))
            for document in self.catalogue.documents_of_file(old)
        ]
        self.forget(old)
        self.replace(record)
        for document, chunks in moved:
            new = replace(document, doc_id=doc_id(document.part), path=record.path)
            self._add(
                new,
                [(_placed(chunk, chunk.segment, chunk.row), self._row(chunk)) for chunk in chunks],
            )

    def forget_root(self, root: int) -> None:
        """Forget a root and all its files."""
        self._remove_words(self.catalogue.remove_root(root))

    def _add(self, document: DocumentRecord, chunks: Sequence[tuple[NewChunk, Row]]) -> None:
        document = replace(document, doc_id=self.catalogue.free_doc_id(document.doc_id))
        chunk_ids = self.catalogue.add_document(document, [chunk for chunk, _ in chunks])
        for chunk_id, (_, row) in zip(chunk_ids, chunks, strict=True):
            add_words(self.words, chunk_id, document, row)
        self.chunks += len(chunks)

    def _place_of(self, row: Row) -> tuple[int, int]:
        """The segment and the row of a text, which is stored if it is nowhere yet."""
        key = segments.key_of(*row)
        if (known := self._known.find(key)) is not None:
            return known
        if self._segment is None:
            number = max(segment_numbers(self._store), default=0) + 1
            writer = self._open.enter_context(segments.Writer(self._draft.add(texts_part(number))))
            self._segment = number, writer
        number, writer = self._segment
        if key not in self._new_rows:
            self._new_rows[key] = writer.add(row, key)
            self.rows += 1
        return number, self._new_rows[key]

    def _row(self, chunk: ChunkRecord) -> Row:
        return self._known.row(chunk.segment, chunk.row)

    def _remove_words(self, chunk_ids: Sequence[int]) -> None:
        for chunk_id in chunk_ids:
            self.words.remove(chunk_id)

    def _commit(self) -> None:
        if self._catalogue is None:
            return
        self._open.close()  # words and texts are on the disk from here on
        facts = summary(self._catalogue)
        self._catalogue.save()
        self._draft.describe(CATALOGUE, facts)
        if self._segment is not None:
            number, writer = self._segment
            self._draft.describe(texts_part(number), {"segment": number, "rows": len(writer)})
        self._draft.commit()
        self._known.refresh()


def add_words(writer: words.Writer, chunk_id: int, document: DocumentRecord, row: Row) -> None:
    """Add a chunk of a document to the words."""
    writer.add(
        chunk_id,
        path=document.relative,
        context=row.context,
        text=row.text,
        format=document.format,
        language=document.language,
        modified_s=int(document.modified // 1),
    )


def segment_numbers(store: Store) -> list[int]:
    """The segments of a store, ascending."""
    parts = (name for name in store.names() if name.startswith("texts."))
    return sorted(int(store.facts(name)["segment"]) for name in parts)


def summary(catalogue: Catalogue) -> dict[str, Any]:
    """What a manifest says of a catalogue: enough to begin a new one in its place."""
    return {
        "roots": [asdict(root) for root in catalogue.roots()],
        "settings": catalogue.settings,
        "files": catalogue.counts(),
        "documents": catalogue.number_of_documents(),
        "chunks": catalogue.number_of_chunks(),
    }


def _retimed(document: DocumentRecord, old: FileRecord | None, new: FileRecord) -> DocumentRecord:
    """The document with its file's new time, if it had the old one; others have their own."""
    if old is None or document.modified != old.modified_ns / 1e9:
        return document
    return replace(document, modified=new.modified_ns / 1e9)


def _placed(stands: Span | ChunkRecord, segment: int, row: int) -> NewChunk:
    return NewChunk(
        segment,
        row,
        stands.start,
        stands.end,
        stands.page,
        stands.first_line,
        stands.last_line,
        stands.headings,
    )
