"""The packed engine: decoders of the Llama shape in plain torch, without padding.

The texts of a batch lie one after the other; only attention knows where one ends. Projections that
read the same input are one product. The residual stream and the norms stay float32 whatever the
products' dtype is, and norms keep their weights: folded into a bfloat16 product they would be
rounded with it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

from searchkit.encode.states import Reader, TokenBatch
from searchkit.errors import BadInput

PREFERENCE = 2  # of the engines that can run a model, the highest is taken

_SHAPES = ("llama", "mistral", "qwen2", "qwen3")
# What the name of a weight begins with, by how much of a model was saved: the decoder alone, with
# its head, or inside a model that reads images, too.
_OUTER = re.compile(r"^(?:model\.|language_model\.)+")


def unsupported(config: dict[str, Any]) -> str | None:
    """Why this engine cannot run a model of that config; None if it can."""
    if config.get("model_type") not in _SHAPES:
        return f"model type {config.get('model_type')!r} is none of {', '.join(_SHAPES)}"
    if config.get("hidden_act", "silu") != "silu":
        return f"activation {config['hidden_act']!r} is not silu"
    rope = _rope(config)
    if rope.get("rope_type", "default") != "default":
        return f"rotary embedding {rope['rope_type']!r} is not the default one"
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        return "rotary embedding of a part of the head"
    window = config.get("sliding_window")
    if (
        window
        and config.get("use_sliding_window", True)
        and config.get("layer_types", ["sliding_attention"]).count("sliding_attention")
    ):
        return f"sliding window of {window} tokens"
    if config.get("mlp_bias"):
        return "biases in the feed-forward layers"
    if config.get("quantization_config"):
        return "quantised weights, whose scales lie beside them"
    return None


def load(
    folder: Path,
    config: dict[str, Any],
    *,
    is_causal: bool,
    last_layer: int,
    dtype: torch.dtype,
    device: torch.device,
) -> "PackedEngine":
    """Load a model folder.

    Args:
        folder: what `language_models.resolve` found.
        config: its parsed config.json.
        is_causal: the attention mode.
        last_layer: the deepest layer that will be read; those behind it are not loaded.
        dtype: of weights and products; the residual stream is float32.
        device: where to compute.

    Raises:
        BadInput: a weight that this shape needs is not in the files.
    """
    with _weights(folder, device) as weight:
        return PackedEngine(
            config, weight, is_causal=is_causal, last_layer=last_layer, dtype=dtype, device=device
        )


class PackedEngine:
    """Weights of a Llama-shaped decoder, fused for reading many texts at once."""

    padding_side: str | None = None  # there is no padding

    def __init__(
        self,
        config: dict[str, Any],
        weight: Callable[[str], Tensor | None],
        *,
        is_causal: bool,
        last_layer: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.device, self.dtype = device, dtype
        self._is_causal = is_causal
        self._heads: int = config["num_attention_heads"]
        self._kv_heads: int = config.get("num_key_value_heads") or self._heads
        self._head_dim: int = config.get("head_dim") or config["hidden_size"] // self._heads
        self._eps: float = config["rms_norm_eps"]
        self._embedding = _required(weight, "embed_tokens.weight")
        self._layers = [_Layer(weight, f"layers.{index}", dtype) for index in range(last_layer)]
        whole = last_layer == config["num_hidden_layers"]
        self._final = _required(weight, "norm.weight").float() if whole else None
        half = torch.arange(0, self._head_dim, 2, dtype=torch.float32, device=device)
        self._inverse_frequencies = 1.0 / _rope(config)["rope_theta"] ** (half / self._head_dim)

    @torch.inference_mode()
    def run(self, batch: TokenBatch, reader: Reader) -> None:
        """Compute one batch; the reader takes each layer, states (S, D) in the texts' order."""
        lengths: list[int] = batch.lengths.tolist()
        groups = _equal_lengths(lengths)
        cos, sin = self._rotation(lengths)
        x = self._embedding[batch.ids.to(self.device)].float()  # (S, D), the residual stream
        for number, layer in enumerate(self._layers, start=1):
            x = x + layer.output(self._attend(layer, x, groups, cos, sin)).float()
            value, gate = layer.gated(self._norm(x, layer.mlp_norm)).chunk(2, dim=-1)
            x = x + layer.down(functional.silu(gate).mul_(value)).float()
            final = number == len(self._layers) and self._final is not None
            if final:
                x = functional.rms_norm(x, x.shape[-1:], self._final, self._eps)
            reader.take(number, x)

    def _attend(
        self,
        layer: "_Layer",
        x: Tensor,
        groups: list[tuple[int, int, int]],
        cos: Tensor,
        sin: Tensor,
    ) -> Tensor:
        """(S, D) to (S, h x d_h): each token's mixture of the values of its own text."""
        qkv = layer.qkv(self._norm(x, layer.attention_norm)).view(
            len(x), -1, self._head_dim
        )  # (S, h + 2 h_kv, d_h)
        q, k, v = qkv.split([self._heads, self._kv_heads, self._kv_heads], dim=1)
        if layer.q_norm is not None:
            q = functional.rms_norm(q, q.shape[-1:], layer.q_norm, self._eps)
            k = functional.rms_norm(k, k.shape[-1:], layer.k_norm, self._eps)
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        mixed = torch.empty_like(q)
        for start, texts, length in groups:
            rows = slice(start, start + texts * length)
            shape = (texts, length, -1, self._head_dim)
            attended = functional.scaled_dot_product_attention(
                q[rows].view(shape).transpose(1, 2),
                k[rows].view(shape).transpose(1, 2),
                v[rows].reshape(shape).transpose(1, 2),
                is_causal=self._is_causal,
                enable_gqa=self._heads != self._kv_heads,
            )  # (texts, h, length, d_h)
            mixed[rows] = attended.transpose(1, 2).flatten(0, 1)
        return mixed.flatten(1)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        """RMS norm in float32, for a product in the engine's dtype."""
        return functional.rms_norm(x, x.shape[-1:], weight, self._eps).to(self.dtype)

    def _rotation(self, lengths: list[int]) -> tuple[Tensor, Tensor]:
        """Cosine and sine of every token's rotary angles, (S, 1, d_h) float32 each."""
        longest = torch.arange(max(lengths), dtype=torch.float32, device=self.device)
        angles = torch.outer(longest, self._inverse_frequencies)
        angles = torch.cat([angles, angles], dim=-1)
        places = torch.cat([torch.arange(length, device=self.device) for length in lengths])
        return angles.cos()[places][:, None], angles.sin()[places][:, None]


