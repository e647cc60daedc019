"""The tables of a study's page that describe: designs, costs, and every set's figures."""

from collections.abc import Iterator
from statistics import fmean

from searchkit.evaluate.grid import Cell, Column, Grid
from searchkit.evaluate.numbers import fixed
from searchkit.study.figures import Figures


def described(figures: Figures) -> Grid:
    """What the designs are."""
    return Grid(
        title="Designs",
        columns=(Column("name"), Column("design"), Column("options"), Column("deviations")),
        rows=tuple(
            (
                Cell(row.name, "name"),
                Cell(row.design, "name"),
                Cell(", ".join(f"{name} {value}" for name, value in row.fields.items())),
                Cell(", ".join(row.deviations)),
            )
            for row in figures.record.rows
        ),
        caption=(
            "Options: what else is not as it is by default. Deviations: what was done to a design "
            "otherwise than to the baseline."
        ),
    )


def costs(figures: Figures) -> Grid:
    """What each design and embedder takes to train, to encode with, and to keep."""
    rows = []
    for name, facts in figures.designs.systems.items():
        if facts.kind not in ("variant", "reference") or name in figures.record.untrained.values():
            continue
        speed = "" if facts.tokens_per_s is None else f"{facts.tokens_per_s:,.0f}"
        size = "" if facts.bytes_per_text is None else f"{facts.bytes_per_text:,}"
        told = (name, *_of_trainings(figures, name), speed, size)
        rows.append((Cell(told[0], "name"), *(Cell(text, "number") for text in told[1:])))
    heads = (
        "trained parameters", "pairs seen", "minutes", "last loss", "tokens/s", "bytes a text",
    )  # fmt: skip
    return Grid(
        title="Costs",
        columns=(Column("design"), *(Column(head, right=True) for head in heads)),
        rows=tuple(rows),
        caption=(
            "Pairs, minutes and the loss of the last tenth of the steps: of one training, averaged "
            "over seeds. Tokens/s: of encoding, on the machine of the evaluation. Bytes: of an "
            "uncompressed vector, float32."
        ),
    )


def _of_trainings(figures: Figures, name: str) -> tuple[str, str, str, str]:
    """Parameters, pairs, minutes and last loss; nothing of what was not trained here."""
    found = [one for one in figures.record.trainings if one.row == name]
    if not found:
        return "", "", "", ""
    return (
        f"{found[0].parameters:,}",
        f"{found[0].pairs:,}",
        f"{fmean(one.seconds for one in found) / 60:.1f}",
        fixed(fmean(one.loss for one in found)),
    )


def sets(figures: Figures) -> Iterator[Grid]:
    """Every system on every set, one table a family."""
    for family in figures.families:
        names = [
            name
            for name in figures.designs.systems
            if any(figures.on(one, name) is not None for one in family.sets)
        ]
        yield Grid(
            title=family.title,
            columns=(
                Column("system"),
                *(Column(name, right=True, kind="name") for name in family.sets),
                Column("mean", right=True),
            ),
            rows=tuple(
                (
                    Cell(name, "name"),
                    *(_of_set(figures, one, name) for one in family.sets),
                    score(figures.mean(family, name)),
                )
                for name in names
            ),
            caption=f"{family.measure}; behind ±: standard deviation between seeds.",
        )


def _of_set(figures: Figures, one: str, name: str) -> Cell:
    mean = figures.on(one, name)
    if mean is None:
        return Cell("")
    spread = figures.spreads.get((one, name))
    return Cell(fixed(mean) if spread is None else f"{fixed(mean)} ± {fixed(spread)}", "number")


def score(value: float | None) -> Cell:
    """A mean, or nothing where there is none."""
    return Cell("") if value is None else Cell(fixed(value), "number")
