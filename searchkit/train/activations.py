"""States behind the frozen layers below the additions: computed once a text, and kept on disk.

Where additions begin at layer n > 1, the layers below make the same states of a text in every
epoch, in both passes of a large batch, and in any other training that leaves them alone. The
folder's name is a hash of all that decides them; a text is found by a hash of its token ids.

    <folder>/<hash>/last_tokens/<hash>.npy    states of some texts, one after the other, (S, D)
    <folder>/<hash>/<summary>/<hash>.npy      a pooling's summaries of these layers, n - 1 a text
    <folder>/<hash>/.../<hash>.json           each block's keys, lengths and checksums

A text is checked whenever it is read, and read only when its turn comes: nothing but the present
batch is in memory.
"""

import dataclasses
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from searchkit import files
from searchkit.encode import embedder, tokens
from searchkit.encode.arithmetic import quicken_float32
from searchkit.encode.embedder import Engine
from searchkit.encode.language_models import BaseModel
from searchkit.encode.memory import key_of
from searchkit.encode.states import LAST_TOKENS, LAYER_EOS, LAYER_MEANS, PER_LAYER, Reader
from searchkit.encode.tokens import TokenisedText
from searchkit.encode.variant import Variant
from searchkit.errors import SearchkitError

Rows = npt.NDArray[Any]


