"""The forest plot: what each system adds to the baseline on every set, and how sure that is.

A table whose rows have their drawing in a cell: numbers stay numbers, which can be copied, read
aloud and wrapped. Drawings are laid out in percent of the cell, so that they fit any width.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.numbers import ALPHA, counted, p_value
from searchkit.evaluate.reports import _order
from searchkit.evaluate.reports._html_elements import (
    Markup,
    breakable,
    element,
    interval,
    join,
    signed,
    table,
    unseen,
)
from searchkit.evaluate.reports._html_families import Family
from searchkit.evaluate.reports._html_scale import Scale, even_ticks, padded
from searchkit.evaluate.reports._rows import Row

_TICKS = 7  # at most, on the axis: their labels fit a phone


@dataclass(frozen=True, slots=True)
class _Line:
    """A system less the baseline; `p` is Holm-corrected."""

    system: str
    note: str | None
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class _Group:
    """The comparisons of one set with its baseline, or those over all sets."""

    title: str
    note: str
    baseline: str
    lines: Sequence[_Line]
    over_sets: bool = False


def forest_plots(found: Sequence[Row], analysis: Analysis, family: Family) -> Markup | None:
    """A forest plot for each measure of a family; None where there is nothing to compare.

    All of them are in the page; a script shows one at a time.

    Args:
        found: the rows of all sets.
        analysis: for the comparisons over sets.
        family: whose sets are drawn.
    """
    plots = [
        plot
        for measure in family.measures
        if (plot := _forest(found, analysis, family, measure)) is not None
    ]
    return element("div", *plots, data_choice="measure") if plots else None


def _forest(
    found: Sequence[Row], analysis: Analysis, family: Family, measure: str
) -> Markup | None:
    groups = list(_groups(found, analysis, family, measure))
    if not groups:
        return None
    lines = [line for group in groups for line in group.lines]
    low, high = padded([0.0, *(line.low for line in lines), *(line.high for line in lines)], 0.04)
    place = Scale(low, high, 0.0, 100.0)
    ticks = even_ticks(low, high, _TICKS)
    key = f"{family.key}-ticks-{family.measures.index(measure)}"
    head = element(
        "tr",
        element("th", "system", scope="col"),
        element("th", unseen("drawing"), _axis(place, ticks, key), class_="axis", scope="col"),
        element(
            "th",
            element("span", "difference", class_="difference"),
            " ",
            element("span", "[95 % interval]", class_="interval"),
            " ",
            element("span", "Holm p", class_="p"),
            scope="col",
        ),
    )
    bodies = [_body(group, place, key) for group in groups]
    baselines = list(dict.fromkeys(group.baseline for group in groups))
    against = baselines[0] if len(baselines) == 1 else "the baseline"
    plot = table(f"{measure}: difference from {against}", [head], bodies, class_="forest")
    return element("div", plot, data_name=measure)


def _groups(
    found: Sequence[Row], analysis: Analysis, family: Family, measure: str
) -> Iterable[_Group]:
    for facts in family.sets:
        rows = [row for row in found if (row.collection, row.measure) == (facts.name, measure)]
        lines = [line for row in rows if (line := _line(row)) is not None]
        if lines:
            yield _Group(
                title=facts.name,
                note=counted(rows[0].queries, facts.item),
                baseline=analysis.baseline(facts.name),
                lines=lines,
            )
    compared = _order.against_baseline(analysis, family.group) if measure == family.main else []
    if not compared:
        return
    alike = len({pair.sets for pair in compared}) == 1
    yield _Group(
        title="mean of sets",
        note=counted(compared[0].sets, "set") if alike else "those in which both took part",
        baseline=compared[0].b,
        lines=[
            _Line(
                system=pair.a,
                note=None if alike else counted(pair.sets, "set"),
                difference=pair.difference,
                low=pair.low,
                high=pair.high,
                p=pair.holm_p,
            )
            for pair in sorted(compared, key=lambda pair: family.systems.index(pair.a))
        ],
        over_sets=True,
    )


def _line(row: Row) -> _Line | None:
    """A row as a line; None for that of the baseline itself."""
    if row.difference is None or row.low is None or row.high is None or row.p is None:
        return None
    return _Line(row.system, None, row.difference, row.low, row.high, row.p)


def _body(group: _Group, place: Scale, key: str) -> Markup:
    heading = element(
        "tr",
        element(
            "th",
            breakable(group.title),
            " ",
            element("small", f"{group.note}, against ", breakable(group.baseline)),
            scope="rowgroup",
        ),
        element("td", _plot(key), class_="plot"),
        element("td"),
        class_="group",
    )
    rows = (
        element(
            "tr",
            element(
                "th",
                breakable(line.system),
                line.note and join([" ", element("small", line.note)]),
                scope="row",
            ),
            element("td", _plot(key, *_mark(line, place, group.over_sets)), class_="plot"),
            element("td", *_numbers(line)),
        )
        for line in group.lines
    )
    return element("tbody", heading, *rows)


def _numbers(line: _Line) -> Sequence[Markup | str]:
    sure = "p sure" if line.p < ALPHA else "p"
    return [
        element("span", signed(line.difference), class_="difference"),
        " ",
        element("span", interval(line.low, line.high), class_="interval"),
        " ",
        element("span", p_value(line.p), class_=sure),
    ]


def _plot(key: str, *marks: Markup) -> Markup:
    # The cells beside it say the same in numbers.
    return element("svg", element("use", href=f"#{key}"), *marks, aria_hidden="true")


def _mark(line: _Line, place: Scale, over_sets: bool) -> Sequence[Markup]:
    """The interval, and a point or, over sets, a diamond; filled where Holm's p is below .05."""
    kind = "chance"
    if line.p < ALPHA:
        kind = "better" if line.difference > 0 else "worse"
    x = f"{place(line.difference):.2f}%"
    bar = element(
        "line",
        x1=f"{place(line.low):.2f}%",
        x2=f"{place(line.high):.2f}%",
        y1="50%",
        y2="50%",
        class_=kind,
    )
    if not over_sets:
        return [bar, element("circle", cx=x, cy="50%", r=4, class_=kind)]
    # A nested drawing brings the origin to the point: paths know no percent.
    diamond = element("path", d="M-6.5 0 0-5.5 6.5 0 0 5.5z", class_=kind)
    return [bar, element("svg", diamond, x=x, y="50%", overflow="visible")]


def _axis(place: Scale, ticks: Sequence[float], key: str) -> Markup:
    """The labels of the axis, and the lines that every row refers to."""
    lines = element(
        "g",
        *(
            element("line", x1=at, x2=at, y1="0", y2="100%", class_=None if tick else "zero")
            for tick in ticks
            for at in [f"{place(tick):.2f}%"]
        ),
        id=key,
    )
    digits = max(1, *(len(f"{tick:.6f}".rstrip("0").partition(".")[2]) for tick in ticks))
    labels = [
        element(
            "text",
            _tick(tick, digits),
            x=f"{place(tick):.2f}%",
            y=14,
            text_anchor=_anchor(place(tick)),
        )
        for tick in ticks
    ]
    return element("svg", element("defs", lines), *labels, aria_hidden="true")


def _tick(tick: float, digits: int) -> str:
    return "0" if tick == 0 else f"{tick:+.{digits}f}".replace("-", "−")


def _anchor(percent: float) -> str:
    """Labels near an end of the axis stay inside it."""
    if percent < 8:
        return "start"
    return "end" if percent > 92 else "middle"
