"""The embedder: tokenizer, engine and poolings composed; only here vectors become unit length.

Variants that differ in their pooling alone share one forward pass.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from searchkit import catalog
from searchkit.encode import language_models, tokens
from searchkit.encode.arithmetic import quicken_float32
from searchkit.encode.language_models import BaseModel
from searchkit.encode.states import Reader, TokenBatch
from searchkit.encode.variant import ATTENTION, POOLING, Variant, options_of
from searchkit.errors import BadInput, NeedsTraining, SearchkitError

ENGINES = "searchkit.encode.engines"
BATCH_TOKENS = 1536  # where CPU throughput is flat: 512 and 4096 are within 6 % of it
BATCH_TOKENS_GPU = 32_768  # enough to fill a GPU; a smaller one halves it until it fits
# On a CPU torch raises a plain RuntimeError, which only its text tells apart: the allocator's,
# oneDNN's, C++'s own.
_NO_MEMORY = (  # as a CPU, MPS and cuBLAS say it
    "allocate memory",
    "could not create a primitive",
    "bad_alloc",
    "out of memory",
    "ALLOC_FAILED",
)

Role = Literal["query", "passage"]
Vectors = npt.NDArray[np.float32]
OnBatch = Callable[[int, int], None]


def _ignore(texts: int, tokens: int) -> None:
    """Nobody is waiting for progress."""


class Engine(Protocol):
    """A language model that is loaded and ready; see the folder encode/engines."""

    device: torch.device
    dtype: torch.dtype
    padding_side: str | None  # "left", "right", or None for an engine that does not pad

    def run(self, batch: TokenBatch, reader: Reader) -> None:
        """Compute one batch and hand each layer to the reader."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of some texts.

    Attributes:
        vectors: by variant name, (N, D) float32 with rows of unit length, in the order of the
            texts.
        tokens: how many tokens were computed, templates and EOS included.
        truncated: how many texts were cut at the variant's max_tokens.
    """

    vectors: dict[str, Vectors]
    tokens: int
    truncated: int


class TextEncoder(Protocol):
    """Whatever makes vectors of texts: an `Embedder`, or a reference embedder."""

    @property
    def names(self) -> tuple[str, ...]:
        """The variants, or the one model, that vectors come from."""

    @property
    def max_tokens(self) -> int:
        """The longest input; what is longer is cut."""

    def dimension(self, name: str) -> int:
        """The size of one's vectors."""

    def prepare(self, texts: Sequence[str], role: Role, names: Sequence[str] | None = None) -> Any:
        """The part of the work that another thread may do ahead: tokenising."""

    def encode_prepared(self, prepared: Any, on_batch: OnBatch = _ignore) -> Encoded:
        """The rest of the work; `on_batch` is told the texts and tokens of each batch done."""

    def facts(self, name: str) -> dict[str, Any]:
        """What an index has to remember of the one who made its vectors; JSON."""


