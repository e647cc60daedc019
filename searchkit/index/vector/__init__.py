"""A catalogue of vector indexes: each finds the stored vectors nearest to a query by inner product.

Every module offers `build(vectors)` and `open_saved(folder, vectors)`, and both return a
`VectorIndex`. The vectors themselves are stored once, beside the indexes, so an index is given them
instead of saving them: (N, D) float32, unit rows, C-contiguous, often a read-only memory map.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


class VectorIndex(Protocol):
    """What every choice builds and opens."""

    def search(self, queries: Vectors, k: int) -> tuple[Scores, Rows]:
        """The k best stored vectors of each query.

        Args:
            queries: (Q, D), float32, unit rows.
            k: how many to find, at least 1; it may exceed N.

        Returns:
            Scores (Q, k), float32, and rows (Q, k), int64, best first. The score of a pair is its
            true inner product, whatever k is and whichever queries come with it. Equal scores come
            in row order. Beyond N the row is -1 and the score -inf.

        Raises:
            ValueError: `queries` is not (Q, D) of finite float32, or k < 1.
        """

    def save(self, folder: Path) -> None:
        """Write what `open_saved` needs besides the vectors into `folder`, which exists."""
