"""The embedder: tokenizer, engine and poolings composed; only here vectors become unit length.

Variants that differ in their pooling alone share one forward pass.
"""

import dataclasses
import time
from collections.abc import Callable, Collection, Sequence
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
from searchkit.encode.arithmetic import dtype_name, quicken_float32
from searchkit.encode.language_models import BaseModel
from searchkit.encode.memory import Memory, key_of
from searchkit.encode.states import LAST_TOKENS, LAYER_EOS, LAYER_MEANS, Reader, TokenBatch
from searchkit.encode.variant import ATTENTION, POOLING, Variant, options_of
from searchkit.errors import BadInput, NeedsTraining, SearchkitError

ENGINES = "searchkit.encode.engines"
BATCH_TOKENS = 1536  # where CPU throughput is flat: 512 and 4096 are within 6 % of it
_POOLED_AT_ONCE = 256  # texts whose remembered states are pooled in one go
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

    @property
    def tokens_per_s(self) -> float | None:
        """How fast it was whenever it computed here; None if it never did."""

    def unknown_tokens(self, prepared: Any) -> int:
        """Tokens of the texts that would have to be computed: those that no memory knows."""


class Embedder:
    """One forward pass, and a vector per variant for each text.

    Args:
        variants: at least one; equal in all but pooling, its options and weights, dimension, seed
            and label.
        base: the base model they name.
        engine: loaded with their attention mode and last layer.
        batch_tokens: how many tokens are computed at once; by default what suits the device.
        allow_untrained: let poolings pass whose weights were never trained.
        memory: where what the engine computes is kept and looked up; None keeps nothing.

    Raises:
        NeedsTraining: a variant's pooling has weights, and none were trained.
        BadInput: trained weights belong to another base.
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
        memory: Memory | None = None,
    ) -> None:
        self.variants = tuple(variants)
        self.base = base
        self.engine = engine
        self.engine_name = engine_name
        on_cpu = engine.device.type == "cpu"
        self.batch_tokens = batch_tokens or (BATCH_TOKENS if on_cpu else BATCH_TOKENS_GPU)
        self.tokenizer = tokens.TextTokenizer(base.folder, base.config)
        self.verdict: dict[str, Any] = {}
        self.memory = memory
        self.calibrated_tokens_per_s: float | None = None
        depth, dim = shape_of(base)
        self._shared = self.variants[0]
        self.layers = layer_range(self._shared, depth)
        for variant in self.variants:
            refuse_oversized(variant, base)
            refuse_other_base(variant, base)
        self._heads = [
            _Head(variant, base.hash, dim, self.layers, engine.device, allow_untrained)
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
            "fingerprint": head.fingerprint,
            "dimension": head.dimension,
            "engine": self.engine_name,
            "dtype": dtype_name(self.engine.dtype),
            "proof": self.verdict,
        }

    @property
    def tokens_per_s(self) -> float | None:
        """How fast it was whenever it computed for its memory, or when it was calibrated."""
        return (self.memory.speed() if self.memory else None) or self.calibrated_tokens_per_s

    def unknown_tokens(self, prepared: Sequence[tokens.TokenisedText]) -> int:
        """Tokens of the texts that would have to be computed: those that no memory knows."""
        slots = [head.slot for head in self._heads]
        return sum(
            len(text.ids)
            for text in prepared
            if self.memory is None or not self.memory.knows(slots, self._key(text))
        )

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
        if self.memory is None or not prepared:
            vectors = self._in_batches(prepared, self._vectors, on_batch)
            for head in self._heads:  # of no texts too
                vectors.setdefault(head.variant.name, head.none())
        else:
            slots = self._remembered(prepared, {head.slot: head for head in self._heads}, on_batch)
            vectors = {head.variant.name: head.of_rows(slots[head.slot]) for head in self._heads}
        computed = sum(len(text.ids) for text in prepared)
        return Encoded(vectors, computed, sum(text.truncated for text in prepared))

    def summaries(
        self,
        prepared: Sequence[tokens.TokenisedText],
        reads: Collection[str],
        on_batch: OnBatch = _ignore,
    ) -> dict[str, npt.NDArray[Any]]:
        """What poolings would read of tokenised texts, before any pooling; one forward pass.

        Args:
            prepared: at least one text.
            reads: names out of `states.ALL` whose size does not depend on the text's: any but
                that of the tokens.
            on_batch: told the texts and tokens of each batch done.

        Returns:
            By name, (N, 1, D) or (N, L, D), float32; float16 where the embedder has a memory and
            states have unit RMS.
        """
        if self.memory is None:
            return self._in_batches(prepared, lambda texts: self._read(texts, {*reads}), on_batch)
        return self._remembered(prepared, dict.fromkeys(reads), on_batch)

    def _remembered(
        self,
        prepared: Sequence[tokens.TokenisedText],
        slots: dict[str, "_Head | None"],
        on_batch: OnBatch,
    ) -> dict[str, npt.NDArray[Any]]:
        """Rows by slot, out of the memory; what it does not know yet is computed for it."""
        assert self.memory is not None
        keys = [self._key(text) for text in prepared]
        known = [self.memory.knows([*slots], key) for key in keys]
        if any(known):
            on_batch(sum(known), 0)
        unknown = {
            key: text for key, text, old in zip(keys, prepared, known, strict=True) if not old
        }
        if unknown:
            start = time.perf_counter()
            computed = self._in_batches(
                [*unknown.values()], lambda texts: self._slots(texts, slots), on_batch
            )
            if twice := len(prepared) - sum(known) - len(unknown):
                on_batch(twice, 0)
            self.memory.add(
                [*unknown],
                computed,
                tokens=sum(len(text.ids) for text in unknown.values()),
                seconds=time.perf_counter() - start,
            )
        return {slot: self.memory.rows(slot, keys) for slot in slots}

    def _key(self, text: tokens.TokenisedText) -> str:
        left_out = 0 if self._shared.pool_instruction else text.instruction
        return key_of(text.ids.astype("<i8").tobytes(), str(left_out).encode())

    def _in_batches(
        self,
        prepared: Sequence[tokens.TokenisedText],
        compute: Callable[[Sequence[tokens.TokenisedText]], dict[str, npt.NDArray[Any]]],
        on_batch: OnBatch,
    ) -> dict[str, npt.NDArray[Any]]:
        """Rows by name in the order of the texts; a batch that does not fit is halved."""
        lengths = np.array([len(text.ids) for text in prepared])
        order = np.argsort(-lengths, kind="stable")
        rows: dict[str, npt.NDArray[Any]] = {}
        while len(order):
            chosen, rest = _fill(order, lengths, self.batch_tokens)
            try:
                parts = compute([prepared[row] for row in chosen])
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                if len(chosen) == 1:
                    raise SearchkitError(
                        f"not enough memory for one text of {lengths[chosen[0]]} tokens; "
                        "lower --max-tokens or take a smaller base model"
                    ) from error
                self.batch_tokens = (
                    int(lengths[chosen].sum()) // 2
                )  # for good: the next batch would not fit either
                continue
            for name, part in parts.items():
                if name not in rows:
                    rows[name] = np.empty((len(prepared), *part.shape[1:]), dtype=part.dtype)
                rows[name][chosen] = part
            on_batch(len(chosen), int(lengths[chosen].sum()))
            order = rest
        return rows

    def _vectors(self, texts: Sequence[tokens.TokenisedText]) -> dict[str, npt.NDArray[Any]]:
        reader = self._run(texts, {head.reads for head in self._heads})
        return {head.variant.name: head.vectors(*reader.read(head.reads)) for head in self._heads}

    def _slots(
        self, texts: Sequence[tokens.TokenisedText], slots: dict[str, "_Head | None"]
    ) -> dict[str, npt.NDArray[Any]]:
        """As `memory` keeps them: vectors where a pooling reads tokens, else what it reads."""
        reader = self._run(texts, {head.reads if head else slot for slot, head in slots.items()})
        rows: dict[str, npt.NDArray[Any]] = {}
        for slot, head in slots.items():
            if head is not None and head.reads == LAST_TOKENS:
                rows[slot] = head.vectors(*reader.read(LAST_TOKENS))
            else:
                # Half the bytes; of states at unit RMS float16 keeps three more bits than the
                # bfloat16 that most of them were computed in.
                halved = slot in (LAYER_EOS, LAYER_MEANS)
                states, _ = reader.read(slot)
                rows[slot] = states.to(torch.float16 if halved else torch.float32).cpu().numpy()
        return rows

    def _read(
        self, texts: Sequence[tokens.TokenisedText], reads: set[str]
    ) -> dict[str, npt.NDArray[Any]]:
        reader = self._run(texts, reads)
        return {name: reader.read(name)[0].float().cpu().numpy() for name in reads}

    @torch.inference_mode()
    def _run(self, texts: Sequence[tokens.TokenisedText], reads: set[str]) -> Reader:
        batch = tokens.batch(texts, pool_instruction=self._shared.pool_instruction).to(
            self.engine.device
        )
        first, last = self.layers
        reader = Reader(reads, batch, first_layer=first, last_layer=last)
        self.engine.run(batch, reader)
        return reader


class _Head:
    """The pooling of one variant and what comes after it."""

    def __init__(
        self,
        variant: Variant,
        base_hash: str,
        dim: int,
        layers: tuple[int, int],
        device: torch.device,
        allow_untrained: bool,
    ) -> None:
        if not allow_untrained:
            refuse_untrained([variant])
        self.variant = variant
        self.dimension = variant.dimension or dim
        self.reads, pooling = _build(variant, dim, layers)
        self.pooling = self._trained(pooling).to(device).eval()
        # Of the weights that are loaded: those on the disk may be others by the time it is asked.
        self.fingerprint = variant.fingerprint(base_hash)
        # Under what name a memory keeps what this pooling makes of a text, or reads of it.
        reads_tokens = self.reads == LAST_TOKENS
        self.slot = f"vectors-{variant.fingerprint('')}" if reads_tokens else self.reads
        self._device = device

    def _trained(self, pooling: nn.Module) -> nn.Module:
        """The pooling with the weights that training left, if it left any."""
        if self.variant.trainable and self.variant.trained:
            try:
                pooling.load_state_dict(self.variant.trained.pooling())
            except RuntimeError as error:
                raise BadInput(
                    f"the weights {self.variant.weights} do not fit {self.variant.design} on "
                    f"{self.variant.base}: {str(error).splitlines()[-1].strip()}; take the base "
                    "that they were trained on"
                ) from error
        return pooling

    def none(self) -> Vectors:
        """The vectors of no texts."""
        return np.empty((0, self.dimension), dtype=np.float32)

    def of_rows(self, rows: npt.NDArray[Any]) -> Vectors:
        """Rows of this pooling's slot to vectors, (N, dimension)."""
        if self.reads == LAST_TOKENS or not len(rows):
            return rows if len(rows) else self.none()
        parts = []
        for start in range(0, len(rows), _POOLED_AT_ONCE):
            states = torch.from_numpy(rows[start : start + _POOLED_AT_ONCE]).to(self._device)
            mask = torch.ones(states.shape[:2], dtype=torch.bool, device=self._device)
            parts.append(self.vectors(states, mask))
        return np.concatenate(parts)

    @torch.inference_mode()
    def vectors(self, states: Tensor, mask: Tensor) -> Vectors:
        """(B, N, D) to (B, dimension), float32, rows of unit length."""
        pooled: Tensor = self.pooling(states, mask)[:, : self.dimension]
        unit = functional.normalize(pooled.float(), dim=-1)
        array: Vectors = unit.cpu().numpy()
        return array


