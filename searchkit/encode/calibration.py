"""Which engine and which dtype: the fastest on this machine among those that are accurate enough.

Measured once per base model, attention mode, poolings and machine, in a few seconds, and kept in
`places.home()/calibration.json`.
"""

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from searchkit import catalog, files, places
from searchkit.encode import embedder
from searchkit.encode.arithmetic import dtype_name, quick_float
from searchkit.encode.language_models import BaseModel
from searchkit.encode.variant import Variant
from searchkit.errors import BadInput

LEAST_COSINE = 0.999  # to float32, for the worst of the calibration texts
_DTYPES = (torch.float32, torch.bfloat16, torch.int8)
# Never chosen, only asked for: the vectors of untrained decoders lie so close together that
# retrieval notices an error which their cosines hardly show.
_ON_REQUEST = frozenset({torch.int8})
# Stand in for poolings whose weights were never trained. An average of states hides rounding, a
# single state shows it.
_STAND_INS = ("mean", "eos_last")


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, a dtype, and what was measured when they were chosen."""

    engine: str
    dtype: torch.dtype
    tokens_per_s: float
    cosine: float


def device(name: str | None = None) -> torch.device:
    """The device of that name; by default CUDA, then MPS, if there is one, else the CPU.

    Raises:
        BadInput: this machine has no such device.
    """
    if name:
        try:
            torch.zeros(1, device=name).item()
        except (RuntimeError, AssertionError) as error:
            raise BadInput(
                f"no device {name!r} here: {str(error).splitlines()[0]}; give cpu, or leave it out"
            ) from error
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def dtype_of(name: str) -> torch.dtype:
    """The dtype of that name.

    Raises:
        BadInput: it is not one that engines compute in.
    """
    known = {dtype_name(dtype): dtype for dtype in _DTYPES}
    if name not in known:
        raise BadInput(f"no dtype {name!r}; there are: {', '.join(known)}")
    return known[name]


def dtype_for_queries(dtype: torch.dtype) -> torch.dtype:
    """What to encode a few queries in, beside passages in that dtype.

    Integers save time on a corpus; bringing the weights into that form would cost a query more than
    it saves.
    """
    return quick_float() if dtype == torch.int8 else dtype


def engine_for(base: BaseModel) -> str:
    """The engine that is taken for a base unless the user says otherwise."""
    folder = embedder.ENGINES
    engines = {name: catalog.load(folder, name) for name in catalog.names(folder)}
    able = [name for name, engine in engines.items() if engine.unsupported(base.config) is None]
    return max(able, key=lambda name: int(engines[name].PREFERENCE))


def choose(
    variants: Sequence[Variant], base: BaseModel, on: torch.device, *, engine: str | None = None
) -> Choice:
    """The engine and dtype for a forward pass on a device; measured at the first call.

    Args:
        variants: those that share the pass. Their base, attention and poolings count.
        base: the resolved base model.
        on: where to compute.
        engine: measure this engine instead of the one `engine_for` takes.
    """
    engine = engine or engine_for(base)
    machine = (
        torch.cuda.get_device_name(on)
        if on.type == "cuda"
        else f"{_processor()}, {torch.get_num_threads()} threads"
    )
    place = f"{on.type} {machine} torch {torch.__version__}"
    poolings = {variant.pooling for variant in variants if not variant.trainable}
    if len(poolings) < len({variant.pooling for variant in variants}):
        poolings |= set(_STAND_INS)
    probes = [
        Variant(
            attention=variants[0].attention,
            pooling=pooling,
            base=variants[0].base,
            max_tokens=variants[0].max_tokens,
            weights=variants[0].weights,
        )
        for pooling in sorted(poolings)
    ]
    names = "+".join(probe.name for probe in probes)
    model = base.hash[:16] + variants[0].adapter_hash[:16]
    key = f"{model} {names} {engine} {place}"
    path = places.home() / "calibration.json"
    kept = _read(path)
    if key not in kept:
        kept = {**_read(path), key: _measure(probes, on, engine)}
        files.write_text(path, json.dumps(kept, indent=1, sort_keys=True) + "\n")
    row = kept[key]
    return Choice(engine, dtype_of(row["dtype"]), row["tokens_per_s"], row["cosine"])


def _measure(probes: Sequence[Variant], on: torch.device, engine: str) -> dict[str, Any]:
    """Time every dtype on about a thousand tokens; the fastest that stays close to float32 wins."""
    texts = _texts()
    exact: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for dtype in catalog.load(embedder.ENGINES, engine).dtypes(on):
        if dtype in _ON_REQUEST:
            continue
        try:
            loaded = embedder.load(probes, engine=engine, dtype=dtype, device=on)
            encoded = loaded.encode(texts)  # the first run also warms up
        except (RuntimeError, TypeError):
            if dtype == torch.float32:
                raise
            continue  # a device without that dtype
        exact = exact or encoded.vectors
        cosine = min(
            float((encoded.vectors[name] * exact[name]).sum(axis=1).min()) for name in exact
        )
        seconds = min(_seconds(loaded, texts) for _ in range(2))
        del loaded  # before the next one is read: a machine need not hold both
        rows.append(
            {
                "dtype": dtype_name(dtype),
                "tokens_per_s": round(encoded.tokens / seconds, 1),
                "cosine": round(min(cosine, 1.0), 6),
            }
        )
    accurate = [row for row in rows if row["cosine"] >= LEAST_COSINE]
    if not accurate:  # not even float32 agrees with itself
        raise BadInput(f"{probes[0].base} computes vectors that are not numbers; check its weights")
    return max(accurate, key=lambda row: row["tokens_per_s"])


def _seconds(loaded: embedder.Embedder, texts: list[str]) -> float:
    start = time.perf_counter()
    loaded.encode(texts)  # ends in NumPy arrays, so a device has finished too
    return time.perf_counter() - start


def _texts() -> list[str]:
    """Texts of 3 to 230 tokens or so, drawn words, the same on every machine.

    Short ones are among them: without a causal mask, an untrained base amplifies the rounding of
    bfloat16 on some of those until the vectors have little in common.
    """
    sentence = "the index holds vectors of every document while queries ask for one passage"
    words = sentence.split()
    draw = np.random.default_rng(0)
    sizes = (2, 3, 4, 5, 6, 8, 12, 40, 70, 100, 130, 160, 190, 220)
    return [" ".join(draw.choice(words, size=size)) for size in sizes]


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # measuring again repairs it
    return kept if isinstance(kept, dict) else {}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