class Embedder:
    """One forward pass, and a vector per variant for each text.

    Args:
        variants: at least one; equal in all but pooling, its options, dimension, seed and label.
        base: the base model they name.
        engine: loaded with their attention mode and last layer.
        batch_tokens: how many tokens are computed at once; by default what suits the device.
        allow_untrained: let poolings pass whose weights were never trained.

    Raises:
        NeedsTraining: a variant's pooling has weights, and none were trained.
    """

    def __init__(
        self,
        variants: Sequence[Variant],
        base: BaseModel,
        engine: Engine,
        *,
        engine_name: str = "",
        batch_tokens: int | None = None,
        allow_untrained: bool = False,
    ) -> None:
        self.variants = tuple(variants)
        self.base = base
        self.engine = engine
        self.engine_name = engine_name
        on_cpu = engine.device.type == "cpu"
        self.batch_tokens = batch_tokens or (BATCH_TOKENS if on_cpu else BATCH_TOKENS_GPU)
        self.tokenizer = tokens.TextTokenizer(base.folder, base.config)
        self.verdict: dict[str, Any] = {}
        depth, dim = shape_of(base)
        self._shared = self.variants[0]
        longest = base.config.get("max_position_embeddings") or self._shared.max_tokens
        if self._shared.max_tokens > longest:
            raise BadInput(
                f"max_tokens is {self._shared.max_tokens}, and {base.name} was trained on texts of "
                f"at most {longest} tokens; lower --max-tokens"
            )
        self.layers = layer_range(self._shared, depth)
        self._heads = [
            _Head(variant, dim, self.layers, engine.device, allow_untrained)
            for variant in self.variants
        ]

    @property
    def names(self) -> tuple[str, ...]:
        """The variants' names, in the order they were given."""
        return tuple(variant.name for variant in self.variants)

    @property
    def max_tokens(self) -> int:
        """The longest input, template and EOS included; of longer texts, the end is cut off."""
        return self._shared.max_tokens

    def dimension(self, name: str) -> int:
        """The size of a variant's vectors."""
        return self._heads[self.names.index(name)].dimension

    def facts(self, name: str) -> dict[str, Any]:
        """The variant's row, its base's hash, the arithmetic, and the proof's verdict; JSON."""
        head = self._heads[self.names.index(name)]
        return {
            "kind": "variant",
            "variant": head.variant.to_row(),
            "base_hash": self.base.hash,
            "fingerprint": head.variant.fingerprint(self.base.hash),
            "dimension": head.dimension,
            "engine": self.engine_name,
            "dtype": _name(self.engine.dtype),
            "proof": self.verdict,
        }

    def encode(self, texts: Sequence[str], role: Role = "passage") -> Encoded:
        """Encode texts that fit into memory.

        Raises:
            EmptyText: a text without any token; the message says which.
        """
        return self.encode_prepared(self.prepare(texts, role))

    def prepare(
        self, texts: Sequence[str], role: Role, names: Sequence[str] | None = None
    ) -> list[tokens.TokenisedText]:
        """Tokenise texts with the template of their role."""
        template = self._shared.query_template if role == "query" else self._shared.passage_template
        return self.tokenizer.tokenise(
            texts, template=template, max_tokens=self._shared.max_tokens, names=names
        )

    def encode_prepared(
        self, prepared: Sequence[tokens.TokenisedText], on_batch: OnBatch = _ignore
    ) -> Encoded:
        """Encode tokenised texts, longest first: what memory it takes shows at the start."""
        lengths = np.array([len(text.ids) for text in prepared])
        order = np.argsort(-lengths, kind="stable")
        vectors = {
            head.variant.name: np.empty((len(prepared), head.dimension), dtype=np.float32)
            for head in self._heads
        }
        while len(order):
            rows, rest = _fill(order, lengths, self.batch_tokens)
            try:
                pooled = self._forward([prepared[row] for row in rows])
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                if len(rows) == 1:
                    raise SearchkitError(
                        f"not enough memory for one text of {lengths[rows[0]]} tokens; "
                        "lower --max-tokens or take a smaller base model"
                    ) from error
                self.batch_tokens = (
                    int(lengths[rows].sum()) // 2
                )  # for good: the next batch would not fit either
                continue
            for name, part in pooled.items():
                vectors[name][rows] = part
            on_batch(len(rows), int(lengths[rows].sum()))
            order = rest
        return Encoded(vectors, int(lengths.sum()), sum(text.truncated for text in prepared))

    @torch.inference_mode()
    def _forward(self, texts: Sequence[tokens.TokenisedText]) -> dict[str, Vectors]:
        batch = tokens.batch(texts, pool_instruction=self._shared.pool_instruction).to(
            self.engine.device
        )
        first, last = self.layers
        reader = Reader(
            {head.reads for head in self._heads}, batch, first_layer=first, last_layer=last
        )
        self.engine.run(batch, reader)
        return {head.variant.name: head.vectors(*reader.read(head.reads)) for head in self._heads}


class _Head:
    """The pooling of one variant and what comes after it."""

    def __init__(
        self,
        variant: Variant,
        dim: int,
        layers: tuple[int, int],
        device: torch.device,
        allow_untrained: bool,
    ) -> None:
        if not allow_untrained:
            refuse_untrained([variant])
        if variant.dimension is not None and variant.dimension > dim:
            raise BadInput(
                f"{variant.name}: dimension {variant.dimension} is more than the {dim} that the "
                f"base has"
            )
        module = catalog.load(POOLING, variant.pooling)
        self.variant = variant
        self.dimension = variant.dimension or dim
        self.reads: str = module.reads(variant.attention, **_options(variant, module, "reads"))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(variant.seed)
            pooling: nn.Module = module.build(
                dim, layers[1] - layers[0] + 1, **_options(variant, module, "build")
            )
        self.pooling = pooling.to(device).eval()

    def vectors(self, states: Tensor, mask: Tensor) -> Vectors:
        """(B, N, D) to (B, dimension), float32, rows of unit length."""
        pooled: Tensor = self.pooling(states, mask)[:, : self.dimension]
        unit = functional.normalize(pooled.float(), dim=-1)
        array: Vectors = unit.cpu().numpy()
        return array


