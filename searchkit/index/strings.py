"""Strings on disk: a list that opens at once, however long it is, and is searched by bisection.

Three files carry the list's name: `<name>.txt`, the strings in UTF-8 with a newline after each;
`<name>.starts.npy`, (N + 1,) int64, where each begins and the file ends; `<name>.order.npy`, (N,)
int64, the rows in the order of their strings. Strings may contain newlines: the starts decide, the
newlines are for readers of the file.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from searchkit.index.mapped import map_array, map_bytes


def write(folder: Path, name: str, strings: Iterable[str]) -> None:
    """Write the list.

    Raises:
        UnicodeEncodeError: a string holds half of a surrogate pair.
    """
    encoded = [string.encode() for string in strings]
    sizes = np.fromiter((len(string) + 1 for string in encoded), np.int64, len(encoded))
    with (folder / f"{name}.txt").open("wb") as file:
        file.writelines(string + b"\n" for string in encoded)
    np.save(folder / f"{name}.starts.npy", np.concatenate([[0], np.cumsum(sizes)]))
    # UTF-8 sorts as the code points do, so this is also Python's order of the strings.
    order = sorted(range(len(encoded)), key=encoded.__getitem__)
    np.save(folder / f"{name}.order.npy", np.array(order, np.int64))


class Strings(Sequence[str]):
    """The list that `write` wrote, read where it is asked for."""

    def __init__(self, folder: Path, name: str) -> None:
        self._bytes = map_bytes(folder / f"{name}.txt")
        self._starts = map_array(folder / f"{name}.starts.npy")
        self._order = map_array(folder / f"{name}.order.npy")

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        return self._encoded(range(len(self))[row]).decode()

    def at(self, rows: npt.NDArray[np.integer]) -> list[str]:
        """The strings of some rows, each from 0."""
        starts, ends = self._starts[rows].tolist(), self._starts[rows + 1].tolist()
        return [self._bytes[a : b - 1].decode() for a, b in zip(starts, ends, strict=True)]

    def find(self, string: str) -> int | None:
        """The row of a string, the first one if it is repeated; None where the list lacks it."""
        wanted = string.encode(errors="surrogatepass")
        place = bisect_left(self._order, wanted, key=self._encoded)
        if place == len(self):
            return None
        row = int(self._order[place])
        return row if self._encoded(row) == wanted else None

    def _encoded(self, row: int) -> bytes:
        return self._bytes[self._starts[row] : self._starts[row + 1] - 1]