class _Layer:
    """The fused weights of one decoder layer."""

    def __init__(
        self, weight: Callable[[str], Tensor | None], name: str, dtype: torch.dtype
    ) -> None:
        attention, mlp = f"{name}.self_attn", f"{name}.mlp"
        self.attention_norm = _required(weight, f"{name}.input_layernorm.weight").float()
        self.mlp_norm = _required(weight, f"{name}.post_attention_layernorm.weight").float()

        def joined(*parts: str) -> Tensor:
            return torch.cat([_required(weight, f"{part}.weight").to(dtype) for part in parts])

        qkv = [f"{attention}.{part}_proj" for part in "qkv"]
        self._qkv = joined(*qkv)
        biases = [weight(f"{part}.bias") for part in qkv]
        present = [bias for bias in biases if bias is not None]
        if len(present) not in (0, len(qkv)):
            raise BadInput(f"{attention} has biases for some of q, k and v only; use transformers")
        self._qkv_bias = torch.cat(present).to(dtype) if present else None
        self.q_norm = _optional(weight, f"{attention}.q_norm.weight", dtype)
        self.k_norm = _optional(weight, f"{attention}.k_norm.weight", dtype)
        self._output = _required(weight, f"{attention}.o_proj.weight").to(dtype)
        self._output_bias = _optional(weight, f"{attention}.o_proj.bias", dtype)
        self._gated = joined(f"{mlp}.up_proj", f"{mlp}.gate_proj")
        self._down = _required(weight, f"{mlp}.down_proj.weight").to(dtype)

    def qkv(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._qkv, self._qkv_bias)

    def output(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._output, self._output_bias)

    def gated(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._gated)

    def down(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._down)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, Su et al. 2021, arXiv:2104.09864, in Llama's halves layout."""
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


def _equal_lengths(lengths: list[int]) -> list[tuple[int, int, int]]:
    """Neighbours of one length, one attention call each: (first token, texts, length)."""
    groups: list[tuple[int, int, int]] = []
    start = 0
    for length in lengths:
        if groups and groups[-1][2] == length:
            groups[-1] = (groups[-1][0], groups[-1][1] + 1, length)
        else:
            groups.append((start, 1, length))
        start += length
    return groups


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """The rotary settings, in the form of transformers 5 or of the configs before it."""
    row = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if "rope_theta" not in row:
        row = {**row, "rope_theta": config.get("rope_theta", 10_000.0)}
    if "rope_type" not in row and "type" in row:
        row = {**row, "rope_type": row["type"]}
    return row


@contextmanager
def _weights(folder: Path, device: torch.device) -> Iterator[Callable[[str], Tensor | None]]:
    """Open the safetensors of a folder; gives a function from a name to its weight, or None."""
    with ExitStack() as stack:
        owner: dict[str, Any] = {}
        for path in sorted(folder.glob("*.safetensors")):
            file = stack.enter_context(safe_open(path, framework="pt", device=str(device)))
            keys: list[str] = file.keys()
            owner.update((_OUTER.sub("", key), (file, key)) for key in keys)

        def weight(name: str) -> Tensor | None:
            if name not in owner:
                return None
            file, key = owner[name]
            tensor: Tensor = file.get_tensor(key)
            return tensor

        yield weight


def _required(weight: Callable[[str], Tensor | None], name: str) -> Tensor:
    found = weight(name)
    if found is None:
        raise BadInput(
            f"the model's weights hold no {name}; they are not of the Llama shape that "
            f"config.json claims"
        )
    return found


def _optional(
    weight: Callable[[str], Tensor | None], name: str, dtype: torch.dtype
) -> Tensor | None:
    found = weight(name)
    return None if found is None else found.to(dtype)
