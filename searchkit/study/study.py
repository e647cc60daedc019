"""A study: designs that are trained alike, and what they are compared on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.encode.variant import Variant
from searchkit.train.lora import Lora
from searchkit.train.settings import Settings

OTHER_BATCHES = "templates, and so the order of batches"
"""A deviation: templates lengthen texts, and batches are of like lengths."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One design of a study.

    Attributes:
        name: what tables call it.
        variant: the design; its seed is that of no training.
        regime: how much of it is trained; see `searchkit.train.regimes`.
        against: the row that it is compared with.
    """

    name: str
    variant: Variant
    regime: str
    against: str

    def system(self, seed: int) -> str:
        """What its training with a seed is called: the folder of its weights, and in scores."""
        return f"{self.name}-{seed}"

    @property
    def untrained(self) -> str:
        """What it is called as nobody trained it, all seeds of its first pooling together."""
        return f"{self.name}-untrained"

    @property
    def templates(self) -> tuple[str, str]:
        """What queries and passages are put into; they lengthen texts, and so decide batches."""
        return self.variant.query_template, self.variant.passage_template


@dataclass(frozen=True, kw_only=True)
class PairsFrom:
    """Where some of the pairs come from.

    Attributes:
        path: see `searchkit.train.pairs.read`.
        written: the same as the study file has it, with variables in it.
        licence: "" where the file does not say.
    """

    path: str
    written: str
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How all rows are trained.

    Attributes:
        pairs: at least one place to have some from.
        at_most: pairs of each place, the same for every seed; None for all.
        held_out: see `searchkit.evaluate.held_out.queries`.
        drop_leaks: leave pairs out that are held out, instead of refusing them.
        regime: of the rows that name none.
        settings: with the seed 0 in the place of a training's own.
        lora: likewise.
        teacher: `st:<folder>`; "" without one.
        validate: labelled sets, `<folder>@<split>`.
        validate_sample: documents, texts or pairs of each; None for as many as is usual.
        engine, dtype: see `regimes.open_trainee`; None for its own choice.
    """

    pairs: tuple[PairsFrom, ...]
    regime: str
    settings: Settings
    lora: Lora
    at_most: int | None = None
    held_out: tuple[str, ...] = ()
    drop_leaks: bool = False
    teacher: str = ""
    validate: tuple[str, ...] = ()
    validate_sample: int | None = None
    engine: str | None = None
    dtype: str | None = None


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study file that was read and found to make sense.

    Attributes:
        path: of the file.
        text: of the file, as it was read.
        title: of its page.
        seeds: of trainings.
        baseline: the row that those are compared with that name no other.
        untrained: whether rows are compared with themselves untrained.
        training: how rows are trained.
        rows: what is trained.
        evaluation: the table of a suite; `study.systems` makes one of it.
        variables: see `TomlFile`.
    """

    path: Path
    text: str
    title: str
    seeds: tuple[int, ...]
    baseline: str
    untrained: bool
    training: Training
    rows: tuple[Row, ...]
    evaluation: Mapping[str, Any]
    variables: Mapping[str, str] | None = None

    @property
    def usual(self) -> Row:
        """The baseline's row, which is done to as to most."""
        return next(one for one in self.rows if one.name == self.baseline)

    def deviations(self, row: Row) -> tuple[str, ...]:
        """What is done to a row otherwise than to the baseline; () for most."""
        found = []
        if row.regime != self.usual.regime:
            found.append(f"regime {row.regime}")
        if row.templates != self.usual.templates:
            found.append(OTHER_BATCHES)
        return tuple(found)
