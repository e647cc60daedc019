"""What a study knows of its trainings, as a file: the page is drawn from it and from the scores."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from searchkit.encode.variant import Variant
from searchkit.errors import BadInput
from searchkit.files import write_text
from searchkit.study.alike import Trained, computed
from searchkit.study.study import Row, Study
from searchkit.study.systems import untrained
from searchkit.train import history
from searchkit.train.pairs import Pairs

NAME = "study.json"

_LAST = 0.1  # share of the steps over which a loss is averaged at the end
_SAID = ("attention", "pooling", "label", "seed", "weights", "base", "max_tokens")  # elsewhere


@dataclass(frozen=True, kw_only=True)
class RowFacts:
    """One design.

    Attributes:
        name: what tables call it.
        design: `<pooling>-<attention>`.
        fields: what else of it is not as it is by default, flat.
        deviations: see `Study.deviations`.
        against: the row that it is compared with.
    """

    name: str
    design: str
    against: str
    fields: Mapping[str, Any]
    deviations: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """One training.

    Attributes:
        system: its name in scores.
        row: the design's name.
        seed: which all that is random follows from.
        parameters: how many were trained.
        pairs: how many it saw, one that came twice counted twice.
        tokens: of their texts.
        seconds: that its steps took.
        loss: the mean over the last tenth of the steps.
        weights: hash of what came out.
    """

    system: str
    row: str
    seed: int
    parameters: int
    pairs: int
    tokens: int
    seconds: float
    loss: float
    weights: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file of pairs, or the split of a collection, by the name that the study file has for it."""

    name: str
    blake3: str
    pairs: int
    licence: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that a page says beside scores.

    Attributes:
        title: of the page.
        baseline: the row that most others are compared with.
        base: name of the base model.
        rows: the designs, in the order of the study.
        untrained: by row, the system that is the same design untrained.
        sources: of the pairs.
        kept: pairs, when those that are held out were left out.
        notes: what became of the pairs, a line each.
        recipe: what all trainings have in common, but for what deviates; see `alike.computed`.
        versions: by package, of the trainings.
        trainings: in the order in which they were made.
    """

    title: str
    baseline: str
    base: str
    rows: Sequence[RowFacts]
    untrained: Mapping[str, str]
    sources: Sequence[Source]
    kept: int
    notes: Sequence[str]
    recipe: Mapping[str, Any]
    versions: Mapping[str, str]
    trainings: Sequence[TrainingFacts]


def record(study: Study, pairs: Pairs, trained: Sequence[Trained]) -> Record:
    """What there is to say once everything is trained."""
    usual = next(one for one in trained if one.row.name == study.baseline)
    recipe = computed(usual.weights)
    versions = recipe.pop("versions")  # the page has a line of them
    return Record(
        title=study.title,
        baseline=study.baseline,
        base=Path(study.rows[0].variant.base).name,
        rows=[_row(study, row) for row in study.rows],
        untrained=untrained(study),
        sources=[
            Source(name=one.written, blake3=file.blake3, pairs=file.pairs, licence=one.licence)
            for one, file in zip(study.training.pairs, pairs.files, strict=True)
        ],
        kept=len(pairs.pairs),
        notes=pairs.notes,
        recipe=recipe,
        versions=versions,
        trainings=[_training(one) for one in trained],
    )


def save(folder: Path, found: Record) -> None:
    """Write a record, atomically."""
    text = json.dumps(asdict(found), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / NAME, text + "\n")


def load(folder: Path) -> Record:
    """Read what `save` wrote.

    Raises:
        BadInput: there is none, or it is not what was written.
    """
    path = folder / NAME
    try:
        row = json.loads(path.read_text("utf-8"))
        rows = [RowFacts(**one) for one in row.pop("rows")]
        sources = [Source(**one) for one in row.pop("sources")]
        trainings = [TrainingFacts(**one) for one in row.pop("trainings")]
        return Record(rows=rows, sources=sources, trainings=trainings, **row)
    except OSError as error:
        raise BadInput(
            f"cannot read {path} ({error.strerror}); name a folder that searchkit study run filled"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(
            f"{path} is not what this version writes ({error}); run the study again"
        ) from error


def _row(study: Study, row: Row) -> RowFacts:
    usual = Variant(attention=row.variant.attention, pooling=row.variant.pooling).to_row()
    fields: dict[str, Any] = {}
    for name, value in row.variant.to_row().items():
        if name == "pooling_options":
            fields |= {key: one for key, one in value.items() if one != usual[name][key]}
        elif name not in _SAID and value != usual[name]:
            fields[name] = value
    return RowFacts(
        name=row.name,
        design=row.variant.design,
        against=row.against,
        fields=fields,
        deviations=study.deviations(row),
    )


def _training(one: Trained) -> TrainingFacts:
    found = one.weights
    steps = [row for row in history.read(found.folder / history.NAME) if "loss" in row]
    last = steps[-max(1, round(_LAST * len(steps))) :]
    return TrainingFacts(
        system=one.system,
        row=one.row.name,
        seed=one.seed,
        parameters=found.training["facts"]["parameters"],
        pairs=len(steps) * found.training["settings"]["batch_size"],
        tokens=sum(row["tokens"] for row in steps),
        seconds=sum(row["seconds"] for row in steps),
        loss=fmean(row["loss"] for row in last),
        weights=found.hash,
    )
