"""The catalogue of a folder index: files, documents and chunks as they are now, in SQLite.

A generation's catalogue is never changed: a writer copies it, changes the copy and commits that
(`index.store`). So readers need no lock, and what they read cannot change under them.

The chunks of a document have consecutive ids, in the order of the text. An id is never used twice.
"""

import json
import re
import shutil
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self
from urllib.parse import quote

from searchkit.errors import UnknownName

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt  # and NumPy itself where arrays are made: BM25 needs none

FILE = "catalogue.sqlite"

State = Literal["indexed", "ignored", "failed", "encrypted", "empty"]
STATES: tuple[State, ...] = ("indexed", "empty", "ignored", "failed", "encrypted")

_TAKEN = re.compile(r"~\d+\Z")  # see `Writer.free_doc_id`
_AT_ONCE = 500  # values of one statement: SQLite allows 999 in old versions
_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE roots (
    root INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, label TEXT NOT NULL UNIQUE,
    rules TEXT NOT NULL
);
CREATE TABLE files (
    path TEXT PRIMARY KEY, root INTEGER NOT NULL REFERENCES roots, size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL, inode INTEGER NOT NULL, blake3 TEXT NOT NULL,
    format TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, reading TEXT NOT NULL,
    settled INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE documents (
    number INTEGER PRIMARY KEY, doc_id TEXT NOT NULL UNIQUE, path TEXT NOT NULL REFERENCES files,
    format TEXT NOT NULL, title TEXT NOT NULL, language TEXT NOT NULL, modified REAL NOT NULL,
    part TEXT NOT NULL, chunks INTEGER NOT NULL, first_chunk INTEGER NOT NULL
);
CREATE INDEX documents_of_file ON documents (path);
CREATE TABLE chunks (
    chunk_id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents,
    segment INTEGER NOT NULL, row INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    page INTEGER, first_line INTEGER, last_line INTEGER, headings TEXT NOT NULL
);
CREATE INDEX chunks_of_row ON chunks (segment, row);
CREATE TABLE counters (next_chunk INTEGER NOT NULL);
INSERT INTO counters VALUES (1);
"""
_CHUNK = (
    'SELECT chunk_id, doc_id, segment, row, start, "end", page, first_line, last_line, headings'
    " FROM chunks JOIN documents ON document = number"
)
_DOCUMENT = "SELECT doc_id, path, format, title, language, modified, part, chunks FROM documents"
# A filter's values, by its name: of folders those in the root, and so with a slash before them. A
# part of a file stands behind its path, and may have slashes.
_VALUES = {
    "format": "format",
    "lang": "language",
    "path": "CASE WHEN instr(doc_id, '/') = 0 THEN ''"
    " WHEN part != '' AND instr(doc_id, '/') > instr(doc_id, '#' || part) THEN ''"
    " ELSE '/' || substr(doc_id, 1, instr(doc_id, '/') - 1) END",
}
_FILE = (
    "SELECT path, root, size, modified_ns, inode, blake3, format, state, reason, reading, settled"
    " FROM files"
)


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that an index follows.

    Attributes:
        root: its number, from 1.
        path: absolute.
        label: what the ids of its documents begin with, before a slash; empty for the first root.
        rules: which of its files are read; JSON that `corpus.folder` understands.
    """

    root: int
    path: str
    label: str
    rules: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What is known of a path, and what became of it.

    Attributes:
        path: absolute; that of a folder where all below it is ignored.
        root: the number of its root.
        size, modified_ns, inode: as when it was read; 0 where it was not.
        blake3: of its bytes, 64 hexadecimal digits; empty where they were not read.
        format: the reader in corpus/formats; empty without one.
        state: "empty" is a file that was read and holds no text.
        reason: why it is ignored or failed, or why one that was read could not be read again and
            stays as it was; empty otherwise.
        reading: stands for the way it was read and cut; another one reads it again.
        settled: False where it may have changed since without showing it.
    """

    path: str
    root: int
    size: int
    modified_ns: int
    inode: int
    blake3: str
    format: str
    state: State
    reason: str
    reading: str
    settled: bool


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """One document of a file.

    Attributes:
        doc_id: the path relative to the root, `#<part>` behind it for one of several in a file.
        path: of the file, absolute.
        format: the reader in corpus/formats.
        title: the document's own, or empty.
        language: ISO 639-1, or empty.
        modified: POSIX seconds.
        part: which of the file's documents it is, or empty.
        chunks: how many it has.
    """

    doc_id: str
    path: str
    format: str
    title: str
    language: str
    modified: float
    part: str
    chunks: int

    @property
    def relative(self) -> str:
        """The path as filters see it: the id that was wanted, without the part."""
        if self.part:
            return self.doc_id.rpartition(f"#{self.part}")[0]
        name = self.path.rpartition("/")[2]
        is_wanted = self.doc_id.rpartition("/")[2] == name
        return self.doc_id if is_wanted else _TAKEN.sub("", self.doc_id)


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """One passage of a document, and where it is stored and stands.

    Attributes:
        chunk_id: never another chunk's, not even once this one is gone.
        doc_id: its document.
        segment, row: where its text and its vectors are.
        start, end: characters of the document's text.
        page: from 1; None where the document has none.
        first_line, last_line: from 1, of the file; None where its lines are not the text's.
        headings: those above it, the outermost first.
    """

    chunk_id: int
    doc_id: str
    segment: int
    row: int
    start: int
    end: int
    page: int | None
    first_line: int | None
    last_line: int | None
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk that is yet to get its id; see `ChunkRecord`."""

    segment: int
    row: int
    start: int
    end: int
    page: int | None
    first_line: int | None
    last_line: int | None
    headings: tuple[str, ...]


class Places(NamedTuple):
    """The chunks of a segment as columns, (n,) int64 each, in the order of rows, then of ids.

    Attributes:
        rows: where each is in the segment; chunks may share one.
        chunk_ids: theirs.
        documents: the numbers of their documents, which hold in one catalogue.
    """

    rows: "npt.NDArray[np.int64]"
    chunk_ids: "npt.NDArray[np.int64]"
    documents: "npt.NDArray[np.int64]"


class Catalogue:
    """A catalogue that is open; `open` for reading, `create` and `copy` for writing.

    Threads may share one that is open for reading.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._places: dict[int, Places] = {}

    @classmethod
    def open(cls, folder: Path) -> "Catalogue":
        """The catalogue in `folder`, which nobody changes: a part of a store."""
        place = f"file:{quote(str(folder / FILE))}?mode=ro&immutable=1"
        opened = cls(sqlite3.connect(place, uri=True, check_same_thread=False))
        opened.counts()  # the file is open from here on, whatever becomes of its name
        return opened

    @classmethod
    def create(cls, folder: Path) -> "Writer":
        """An empty catalogue in an existing folder."""
        connection = _writable(folder / FILE)
        connection.executescript(_SCHEMA)
        return Writer(connection)

    @classmethod
    def copy(cls, source: Path, folder: Path) -> "Writer":
        """A copy, to be changed, of the catalogue in the folder `source`."""
        shutil.copyfile(source / FILE, folder / FILE)
        return Writer(_writable(folder / FILE))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def close_when_unused(self) -> None:
        """Let go of the file as soon as nobody has this catalogue any more, in any thread."""
        weakref.finalize(self, self._connection.close)

    @property
    def settings(self) -> dict[str, Any]:
        """What holds for the whole index, by name; JSON."""
        rows = self._connection.execute("SELECT name, value FROM settings")
        return {name: json.loads(value) for name, value in rows}

    def roots(self) -> list[Root]:
        """The folders that are followed, in the order in which they were added."""
        rows = self._connection.execute("SELECT root, path, label, rules FROM roots ORDER BY root")
        return [Root(root, path, label, json.loads(rules)) for root, path, label, rules in rows]

    def counts(self) -> dict[State, int]:
        """How many files are in each state; all states are there."""
        rows = self._connection.execute("SELECT state, count(*) FROM files GROUP BY state")
        found = dict(rows.fetchall())
        return {state: found.get(state, 0) for state in STATES}

    def files(
        self, *, states: Sequence[State] = STATES, root: int | None = None, below: str = ""
    ) -> Iterator[FileRecord]:
        """The ledger, in the order of the paths.

        Args:
            states: those wanted.
            root: the number of the one root wanted.
            below: a path: it, and all that lies in it.
        """
        where, values = [f"state IN ({_marks(states)})"], list[Any](states)
        if root is not None:
            where.append("root = ?")
            values.append(root)
        if below:
            where.append("(path = ? OR path > ? AND path < ?)")
            folder = below.rstrip("/")
            values += [below, f"{folder}/", f"{folder}0"]  # "0" comes right after "/"
        query = f"{_FILE} WHERE {' AND '.join(where)} ORDER BY path"
        return map(_file, self._connection.execute(query, values))

    def file(self, path: str) -> FileRecord | None:
        """What is known of a path."""
        row = self._connection.execute(f"{_FILE} WHERE path = ?", [path]).fetchone()
        return None if row is None else _file(row)

    def files_in(self, segments: Sequence[int]) -> list[FileRecord]:
        """The files that have chunks in some segments, in the order of the paths."""
        there = (
            "SELECT documents.path FROM chunks JOIN documents ON document = number"
            f" WHERE segment IN ({_marks(segments)})"
        )
        rows = self._connection.execute(f"{_FILE} WHERE path IN ({there}) ORDER BY path", segments)
        return [_file(row) for row in rows]

    def number_of_documents(self) -> int:
        """How many documents there are."""
        return self._number("SELECT count(*) FROM documents")

    def number_of_chunks(self) -> int:
        """How many chunks there are."""
        return self._number("SELECT count(*) FROM chunks")

    def documents(self, doc_ids: Iterable[str] | None = None) -> dict[str, DocumentRecord]:
        """Documents by id; all of them, in the order of their ids, if none is named.

        Raises:
            UnknownName: there is no document of an id.
        """
        if doc_ids is None:
            rows = self._connection.execute(f"{_DOCUMENT} ORDER BY doc_id")
            return {row[0]: DocumentRecord(*row) for row in rows}
        wanted = list(dict.fromkeys(doc_ids))
        found = {row[0]: DocumentRecord(*row) for row in self._among(_DOCUMENT, "doc_id", wanted)}
        return {doc_id: _named(found, doc_id, "document") for doc_id in wanted}

    def documents_after(self, doc_id: str, limit: int) -> list[DocumentRecord]:
        """The first documents whose ids come after one, which need not be there, in their order."""
        query = f"{_DOCUMENT} WHERE doc_id > ? ORDER BY doc_id LIMIT ?"
        return [DocumentRecord(*row) for row in self._connection.execute(query, [doc_id, limit])]

    def filter_values(self) -> list[tuple[str, str, int]]:
        """What filters can ask for, and of how many documents it holds, the most first.

        Returns:
            (filter, value, documents): formats, then languages, then the outermost folders.
        """
        found: list[tuple[str, str, int]] = []
        for name, value in _VALUES.items():
            query = (
                f"SELECT ?, {value} AS value, count(*) AS documents FROM documents"
                " WHERE value != '' GROUP BY value ORDER BY documents DESC, value"
            )
            found += self._connection.execute(query, [name])
        return found

    def documents_of_file(self, path: str) -> list[DocumentRecord]:
        """The documents of one file, in their order in it."""
        rows = self._connection.execute(f"{_DOCUMENT} WHERE path = ? ORDER BY number", [path])
        return [DocumentRecord(*row) for row in rows]

    def chunks(self, chunk_ids: Iterable[int]) -> list[ChunkRecord]:
        """The chunks of some ids, in their order.

        Raises:
            UnknownName: there is no chunk of an id.
        """
        wanted = [int(chunk_id) for chunk_id in chunk_ids]
        rows = self._among(_CHUNK, "chunk_id", list(dict.fromkeys(wanted)))
        found = {row[0]: _chunk(row) for row in rows}
        return [_named(found, chunk_id, "chunk") for chunk_id in wanted]

    def chunks_of_document(self, doc_id: str) -> list[ChunkRecord]:
        """The chunks of a document, in the order of its text.

        Raises:
            UnknownName: there is no such document.
        """
        ids = self.chunk_ids_of_document(doc_id)
        where = "chunk_id >= ? AND chunk_id < ? ORDER BY chunk_id"
        rows = self._connection.execute(f"{_CHUNK} WHERE {where}", [ids.start, ids.stop])
        return [_chunk(row) for row in rows]

    def chunk_ids_of_document(self, doc_id: str) -> range:
        """The ids of a document's chunks, in the order of its text.

        Raises:
            UnknownName: there is no such document.
        """
        self.documents([doc_id])
        own = "SELECT first_chunk, first_chunk + chunks FROM documents WHERE doc_id = ?"
        return range(*self._connection.execute(own, [doc_id]).fetchone())

    def chunk_ids(self, numbers: Sequence[int]) -> list[range]:
        """The ids of the chunks of documents with these numbers, by ascending number."""
        own = "SELECT number, first_chunk, first_chunk + chunks FROM documents"
        return [range(first, end) for _, first, end in sorted(self._among(own, "number", numbers))]

    def all_chunks(self) -> Iterator[ChunkRecord]:
        """Every chunk, in the order of their ids; read as it is asked for."""
        return map(_chunk, self._connection.execute(f"{_CHUNK} ORDER BY chunk_id"))

    def all_chunk_ids(self) -> set[int]:
        """The ids of all chunks."""
        return {chunk_id for (chunk_id,) in self._connection.execute("SELECT chunk_id FROM chunks")}

    def documents_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, int]:
        """The number of the document of each chunk, by the chunk's id."""
        select = "SELECT chunk_id, document FROM chunks"
        return dict(self._among(select, "chunk_id", chunk_ids))

    def places(self, segment: int) -> Places:
        """The chunks of a segment; they are read once."""
        if segment not in self._places:
            import numpy as np

            query = (
                "SELECT row, chunk_id, document FROM chunks WHERE segment = ?"
                " ORDER BY row, chunk_id"
            )
            found = self._connection.execute(query, [segment]).fetchall()
            self._places[segment] = Places(*np.array(found, np.int64).reshape(-1, 3).T.copy())
        return self._places[segment]

    def last_rows(self) -> dict[int, int]:
        """The highest row of each segment that a chunk points to."""
        query = "SELECT segment, max(row) FROM chunks GROUP BY segment"
        return dict(self._connection.execute(query).fetchall())

    def live_rows(self) -> dict[int, int]:
        """How many rows of each segment are chunks; no entry for a segment without any."""
        query = "SELECT segment, count(DISTINCT row) FROM chunks GROUP BY segment"
        return dict(self._connection.execute(query).fetchall())

    def alive(self, segment: int, size: int) -> "npt.NDArray[np.bool_]":
        """Which of the `size` rows of a segment are chunks, (size,)."""
        import numpy as np

        mask = np.zeros(size, np.bool_)
        mask[self.places(segment).rows] = True
        return mask

    def matching(self, passes: Callable[[DocumentRecord], bool]) -> list[int]:
        """The numbers of the documents that a function passes; see `Places`."""
        rows = self._connection.execute(_DOCUMENT.replace("SELECT", "SELECT number,"))
        return [number for number, *fields in rows if passes(DocumentRecord(*fields))]

    def _among(self, select: str, column: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """The rows whose column has one of many values."""
        for first in range(0, len(values), _AT_ONCE):
            some = values[first : first + _AT_ONCE]
            query = f"{select} WHERE {column} IN ({_marks(some)})"
            yield from self._connection.execute(query, some)

    def _number(self, query: str, values: Sequence[Any] = ()) -> int:
        return int(self._connection.execute(query, values).fetchone()[0])


class Writer(Catalogue):
    """A catalogue that can be changed; `Catalogue.create` and `Catalogue.copy` make one.

    Nothing is on the disk before `save`; a folder that was closed without it is no catalogue.
    """

    def set(self, name: str, value: Any) -> None:
        """Note a setting; anything JSON can hold."""
        row = [name, json.dumps(value, allow_nan=False)]
        self._connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", row)

    def add_root(self, root: Root) -> None:
        """Note a folder to follow."""
        row = [root.root, root.path, root.label, json.dumps(root.rules)]
        self._connection.execute("INSERT INTO roots VALUES (?, ?, ?, ?)", row)

    def set_rules(self, root: int, rules: Mapping[str, Any]) -> None:
        """Note other rules for a root."""
        query = "UPDATE roots SET rules = ? WHERE root = ?"
        self._connection.execute(query, [json.dumps(rules), root])

    def remove_root(self, root: int) -> list[int]:
        """Forget a root and all its files; the ids of the chunks that went."""
        gone: list[int] = []
        for record in list(self.files(root=root)):
            gone += self.remove_file(record.path)
        self._connection.execute("DELETE FROM roots WHERE root = ?", [root])
        return gone

    def put_file(self, record: FileRecord) -> None:
        """Note what is known of a path, in the place of what was; its documents stay."""
        fields = [*astuple(record)[:-1], int(record.settled)]
        query = f"INSERT OR REPLACE INTO files VALUES ({_marks(fields)})"
        self._connection.execute(query, fields)

    def set_modified(self, doc_id: str, modified: float) -> None:
        """Note another time at which a document was modified, in POSIX seconds."""
        query = "UPDATE documents SET modified = ? WHERE doc_id = ?"
        self._connection.execute(query, [modified, doc_id])

    def remove_file(self, path: str) -> list[int]:
        """Forget a path and its documents; the ids of the chunks that went."""
        gone = self.remove_documents(path)
        self._connection.execute("DELETE FROM files WHERE path = ?", [path])
        return gone

    def remove_documents(self, path: str) -> list[int]:
        """Forget the documents of a file; the ids of the chunks that went."""
        query = "SELECT number, first_chunk, chunks FROM documents WHERE path = ?"
        gone: list[int] = []
        for number, first, chunks in self._connection.execute(query, [path]).fetchall():
            self._connection.execute(
                "DELETE FROM chunks WHERE chunk_id >= ? AND chunk_id < ?", [first, first + chunks]
            )
            self._connection.execute("DELETE FROM documents WHERE number = ?", [number])
            gone += range(first, first + chunks)
        return gone

    def add_document(self, record: DocumentRecord, chunks: Sequence[NewChunk]) -> range:
        """Add a document of a file that was noted, and its chunks; their ids, in their order.

        `record.chunks` is not looked at. See `free_doc_id` for an id that is not taken.
        """
        first = self._take_ids(len(chunks))
        fields = [*astuple(record)[:-1], len(chunks), first]
        number = self._connection.execute(
            "INSERT INTO documents (doc_id, path, format, title, language, modified, part, chunks,"
            f" first_chunk) VALUES ({_marks(fields)})",
            fields,
        ).lastrowid
        rows = [
            (first + place, number, *astuple(chunk)[:-1], json.dumps(chunk.headings))
            for place, chunk in enumerate(chunks)
        ]
        self._connection.executemany(f"INSERT INTO chunks VALUES ({_marks(range(10))})", rows)
        return range(first, first + len(chunks))

    def free_doc_id(self, wanted: str) -> str:
        """An id that no document has: the one wanted, or it with ~2, ~3 ... behind.

        Two files want the same one where a folder of the first root has the name of a later root,
        or a file is called as a part of another.
        """
        doc_id, count = wanted, 1
        while self._number("SELECT count(*) FROM documents WHERE doc_id = ?", [doc_id]):
            count += 1
            doc_id = f"{wanted}~{count}"
        return doc_id

    def move_rows(
        self, segment: int, rows: "npt.NDArray[np.int64]", target: int, first: int
    ) -> None:
        """Let the chunks of some rows of a segment point to rows `first`... of another one.

        Args:
            segment: where the chunks are.
            rows: distinct; the i-th becomes the row first + i.
            target: another segment.
            first: a row of it.
        """
        moves = ((target, first + place, segment, row) for place, row in enumerate(rows.tolist()))
        query = "UPDATE chunks SET segment = ?, row = ? WHERE segment = ? AND row = ?"
        self._connection.executemany(query, moves)

    def save(self, *, pack: bool = False) -> None:
        """Write everything to the file and close it.

        Args:
            pack: leave out the room of what was deleted.
        """
        self._connection.commit()
        if pack:
            self._connection.execute("VACUUM")
        self.close()

    def _take_ids(self, count: int) -> int:
        first = self._number("SELECT next_chunk FROM counters")
        self._connection.execute("UPDATE counters SET next_chunk = ?", [first + count])
        return first


def faults(folder: Path) -> list[str]:
    """What is wrong with the catalogue in a folder, in words; none if nothing is."""
    try:
        with Catalogue.open(folder) as catalogue:
            found = [
                *(
                    line
                    for (line,) in catalogue._connection.execute("PRAGMA integrity_check")
                    if line != "ok"
                ),
                *(
                    f"a row of {table} points to none of {parent}"
                    for table, _, parent, _ in catalogue._connection.execute(
                        "PRAGMA foreign_key_check"
                    )
                ),
            ]
            torn = catalogue._connection.execute(
                "SELECT doc_id, documents.chunks, count(chunk_id) AS there FROM documents"
                " LEFT JOIN chunks ON document = number AND chunk_id >= first_chunk"
                " AND chunk_id < first_chunk + documents.chunks"
                " GROUP BY number HAVING there != documents.chunks"
            )
            return found + [f"{doc} has {there} chunks, not {n}" for doc, n, there in torn]
    except sqlite3.DatabaseError as error:
        return [f"SQLite cannot read it ({error})"]


def _writable(path: Path) -> sqlite3.Connection:
    # A copy that nobody else knows of, and thrown away if anything fails: no journal is worth its
    # time, and the store flushes what it commits.
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _file(row: tuple[Any, ...]) -> FileRecord:
    fields: list[Any] = [*row[:-1], bool(row[-1])]
    return FileRecord(*fields)


def _chunk(row: tuple[Any, ...]) -> ChunkRecord:
    fields: list[Any] = [*row[:-1], tuple(json.loads(row[-1]))]
    return ChunkRecord(*fields)


def _named(found: Mapping[Any, Any], name: Any, kind: str) -> Any:
    if name not in found:
        raise UnknownName(f"the index has no {kind} {name!r}; it may have changed: search again")
    return found[name]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
