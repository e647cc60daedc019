"""The tables of a report before they have a form."""

from collections.abc import Sequence
from dataclasses import replace

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.grid import Cell, Column, Grid
from searchkit.evaluate.numbers import ALPHA, counted, difference, fixed, p_value
from searchkit.evaluate.over_sets import TESTED, tested
from searchkit.evaluate.reports import _order, _sentences
from searchkit.evaluate.reports._order import Family
from searchkit.evaluate.reports._rows import Row
from searchkit.evaluate.results import Results
from searchkit.evaluate.significance import CONFIDENCE

_SHOWN = f"difference [{CONFIDENCE:.0%}]"


def comparison(
    results: Results, analysis: Analysis, found: Sequence[Row], name: str, measure: str
) -> Grid:
    """Every system on one set by one measure, best first: mean, letters, difference and p.

    Args:
        results: what is reported.
        analysis: what its tests say.
        found: the rows of `_rows.rows`.
        name: of the set.
        measure: one of its measures.
    """
    letters = analysis.letters(name, measure)
    group = sorted(
        (row for row in found if (row.collection, row.measure) == (name, measure)),
        key=lambda row: (-row.mean, row.system),
    )
    lines = []
    for row in group:
        best = row.mean == group[0].mean
        lines.append(
            (
                Cell(analysis.letter(row.system)),
                Cell(row.system, "name", strong=best),
                Cell(fixed(row.mean), "number", letters.get(row.system, ""), strong=best),
                *_difference(row.difference, row.low, row.high, row.p),
            )
        )
    return Grid(
        title=f"{name} by {measure}",
        columns=(
            Column(""),
            Column("system"),
            Column("mean"),
            Column(_SHOWN, right=True),
            Column("p", right=True),
        ),
        rows=tuple(lines),
        caption=_sentences.caption(results, analysis, name, measure),
    )


def matrix(results: Results, analysis: Analysis) -> Grid:
    """Every system on every set by its main measure; sets of a task stand together.

    After the sets of a task that has several comes their mean, of systems that have them all.
    """
    columns = [Column(""), Column("system")]
    values: list[dict[str, float]] = []
    for family in _order.families(results):
        of_sets = [dict(analysis.means[name][family.measure]) for name in family.sets]
        columns += [Column(name, family.measure, right=True, kind="name") for name in family.sets]
        values += of_sets
        if len(of_sets) > 1 and family.part_of is None:
            everywhere = [system for system in of_sets[0] if all(system in one for one in of_sets)]
            columns.append(Column(f"mean of {len(of_sets)}", family.task, right=True))
            values.append(
                {
                    system: sum(one[system] for one in of_sets) / len(of_sets)
                    for system in everywhere
                }
            )
    return Grid(
        title="All sets",
        columns=tuple(columns),
        rows=tuple(
            (
                Cell(analysis.letter(system)),
                Cell(system, "name"),
                *(
                    Cell(fixed(of[system]), "number", strong=of[system] == max(of.values()))
                    if system in of
                    else Cell("")
                    for of in values
                ),
            )
            for system in results.systems
        ),
        caption="Means over items by the main measure of each set; the best of each is marked.",
    )


def blocks(grid: Grid, fits: int, *, gap: int, widest: int, kept: int) -> list[Grid]:
    """A grid cut into several that are no wider than `fits` characters, if that can be.

    Args:
        grid: what to cut, between columns.
        fits: how many characters a line may have.
        gap: between columns.
        widest: at which a head is folded.
        kept: so many first columns stand in every block.
    """
    wide = widths(grid, widest)
    always = sum(wide[:kept]) + gap * (kept - 1)

    def filled(room: int) -> list[list[int]]:
        groups: list[list[int]] = []
        used = room
        for place in range(kept, len(wide)):
            if not groups or used + gap + wide[place] > room:
                groups.append([])
                used = always
            groups[-1].append(place)
            used += gap + wide[place]
        return groups

    groups = filled(fits)
    for room in range(fits - 1, always, -1):  # as many blocks, but none of them nearly empty
        if len(tighter := filled(room)) > len(groups):
            break
        groups = tighter
    return [
        replace(
            grid,
            columns=tuple(grid.columns[place] for place in (*range(kept), *group)),
            rows=tuple(tuple(row[place] for place in (*range(kept), *group)) for row in grid.rows),
        )
        for group in groups
    ]


def widths(grid: Grid, widest: int) -> list[int]:
    """How many characters each column takes, where heads are folded at `widest`."""
    return [
        max(
            *(len(row[place].text) for row in grid.rows),
            min(widest, len(column.head)) if column.kind == "name" else len(column.head),
            len(column.under),
        )
        for place, column in enumerate(grid.columns)
    ]


def over_sets(analysis: Analysis, family: Family) -> Grid | None:
    """Every system against the baseline over the sets of a task; None where nothing compares."""
    compared = _order.against_baseline(analysis, family)
    if not compared:
        return None
    return Grid(
        title=f"{counted(len(family.sets), f'{family.task} set')} by {family.measure}",
        columns=(
            Column(""),
            Column("system"),
            Column(_SHOWN, right=True),
            *TESTED,
        ),
        rows=tuple(
            (
                Cell(analysis.letter(pair.a)),
                Cell(pair.a, "name"),
                _difference(pair.difference, pair.low, pair.high, pair.holm_p)[0],
                *tested(pair),
            )
            for pair in compared
        ),
        caption=_sentences.family_caption(analysis, family),
    )


def seeds(results: Results, analysis: Analysis) -> list[Grid]:
    """For each design of several seeds, its spread between them on every set, by main measures."""
    shown = [one for one in analysis.seeds if one.measure == _order.main_measure(results, one.set)]
    return [
        Grid(
            title=f"Seeds of {design}",
            columns=(
                Column("set"),
                Column("measure"),
                Column("seeds", right=True),
                Column("mean", right=True),
                Column("between seeds", right=True),
                Column("over items", right=True),
            ),
            rows=tuple(
                (
                    Cell(one.set, "name"),
                    Cell(one.measure, "name"),
                    Cell(str(one.seeds), "number"),
                    Cell(fixed(one.mean), "number"),
                    Cell(fixed(one.spread), "number"),
                    Cell(fixed(one.sampling), "number"),
                )
                for one in shown
                if one.design == design
            ),
            caption=_sentences.seeds_caption(),
        )
        for design in dict.fromkeys(one.design for one in shown)
    ]


def _difference(
    value: float | None, low: float | None, high: float | None, p: float | None
) -> tuple[Cell, Cell]:
    """The cells of a difference and its p-value; of a baseline, which has neither."""
    if value is None or low is None or high is None or p is None:
        return Cell("baseline"), Cell("")
    tone = 0 if p >= ALPHA else 1 if value > 0 else -1
    return Cell(difference(value, low, high), "number", tone=tone), Cell(p_value(p), "number")
