"""Files that are whole or not there, and hashes that say which."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blake3 import blake3


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary neighbour of `path`, which takes its place when the block ends well.

    The bytes reach the disk before the name does, so that after a power cut the old file or the new
    one is there, never half of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder`, itself included, to the disk."""
    for parent, _, children in os.walk(folder):
        for child in children:
            sync(Path(parent) / child)
        sync(Path(parent))


def blake3_of(path: Path) -> str:
    """The BLAKE3 hash of a file, 64 hexadecimal digits; memory-mapped, not read into memory."""
    hasher = blake3(max_threads=blake3.AUTO)
    hasher.update_mmap(path)
    return hasher.hexdigest()


def sync(path: Path) -> None:
    """Flush one file, or the names in one folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
