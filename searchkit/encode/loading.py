"""From variants to embedders that are calibrated and proven."""

import itertools
from collections.abc import Iterator, Sequence

from searchkit import catalog
from searchkit.encode import calibration, embedder, language_models, proof
from searchkit.encode.embedder import Embedder
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
        base = language_models.resolve(group[0].base)
        if dtype is None:
            choice = calibration.choose(group, base, on, engine=engine)
            name, number = choice.engine, choice.dtype
        else:
            name, number = engine or calibration.engine_for(base), calibration.dtype_of(dtype)
        yield embedder.load(group, engine=name, dtype=number, device=on, allow_untrained=True)


def every_design() -> list[str]:
    """The names of all combinations of a pooling and an attention mode."""
    pairs = itertools.product(catalog.names(ATTENTION), catalog.names(POOLING))
    return [f"{pooling}-{attention}" for attention, pooling in pairs]
