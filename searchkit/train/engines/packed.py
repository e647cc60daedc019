"""The packed engine with a graph: decoders of the Llama shape, without padding, with LoRA.

Weights are those of `searchkit.encode.engines.packed`, fused in the same way. What autograd would
keep or compute needlessly is left out: frozen weights get no gradient, a norm keeps its input
alone, and an addition's product goes straight into that of its weight.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from searchkit.encode.engines import packed
from searchkit.encode.engines._attending import Attending
from searchkit.encode.engines.packed import Layer, PackedEngine, side_by_side
from searchkit.encode.states import Reader, TokenBatch
from searchkit.train import lora as low_rank
from searchkit.train.lora import Factors, Lora

PREFERENCE = packed.PREFERENCE
unsupported = packed.unsupported


def load(
    folder: Path,
    config: dict[str, Any],
    *,
    is_causal: bool,
    last_layer: int,
    dtype: torch.dtype,
    device: torch.device,
    lora: Lora,
) -> "TrainablePacked":
    """Load a model folder as `searchkit.encode.engines.packed.load` does, and draw additions."""
    engine = packed.load(
        folder,
        config,
        is_causal=is_causal,
        last_layer=last_layer,
        dtype=dtype,
        device=device,
    )
    return TrainablePacked(engine, lora)


class TrainablePacked:
    """A packed engine whose frozen weights have trainable additions.

    Attributes:
        factors: what is trained, by module.
    """

    pads = False
    begins_anywhere = True

    def __init__(self, engine: PackedEngine, lora: Lora) -> None:
        self.device, self.dtype = engine.device, engine.dtype
        self._engine, self._lora = engine, lora
        self._first, self._last = 1, len(engine.layers)
        self._dropout = 0.0
        self.factors: Factors = low_rank.draw(dict(self._shapes()), lora, engine.device)

    def set_training(self, on: bool) -> None:
        """Drop inputs of additions, or not."""
        self._dropout = self._lora.dropout if on else 0.0

    def drop_below(self) -> None:
        """Free the layers below the additions; from now on `run` is given what they make."""
        self._first = self._lora.first_layer
        del self._engine.embedding, self._engine.layers[: self._first - 1]

    def run(self, batch: TokenBatch, reader: Reader, below: Tensor | None = None) -> None:
        """Compute one batch; the reader takes each layer, states (S, D) in the texts' order.

        Args:
            batch: on any device.
            reader: takes the layers.
            below: (S, D), the states behind the last layer that was dropped; None if none was.
        """
        engine = self._engine
        lengths: list[int] = batch.lengths.tolist()
        attending = Attending(
            lengths, is_causal=engine.is_causal, dtype=engine.dtype, device=engine.device
        )
        turns = engine.turns(lengths)
        x = engine.embedding[batch.ids.to(engine.device)] if below is None else below
        x = x.float()  # (S, D), the residual stream
        for number, layer in enumerate(engine.layers, start=self._first):
            frozen = number < self._lora.first_layer
            with torch.no_grad() if frozen else nullcontext():
                x = self._layer(number, layer, x, attending, turns)
                taken = x
                if number == self._last and engine.final is not None:
                    taken = _apply(_Norm, x, engine.final, engine.eps, x.dtype)
            reader.take(number, taken)

    def _layer(
        self, number: int, layer: Layer, x: Tensor, attending: Attending, turns: Tensor
    ) -> Tensor:
        engine = self._engine
        heads, kv_heads = engine.heads, engine.kv_heads
        qkv = self._product(number, "qkv", self._norm(x, layer.attention_norm), layer)
        qk, v = qkv.view(len(x), -1, engine.head_dim).split([heads + kv_heads, kv_heads], dim=1)
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k = qk.split([heads, kv_heads], dim=1)
            q = _apply(_Norm, q, layer.q_norm, engine.eps, q.dtype)
            k = _apply(_Norm, k, layer.k_norm, engine.eps, k.dtype)
            qk = torch.cat([q, k], dim=1)
        q, k = _apply(_Turn, qk, turns).split([heads, kv_heads], dim=1)
        x = x + self._product(number, "output", attending.mix(q, k, v), layer)
        gated = self._product(number, "gated", self._norm(x, layer.mlp_norm), layer)
        return x + self._product(number, "down", _apply(_SwiGLU, gated), layer)

    def _norm(self, x: Tensor, weight: Tensor | None) -> Tensor:
        return _apply(_Norm, x, weight, self._engine.eps, self.dtype)

    def _product(self, number: int, part: str, x: Tensor, layer: Layer) -> Tensor:
        """States (S, I) times a fused weight and its additions, (S, O)."""
        weight = getattr(layer, f"{part}_weight")
        bias = getattr(layer, f"{part}_bias", None)
        if number < self._lora.first_layer:
            return functional.linear(x, weight, bias)
        factors = [self.factors[name] for name in _modules(number, part)]
        a = torch.cat([a for a, _ in factors])  # (R, I)
        blocks = [b * self._lora.scale for _, b in factors]
        if part == "qkv":
            size = self._engine.head_dim
            blocks[:2] = [side_by_side(block, size) for block in blocks[:2]]
            if layer.q_norm is None:  # attention's scale is part of the weight that makes queries
                blocks[0] = blocks[0] * size**-0.5
        b = torch.block_diag(*blocks) if len(blocks) > 1 else blocks[0]  # (O, R)
        dropped = functional.dropout(x, self._dropout) if self._dropout else x
        return _apply(_LoraLinear, x, dropped, weight, bias, a, b)

    def _shapes(self) -> Iterator[tuple[str, tuple[int, int]]]:
        engine = self._engine
        rows = {
            "q_proj": engine.heads * engine.head_dim,
            "k_proj": engine.kv_heads * engine.head_dim,
            "v_proj": engine.kv_heads * engine.head_dim,
        }
        for number, layer in enumerate(engine.layers, start=1):
            if number < self._lora.first_layer:
                continue
            for part in ("qkv", "output", "gated", "down"):
                modules = _modules(number, part)
                height, columns = getattr(layer, f"{part}_weight").shape
                for name in modules:
                    yield name, (rows.get(name.rsplit(".")[-1], height // len(modules)), columns)


_PARTS = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "output": ("self_attn.o_proj",),
    "gated": ("mlp.up_proj", "mlp.gate_proj"),
    "down": ("mlp.down_proj",),
}


def _modules(number: int, part: str) -> list[str]:
    """The names of the modules that a fused weight is made of, in its order."""
    return [f"layers.{number - 1}.{name}" for name in _PARTS[part]]


def _apply(function: type[torch.autograd.Function], *inputs: Any) -> Tensor:
    result: Tensor = function.apply(*inputs)
    return result


class _LoraLinear(torch.autograd.Function):
    """y = x W' + bias + (x' A') B', x' being x or what dropout left of it."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dropped: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor,
        b: Tensor,
    ) -> Tensor:  # fmt: skip
        a, b = a.to(x.dtype), b.to(x.dtype)
        narrow = dropped @ a.T  # (S, R)
        y = functional.linear(x, weight, bias)
        y.addmm_(narrow, b.T)
        ctx.save_for_backward(dropped, weight, a, b, narrow)
        ctx.same = dropped is x
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (dy,) = gradients
        dropped, weight, a, b, narrow = ctx.saved_tensors
        d_narrow = dy @ b
        da, db = d_narrow.T @ dropped, dy.T @ narrow
        dx = d_dropped = None
        if ctx.needs_input_grad[0]:
            dx = dy @ weight
            if ctx.same:
                dx.addmm_(d_narrow, a)
            else:
                d_dropped = d_narrow @ a
        return dx, d_dropped, None, None, da.float(), db.float()


