"""What a language model made of a text, kept by content: nothing is computed twice.

An evaluation reads the same text again and again: in another set, for another pooling, after it was
killed. A row is found by a hash of the token ids that went in, so that template, truncation and
tokenizer are part of it. Rows come in slots, each with files of its own: a slot is what a pooling
reads of the hidden states, or its vectors where it reads more than is worth keeping.

    <folder>/facts.json            what is known of the model, such as the verdict of its proof
    <folder>/<slot>/<hash>.npy     a block of rows, (n, ...)
    <folder>/<slot>/<hash>.json    its keys, checksum, tokens and seconds
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from searchkit import files

Rows = npt.NDArray[Any]
_KEY_BYTES = 16
_OPEN_BLOCKS = 128  # each holds a file open, and a process may have about a thousand


def key_of(*parts: bytes) -> str:
    """The key of a text: 32 hexadecimal digits of all that decides what a model makes of it."""
    hasher = blake3()
    for part in parts:
        hasher.update(len(part).to_bytes(8, "little") + part)
    return hasher.hexdigest(length=_KEY_BYTES)


_opened: WeakValueDictionary[Path, "Memory"] = WeakValueDictionary()


def memory_of(folder: Path) -> "Memory":
    """The memory of a folder; one and the same for all who hold it at a time.

    Its blocks are verified once, and rows that one holder adds are there for the others.
    """
    place = folder.resolve()
    memory = _opened.get(place)
    if memory is None or memory.is_gone:
        memory = _opened[place] = Memory(place)
    return memory


class Memory:
    """The rows of one forward pass: one model, one attention mode, one arithmetic.

    Args:
        folder: where they are; another pass has another folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, dict[str, tuple[Path, int]]] = {}
        self._blocks: dict[Path, Rows] = {}

    @property
    def is_gone(self) -> bool:
        """Whether somebody cleared the folder away from under rows that were found there."""
        return any(self._places.values()) and not self._folder.exists()

    def knows(self, slots: Sequence[str], key: str) -> bool:
        """Whether every slot has the row of a key."""
        return all(key in self._slot(slot) for slot in slots)

    def add(
        self,
        keys: Sequence[str],
        rows: Mapping[str, Rows],
        *,
        tokens: int,
        seconds: float,
    ) -> None:
        """Keep rows; a killed process leaves a block whole or not at all.

        Args:
            keys: n of them, each once.
            rows: by slot, (n, ...).
            tokens: how many were computed for them, for `speed`.
            seconds: in which time.
        """
        for slot, array in rows.items():
            path = self._folder / slot / f"{key_of(*map(bytes.fromhex, keys))}.npy"
            with files.atomic(path) as temporary, temporary.open("wb") as file:
                np.save(file, array, allow_pickle=False)
            note = {
                "blake3": files.blake3_of(path),
                "tokens": tokens,
                "seconds": seconds,
                "keys": list(keys),
            }
            files.write_text(path.with_suffix(".json"), json.dumps(note) + "\n")
            self._slot(slot).update({key: (path, row) for row, key in enumerate(keys)})

    def rows(self, slot: str, keys: Sequence[str]) -> Rows:
        """The rows of keys that the slot knows, (n, ...), in their order."""
        places = self._slot(slot)
        # Copies: a view would keep its block's file open.
        found = [np.array(self._block(path)[row]) for path, row in map(places.__getitem__, keys)]
        return np.stack(found)

    def speed(self) -> float | None:
        """Tokens a second over all that was ever computed for this memory; None if nothing was."""
        notes = {
            path.name: note  # a block of two slots was computed once
            for path in self._folder.glob("*/*.json")
            if (note := _read(path)) is not None
        }
        seconds = sum(note["seconds"] for note in notes.values())
        return sum(note["tokens"] for note in notes.values()) / seconds if seconds else None

    @property
    def facts(self) -> dict[str, Any]:
        """What was noted of the model; empty before anything was."""
        try:
            facts: dict[str, Any] = json.loads((self._folder / "facts.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return facts

    def note(self, facts: Mapping[str, Any]) -> None:
        """Note facts of the model, in the place of earlier ones."""
        files.write_text(self._folder / "facts.json", json.dumps(dict(facts), indent=1) + "\n")

    def _slot(self, slot: str) -> dict[str, tuple[Path, int]]:
        """Where each row of a slot is; read from its notes at first use."""
        if slot not in self._places:
            self._places[slot] = {
                key: (path.with_suffix(".npy"), row)
                for path in sorted((self._folder / slot).glob("*.json"))
                if (note := _note(path)) is not None
                for row, key in enumerate(note["keys"])
            }
        return self._places[slot]

    def _block(self, path: Path) -> Rows:
        block = self._blocks.pop(path, None)
        if block is None:
            block = np.load(path, mmap_mode="r", allow_pickle=False)
            if len(self._blocks) == _OPEN_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
        self._blocks[path] = block  # the last used stands last
        return block


def _note(path: Path) -> dict[str, Any] | None:
    """The note of a block that is whole; None where it is torn: its rows are computed again."""
    note = _read(path)
    try:
        whole = note is not None and files.blake3_of(path.with_suffix(".npy")) == note["blake3"]
    except OSError:
        return None
    return note if whole else None


def _read(path: Path) -> dict[str, Any] | None:
    """A note with all that it must hold, or None."""
    try:
        note: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return note if {"blake3", "tokens", "seconds", "keys"} <= note.keys() else None
    except (OSError, ValueError, AttributeError):
        return None
