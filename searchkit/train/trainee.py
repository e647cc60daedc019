"""A variant in training: where its hidden states come from, and the pooling that reads them.

Three regimes differ in what is trained. Additions to every layer, or to the upper ones, come from
an engine of train/engines; a base that stays as it is gives states that were computed once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from searchkit import catalog
from searchkit.encode import embedder, tokens, weights
from searchkit.encode.arithmetic import dtype_name
from searchkit.encode.embedder import Embedder, Role, Vectors
from searchkit.encode.language_models import BaseModel
from searchkit.encode.states import LAST_TOKENS, Reader
from searchkit.encode.tokens import TokenisedText
from searchkit.encode.variant import ATTENTION, Variant
from searchkit.errors import BadInput, SearchkitError
from searchkit.train import masked
from searchkit.train.activations import Activations
from searchkit.train.lora import Factors, Lora

ENGINES = "searchkit.train.engines"
_ENCODED_AT_ONCE = 32  # texts of a validation


class States(Protocol):
    """Where the hidden states of texts come from."""

    factors: Factors  # what is trained of the base; empty where it stays as it is
    pads: bool  # whether a short text costs as much as the longest beside it
    device: torch.device
    arithmetic: Mapping[str, str]  # engine and dtype: weights come out a little otherwise by them

    def read(self, texts: Sequence[TokenisedText], name: str) -> tuple[Tensor, Tensor]:
        """What a pooling reads: states (B, N, D) and mask (B, N); see `encode.states`."""

    def set_training(self, on: bool) -> None:
        """Dropout, or none."""


class Trainee:
    """A variant whose adapter and pooling are in training.

    Args:
        variant: names no trained weights.
        base: the base model that it names.
        states: made for this variant's attention and layers.
        lora: of the states' additions; None if there are none.
    """

    def __init__(
        self, variant: Variant, base: BaseModel, states: States, lora: Lora | None
    ) -> None:
        embedder.refuse_oversized(variant, base)
        self.variant, self.base = variant, base
        self._states, self._lora = states, lora
        self._tokenizer = tokens.TextTokenizer(base.folder, base.config)
        self._reads, self._pooling = embedder.pooling_of(variant, base)
        self._pooling.to(states.device)
        if not self.parameters():
            raise BadInput(
                f"{variant.name} has nothing to train: its pooling has no weights, and the base "
                "stays as it is; train additions to the base, or take a pooling with weights"
            )

    def parameters(self) -> dict[str, nn.Parameter]:
        """All that is trained, by name, float32."""
        named: dict[str, nn.Parameter] = {}
        for module, (a, b) in self._states.factors.items():
            named[f"adapter.{module}.A"], named[f"adapter.{module}.B"] = a, b
        for name, parameter in self._pooling.named_parameters():
            if parameter.requires_grad:
                named[f"pooling.{name}"] = parameter
        return named

    def prepare(self, texts: Sequence[str], role: Role) -> list[TokenisedText]:
        """Tokenise texts inside the variant's template for their role."""
        template = {
            "query": self.variant.query_template,
            "passage": self.variant.passage_template,
        }[role]
        return self._tokenizer.tokenise(
            texts, template=template, max_tokens=self.variant.max_tokens
        )

    def vectors(self, texts: Sequence[TokenisedText]) -> Tensor:
        """Unit vectors (B, dimension), float32, with a graph where gradients are enabled."""
        # Neighbours of one length are cheapest, and an engine pads or groups by neighbourhood.
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row].ids))
        parts = []
        for rows in _alike(order, texts) if self._states.pads else [order]:
            states, mask = self._states.read([texts[row] for row in rows], self._reads)
            pooled: Tensor = self._pooling(states, mask)[:, : self.variant.dimension]
            parts.append(functional.normalize(pooled.float(), dim=-1))
        back = torch.empty(len(order), dtype=torch.int64)
        back[torch.tensor(order)] = torch.arange(len(order))
        vectors = parts[0] if len(parts) == 1 else torch.cat(parts)
        return vectors[back.to(vectors.device)]

    @torch.no_grad()
    def encode(self, texts: Sequence[str], role: Role) -> Vectors:
        """Unit vectors (N, dimension), float32, in the order of the texts; for validation."""
        prepared = self.prepare(texts, role)
        order = np.argsort([-len(text.ids) for text in prepared], kind="stable")
        found: Vectors | None = None
        for start in range(0, len(order), _ENCODED_AT_ONCE):
            rows = order[start : start + _ENCODED_AT_ONCE]
            part = self.vectors([prepared[row] for row in rows]).cpu().numpy()
            if found is None:
                found = np.empty((len(texts), part.shape[1]), dtype=np.float32)
            found[rows] = part
        if found is None:
            raise ValueError("no texts to encode")
        return found

    def room(self, blocks: Iterable[Sequence[TokenisedText]]) -> tuple[str, ...]:
        """What keeping the states of texts will take of the disk, in a line; none if it is nothing.

        Args:
            blocks: of texts, looked at only where states are kept.

        Raises:
            SearchkitError: the disk has less.
        """
        kept = self._states.activations if isinstance(self._states, Adapted) else None
        if kept is None:
            return ()
        needed = sum(kept.missing_bytes(texts, self._reads) for texts in blocks)
        free = kept.free_bytes
        there = f"{needed / 1e9:,.1f} GB in {kept.folder}, which has {free / 1e9:,.1f} GB free"
        if needed > free:
            raise SearchkitError(
                f"what the layers below the additions make of all texts takes {there}; make room "
                "there, or train all layers, for which nothing is kept"
            )
        if not needed:
            return ()
        return (f"what the layers below the additions make of all texts is kept: {there}",)

    def token_states(self, texts: Sequence[TokenisedText]) -> Tensor:
        """The last layer's states of all tokens, (S, D), one text after the other.

        Raises:
            BadInput: the base stays as it is, or its last layer is not computed: the head reads
                that one.
        """
        states = self._states
        every = isinstance(states, Adapted) and states.activations is None
        if not every or self.variant.last_layer is not None:
            raise BadInput(
                f"{self.variant.name} cannot guess masked tokens here: that takes additions to the "
                "base, computed from its first layer to its last; train without masked steps"
            )
        assert isinstance(states, Adapted)
        return states.tokens(texts)

    @cached_property
    def head(self) -> Tensor:
        """Of the language model, (V, D); see `masked.head_of`."""
        assert isinstance(self._states, Adapted)
        return masked.head_of(
            self.base.folder, dtype=self._states.dtype, device=self._states.device
        )

    @property
    def mask_id(self) -> int:
        """What stands in the place of a masked token."""
        return self._tokenizer.mask_id

    def facts(self) -> dict[str, Any]:
        """What else decides which weights come out: additions and arithmetic; JSON."""
        lora = asdict(self._lora) if self._lora else None
        return {"lora": lora, "arithmetic": dict(self._states.arithmetic)}

    def set_training(self, on: bool) -> None:
        """Dropout, or none."""
        self._states.set_training(on)
        self._pooling.train(on)

    def save(self, folder: Path, training: Mapping[str, Any]) -> None:
        """Write what was trained; see `searchkit.encode.weights`."""
        lora = self._lora or Lora()
        weights.write(
            folder,
            row=self.variant.to_row(),
            base=self.base.name,
            base_hash=self.base.hash,
            factors={
                name: (a.detach().cpu(), b.detach().cpu())
                for name, (a, b) in self._states.factors.items()
            },
            alpha=lora.alpha,
            dropout=lora.dropout,
            pooling={
                name: value.detach().cpu() for name, value in self._pooling.state_dict().items()
            },
            training=training,
        )


