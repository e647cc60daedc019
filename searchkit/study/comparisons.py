"""The tables of a study's page that compare: means over the sets of a task, with tests."""

from collections.abc import Iterator, Sequence

from searchkit.evaluate.analysis import of_one_pool
from searchkit.evaluate.families import FamilyPair
from searchkit.evaluate.grid import Cell, Column, Grid
from searchkit.evaluate.numbers import counted, difference, fixed, p_value, signed
from searchkit.evaluate.over_sets import TESTED, tested
from searchkit.evaluate.significance import CONFIDENCE
from searchkit.study.figures import BESIDE, DESIGNS, TRAINING, Family, Figures
from searchkit.study.tables import score

_DIFFERENCE = Column(f"difference [{CONFIDENCE:.0%}]", right=True)


def paper(figures: Figures, usual: str) -> Grid:
    """The study's own form: means of one row, and others' differences from it."""
    question = DESIGNS.format(usual)
    pairs = [pair for family in figures.families for pair in figures.pairs(question, family)]
    found = {(pair.task, pair.measure, pair.a): pair for pair in pairs}
    rows = []
    for name in figures.groups[usual]:
        cells = [Cell(name if name == usual else f"{name} - {usual}", "name")]
        for family in figures.families:
            mean, other = figures.mean(family, name), figures.mean(family, usual)
            assert mean is not None and other is not None  # a row takes part everywhere
            pair = found.get((family.task, family.measure, name))
            behind = f" ({p_value(pair.holm_p)}, {p_value(pair.items_holm_p)})" if pair else ""
            said = fixed(mean) if name == usual else f"{signed(mean - other)}{behind}"
            cells.append(Cell(said, "number"))
        rows.append(tuple(cells))
    heads = (
        Column(family.task, f"{family.measure}, {counted(len(family.sets), 'set')}", right=True)
        for family in figures.families
    )
    return Grid(
        title=f"Differences from {usual}",
        columns=(Column("mean score"), *heads),
        rows=tuple(rows),
        caption=(
            "In brackets: p by sets and p by items, each corrected over the differences of the "
            "column."
            f"{_deviating(figures, figures.groups[usual])}"
        ),
    )


def designs(figures: Figures, usual: str) -> Iterator[Grid]:
    """Rows less the one that they are compared with, one table a family."""
    for family in figures.families:
        pairs = {pair.a: pair for pair in figures.pairs(DESIGNS.format(usual), family)}
        yield Grid(
            title=family.title,
            columns=(
                Column("design"),
                Column("mean", right=True),
                _DIFFERENCE,
                *TESTED,
                Column("between seeds", right=True),
            ),
            rows=tuple(
                (
                    Cell(name, "name"),
                    score(figures.mean(family, name)),
                    *_difference(figures, family, name, usual, pairs.get(name)),
                    score(figures.between_seeds(family, name)),
                )
                for name in figures.groups[usual]
            ),
            caption=_tested(figures, family, list(pairs.values())),
        )


def training(figures: Figures) -> Iterator[Grid]:
    """Every design less itself untrained, one table a family."""
    for family in figures.families:
        pairs = {pair.a: pair for pair in figures.pairs(TRAINING, family)}
        rows = [
            (
                Cell(row, "name"),
                score(figures.mean(family, other)),
                score(figures.mean(family, row)),
                *_difference(figures, family, row, other, pairs.get(row)),
            )
            for row, other in figures.record.untrained.items()
        ]
        yield Grid(
            title=family.title,
            columns=(
                Column("design"),
                Column("untrained", right=True),
                Column("trained", right=True),
                _DIFFERENCE,
                *TESTED,
            ),
            rows=tuple(rows),
            caption=_tested(figures, family, list(pairs.values())),
        )


def beside(figures: Figures, other: str) -> Iterator[Grid]:
    """Every design, hybrid and other system less one, best first, one table a family."""
    names = [
        name
        for name, facts in figures.designs.systems.items()
        if facts.kind != "variant" or name not in figures.record.untrained.values()
    ]
    for family in figures.families:
        if figures.mean(family, other) is None:
            continue
        pairs = {pair.a: pair for pair in figures.pairs(BESIDE.format(other), family)}
        means = {name: mean for name in names if (mean := figures.mean(family, name)) is not None}
        rows = [
            (
                Cell(name, "name"),
                score(means[name]),
                *_difference(figures, family, name, other, pairs.get(name)),
            )
            for name in sorted(means, key=lambda name: -means[name])
        ]
        yield Grid(
            title=family.title,
            columns=(Column("system"), Column("mean", right=True), _DIFFERENCE, *TESTED),
            rows=tuple(rows),
            caption=_tested(figures, family, list(pairs.values())),
        )


def _deviating(figures: Figures, names: Sequence[str]) -> str:
    found = [
        f"{row.name} ({', '.join(row.deviations)})"
        for row in figures.record.rows
        if row.deviations and row.name in names
    ]
    return f" Not trained as the others: {'; '.join(found)}." if found else ""


def _difference(
    figures: Figures, family: Family, name: str, other: str, pair: FamilyPair | None
) -> tuple[Cell, ...]:
    """A difference and its tests, which there are over several sets alone."""
    untested = tuple(Cell("") for _ in TESTED)
    if name == other:
        return Cell("baseline"), *untested
    if pair is None:
        mean, usual = figures.mean(family, name), figures.mean(family, other)
        assert mean is not None and usual is not None
        return Cell(signed(mean - usual), "number"), *untested
    return Cell(difference(pair.difference, pair.low, pair.high), "number"), *tested(pair)


def _tested(figures: Figures, family: Family, pairs: list[FamilyPair]) -> str:
    sets = counted(len(family.sets), "set")
    if not pairs:
        return f"With {sets} there is no test over sets."
    least = min(pair.least_p for pair in pairs)  # of those that take part in all sets
    pooled = of_one_pool(figures.results.sets[name] for name in family.sets)
    return " ".join(
        (
            f"With {sets} no p by sets can be below {p_value(least)}, and none below "
            f"{p_value(min(1.0, least * len(pairs)))} when corrected over "
            f"{counted(len(pairs), 'difference')}.",
            *(f"By items: {line}." for line in pooled),
        )
    )
