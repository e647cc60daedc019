"""Vectors of texts from the folder that this file lies in, with torch and transformers alone.

from embed import Embedder

embedder = Embedder()
queries = embedder.embed(["who eats grass by the sea?"], role="query")
passages = embedder.embed(["Sheep graze on the western cliffs.", "The ferry does not run."])
print(queries @ passages.T)
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

HERE = Path(__file__).parent


class Embedder:
    """The model, its tokenizer and its pooling; `variant/variant.json` says how they go together.

    Args:
        folder: what was exported.
        device: where to compute.
    """

    def __init__(self, folder: Path = HERE, *, device: str = "cpu") -> None:
        row = (folder / "variant" / "variant.json").read_text("utf-8")
        self.variant: dict[str, Any] = json.loads(row)["variant"]
        self.device = device
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModel.from_pretrained(folder).to(device).eval()
        weights = folder / "variant" / "pooling.safetensors"
        self.weights = load_file(weights, device) if weights.is_file() else {}
        self.weights = {name: weight.float() for name, weight in self.weights.items()}

    @torch.inference_mode()
    def embed(self, texts: Sequence[str], *, role: str = "passage", batch_size: int = 32) -> Tensor:
        """Vectors of unit length.

        Args:
            texts: at least one, none of them empty.
            role: "query" or "passage".
            batch_size: how many texts are computed at once.

        Returns:
            (N, dimension), float32, in the order of the texts.
        """
        inputs = [self._tokens(text, role) for text in texts]
        rows = [
            self._pooled(inputs[start : start + batch_size])
            for start in range(0, len(inputs), batch_size)
        ]
        return functional.normalize(torch.cat(rows)[:, : self.variant["dimension"]], dim=-1).cpu()

    def _tokens(self, text: str, role: str) -> tuple[list[int], int]:
        """Ids inside the role's template, and how many come before the text. Only the text is cut.

        White space before the text is tokenised with it.
        """
        before, behind = self.variant[f"{role}_template"].split("{text}")
        gap = before[len(before.rstrip()) :]
        *bos, eos = self.tokenizer("")["input_ids"]
        prefix, suffix = [*bos, *self._ids(before.rstrip())], [*self._ids(behind), eos]
        room = self.variant["max_tokens"] - len(prefix) - len(suffix)
        return [*prefix, *self._ids(gap + text)[:room], *suffix], len(prefix)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _pooled(self, inputs: Sequence[tuple[list[int], int]]) -> Tensor:
        """(B, D), float32, of texts padded on the right."""
        lengths = torch.tensor([len(ids) for ids, _ in inputs], device=self.device)
        places = torch.arange(int(lengths.max()), device=self.device)[None, :]
        mask = places < lengths[:, None]
        ids = torch.zeros(mask.shape, dtype=torch.int64, device=self.device)
        ids[mask] = torch.tensor([one for text, _ in inputs for one in text], device=self.device)
        pooled = mask
        if not self.variant["pool_instruction"]:
            starts = torch.tensor([start for _, start in inputs], device=self.device)
            pooled = mask & (places >= starts[:, None])
        layers = self._layers(ids, mask)
        return self._pool(layers, pooled, lengths - 1)

    def _layers(self, ids: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, T, D) of each layer that is read, the model's last one behind its final norm."""
        run = {"input_ids": ids, "attention_mask": mask.long(), "use_cache": False}
        first, last = self.variant["first_layer"], self.variant["last_layer"]
        if self.variant["pooling"] != "multi_layer" and last is None:
            return [self.model(**run).last_hidden_state]
        states = self.model(**run, output_hidden_states=True).hidden_states  # 0 is the embedding
        return list(states[first : (last or len(states) - 1) + 1])

    def _pool(self, layers: list[Tensor], pooled: Tensor, ends: Tensor) -> Tensor:
        name, causal = self.variant["pooling"], self.variant["attention"] == "causal"
        last = layers[-1].float()
        if name == "eos_last":
            return _at(last, ends)
        if name == "mean":
            return _average(last, pooled.float())
        if name == "weighted_mean":  # the first token weighs 1, the second 2, and so on
            return _average(last, pooled.float().cumsum(1) * pooled)
        if name == "last_layer":
            if causal:
                return self._resampled(_at(last, ends)[:, None], torch.ones_like(pooled[:, :1]))
            return self._resampled(last, pooled)
        if name == "multi_layer":
            read = torch.stack(list(self._summaries(layers, pooled, ends)), dim=1)
            every = torch.ones(read.shape[:2], dtype=torch.bool, device=read.device)
            return self._resampled(read + self.weights["layer_rows"], every)
        raise ValueError(f"this file knows no pooling {name!r}")

    def _summaries(self, layers: list[Tensor], pooled: Tensor, ends: Tensor) -> Iterator[Tensor]:
        """(B, D) of each layer: by default the EOS state if attention is causal, else the mean."""
        options = self.variant["pooling_options"]
        causal = self.variant["attention"] == "causal"
        kind = options.get("summaries") or ("eos" if causal else "mean")
        for layer in layers:
            states = layer.float()
            if options["normalise_states"]:
                states = states * torch.rsqrt(states.square().mean(-1, keepdim=True) + 1e-6)
            yield _at(states, ends) if kind == "eos" else _average(states, pooled.float())

    def _resampled(self, states: Tensor, mask: Tensor) -> Tensor:
        """Learned latents read states (B, N, D) through cross-attention; Tang and Yang 2024."""
        weights = {name.removeprefix("resampler."): one for name, one in self.weights.items()}
        options = self.variant["pooling_options"]
        heads = options["heads"] or max(1, states.shape[-1] // options["head_dim"])

        def norm(x: Tensor, name: str) -> Tensor:
            weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
            return functional.layer_norm(x, weight.shape, weight, bias)

        def linear(x: Tensor, name: str) -> Tensor:
            return functional.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

        def split(x: Tensor) -> Tensor:
            return x.view(*x.shape[:-1], heads, -1).transpose(-3, -2)  # (..., heads, N, head_dim)

        latents = weights["latents"]
        q = split(linear(norm(latents, "latents_norm"), "to_q"))
        k, v = map(split, linear(norm(states, "states_norm"), "to_kv").chunk(2, dim=-1))
        scores = (q @ k.transpose(-2, -1)) * k.shape[-1] ** -0.5  # (B, heads, latents, N)
        read = scores.masked_fill(~mask[:, None, None, :], -torch.inf).softmax(-1) @ v
        x = linear(read.transpose(1, 2).flatten(2), "to_out") + latents
        value, gate = linear(norm(x, "ff_norm"), "ff_in").chunk(2, dim=-1)
        y: Tensor = linear(value * functional.gelu(gate), "ff_out") + x
        return y.mean(dim=1)


def _at(states: Tensor, places: Tensor) -> Tensor:
    """(B, T, D) to (B, D): the state at one place of each text."""
    return states[torch.arange(len(states), device=states.device), places]


def _average(states: Tensor, weights: Tensor) -> Tensor:
    """(B, T, D) to (B, D), by weights (B, T) that are 0 on padding."""
    return (states * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
