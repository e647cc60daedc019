"""Trained weights: the folder that training leaves, and those that come with searchkit.

variant.json                the variant's row, the base, checksums, and how it was trained
adapter_config.json         of the peft library; absent where the base stayed as it was
adapter_model.safetensors
pooling.safetensors         the pooling's weights; absent where it has none
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from searchkit import files
from searchkit.errors import BadInput, CorruptFile, UnknownName

if TYPE_CHECKING:  # a variant is known without torch: a search by BM25 must not wait for it
    from torch import Tensor

    from searchkit.encode.adapter import Adapter
    from searchkit.encode.language_models import BaseModel

MANIFEST, POOLING = "variant.json", "pooling.safetensors"
ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
_SHIPPED = Path(__file__).parent / "trained"


@dataclass(frozen=True, slots=True)
class Weights:
    """One trained variant on disk, its checksums verified.

    Attributes:
        folder: where it lies.
        row: the variant's row without the field that names the weights.
        base_hash: of the base model that it was trained on.
        adapter_hash: of the adapter's weights; empty where the base stayed as it was.
        pooling_hash: of the pooling's; empty where it has none.
        training: how it was made: data, budget, seed, versions.
    """

    folder: Path
    row: Mapping[str, Any]
    base_hash: str
    adapter_hash: str
    pooling_hash: str
    training: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of all that was trained."""
        return blake3(f"{self.adapter_hash} {self.pooling_hash}".encode()).hexdigest()[:16]

    def fits(self, base: "BaseModel") -> bool:
        """Whether a base model is the one that was trained on.

        A known one is so by its name: what it is converted from is pinned by a checksum, and what
        the libraries of another machine note beside the weights changes no vector.
        """
        from searchkit.encode.language_models import known

        same = base.name in known() and base.name == self.row.get("base")
        return same or base.hash == self.base_hash

    def adapter(self) -> "Adapter | None":
        """The additions to the base; None where it stayed as it was."""
        from searchkit.encode import adapter

        return adapter.read(self.folder) if self.adapter_hash else None

    def pooling(self) -> "dict[str, Tensor]":
        """The pooling's state_dict, float32; empty where it has no weights."""
        from safetensors.torch import load_file

        if not self.pooling_hash:
            return {}
        return {name: found.float() for name, found in load_file(self.folder / POOLING).items()}


def shipped() -> list[str]:
    """The names of the trained variants that come with searchkit."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{MANIFEST}"))


def knows(name: str) -> bool:
    """Whether a name, or a folder, is that of trained weights."""
    return bool(name) and (_folder(name) / MANIFEST).is_file()


def absolute(name: str) -> str:
    """What names the same weights wherever it is read: the whole path of a folder, else a name."""
    return str(_folder(name).resolve()) if knows(name) and name not in shipped() else name


def resolve(name: str) -> Weights:
    """The trained weights of a name that comes with searchkit, or of a folder.

    Raises:
        UnknownName: there are none.
        CorruptFile: a file is not the one that training wrote.
    """
    folder = _folder(name)
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise UnknownName(
            f"no trained weights at {name}; give a folder that searchkit train wrote"
            + (f", or one of {', '.join(shipped())}" if shipped() else "")
        )
    return _open(folder, manifest.stat().st_mtime_ns)


def write(
    folder: Path,
    *,
    row: Mapping[str, Any],
    base: str,
    base_hash: str,
    factors: "Mapping[str, tuple[Tensor, Tensor]]",
    alpha: float,
    dropout: float,
    pooling: "Mapping[str, Tensor]",
    training: Mapping[str, Any],
) -> None:
    """Write trained weights, in bfloat16; the manifest last, so that it vouches for the rest.

    Args:
        folder: made if need be; what it holds of another training is replaced.
        row: the variant's.
        base: name of the base model.
        base_hash: its hash.
        factors: the adapter's, see `Adapter`; may be empty.
        alpha: the adapter's scale times its rank.
        dropout: of the adapter's inputs while it was trained.
        pooling: the pooling's state_dict; may be empty.
        training: how it was made; JSON.
    """
    import torch
    from safetensors.torch import save_file

    from searchkit.encode import adapter

    folder.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, ADAPTER, ADAPTER_CONFIG, POOLING):
        (folder / name).unlink(missing_ok=True)
    if factors:
        adapter.write(folder, factors, alpha=alpha, dropout=dropout, base=base)
    if pooling:
        halved = {name: found.to(torch.bfloat16).contiguous() for name, found in pooling.items()}
        with files.atomic(folder / POOLING) as temporary:
            save_file(halved, temporary, metadata={"format": "pt"})
    written = [name for name in (ADAPTER_CONFIG, ADAPTER, POOLING) if (folder / name).is_file()]
    manifest = {
        "variant": {key: value for key, value in row.items() if key != "weights"},
        "base": {"name": base, "hash": base_hash},
        "files": {name: files.blake3_of(folder / name) for name in written},
        "training": dict(training),
    }
    files.write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")


def pack(source: Weights, folder: Path, *, max_tokens: int | None = None) -> None:
    """Copy trained weights as others need them: no checkpoints, no history; named by the folder.

    The copy is whole or not there.

    Args:
        source: what to copy.
        folder: made if need be.
        max_tokens: of the copy's texts; none of the weights depends on it. None keeps it.

    Raises:
        BadInput: the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is there already; name a folder that is not")
    manifest = json.loads((source.folder / MANIFEST).read_text("utf-8"))
    row = {**manifest["variant"], "label": folder.resolve().name}
    if max_tokens is not None:
        row["max_tokens"] = max_tokens
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    staging.mkdir()
    try:
        for name in manifest["files"]:
            shutil.copyfile(source.folder / name, staging / name)
        text = json.dumps({**manifest, "variant": row}, indent=1)
        (staging / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
        files.sync_tree(staging)
        staging.replace(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _folder(name: str) -> Path:
    # By its name alone: ./name is the user's own folder.
    return _SHIPPED / name if name in shipped() else Path(name).expanduser()


@lru_cache(maxsize=256)  # a study has dozens, and asks for all of them again and again
def _open(folder: Path, changed: int) -> Weights:
    """Read and verify a folder; `changed` makes a rewritten one another."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        checksums: dict[str, str] = manifest["files"]
        weights = Weights(
            folder=folder,
            row=manifest["variant"],
            base_hash=manifest["base"]["hash"],
            adapter_hash=checksums.get(ADAPTER, ""),
            pooling_hash=checksums.get(POOLING, ""),
            training=manifest["training"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{folder / MANIFEST} does not describe trained weights: {error}") from error
    for name, checksum in checksums.items():
        path = folder / name
        if not path.is_file() or files.blake3_of(path) != checksum:
            raise CorruptFile(
                f"{path} is not the file that training wrote; train again, or copy the folder anew"
            )
    return weights
