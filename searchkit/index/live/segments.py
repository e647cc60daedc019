"""Segments: rows of chunk texts on disk, written once, found again by their content.

    texts.bin       UTF-8: of each row the context, then the text
    starts.npy      (2 N + 1,) int64: where each of them begins, and where the last one ends
    keys.npy        (N, 16) uint8: a hash of each row's context and text

A row says nothing of files: any number of chunks may share it, or none. Its vectors lie beside the
segment, a file for each encoder, with a row for each row.
"""

from array import array
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from blake3 import blake3

from searchkit.index.mapped import map_bytes, map_numbers

KEY_BYTES = 16

KEYS = "keys.npy"
_TEXTS, _STARTS = "texts.bin", "starts.npy"


class Row(NamedTuple):
    """What one row holds: the headings above a passage, empty where there are none, and it."""

    context: str
    text: str

    @property
    def embedded(self) -> str:
        """What an embedder reads."""
        return f"{self.context}\n{self.text}" if self.context else self.text


def key_of(context: str, text: str) -> bytes:
    """The 16 bytes by which a row is found again.

    Raises:
        UnicodeEncodeError: one of them holds half of a surrogate pair.
    """
    before, behind = context.encode(), text.encode()
    size = len(before).to_bytes(8, "little")  # "ab", "c" is not "a", "bc"
    return blake3(size + before + behind).digest(length=KEY_BYTES)


class Writer:
    """Writes the rows of a segment into an existing folder; use it in a `with` block.

    Rows are numbered from 0 in the order of `add`; only their keys and places are held in memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._starts = array("q", [0])
        self._keys = bytearray()
        self._file = (folder / _TEXTS).open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what is known of the rows, unless the block failed."""
        self._file.close()
        if kind is None:
            import numpy as np

            np.save(self._folder / _STARTS, np.array(self._starts, np.int64))
            keys = np.frombuffer(bytes(self._keys), np.uint8).reshape(-1, KEY_BYTES)
            np.save(self._folder / KEYS, keys)

    def __len__(self) -> int:
        return len(self._keys) // KEY_BYTES

    def add(self, row: Row, key: bytes) -> int:
        """Write a row whose key is known; the number it gets."""
        for part in row:
            encoded = part.encode()
            self._file.write(encoded)
            self._starts.append(self._starts[-1] + len(encoded))
        self._keys += key
        return len(self) - 1


class Keys:
    """The keys of the rows that a `Writer` wrote, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        self._keys = map_numbers(folder / KEYS)

    def __len__(self) -> int:
        return len(self._keys) // KEY_BYTES

    def key(self, row: int) -> bytes:
        """The key of a row."""
        return bytes(self._keys[row * KEY_BYTES : (row + 1) * KEY_BYTES])

    def find(self, key: bytes) -> int | None:
        """The row of a key; None where the segment has none."""
        return self._rows_by_key.get(key)

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that stand for all rows and their order."""
        return blake3(self._keys.tobytes()).hexdigest(length=16)

    @cached_property
    def _rows_by_key(self) -> dict[bytes, int]:
        content = self._keys.tobytes()
        starts = range(0, len(content), KEY_BYTES)
        return {content[start : start + KEY_BYTES]: start // KEY_BYTES for start in starts}


class Segment(Keys):
    """The rows that a `Writer` wrote, memory-mapped: opening costs the same for any number."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._bytes = map_bytes(folder / _TEXTS)
        self._starts = map_numbers(folder / _STARTS)

    @classmethod
    def open(cls, folder: Path) -> "Segment":
        """The segment in a folder; it goes on when its files are deleted meanwhile."""
        return cls(folder)

    def __iter__(self) -> Iterator[Row]:
        return (self.row(row) for row in range(len(self)))

    def row(self, row: int) -> Row:
        """The context and the text of a row.

        Raises:
            IndexError: no such row; a negative one, such as a vector index's padding, is none.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} rows")
        first, second, end = self._starts[2 * row : 2 * row + 3].tolist()
        return Row(self._bytes[first:second].decode(), self._bytes[second:end].decode())


def write(folder: Path, rows: Iterable[Row]) -> int:
    """Write rows into an existing folder; how many there were."""
    with Writer(folder) as writer:
        for row in rows:
            writer.add(row, key_of(*row))
    return len(writer)