def load(
    variants: Sequence[Variant],
    *,
    engine: str,
    dtype: torch.dtype,
    device: torch.device,
    allow_untrained: bool = False,
) -> Embedder:
    """Load the embedder of variants that share a forward pass.

    Args:
        variants: see `Embedder`.
        engine: a choice of encode/engines.
        dtype: of weights and products.
        device: where to compute.
        allow_untrained: see `Embedder`.
    """
    base = language_models.resolve(variants[0].base)
    if device.type == "cpu" and dtype == torch.float32:
        quicken_float32()
    module = catalog.load(ENGINES, engine)
    if reason := module.unsupported(base.config):
        raise BadInput(
            f"the {engine} engine cannot run {base.name}: {reason}; use the transformers engine"
        )
    if dtype not in (known := module.dtypes(device)):
        raise BadInput(
            f"the {engine} engine does not compute in {_name(dtype)} on {device}; it does in "
            f"{', '.join(map(_name, known))}"
        )
    _, last_layer = layer_range(variants[0], shape_of(base)[0])
    is_causal = catalog.load(ATTENTION, variants[0].attention).IS_CAUSAL
    loaded = module.load(
        base.folder,
        base.config,
        is_causal=is_causal,
        last_layer=last_layer,
        dtype=dtype,
        device=device,
    )
    return Embedder(variants, base, loaded, engine_name=engine, allow_untrained=allow_untrained)


def refuse_untrained(variants: Sequence[Variant]) -> None:
    """Make sure that every pooling has the weights it needs.

    Raises:
        NeedsTraining: one has weights of its own, and none were trained.
    """
    for variant in variants:
        if variant.trainable:
            free = [
                name for name in catalog.names(POOLING) if not catalog.load(POOLING, name).TRAINABLE
            ]
            raise NeedsTraining(
                f"{variant.name} pools with weights of its own, and none were trained: its "
                f"vectors would be noise; "
                f"choose a pooling without weights ({', '.join(free)})"
            )


def share_a_pass(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Group variants that one forward pass can serve, in the order of their first appearance.

    Raises:
        BadInput: two different variants go by one name.
    """
    taken: dict[str, Variant] = {}
    groups: list[tuple[Variant, list[Variant]]] = []
    for variant in dict((variant.name, variant) for variant in variants).values():
        taken[variant.name] = variant
        shared = dataclasses.replace(
            variant, pooling="mean", pooling_options={}, dimension=None, seed=0, label=""
        )
        group = next((members for key, members in groups if key == shared), None)
        if group is None:
            groups.append((shared, [variant]))
        else:
            group.append(variant)
    if clash := next((variant for variant in variants if taken[variant.name] != variant), None):
        raise BadInput(f"two different variants are called {clash.name}; give one of them a label")
    return [members for _, members in groups]


def shape_of(base: BaseModel) -> tuple[int, int]:
    """The number of layers of a base model, and the size of its hidden states.

    Raises:
        BadInput: config.json does not say, under the names that decoders since Llama use.
    """
    found = [base.config.get(key) for key in ("num_hidden_layers", "hidden_size")]
    if not all(isinstance(value, int) for value in found):
        raise BadInput(
            f"the config.json of {base.name} names no num_hidden_layers and hidden_size "
            f"(model type {base.config.get('model_type')!r}); take a decoder that does, such as "
            "Llama, Mistral, Qwen, Gemma or Phi"
        )
    depth, dim = found
    return int(depth or 0), int(dim or 0)


def layer_range(variant: Variant, depth: int) -> tuple[int, int]:
    """The first and last layer that are read, from 1, of a model with `depth` layers."""
    last = variant.last_layer or depth
    if last > depth:
        raise BadInput(
            f"{variant.name}: last_layer {last} is more than the {depth} layers of {variant.base}"
        )
    if variant.first_layer > last:
        raise BadInput(
            f"{variant.name}: first_layer {variant.first_layer} is more than the {last} layers of "
            f"{variant.base}"
        )
    return variant.first_layer, last


def _options(variant: Variant, module: ModuleType, function: str) -> dict[str, Any]:
    known = options_of(getattr(module, function))
    return {name: value for name, value in variant.pooling_options.items() if name in known}


def _fill(
    rows: npt.NDArray[np.intp], lengths: npt.NDArray[np.int_], budget: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The next batch, of at most `budget` tokens but at least one text, and what is left."""
    taken = max(1, int(np.searchsorted(lengths[rows].cumsum(), budget, side="right")))
    return rows[:taken], rows[taken:]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in str(error) for words in _NO_MEMORY
    )
