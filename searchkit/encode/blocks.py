"""Encoding in blocks, so that a killed run loses at most one.

On its way to the disk a block of texts is encoded, written, flushed and only then noted as done, in
a small JSON file beside its vectors, and memory is bounded by a block. The next run skips what is
noted. Blocks depend on nothing but their texts, so a resumed run and an unbroken one write the same
bytes. What fits into memory is encoded in blocks, too, for the sake of the encoder's own memory.
"""

import itertools
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from searchkit import files
from searchkit.encode.embedder import Encoded, Role, TextEncoder, Vectors

BLOCK_TEXTS = 256


@dataclass(frozen=True, slots=True)
class Progress:
    """How far encoding has come; `resumed` of the `texts` were done by an earlier run."""

    texts: int
    total: int
    tokens: int
    truncated: int
    seconds: float
    resumed: int


def encode(
    encoder: TextEncoder,
    texts: Iterable[tuple[str, str]],
    total: int,
    staging: Path,
    *,
    report: Callable[[Progress], None] = lambda progress: None,
    block_texts: int = BLOCK_TEXTS,
) -> Progress:
    """Encode (name, text) pairs into block files, one folder per name of the encoder.

    Args:
        encoder: who makes the vectors.
        texts: in the order of the rows; names appear in errors. Read block by block.
        total: how many there are.
        staging: where the folders go; what an earlier run left there for the same texts is kept.
        report: told of every batch that is done.
        block_texts: how many texts a block has; part of the folders' names.

    Raises:
        EmptyText: a text without any token, by its name.
    """
    folders = {name: folder_of(encoder, name, staging, block_texts) for name in encoder.names}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    done = Progress(0, total, 0, 0, 0.0, 0)

    def advance(texts: int, tokens: int, truncated: int = 0, resumed: int = 0) -> None:
        nonlocal done
        done = Progress(
            done.texts + texts,
            total,
            done.tokens + tokens,
            done.truncated + truncated,
            time.perf_counter() - start,
            done.resumed + resumed,
        )
        report(done)

    with ThreadPoolExecutor(
        max_workers=1
    ) as ahead:  # tokenises the next block while this one is computed
        for number, size, prepared in _prepared(encoder, texts, folders, block_texts, ahead):
            if prepared is None:
                notes = [_read_note(folder, number) for folder in folders.values()]
                advance(size, 0, notes[0]["truncated"], resumed=size)
                continue
            encoded = encoder.encode_prepared(prepared, advance)
            for name, folder in folders.items():
                _write(folder, number, name, encoded)
            advance(0, 0, encoded.truncated)
    return done


def vectors_of(
    encoder: TextEncoder,
    name: str,
    texts: Sequence[str],
    role: Role,
    *,
    report: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Vectors, Progress]:
    """The vectors of texts in one array; a killed run loses a block at most if there is a memory.

    Args:
        encoder: who makes the vectors; its memory, if it has one, keeps those of all its names.
        name: whose are returned.
        texts: any number of them.
        role: of all of them.
        report: told of every block that is done.

    Returns:
        (N, D), float32, unit rows in the order of the texts; and what that took.

    Raises:
        EmptyText: a text without any token.
    """
    vectors = np.empty((len(texts), encoder.dimension(name)), dtype=np.float32)
    # Neighbours in length, so that engines that pad have little to pad.
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    start = time.perf_counter()
    done = Progress(0, len(texts), 0, 0, 0.0, 0)
    for first in range(0, len(order), BLOCK_TEXTS):
        rows = order[first : first + BLOCK_TEXTS]
        encoded = encoder.encode_prepared(encoder.prepare([texts[row] for row in rows], role))
        vectors[rows] = encoded.vectors[name]
        done = replace(
            done,
            texts=done.texts + len(rows),
            tokens=done.tokens + encoded.tokens,
            truncated=done.truncated + encoded.truncated,
            seconds=time.perf_counter() - start,
        )
        report(done)
    return vectors, done


def assemble(
    encoder: TextEncoder,
    name: str,
    total: int,
    staging: Path,
    target: Path,
    *,
    block_texts: int = BLOCK_TEXTS,
) -> None:
    """Join the blocks of one name into `target`, an NPY file of shape (total, D)."""
    folder = folder_of(encoder, name, staging, block_texts)
    header = {"descr": "<f4", "fortran_order": False, "shape": (total, encoder.dimension(name))}
    with target.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for number in range(-(-total // block_texts)):
            file.write(np.load(_block(folder, number)).astype("<f4").tobytes())


def forget(encoder: TextEncoder, staging: Path, *, block_texts: int = BLOCK_TEXTS) -> None:
    """Delete the blocks of an encoder, once they are part of an index."""
    # A set: a design that goes by two labels has one folder.
    for folder in {folder_of(encoder, name, staging, block_texts) for name in encoder.names}:
        shutil.rmtree(folder)


def folder_of(
    encoder: TextEncoder, name: str, staging: Path, block_texts: int = BLOCK_TEXTS
) -> Path:
    """The folder of one name's blocks: another design, arithmetic or block size has another one."""
    facts = encoder.facts(name)
    return staging / f"{facts['fingerprint']}-{facts['engine']}-{facts['dtype']}-{block_texts}"


def _prepared(
    encoder: TextEncoder,
    texts: Iterable[tuple[str, str]],
    folders: dict[str, Path],
    block_texts: int,
    ahead: ThreadPoolExecutor,
) -> Iterator[tuple[int, int, Any]]:
    """Number, size and prepared texts of every block, or None where it is done; one block ahead."""
    remaining = iter(texts)

    def next_block(number: int) -> tuple[int, int, Any] | None:
        pairs = list(itertools.islice(remaining, block_texts))
        if not pairs:
            return None
        if all(_is_done(folder, number) for folder in folders.values()):
            return number, len(pairs), None
        names, bodies = [name for name, _ in pairs], [text for _, text in pairs]
        return number, len(pairs), encoder.prepare(bodies, "passage", names)

    waiting = ahead.submit(next_block, 0)
    while (block := waiting.result()) is not None:
        waiting = ahead.submit(next_block, block[0] + 1)
        yield block


def _write(folder: Path, number: int, name: str, encoded: Encoded) -> None:
    path = _block(folder, number)
    with files.atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, encoded.vectors[name], allow_pickle=False)
    note = {
        "blake3": files.blake3_of(path),
        "tokens": encoded.tokens,
        "truncated": encoded.truncated,
    }
    files.write_text(path.with_suffix(".json"), json.dumps(note) + "\n")


def _is_done(folder: Path, number: int) -> bool:
    path = _block(folder, number)
    try:
        note = _read_note(folder, number)
        return isinstance(note["truncated"], int) and files.blake3_of(path) == note["blake3"]
    except (OSError, ValueError, KeyError, TypeError):
        return False  # not there, or torn: encoded again


def _read_note(folder: Path, number: int) -> dict[str, Any]:
    note: dict[str, Any] = json.loads(
        _block(folder, number).with_suffix(".json").read_text("utf-8")
    )
    return note


def _block(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.npy"
