"""The packed engine: decoders of the Llama shape in plain torch, without padding.

The texts of a batch lie one after the other; only attention knows where one ends. Projections that
read the same input are one product. The residual stream and the norms stay float32 whatever the
products' dtype is, and norms keep their weights: folded into a bfloat16 product they would be
rounded with it.

With dtype int8 the projections into the feed-forward layers, half of all the work, are products of
8-bit integers, and the rest is computed in the processor's best float.
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

from searchkit.encode.adapter import Adapter
from searchkit.encode.arithmetic import quick_float
from searchkit.encode.engines import _int8
from searchkit.encode.engines._attending import Attending
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


def dtypes(device: torch.device) -> tuple[torch.dtype, ...]:
    """What this engine computes in on a device; float32 first."""
    floats = (torch.float32, torch.bfloat16)
    return (*floats, torch.int8) if _int8.supported(device) else floats


def load(
    folder: Path,
    config: dict[str, Any],
    *,
    is_causal: bool,
    last_layer: int,
    dtype: torch.dtype,
    device: torch.device,
    adapter: Adapter | None = None,
) -> "PackedEngine":
    """Load a model folder.

    Args:
        folder: what `language_models.resolve` found.
        config: its parsed config.json.
        is_causal: the attention mode.
        last_layer: the deepest layer that will be read; those behind it are not loaded.
        dtype: of weights and products; the residual stream is float32.
        device: where to compute.
        adapter: what was trained, to be added to the weights.

    Raises:
        BadInput: a weight that this shape needs is not in the files, or the adapter has more.
    """
    with _weights(folder, device, adapter, last_layer) as weight:
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
        self._float = quick_float() if dtype == torch.int8 else dtype
        # The residual stream is turned by it, and all weights that read or write the stream.
        self._rotation = _int8.rotation(config["hidden_size"]) if dtype == torch.int8 else None
        self.is_causal = is_causal
        self.heads: int = config["num_attention_heads"]
        self.kv_heads: int = config.get("num_key_value_heads") or self.heads
        self.head_dim: int = config.get("head_dim") or config["hidden_size"] // self.heads
        self.eps: float = config["rms_norm_eps"]
        self.embedding = _required(weight, "embed_tokens.weight")
        self.layers = [
            Layer(weight, f"layers.{index}", self._float, self.head_dim, self._rotation)
            for index in range(last_layer)
        ]
        whole = last_layer == config["num_hidden_layers"]
        self.final = _required(weight, "norm.weight").float() if whole else None
        half = torch.arange(0, self.head_dim, 2, dtype=torch.float32, device=device)
        self._inverse_frequencies = 1.0 / _rope(config)["rope_theta"] ** (half / self.head_dim)

    @torch.inference_mode()
    def run(self, batch: TokenBatch, reader: Reader) -> None:
        """Compute one batch; the reader takes each layer, states (S, D) in the texts' order."""
        lengths: list[int] = batch.lengths.tolist()
        attending = Attending(
            lengths, is_causal=self.is_causal, dtype=self._float, device=self.device
        )
        turns = self.turns(lengths)
        x = self.embedding[batch.ids.to(self.device)].float()  # (S, D), the residual stream
        back = None
        if self._rotation is not None:
            x, back = x @ self._rotation, self._rotation.T
        for number, layer in enumerate(self.layers, start=1):
            x += layer.output(self._attend(layer, x, attending, turns))
            value, gate = layer.gated(self._norm(x, layer.mlp_norm)).chunk(2, dim=-1)
            x += layer.down(functional.silu(gate).mul_(value))
            if number == len(self.layers) and self.final is not None:
                x, back = x if back is None else x @ back, None
                x = functional.rms_norm(x, x.shape[-1:], self.final, self.eps)
            reader.take(number, x, back)

    def _attend(self, layer: "Layer", x: Tensor, attending: Attending, turns: Tensor) -> Tensor:
        """(S, D) to (S, h x d_h): each token's mixture of the values of its own text."""
        heads, kv_heads = self.heads, self.kv_heads
        qkv = layer.qkv(self._norm(x, layer.attention_norm)).view(
            len(x), -1, self.head_dim
        )  # (S, h + 2 h_kv, d_h)
        qk, v = qkv.split([heads + kv_heads, kv_heads], dim=1)
        if layer.q_norm is not None:
            q, k = qk.split([heads, kv_heads], dim=1)
            q = functional.rms_norm(q, q.shape[-1:], layer.q_norm, self.eps)
            k = functional.rms_norm(k, k.shape[-1:], layer.k_norm, self.eps)
            qk = torch.cat([q, k], dim=1)
        q, k = turn(qk, turns).split([heads, kv_heads], dim=1)
        return attending.mix(q, k, v)

    def _norm(self, x: Tensor, weight: Tensor | None) -> Tensor:
        return functional.rms_norm(x, x.shape[-1:], weight, self.eps)

    def turns(self, lengths: list[int]) -> Tensor:
        """Every token's rotary angles as complex numbers of length 1, (S, 1, d_h / 2)."""
        longest = torch.arange(max(lengths), dtype=torch.float32, device=self.device)
        angles = torch.outer(longest, self._inverse_frequencies)
        places = torch.cat([torch.arange(length, device=self.device) for length in lengths])
        return torch.polar(torch.ones_like(angles), angles)[places][:, None]


