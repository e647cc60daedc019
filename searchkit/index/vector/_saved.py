"""FAISS indexes as files."""

from pathlib import Path
from typing import Any

import faiss

from searchkit.errors import CorruptFile
from searchkit.index.vector import Vectors


def write(index: Any, path: Path, flags: int = 0) -> None:
    """Write a FAISS index; `flags` are FAISS's `IO_FLAG_...`."""
    faiss.write_index(index, str(path), flags)


def read(path: Path, vectors: Vectors) -> Any:
    """Read the FAISS index that was built on `vectors`.

    FAISS has no checksum and loads flipped bytes without complaint, so `index.store` checks files
    first.

    Raises:
        CorruptFile: FAISS cannot read the file, or it was built on vectors of another shape.
    """
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise CorruptFile(
            f"{path} is not a FAISS index ({reason}); build it again with: searchkit index"
        ) from error
    if (index.ntotal, index.d) != vectors.shape:
        raise CorruptFile(
            f"{path} indexes {index.ntotal} vectors of {index.d} dimensions, but there are"
            f" {vectors.shape[0]} of {vectors.shape[1]}; build it again with: searchkit index"
        )
    return index
