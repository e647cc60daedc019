"""How much of a model is trained: every layer, the upper layers, or the pooling alone."""

from dataclasses import replace
from pathlib import Path

import torch

from searchkit import catalog
from searchkit.encode import embedder, language_models, loading
from searchkit.encode.arithmetic import dtype_name, quick_float
from searchkit.encode.states import LAST_TOKENS
from searchkit.encode.variant import Variant
from searchkit.errors import BadInput, UnknownName
from searchkit.train.lora import Lora
from searchkit.train.trainee import ENGINES, Adapted, Remembered, Trainee

LORA, UPPER, POOLING = "lora", "upper", "pooling"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def refuse_unfit(variant: Variant, regime: str, engine: str | None = None) -> None:
    """Refuse what cannot be trained in a regime, as far as that shows before a model is loaded.

    Args:
        variant: see `open_trainee`.
        regime: likewise.
        engine: likewise.

    Raises:
        BadInput: the regime trains nothing of this variant, or keeps nothing that it reads.
        UnknownName: no engine has that name.
    """
    engines = catalog.names(embedder.ENGINES if regime == POOLING else ENGINES)
    if engine not in (None, *engines):
        raise UnknownName(f"no engine is called {engine!r}; there are: {', '.join(engines)}")
    if regime == POOLING and not variant.trainable:
        raise BadInput(
            f"{variant.name} has a pooling without weights, so {POOLING} alone has nothing to "
            f"train; take another pooling, or the regime {LORA} or {UPPER}"
        )
    if regime == POOLING and embedder.reads_of(variant) == LAST_TOKENS:
        raise BadInput(
            f"{variant.name} reads the states of all tokens, which {POOLING} alone does not keep; "
            f"take the regime {LORA} or {UPPER}"
        )


def open_trainee(
    variant: Variant,
    regime: str,
    lora: Lora,
    home: Path,
    *,
    engine: str | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device,
) -> Trainee:
    """A variant ready to be trained.

    Args:
        variant: names no trained weights.
        regime: `LORA` adds to the layers from `lora.first_layer` on; `UPPER` likewise, and keeps
            what the layers below made of a text; `POOLING` trains no additions, and keeps what the
            pooling reads.
        lora: the additions. For `UPPER` a first layer of 1 stands for that of the upper half.
        home: where states are kept.
        engine: a choice of train/engines, or of encode/engines for `POOLING`; by default the best
            that can run the base.
        dtype: of products; by default bfloat16 where the processor has it.
        device: where to compute.

    Raises:
        BadInput: the variant was trained already, or cannot be trained in this regime.
        UnknownName: no engine has that name.
    """
    refuse_unfit(variant, regime, engine)
    if variant.weights:
        raise BadInput(
            f"{variant.name} names trained weights, {variant.weights}; name the design, such as "
            f"{variant.design}"
        )
    if dtype not in (None, *DTYPES.values()):
        raise BadInput(f"no training in {dtype}; take {' or '.join(DTYPES)}")
    base = language_models.resolve(variant.base)
    on_cpu = device.type == "cpu"
    dtype = dtype or (quick_float() if on_cpu else torch.bfloat16)
    if regime == POOLING:
        (encoder,) = loading.remember(
            [variant],
            home / "memories",
            device=str(device),
            engine=engine,
            dtype=dtype_name(dtype),
            allow_untrained=True,
        )
        return Trainee(variant, base, Remembered(encoder), None)
    if regime == UPPER and lora.first_layer == 1:
        last = embedder.layer_range(variant, embedder.shape_of(base)[0])[1]
        lora = replace(lora, first_layer=last // 2 + 1)
    states = Adapted(
        variant,
        base,
        lora,
        engine=engine,
        dtype=dtype,
        device=device,
        keep=home / "activations" if regime == UPPER else None,
    )
    return Trainee(variant, base, states, lora)