class Layer:
    """The fused weights of one decoder layer.

    Args:
        weight: gives a weight of the model by its name.
        name: of the layer, such as "layers.0".
        dtype: of the products.
        head_dim: the size of one attention head.
        rotation: (D, D), orthogonal, by which the residual stream is turned; the projections into
            the feed-forward layer then are 8-bit products. None for neither.
    """

    def __init__(
        self,
        weight: Callable[[str], Tensor | None],
        name: str,
        dtype: torch.dtype,
        head_dim: int,
        rotation: Tensor | None,
    ) -> None:
        attention, mlp = f"{name}.self_attn", f"{name}.mlp"
        norms = [
            _required(weight, f"{name}.{norm}.weight").float()
            for norm in ("input_layernorm", "post_attention_layernorm")
        ]

        def reading(part: str, norm: Tensor) -> Tensor:
            found = _required(weight, f"{part}.weight")
            return found if rotation is None else (found.float() * norm) @ rotation

        def writing(part: str) -> tuple[Tensor, Tensor | None]:
            found, bias = _required(weight, f"{part}.weight"), weight(f"{part}.bias")
            if rotation is not None:
                found = rotation.T @ found.float()
                bias = None if bias is None else bias.float() @ rotation
            return found.to(dtype), None if bias is None else bias.to(dtype)

        def turned(part: str, found: Tensor) -> Tensor:
            return side_by_side(found, head_dim) if part in "qk" else found

        weights = {part: reading(f"{attention}.{part}_proj", norms[0]) for part in "qkv"}
        biases = {part: weight(f"{attention}.{part}_proj.bias") for part in "qkv"}
        scales = {part: weight(f"{attention}.{part}_norm.weight") for part in "qk"}
        # Attention's scale goes where the size of a query is made.
        for made in (scales,) if scales["q"] is not None else (weights, biases):
            if (found := made["q"]) is not None:
                made["q"] = found.float() * head_dim**-0.5
        self.qkv_weight = torch.cat(
            [turned(part, found).to(dtype) for part, found in weights.items()]
        )
        present = [turned(part, bias) for part, bias in biases.items() if bias is not None]
        if len(present) not in (0, len(biases)):
            raise BadInput(f"{attention} has biases for some of q, k and v only; use transformers")
        self.qkv_bias = torch.cat([bias.to(dtype) for bias in present]) if present else None
        self.q_norm, self.k_norm = (
            None if scale is None else side_by_side(scale, head_dim).to(dtype)
            for scale in scales.values()
        )
        self.output_weight, self.output_bias = writing(f"{attention}.o_proj")
        gated = torch.cat([reading(f"{mlp}.{part}_proj", norms[1]) for part in ("up", "gate")])
        self.gated_weight = gated.to(dtype) if rotation is None else _int8.Int8Product(gated, dtype)
        self.down_weight, _ = writing(f"{mlp}.down_proj")
        # Rotated weights have the norms' weights in them.
        folded = rotation is not None
        self.attention_norm, self.mlp_norm = (None if folded else norm for norm in norms)

    def qkv(self, x: Tensor) -> Tensor:
        """Queries, keys and values, side by side, of what attention reads."""
        return _linear(x, self.qkv_weight, self.qkv_bias)

    def output(self, x: Tensor) -> Tensor:
        """What attention adds to the residual stream."""
        return _linear(x, self.output_weight, self.output_bias)

    def gated(self, x: Tensor) -> Tensor:
        """Values and gates, side by side, of what the feed-forward layer reads."""
        weight = self.gated_weight
        return _linear(x, weight) if isinstance(weight, Tensor) else weight(x)

    def down(self, x: Tensor) -> Tensor:
        """What the feed-forward layer adds to the residual stream."""
        return _linear(x, self.down_weight)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A product in the dtype of its weight."""
    product: Tensor = functional.linear(x.to(weight.dtype), weight, bias)
    return product


def turn(x: Tensor, turns: Tensor) -> Tensor:
    """Rotary position embedding, Su et al. 2021, arXiv:2104.09864, of pairs side by side."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    turned: Tensor = torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)
    return turned


def side_by_side(rows: Tensor, head_dim: int) -> Tensor:
    """Bring the two numbers that turn together next to each other, in each head's rows.

    Llama's layout has them half a head apart. Queries and keys change alike, so their products stay
    what they were, and a turn becomes one complex product.
    """
    halves: Tensor = rows.unflatten(0, (-1, 2, head_dim // 2))
    return halves.transpose(1, 2).flatten(0, 2)


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """The rotary settings, in the form of transformers 5 or of the configs before it."""
    row = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if "rope_theta" not in row:
        row = {**row, "rope_theta": config.get("rope_theta", 10_000.0)}
    if "rope_type" not in row and "type" in row:
        row = {**row, "rope_type": row["type"]}
    return row


@contextmanager
def _weights(
    folder: Path, device: torch.device, adapter: Adapter | None, last_layer: int
) -> Iterator[Callable[[str], Tensor | None]]:
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
            return adapter.merged(name.removesuffix(".weight"), tensor) if adapter else tensor

        if adapter is not None:
            adapter.refuse_strangers((name.removesuffix(".weight") for name in owner), last_layer)
        yield weight


def _required(weight: Callable[[str], Tensor | None], name: str) -> Tensor:
    found = weight(name)
    if found is None:
        raise BadInput(
            f"the model's weights hold no {name}; they are not of the Llama shape that "
            f"config.json claims"
        )
    return found
