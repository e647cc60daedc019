"""Checkpoints: all that a training run needs to go on, in one folder that is whole or not there.

    step-000120/step.json                what the run is made of, and the hashes of the other files
    step-000120/parameters.safetensors   what is trained, float32
    step-000120/moments.safetensors      the optimiser's running averages and counts
    step-000120/best.safetensors         the parameters that validated best so far, if any did

A folder is written under another name, flushed to the disk and renamed, so a kill at any moment
leaves the checkpoints that there were. The one before the newest stays: if a disk returns other
bytes than it was given, a run falls back to it instead of starting again.
"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3
from safetensors.torch import load_file, save_file
from torch import Tensor

from searchkit import files
from searchkit.errors import BadInput, CorruptFile

_FACTS = "step.json"
_PLACE = re.compile(r"step-(\d{6,})").fullmatch
_KEPT = 2
_FORMAT = 2  # with the optimiser's counts


@dataclass(frozen=True, slots=True)
class Best:
    """The parameters that validated best so far, the step that made them, and how good it was."""

    step: int
    value: float
    parameters: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run after `step` steps: parameters and the optimiser's state of each by name."""

    step: int
    parameters: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    best: Best | None = None


def save(folder: Path, checkpoint: Checkpoint, identity: Mapping[str, Any]) -> None:
    """Make a checkpoint the newest of a folder; only the one before it is kept.

    Args:
        folder: of the checkpoints of one run; made if it is missing.
        checkpoint: may lie on any device.
        identity: what the run is made of, by name, nested or not; JSON. `newest` compares it.
    """
    place = folder / f"step-{checkpoint.step:06}"
    draft = place.with_name(f"{place.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)  # of a run that was killed here
    draft.mkdir(parents=True)
    tensors = {"parameters": checkpoint.parameters, "moments": checkpoint.moments}
    best: dict[str, Any] | None = None
    if checkpoint.best:
        tensors["best"] = checkpoint.best.parameters
        best = {"step": checkpoint.best.step, "value": checkpoint.best.value}
    hashes = {}
    for name, named in tensors.items():
        path = draft / f"{name}.safetensors"
        save_file({key: one.detach().cpu().contiguous() for key, one in named.items()}, path)
        hashes[path.name] = files.blake3_of(path)
    facts = {
        "format": _FORMAT,
        "step": checkpoint.step,
        "identity": identity,
        "best": best,
        "files": hashes,
    }
    text = json.dumps({**facts, "blake3": _seal(facts)}, indent=1, allow_nan=False)
    (draft / _FACTS).write_text(text + "\n", encoding="utf-8")
    files.sync_tree(draft)
    shutil.rmtree(place, ignore_errors=True)  # a damaged one, whose step was taken again
    draft.rename(place)
    files.sync_tree(folder)
    _sweep(folder, checkpoint.step)


def newest(folder: Path, identity: Mapping[str, Any]) -> tuple[Checkpoint | None, tuple[str, ...]]:
    """The newest checkpoint that is whole, on the CPU; None if the folder has none at all.

    Args:
        folder: of the checkpoints of one run; may be missing.
        identity: what the run is made of that wants to go on.

    Returns:
        the checkpoint, and a note for each newer one that is damaged.

    Raises:
        BadInput: it belongs to a run that is made of something else; the message says of what.
        CorruptFile: every checkpoint is damaged.
    """
    notes: list[str] = []
    for step, place in sorted(_places(folder).items(), reverse=True):
        try:
            facts, checkpoint = _read(place)
        except CorruptFile as fault:
            notes.append(str(fault))
            continue
        made = {"format": facts.get("format", 1), **facts["identity"]}
        if differing := differences(made, {"format": _FORMAT, **identity}):
            raise BadInput(
                f"{place} was made with {'; '.join(differing)}; take that back to go on with it,"
                " or train into another folder"
            )
        return checkpoint, tuple(f"{note}; went back to step {step}" for note in notes)
    if notes:
        raise CorruptFile(f"{'; '.join(notes)}; delete {folder} to start from step 0")
    return None, ()


def _read(place: Path) -> tuple[dict[str, Any], Checkpoint]:
    """What a checkpoint's folder holds.

    Raises:
        CorruptFile: a file of it is not what was written; the message names it.
    """
    file = place / _FACTS
    try:
        facts: dict[str, Any] = json.loads(file.read_bytes())
        whole = facts.pop("blake3") == _seal(facts)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        whole = False
    if not whole:
        raise CorruptFile(f"{file} is not what was written")
    tensors = {}
    for name, digest in facts["files"].items():
        try:
            found = files.blake3_of(place / name)
        except OSError as error:
            raise CorruptFile(f"{place / name} cannot be read ({error.strerror})") from error
        if found != digest:
            raise CorruptFile(f"{place / name} has the BLAKE3 hash {found}, not {digest}")
        tensors[name.removesuffix(".safetensors")] = load_file(place / name)
    best = Best(**facts["best"], parameters=tensors["best"]) if facts["best"] else None
    return facts, Checkpoint(facts["step"], tensors["parameters"], tensors["moments"], best)


def differences(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Every value that differs between two runs, as "name value, not value".

    Args:
        made: what the one was made of, as it was saved: JSON, nested.
        wanted: what the other is made of; JSON, nested.
    """
    before, now = _flat(made), _flat(json.loads(json.dumps(wanted)))
    return [
        f"{name} {before.get(name, 'unknown')}, not {now.get(name, 'unknown')}"
        for name in sorted(before | now)
        if name not in before or name not in now or before[name] != now[name]
    ]


def _flat(identity: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in identity.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _places(folder: Path) -> dict[int, Path]:
    """The folders of checkpoints by step."""
    if not folder.is_dir():
        return {}
    return {int(named[1]): path for path in folder.iterdir() if (named := _PLACE(path.name))}


def _sweep(folder: Path, step: int) -> None:
    """Delete what a killed run left, checkpoints beyond `step`, and older ones but one."""
    kept = [at for at in sorted(_places(folder)) if at <= step][-_KEPT:]
    for path in folder.iterdir():
        named = _PLACE(path.name)
        if path.suffix == ".tmp" or (named and int(named[1]) not in kept):
            shutil.rmtree(path)


def _seal(facts: Mapping[str, Any]) -> str:
    return blake3(json.dumps(facts, sort_keys=True).encode()).hexdigest()