def pooling_of(variant: Variant, base: BaseModel) -> tuple[str, nn.Module]:
    """What a variant's pooling reads, and the pooling with its first weights; for training."""
    depth, dim = shape_of(base)
    return _build(variant, dim, layer_range(variant, depth))


def reads_of(variant: Variant) -> str:
    """What a variant's pooling reads of the hidden states; see `encode.states`."""
    module = catalog.load(POOLING, variant.pooling)
    reads: str = module.reads(variant.attention, **_options(variant, module, "reads"))
    return reads


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
    loaded = load_engine(variants[0], base, engine=engine, dtype=dtype, device=device)
    return Embedder(variants, base, loaded, engine_name=engine, allow_untrained=allow_untrained)


def load_engine(
    variant: Variant, base: BaseModel, *, engine: str, dtype: torch.dtype, device: torch.device
) -> Engine:
    """Load a base model into an engine, with the attention mode and depth of a variant.

    Raises:
        BadInput: the engine cannot run that model, or not in that dtype on that device.
    """
    if device.type == "cpu" and dtype == torch.float32:
        quicken_float32()
    module = catalog.load(ENGINES, engine)
    if reason := module.unsupported(base.config):
        raise BadInput(
            f"the {engine} engine cannot run {base.name}: {reason}; use the transformers engine"
        )
    if dtype not in (known := module.dtypes(device)):
        raise BadInput(
            f"the {engine} engine does not compute in {dtype_name(dtype)} on {device}; it does in "
            f"{', '.join(map(dtype_name, known))}"
        )
    refuse_other_base(variant, base)
    _, last_layer = layer_range(variant, shape_of(base)[0])
    is_causal = catalog.load(ATTENTION, variant.attention).IS_CAUSAL
    loaded: Engine = module.load(
        base.folder,
        base.config,
        is_causal=is_causal,
        last_layer=last_layer,
        dtype=dtype,
        device=device,
        adapter=variant.trained.adapter() if variant.trained else None,
    )
    return loaded