class _Norm(torch.autograd.Function):
    """RMS norm; keeps its input, and computes in float32, with as few passes over it as may be."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        wide = x.float()
        norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        scale = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return torch.mul(wide * scale, weight, out=torch.empty_like(x, dtype=dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (dy,) = gradients
        x, weight, scale = ctx.saved_tensors
        unit = x * scale  # float32
        wanted = dy * weight.float()
        along = torch.linalg.vecdot(wanted, unit).div_(x.shape[-1])[..., None]
        dx = wanted.addcmul_(unit, along, value=-1).mul_(scale)
        return dx.to(x.dtype), None, None, None


class _SwiGLU(torch.autograd.Function):
    """(S, 2 F), values beside gates, to (S, F)."""

    @staticmethod
    def forward(ctx: Any, gated: Tensor) -> Tensor:
        ctx.save_for_backward(gated)
        value, gate = gated.chunk(2, dim=-1)
        return functional.silu(gate).mul_(value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (dy,) = gradients
        (gated,) = ctx.saved_tensors
        value, gate = gated.chunk(2, dim=-1)
        result = torch.empty_like(gated)
        d_value, d_gate = result.chunk(2, dim=-1)
        torch.mul(functional.silu(gate), dy, out=d_value)
        torch.ops.aten.silu_backward.grad_input(dy * value, gate, grad_input=d_gate)
        return result


class _Turn(torch.autograd.Function):
    """Rotary position embedding of pairs side by side; its gradient is turned back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, turns: Tensor) -> Tensor:
        ctx.save_for_backward(turns)
        return packed.turn(x, turns)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (dy,) = gradients
        (turns,) = ctx.saved_tensors
        return packed.turn(dy.contiguous(), turns.conj()), None