class Adapted:
    """States of a language model with trainable additions.

    Args:
        variant: names attention and layers.
        base: the base model that it names.
        lora: the additions.
        engine: a choice of train/engines; the best that can run the base by default.
        dtype: of the frozen weights and of products.
        device: where to compute.
        keep: the folder in which is kept what the layers below the additions make of a text; None
            computes it for every batch, without a graph.

    Attributes:
        activations: what is kept; None if nothing is, as with an engine that can begin nowhere but
            at the embedding.

    Raises:
        BadInput: the engine cannot train the base, or there is no layer to add to, or none whose
            states could be kept.
    """

    def __init__(
        self,
        variant: Variant,
        base: BaseModel,
        lora: Lora,
        *,
        engine: str | None = None,
        dtype: torch.dtype,
        device: torch.device,
        keep: Path | None = None,
    ) -> None:
        engine = engine or _engine_for(base)
        module = catalog.load(ENGINES, engine)
        if reason := module.unsupported(base.config):
            raise BadInput(f"the {engine} engine cannot train {base.name}: {reason}")
        self._layers = embedder.layer_range(variant, embedder.shape_of(base)[0])
        if lora.first_layer > self._layers[1]:
            raise BadInput(
                f"additions from layer {lora.first_layer} on lie behind the last layer that "
                f"{variant.name} reads, {self._layers[1]}; take an earlier one"
            )
        if keep and lora.first_layer == 1:
            raise BadInput(
                "additions begin at layer 1, so there is no layer below them to keep states of; "
                "let them begin higher up"
            )
        self._engine: Any = module.load(
            base.folder,
            base.config,
            is_causal=catalog.load(ATTENTION, variant.attention).IS_CAUSAL,
            last_layer=self._layers[1],
            dtype=dtype,
            device=device,
            lora=lora,
        )
        self.activations: Activations | None = None
        if keep and self._engine.begins_anywhere:
            self._engine.drop_below()
            self.activations = Activations(
                keep,
                variant,
                base,
                layer=lora.first_layer - 1,
                engine=engine,
                dtype=dtype,
                device=device,
            )
        self._pool_instruction = variant.pool_instruction
        self.factors: Factors = self._engine.factors
        self.pads: bool = self._engine.pads
        self.device, self.dtype = device, dtype
        self.arithmetic: Mapping[str, str] = {"engine": engine, "dtype": dtype_name(dtype)}

    def read(self, texts: Sequence[TokenisedText], name: str) -> tuple[Tensor, Tensor]:
        """One forward pass, or as much of it as is not kept."""
        batch = tokens.batch(texts, pool_instruction=self._pool_instruction).to(self.device)
        reader = Reader({name}, batch, first_layer=self._layers[0], last_layer=self._layers[1])
        if self.activations is None:
            self._engine.run(batch, reader)
        else:
            self._engine.run(batch, reader, self.activations.read(texts, reader))
        return reader.read(name)

    def tokens(self, texts: Sequence[TokenisedText]) -> Tensor:
        """The last layer's states of all tokens, (S, D)."""
        batch = tokens.batch(texts, pool_instruction=True).to(self.device)
        reader = Reader(
            {LAST_TOKENS}, batch, first_layer=self._layers[1], last_layer=self._layers[1]
        )
        self._engine.run(batch, reader)
        return reader.tokens()

    def set_training(self, on: bool) -> None:
        """Dropout, or none."""
        self._engine.set_training(on)


