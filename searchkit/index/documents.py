"""The documents of one index: a JSONL file to read, and offsets that find any line of it at once.

`documents.jsonl` holds one {"_id", "title", "text"} a line, UTF-8; `offsets.npy`, (N + 1,) int64,
where each line begins and the file ends; `ids.*`, the ids by row (`index.strings`).
"""

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from searchkit.errors import BadInput, UnknownName
from searchkit.index import strings
from searchkit.index.mapped import map_array, map_bytes
from searchkit.records import Document


def write(folder: Path, documents: Iterable[Document]) -> int:
    """Write documents one by one; only their ids and offsets are held in memory.

    Args:
        folder: an existing folder.
        documents: in the order of their rows.

    Returns:
        How many there were.

    Raises:
        BadInput: two documents have one id, or a document holds half of a surrogate pair, which
            UTF-8 lacks.
    """
    numbers: dict[str, int] = {}
    offsets = array("q", [0])
    with (folder / "documents.jsonl").open("wb") as file:
        for number, document in enumerate(documents, 1):
            doc_id = document.doc_id
            first = numbers.setdefault(doc_id, number)
            if first != number:
                raise BadInput(
                    f"documents {first} and {number} of the corpus both have the id {doc_id!r};"
                    " give every document an id of its own"
                )
            fields = {"_id": doc_id, "title": document.title, "text": document.text}
            try:
                line = json.dumps(fields, ensure_ascii=False).encode() + b"\n"
            except UnicodeEncodeError as error:
                raise BadInput(
                    f"document {number} of the corpus, {doc_id!r}, holds half of a surrogate pair"
                    f" ({error.object[error.start]!r}); write the whole character"
                ) from error
            file.write(line)
            offsets.append(offsets[-1] + len(line))
    np.save(folder / "offsets.npy", np.array(offsets, np.int64))
    strings.write(folder, "ids", numbers)
    return len(numbers)


class DocumentStore:
    """Documents by row and by id, memory-mapped: opening costs the same for any corpus."""

    def __init__(self, folder: Path) -> None:
        self._lines = map_bytes(folder / "documents.jsonl")
        self._offsets = map_array(folder / "offsets.npy")
        self._ids = strings.Strings(folder, "ids")

    @classmethod
    def open(cls, folder: Path) -> "DocumentStore":
        """The documents that `write` put into `folder`."""
        return cls(folder)

    @property
    def ids(self) -> Sequence[str]:
        """The id of each row."""
        return self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Document]:
        return (self.document(row) for row in range(len(self)))

    def document(self, row: int) -> Document:
        """The document of a row.

        Raises:
            IndexError: no such row; a negative one, such as a vector index's padding, is none.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} documents")
        fields = json.loads(self._lines[self._offsets[row] : self._offsets[row + 1]])
        return Document(fields["_id"], fields["title"], fields["text"])

    def by_id(self, doc_id: str) -> Document:
        """The document of an id.

        Raises:
            UnknownName: no document has it.
        """
        return self.document(self.row(doc_id))

    def row(self, doc_id: str) -> int:
        """The row of an id.

        Raises:
            UnknownName: no document has it.
        """
        row = self._ids.find(doc_id)
        if row is None:
            raise UnknownName(f"none of the {len(self)} documents has the id {doc_id!r}")
        return row