class Activations:
    """What the layers up to one make of texts.

    They are loaded when a text is met that nobody has met before. The last bits of a text's states
    depend on the texts it was computed beside, as they do everywhere; a run that is killed and
    goes on computes the same batches as an unbroken one.

    Args:
        folder: where activations are kept, one folder in it for each lower half.
        variant: names attention and templates.
        base: the base model that it names.
        layer: the deepest frozen layer.
        engine: a choice of encode/engines.
        dtype: of the frozen weights and of products, and in which states are kept. The packed
            engine hands on float32 whatever it is, so bfloat16 rounds them once more, by at most
            2^-9 of each number.
        device: where to compute.
    """

    def __init__(
        self,
        folder: Path,
        variant: Variant,
        base: BaseModel,
        *,
        layer: int,
        engine: str,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.layer = layer
        self._first_read = variant.first_layer
        # Whatever a pooling reads, these layers are the same.
        self._variant = dataclasses.replace(variant, first_layer=1, last_layer=layer)
        self._base, self._name, self._dtype, self._device = base, engine, dtype, device
        words = (base.hash, variant.attention, str(layer), engine, str(dtype))
        self.folder = folder / key_of(*(word.encode() for word in words))
        self._slots = {name: _Slot(self.folder / name) for name in (LAST_TOKENS, *PER_LAYER)}
        if device.type == "cpu" and dtype == torch.float32:
            # It holds for the whole process: the upper layers must not depend on whether the
            # lower ones, which do the same, had to be loaded.
            quicken_float32()

    @property
    def free_bytes(self) -> int:
        """What the disk has left where activations are kept."""
        there = next(one for one in (self.folder, *self.folder.parents) if one.exists())
        return shutil.disk_usage(there).free

    def missing_bytes(self, texts: Sequence[TokenisedText], reads: str) -> int:
        """The disk that what is not kept of texts will take, but for some hundred bytes a text.

        Args:
            texts: any; one that comes twice counts once.
            reads: what the pooling reads; see `encode.states`.
        """
        missing = 0
        summarised = reads in PER_LAYER and self._first_read <= self.layer
        for slot in (LAST_TOKENS, reads) if summarised else (LAST_TOKENS,):
            rows = {
                self._key(slot, text): len(text.ids) if slot == LAST_TOKENS else self.layer
                for text in texts
            }
            missing += sum(rows[key] for key in self._slots[slot].unknown(rows))
        _, dim = embedder.shape_of(self._base)
        return missing * dim * self._dtype.itemsize

    def read(self, texts: Sequence[TokenisedText], reader: Reader) -> Tensor:
        """The states of all tokens behind the deepest frozen layer, one text after the other.

        Args:
            texts: at least one.
            reader: of a batch of these texts; is given the summaries that it wants of these layers.

        Returns:
            (S, D), float32 or bfloat16, without a graph.
        """
        wanted = reader.wanted.intersection(PER_LAYER) if reader.needs(self.layer) else ()
        found = {
            slot: self._slots[slot].find([self._key(slot, text) for text in texts])
            for slot in (LAST_TOKENS, *wanted)
        }
        unknown = {
            (text.ids.tobytes(), text.instruction): text
            for text in texts
            if any(self._key(slot, text) not in rows for slot, rows in found.items())
        }
        if unknown:
            self._compute([*unknown.values()], found)

        def of(slot: str) -> list[Tensor]:
            return [_tensor(found[slot][self._key(slot, text)]) for text in texts]

        for slot in wanted:
            reader.give(slot, torch.stack(of(slot)).to(self._device))
        return torch.cat(of(LAST_TOKENS)).to(self._device)

    def _compute(
        self, texts: Sequence[TokenisedText], found: Mapping[str, dict[str, Rows]]
    ) -> None:
        """One forward pass, whose rows are kept and join those that were found, by slot and key."""
        batch = tokens.batch(texts, pool_instruction=self._variant.pool_instruction)
        batch = batch.to(self._device)
        reader = Reader(found, batch, first_layer=1, last_layer=self.layer)
        self._engine.run(batch, reader)
        ends = accumulate((len(text.ids) for text in texts), initial=0)
        own = [slice(*bounds) for bounds in pairwise(ends)]
        for slot, known in found.items():
            states = reader.tokens() if slot == LAST_TOKENS else reader.read(slot)[0]
            computed = _array(states.to(_kept_in(slot, self._dtype)))
            new: dict[str, Rows] = {}
            for row, text in enumerate(texts):
                if (key := self._key(slot, text)) not in known:
                    new[key] = computed[own[row] if slot == LAST_TOKENS else row]
            if new:
                self._slots[slot].add(new)
                known.update(new)

    def _key(self, slot: str, text: TokenisedText) -> str:
        """Of a text's states; of its summaries, to which not all of its tokens may count."""
        ids = text.ids.astype("<i8").tobytes()
        if slot == LAST_TOKENS:
            return key_of(ids)
        left_out = 0 if self._variant.pool_instruction else text.instruction
        return key_of(ids, str(left_out).encode())

    @cached_property
    def _engine(self) -> Engine:
        return embedder.load_engine(
            self._variant, self._base, engine=self._name, dtype=self._dtype, device=self._device
        )


class _Place(NamedTuple):
    """Where a text's rows are: a block and its note, which rows of it, and their checksum."""

    note: Path
    rows: slice
    checksum: str


class _Slot:
    """Rows of texts, some of them a block, found by the texts' keys."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, _Place] = {}
        self._notes: set[Path] = set()  # those that were read

    def find(self, keys: Sequence[str]) -> dict[str, Rows]:
        """The rows of those keys that are known, (n, D) each."""
        if not self._places.keys() >= set(keys):
            self._look()
        return {key: rows for key in set(keys) if (rows := self._rows(key)) is not None}

    def unknown(self, keys: Iterable[str]) -> set[str]:
        """The keys of which no block has rows; whether these are whole is not looked at."""
        self._look()
        return set(keys) - self._places.keys()

    def add(self, rows: Mapping[str, Rows]) -> None:
        """Keep the rows of texts by their keys; a killed process leaves all of them or none.

        Raises:
            SearchkitError: they cannot be written.
        """
        note = self._folder / f"{key_of(*map(bytes.fromhex, rows))}.json"
        row = {
            "keys": [*rows],
            "lengths": [len(part) for part in rows.values()],
            "checksums": [_checksum(key, part) for key, part in rows.items()],
        }
        try:
            with files.atomic(note.with_suffix(".npy")) as temporary, temporary.open("wb") as file:
                np.save(file, np.concatenate([*rows.values()]), allow_pickle=False)
            files.write_text(note, json.dumps(row) + "\n")
        except OSError as error:
            raise SearchkitError(
                f"states of texts cannot be kept in {self._folder} ({error.strerror}); make room "
                "there, or train without keeping them"
            ) from error
        self._notes.discard(note)  # a torn one went by its name
        self._look()

    def _look(self) -> None:
        """Read the notes that this, or another process of the same training, has added."""
        for note in sorted({*self._folder.glob("*.json")} - self._notes):
            self._notes.add(note)
            try:
                row = json.loads(note.read_text("utf-8"))
                ends = pairwise(accumulate(row["lengths"], initial=0))
                for key, bounds, checksum in zip(row["keys"], ends, row["checksums"], strict=True):
                    self._places[key] = _Place(note, slice(*bounds), checksum)
            except (OSError, ValueError, TypeError, LookupError):  # torn: its texts are unknown
                continue

    def _rows(self, key: str) -> Rows | None:
        if key not in self._places:
            return None
        place = self._places[key]
        try:
            # Not kept open: there is a block for every batch that was ever computed.
            block = np.load(place.note.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
            rows = np.array(block[place.rows])
        except (FileNotFoundError, ValueError, EOFError):
            rows = None
        if rows is None or _checksum(key, rows) != place.checksum:
            self._drop(place.note)
            return None
        return rows

    def _drop(self, note: Path) -> None:
        """Forget a block that is not what was written; its texts will be computed again."""
        note.unlink(missing_ok=True)
        note.with_suffix(".npy").unlink(missing_ok=True)
        self._notes.discard(note)
        self._places = {key: at for key, at in self._places.items() if at.note != note}


def _checksum(key: str, rows: Rows) -> str:
    return key_of(bytes.fromhex(key), rows.tobytes())


def _kept_in(slot: str, dtype: torch.dtype) -> torch.dtype:
    # Of states at unit RMS float16 keeps three more bits than bfloat16.
    unit = slot in (LAYER_EOS, LAYER_MEANS)
    return torch.float16 if unit and dtype == torch.bfloat16 else dtype


def _array(states: Tensor) -> Rows:
    """NumPy has no bfloat16: its bits go by as uint16."""
    states = states.cpu()
    return (states.view(torch.uint16) if states.dtype == torch.bfloat16 else states).numpy()


def _tensor(rows: Rows) -> Tensor:
    tensor = torch.from_numpy(rows)
    return tensor.view(torch.bfloat16) if tensor.dtype == torch.uint16 else tensor