class Remembered:
    """States of a base that stays as it is, computed once a text.

    Args:
        encoder: with a memory, where each text's states are found when it is met again.
    """

    def __init__(self, encoder: Embedder) -> None:
        self._encoder = encoder
        self.factors: Factors = {}
        self.pads = False
        self.device = torch.device("cpu")
        self.arithmetic: Mapping[str, str] = {
            "engine": encoder.engine_name,
            "dtype": dtype_name(encoder.engine.dtype),
        }

    def read(self, texts: Sequence[TokenisedText], name: str) -> tuple[Tensor, Tensor]:
        """Out of the memory, or computed for it."""
        if name == LAST_TOKENS:
            raise BadInput(
                "a pooling that reads all tokens cannot be trained on remembered states, of which "
                "there is one a layer; train additions to the base"
            )
        states = torch.from_numpy(self._encoder.summaries(texts, {name})[name])
        return states, torch.ones(states.shape[:2], dtype=torch.bool)

    def set_training(self, on: bool) -> None:
        """Nothing of a base that stays as it is drops anything."""


def _alike(order: Sequence[int], texts: Sequence[TokenisedText]) -> Iterator[list[int]]:
    """Rows in their order, from the longest text on, cut before one of half the length."""
    group: list[int] = []
    for row in order:
        if group and 2 * len(texts[row].ids) <= len(texts[group[0]].ids):
            yield group
            group = []
        group.append(row)
    yield group


def _engine_for(base: BaseModel) -> str:
    able = {
        name: module.PREFERENCE
        for name in catalog.names(ENGINES)
        if (module := catalog.load(ENGINES, name)).unsupported(base.config) is None
    }
    return max(able, key=able.__getitem__)
