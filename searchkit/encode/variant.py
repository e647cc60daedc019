"""A variant: one named design of an embedder, one row of a comparison."""

import dataclasses
import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3

from searchkit import catalog
from searchkit.encode import language_models, weights
from searchkit.encode.weights import Weights
from searchkit.errors import BadInput, UnknownName

ATTENTION = "searchkit.encode.attention"
POOLING = "searchkit.encode.pooling"

# The five designs of Tang and Yang 2024, arXiv:2409.02727.
ALIASES = {
    "model1": "eos_last-causal",
    "model2": "last_layer-causal",
    "model3": "multi_layer-causal",
    "model4": "last_layer-bidirectional",
    "model5": "multi_layer-bidirectional",
}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Everything that decides which vector a text gets, but for the arithmetic's precision.

    Attributes:
        base: name, folder, GGUF file or hub id of the base model.
        attention: a choice of encode/attention.
        pooling: a choice of encode/pooling.
        pooling_options: sizes and switches of the pooling, by the names its module gives them.
        first_layer: the first layer that a pooling over layers reads, from 1.
        last_layer: the layer at which the model stops; None for all of them.
        query_template, passage_template: what is fed in for a query and for a passage; {text} once.
        pool_instruction: False leaves the template's tokens before {text} out of the pooling.
        max_tokens: longest input, template and EOS included; longer texts are cut, and counted.
        dimension: how many of the vector's leading numbers are kept; None for all.
        seed: of the pooling's first weights, where it has any.
        weights: name or folder of what was trained; empty for a variant that nobody trained.
        label: the name in tables; empty for `<pooling>-<attention>`.
    """

    attention: str
    pooling: str
    base: str = language_models.DEFAULT
    pooling_options: Mapping[str, Any] = field(default_factory=dict)
    first_layer: int = 1
    last_layer: int | None = None
    query_template: str = "{text}"
    passage_template: str = "{text}"
    pool_instruction: bool = True
    max_tokens: int = 256
    dimension: int | None = None
    seed: int = 0
    weights: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        catalog.load(ATTENTION, self.attention)
        module = catalog.load(POOLING, self.pooling)
        known = options_of(module.build) | options_of(module.reads)
        if unknown := sorted(set(self.pooling_options) - set(known)):
            raise UnknownName(
                f"{self.pooling} has no option {unknown[0]!r}; it has: "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        for name, value in self.pooling_options.items():
            _refuse_other_kinds(f"{self.pooling}'s {name}", value, known[name])
        # Written out, so that a row means the same once a default has changed.
        defaults = {name: option.default for name, option in known.items()}
        object.__setattr__(self, "pooling_options", {**defaults, **self.pooling_options})
        read = {name: self.pooling_options[name] for name in options_of(module.reads)}
        module.reads(self.attention, **read)  # for what it raises
        for name in ("query_template", "passage_template"):
            template = getattr(self, name)
            if template.count("{text}") != 1:
                raise BadInput(f"{name} {template!r} must hold {{text}} exactly once")
        for name, least in (
            ("first_layer", 1),
            ("last_layer", 1),
            ("max_tokens", 2),
            ("dimension", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise BadInput(f"{name} is {value}; it must be at least {least}")
        if self.last_layer is not None and self.last_layer < self.first_layer:
            raise BadInput(
                f"last_layer {self.last_layer} lies before first_layer {self.first_layer}"
            )

    @property
    def name(self) -> str:
        """What tables and indexes call this variant."""
        return self.label or self.design

    @property
    def design(self) -> str:
        """The pooling and the attention, whatever the variant is called."""
        return f"{self.pooling}-{self.attention}"

    @property
    def trainable(self) -> bool:
        """Whether the pooling has weights of its own, which mean nothing untrained."""
        return bool(catalog.load(POOLING, self.pooling).TRAINABLE)

    @property
    def trained(self) -> Weights | None:
        """The weights that training left, fit for this variant; None if it names none.

        Raises:
            BadInput: they were trained for another attention or another trainable pooling.
        """
        if not self.weights:
            return None
        found = weights.resolve(self.weights)
        theirs = Variant.from_row(found.row)
        decides = ["attention"]
        if self.trainable:
            decides += ["pooling", "pooling_options", "first_layer", "last_layer"]
        for name in decides:
            if getattr(self, name) != getattr(theirs, name):
                raise BadInput(
                    f"{self.name} has {name} {getattr(self, name)}, and the weights "
                    f"{self.weights} were trained with {getattr(theirs, name)}; take that, or "
                    "other weights"
                )
        return found

    @property
    def adapter_hash(self) -> str:
        """Of what was added to the base model; empty if nothing was."""
        trained = self.trained
        return trained.adapter_hash if trained else ""

    def to_row(self) -> dict[str, Any]:
        """The variant as JSON can hold it; `from_row` reads it back."""
        return {**dataclasses.asdict(self), "pooling_options": dict(self.pooling_options)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Variant":
        """The variant of a row that `to_row` wrote, or that somebody typed.

        Raises:
            BadInput: a field is missing, unknown or of the wrong kind.
        """
        known = {entry.name: entry for entry in dataclasses.fields(cls)}
        if unknown := sorted(set(row) - set(known)):
            raise BadInput(f"a variant has no field {unknown[0]!r}; it has: {', '.join(known)}")
        if missing := [name for name in ("attention", "pooling") if name not in row]:
            raise BadInput(f"the variant names no {missing[0]}")
        for name, value in row.items():
            kind: Any = Mapping if name == "pooling_options" else known[name].type
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                wanted = kind.__name__ if isinstance(kind, type) else kind
                raise BadInput(f"the variant's {name} is {value!r}; it must be of type {wanted}")
        return cls(**row)

    def fingerprint(self, base_hash: str) -> str:
        """16 hexadecimal digits that differ wherever vectors may: of row, base and weights."""
        by_content = ("label", "base", "weights")
        row = {key: value for key, value in self.to_row().items() if key not in by_content}
        if trained := self.trained:
            row["weights"] = trained.hash
        return blake3(json.dumps([row, base_hash], sort_keys=True).encode()).hexdigest()[:16]


def parse(text: str, **overrides: Any) -> Variant:
    """The variant that a command line names.

    Args:
        text: `<pooling>-<attention>`, an alias out of `ALIASES`, trained weights by their name or
            folder, or the path of a JSON file that holds a row.
        overrides: fields that replace those of the name or the file; None leaves a field as it is.

    Raises:
        UnknownName: no such pooling, attention or alias; the message lists what there is.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    if text.endswith(".json"):
        try:
            row = json.loads(Path(text).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput(f"the variant file {text} cannot be read: {error}") from error
        if not isinstance(row, dict):
            raise BadInput(f"the variant file {text} holds no JSON object, but {row!r:.40}")
        return Variant.from_row({**row, **given})
    if weights.knows(text):
        row = {**weights.resolve(text).row, "weights": text}
        # What comes with searchkit goes by the name that is typed.
        label = text if text in weights.shipped() else row.get("label")
        row["label"] = label or Path(text).resolve().name
        return Variant.from_row({**row, **given})
    pooling, dash, attention = ALIASES.get(text, text).rpartition("-")
    if (
        not dash
        or pooling not in catalog.names(POOLING)
        or attention not in catalog.names(ATTENTION)
    ):
        raise UnknownName(
            f"no variant {text!r}; a variant is <pooling>-<attention> with pooling "
            f"{', '.join(catalog.names(POOLING))} "
            f"and attention {', '.join(catalog.names(ATTENTION))}, or one of "
            f"{', '.join([*ALIASES, *weights.shipped()])}, a folder of trained weights, or a "
            ".json file"
        )
    return Variant(attention=attention, pooling=pooling, **given)


def options_of(function: Any) -> dict[str, inspect.Parameter]:
    """A function's keyword-only parameters by name: a pooling's options."""
    parameters = inspect.signature(function).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def _refuse_other_kinds(name: str, value: Any, option: inspect.Parameter) -> None:
    """Sizes have to be positive, scales finite and not negative: 0 leaves out what is scaled.

    A whole number does as a float, and names are for the pooling to know.
    """
    kind = option.annotation
    is_bool = isinstance(value, bool)
    fits = isinstance(value, kind | int if kind is float else kind) and is_bool == (kind is bool)
    if not fits:
        wanted = kind.__name__ if isinstance(kind, type) else str(kind)
        raise BadInput(f"{name} is {value!r}; it must be of type {wanted}")
    if is_bool or value is None or isinstance(value, str):
        return
    if kind is float and not 0 <= value < math.inf:
        raise BadInput(f"{name} is {value}; it must be 0 or more, and finite")
    if kind is not float and value <= 0:
        raise BadInput(f"{name} is {value}; it must be more than 0")
