"""The transformers engine: any decoder the library knows; the reference for other engines."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from searchkit.encode.adapter import Adapter
from searchkit.encode.states import Reader, TokenBatch
from searchkit.errors import BadInput

PREFERENCE = 1  # of the engines that can run a model, the highest is taken

# Gemma 2 caps its attention scores, which only the eager kernel does without a causal mask.
_EAGER_ONLY = ("gemma2",)


def unsupported(config: dict[str, Any]) -> str | None:
    """Why this engine cannot run a model of that config; None if it can."""
    return None


def dtypes(device: torch.device) -> tuple[torch.dtype, ...]:
    """What this engine computes in on a device; float32 first."""
    return torch.float32, torch.bfloat16


def load(
    folder: Path,
    config: dict[str, Any],
    *,
    is_causal: bool,
    last_layer: int,
    dtype: torch.dtype,
    device: torch.device,
    adapter: Adapter | None = None,
) -> "TransformersEngine":
    """Load a model folder.

    Args:
        folder: what `language_models.resolve` found.
        config: its parsed config.json.
        is_causal: the attention mode.
        last_layer: the deepest layer that will be read; those behind it are dropped.
        dtype: of weights and products.
        device: where to compute.
        adapter: what was trained, to be added to the weights.

    Raises:
        BadInput: transformers has no decoder of that kind, the layers cannot be found in it, or a
            weight that it needs is not in the files.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read at the first import of transformers
    from transformers import AutoModel, logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # a decoder has no use for the head, which need not be reported
    kernel = "eager" if config.get("model_type") in _EAGER_ONLY else "sdpa"
    try:
        model, found = AutoModel.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=kernel,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # refused below, by name
            output_loading_info=True,
        )
    except (ValueError, OSError, ImportError) as error:  # quantised weights may ask for a library
        raise BadInput(
            f"{folder} cannot be loaded as a decoder: {str(error).splitlines()[0]}"
        ) from error
    # The library draws at random what it does not find.
    if absent := sorted({*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])}):
        raise BadInput(
            f"the model's weights hold no {absent[0]} of the shape that config.json claims "
            f"({len(absent)} missing in all); look for a complete copy of {folder}"
        )
    if adapter is not None:
        _merge(adapter, decoder_of(model), last_layer)
    return TransformersEngine(model.to(device).eval(), is_causal=is_causal, last_layer=last_layer)


def decoder_of(model: Any) -> Any:
    """The part of a model that holds the decoder's layers.

    Raises:
        BadInput: there is none whose layers can be read one by one.
    """
    decoder = model.get_decoder() if callable(getattr(model, "get_decoder", None)) else model
    if not isinstance(getattr(decoder, "layers", None), nn.ModuleList):
        raise BadInput(
            f"{type(model).__name__} is not a decoder whose layers can be read one by one"
        )
    return decoder


@torch.no_grad()
def _merge(adapter: Adapter, decoder: nn.Module, last_layer: int) -> None:
    linear = {
        name: module for name, module in decoder.named_modules() if isinstance(module, nn.Linear)
    }
    adapter.refuse_strangers(linear, last_layer)
    for name in linear.keys() & adapter.factors.keys():
        linear[name].weight.copy_(adapter.merged(name, linear[name].weight))


class TransformersEngine:
    """A model of the transformers library, run over padded batches.

    `padding_side` may be set to "left" or "right"; vectors do not depend on it, and a proof checks
    that.
    """

    def __init__(self, model: Any, *, is_causal: bool, last_layer: int) -> None:
        self._decoder: Any = decoder_of(model)
        self._decoder.config.is_causal = (
            is_causal  # honoured by mask builder and kernel alike from 5.2 on
        )
        self._depth = len(self._decoder.layers)
        self._last = last_layer
        self._decoder.layers = self._decoder.layers[:last_layer]
        self._decoder.config.num_hidden_layers = last_layer
        self.padding_side: str | None = "right"
        self.device = next(self._decoder.parameters()).device
        self.dtype = next(self._decoder.parameters()).dtype

    @property
    def decoder(self) -> nn.Module:
        """The model, cut behind the deepest layer that is read."""
        decoder: nn.Module = self._decoder
        return decoder

    @torch.inference_mode()
    def run(self, batch: TokenBatch, reader: Reader) -> None:
        """Compute one batch; the reader takes each layer, states (S, D) in the texts' order."""
        self.compute(batch, reader)

    def compute(self, batch: TokenBatch, reader: Reader) -> None:
        """As `run`, with a graph where gradients are enabled."""
        ids, mask = self._pad(batch)
        handles = []
        for number, layer in enumerate(self._decoder.layers, start=1):
            final = number == self._depth  # the model's last layer is read behind the final norm
            if reader.needs(number) and not final:
                handles.append(layer.register_forward_hook(_hand_over(reader, number, mask)))
        try:
            output = self._decoder(input_ids=ids, attention_mask=mask.long(), use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        if self._last == self._depth:
            reader.take(self._last, output.last_hidden_state[mask])

    def _pad(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """(S,) to ids and mask, both (B, T). Padding is token 0, never attended to nor read."""
        lengths = batch.lengths.to(self.device)
        longest = int(batch.lengths.max())
        columns = torch.arange(longest, device=self.device)[None, :]
        mask = (
            columns >= longest - lengths[:, None]
            if self.padding_side == "left"
            else columns < lengths[:, None]
        )
        ids = torch.zeros(mask.shape, dtype=torch.int64, device=self.device)
        ids[mask] = batch.ids.to(self.device)
        return ids, mask


def _hand_over(reader: Reader, number: int, mask: Tensor) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        reader.take(number, states[mask])

    return hook