def refuse_untrained(variants: Sequence[Variant]) -> None:
    """Make sure that every pooling has the weights it needs.

    Raises:
        NeedsTraining: one has weights of its own, and none were trained.
    """
    for variant in variants:
        if variant.trainable and not variant.weights:
            free = [
                name for name in catalog.names(POOLING) if not catalog.load(POOLING, name).TRAINABLE
            ]
            raise NeedsTraining(
                f"{variant.name} pools with weights of its own, and none were trained: its "
                f"vectors would be noise; "
                f"train it with searchkit train, or choose a pooling without weights "
                f"({', '.join(free)})"
            )


def share_a_pass(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Group variants that one forward pass can serve, in the order of their first appearance.

    Raises:
        BadInput: two different variants go by one name.
    """
    taken: dict[str, Variant] = {}
    groups: list[tuple[tuple[Variant, str], list[Variant]]] = []
    for variant in dict((variant.name, variant) for variant in variants).values():
        taken[variant.name] = variant
        plain = dataclasses.replace(
            variant,
            pooling="mean",
            pooling_options={},
            dimension=None,
            seed=0,
            weights="",
            label="",
        )
        shared = plain, variant.adapter_hash
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


def refuse_oversized(variant: Variant, base: BaseModel) -> None:
    """Make sure that a base model can read texts as long, and give vectors as large, as wanted.

    Raises:
        BadInput: it cannot.
    """
    longest = base.config.get("max_position_embeddings") or variant.max_tokens
    if variant.max_tokens > longest:
        raise BadInput(
            f"max_tokens is {variant.max_tokens}, and {base.name} was trained on texts of at most "
            f"{longest} tokens; lower --max-tokens"
        )
    _, dim = shape_of(base)
    if variant.dimension is not None and variant.dimension > dim:
        raise BadInput(
            f"{variant.name}: dimension {variant.dimension} is more than the {dim} that the base "
            "has"
        )


def refuse_other_base(variant: Variant, base: BaseModel) -> None:
    """Make sure that trained weights meet the base model that they were trained on.

    Raises:
        BadInput: it is another.
    """
    if variant.trained and not variant.trained.fits(base):
        raise BadInput(
            f"the weights {variant.weights} were trained on a base model of hash "
            f"{variant.trained.base_hash[:16]}, and {base.name} has {base.hash[:16]}; take the "
            "base that they name"
        )


def _build(variant: Variant, dim: int, layers: tuple[int, int]) -> tuple[str, nn.Module]:
    module = catalog.load(POOLING, variant.pooling)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(variant.seed)
        pooling: nn.Module = module.build(
            dim, layers[1] - layers[0] + 1, **_options(variant, module, "build")
        )
    return reads_of(variant), pooling


def _options(variant: Variant, module: ModuleType, function: str) -> dict[str, Any]:
    known = options_of(getattr(module, function))
    return {name: value for name, value in variant.pooling_options.items() if name in known}


def _fill(
    rows: npt.NDArray[np.intp], lengths: npt.NDArray[np.int_], budget: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The next batch, of at most `budget` tokens but at least one text, and what is left."""
    taken = max(1, int(np.searchsorted(lengths[rows].cumsum(), budget, side="right")))
    return rows[:taken], rows[taken:]


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in str(error) for words in _NO_MEMORY
    )
