"""The transformers engine with a graph: any decoder, with LoRA by the peft library.

The reference for other engines of training. It always begins at the embedding: layers below the
additions run for every batch, though without a graph, as nothing in them is trained.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from searchkit.encode.engines import transformers
from searchkit.encode.states import Reader, TokenBatch
from searchkit.errors import BadInput, MissingExtra
from searchkit.train import lora as low_rank
from searchkit.train.lora import PROJECTIONS, Factors, Lora

PREFERENCE = transformers.PREFERENCE
unsupported = transformers.unsupported


def load(
    folder: Path,
    config: dict[str, Any],
    *,
    is_causal: bool,
    last_layer: int,
    dtype: torch.dtype,
    device: torch.device,
    lora: Lora,
) -> "TrainableTransformers":
    """Load a model folder as `searchkit.encode.engines.transformers.load` does, and draw additions.

    Raises:
        MissingExtra: the peft library is not installed.
        BadInput: no layer goes by a name that is added to.
    """
    engine = transformers.load(
        folder,
        config,
        is_causal=is_causal,
        last_layer=last_layer,
        dtype=dtype,
        device=device,
    )
    return TrainableTransformers(engine, lora)


class TrainableTransformers:
    """A model of the transformers library whose frozen weights have trainable additions.

    Attributes:
        factors: what is trained, by module.
    """

    pads = True
    begins_anywhere = False

    def __init__(self, engine: transformers.TransformersEngine, lora: Lora) -> None:
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError as error:
            raise MissingExtra(
                "training this base model needs the peft library; install it with: pip install "
                "'searchkit[train]'"
            ) from error
        self.device, self.dtype = engine.device, engine.dtype
        self._engine = engine
        decoder = engine.decoder.requires_grad_(False)
        shapes = {
            name: (module.out_features, module.in_features)
            for name, module in decoder.named_modules()
            if isinstance(module, nn.Linear)
            and name.rsplit(".", 1)[-1] in PROJECTIONS
            and int(name.split(".")[1]) + 1 >= lora.first_layer
        }
        if not shapes:
            raise BadInput(
                f"no layer of {type(decoder).__name__} is called {', '.join(PROJECTIONS)}; "
                "train the pooling alone"
            )
        self.factors: Factors = low_rank.draw(shapes, lora, engine.device)
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,  # type: ignore[arg-type]  # a float does as well
            lora_dropout=lora.dropout,
            target_modules=sorted(shapes),
        )
        inject_adapter_in_model(config, decoder)
        modules = dict(decoder.named_modules())
        for name, (a, b) in self.factors.items():
            layer: Any = modules[name]
            layer.lora_A["default"].weight, layer.lora_B["default"].weight = a, b
        self.set_training(False)

    def set_training(self, on: bool) -> None:
        """Drop inputs of additions, or not."""
        self._engine.decoder.train(on)

    def run(self, batch: TokenBatch, reader: Reader) -> None:
        """Compute one batch; the reader takes each layer, states (S, D) in the texts' order."""
        self._engine.compute(batch, reader)
