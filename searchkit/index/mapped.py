"""Files as bytes in memory that are read only where they are touched."""

from mmap import ACCESS_READ, mmap
from pathlib import Path


def map_bytes(path: Path) -> mmap | bytes:
    """The bytes of a file; it may be deleted while they are in use."""
    if path.stat().st_size == 0:  # the operating system maps nothing of length 0
        return b""
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ)
