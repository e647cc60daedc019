"""From variants to embedders that are calibrated and proven."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from searchkit import catalog
from searchkit.encode import calibration, embedder, language_models, proof
from searchkit.encode.embedder import Embedder, Engine
from searchkit.encode.language_models import BaseModel
from searchkit.encode.memory import Memory, key_of, memory_of
from searchkit.encode.states import Reader, TokenBatch
from searchkit.encode.variant import ATTENTION, POOLING, Variant


def open_embedders(
    variants: Sequence[Variant],
    *,
    device: str | None = None,
    engine: str | None = None,
    dtype: str | None = None,
    allow_untrained: bool = False,
) -> Iterator[Embedder]:
    """One proven embedder per forward pass that the variants need, loaded when its turn comes.

    Args:
        variants: any; those that can share a pass do.
        device: such as "cuda"; the best there is by default.
        engine: a choice of encode/engines; the calibrated one by default.
        dtype: "float32", "bfloat16" or "int8"; the calibrated one by default.
        allow_untrained: let poolings pass whose weights were never trained.

    Raises:
        BrokenPromise: the loaded weights do not do what a variant says.
        NeedsTraining: a pooling has weights, and none were trained.
    """
    if not allow_untrained:
        embedder.refuse_untrained(variants)
    for loaded in load_unproven(variants, device=device, engine=engine, dtype=dtype):
        yield proof.prove(loaded)


def load_unproven(
    variants: Sequence[Variant],
    *,
    device: str | None = None,
    engine: str | None = None,
    dtype: str | None = None,
) -> Iterator[Embedder]:
    """As `open_embedders`, for whoever looks at the proofs, or needs no trained weights."""
    on = calibration.device(device)
    for group in embedder.share_a_pass(variants):
        name, number, _ = _arithmetic(group, on, engine, dtype)
        yield embedder.load(group, engine=name, dtype=number, device=on, allow_untrained=True)


def remember(
    variants: Sequence[Variant],
    folder: Path,
    *,
    device: str | None = None,
    engine: str | None = None,
    dtype: str | None = None,
    allow_untrained: bool = False,
) -> Iterator[Embedder]:
    """As `open_embedders`, with a memory below `folder`.

    A model is loaded, and proven, at the first text that the memory does not know: another pooling
    of states that it has costs no forward pass.

    Args:
        variants: see `open_embedders`.
        folder: where memories are, one for each forward pass.
        device: see `open_embedders`.
        engine: see `open_embedders`.
        dtype: see `open_embedders`.
        allow_untrained: see `open_embedders`.

    Raises:
        NeedsTraining: a pooling has weights, and none were trained.
        BrokenPromise: while encoding: see `open_embedders`.
    """
    if not allow_untrained:
        embedder.refuse_untrained(variants)
    on = calibration.device(device)
    for group in embedder.share_a_pass(variants):
        base = language_models.resolve(group[0].base)
        name, number, speed = _arithmetic(group, on, engine, dtype)
        layers = embedder.layer_range(group[0], embedder.shape_of(base)[0])
        words = [base.hash, group[0].attention, str(layers), name, str(number), on.type]
        words += [group[0].adapter_hash] * bool(group[0].adapter_hash)
        known = memory_of(folder / key_of(*(word.encode() for word in words)))
        waiting = _waiting(group, base, name, number, on, known)
        waiting.calibrated_tokens_per_s = speed
        yield waiting


def _waiting(
    group: Sequence[Variant],
    base: BaseModel,
    engine_name: str,
    dtype: torch.dtype,
    on: torch.device,
    memory: Memory,
) -> Embedder:
    """An embedder with a memory, whose engine is loaded and proven when it has to compute."""

    def load() -> Engine:
        engine = embedder.load_engine(group[0], base, engine=engine_name, dtype=dtype, device=on)
        proven = proof.prove(
            Embedder(group, base, engine, engine_name=engine_name, allow_untrained=True)
        )
        waiting.verdict = proven.verdict
        memory.note({"base": base.name, "proof": proven.verdict})
        return engine

    waiting = Embedder(
        group,
        base,
        _Late(on, dtype, load),
        engine_name=engine_name,
        allow_untrained=True,
        memory=memory,
    )
    waiting.verdict = memory.facts.get("proof", {})
    return waiting


class _Late:
    """An engine that is loaded when something has to be computed."""

    padding_side: str | None = None

    def __init__(
        self, device: torch.device, dtype: torch.dtype, load: Callable[[], Engine]
    ) -> None:
        self.device, self.dtype = device, dtype
        self._load = load
        self._engine: Engine | None = None

    def run(self, batch: TokenBatch, reader: Reader) -> None:
        """Compute one batch and hand each layer to the reader."""
        if self._engine is None:
            self._engine = self._load()
        self._engine.run(batch, reader)


def _arithmetic(
    group: Sequence[Variant], on: torch.device, engine: str | None, dtype: str | None
) -> tuple[str, torch.dtype, float | None]:
    """The engine and dtype for a forward pass: what was asked for, else what calibration finds.

    The third is the speed in tokens a second that calibration saw, if it looked.
    """
    base = language_models.resolve(group[0].base)
    if dtype is None:
        choice = calibration.choose(group, base, on, engine=engine)
        return choice.engine, choice.dtype, choice.tokens_per_s
    return engine or calibration.engine_for(base), calibration.dtype_of(dtype), None


def every_design() -> list[str]:
    """The names of all combinations of a pooling and an attention mode."""
    pairs = itertools.product(catalog.names(ATTENTION), catalog.names(POOLING))
    return [f"{pooling}-{attention}" for attention, pooling in pairs]
