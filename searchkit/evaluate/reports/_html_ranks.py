"""The critical-difference diagram: average ranks over sets, and who does not differ from whom.

Sources: Demšar 2006, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (the
diagram); Benavoli, Corani and Mangili 2016, Should we really use post-hoc tests based on
mean-ranks?, JMLR 17 (pairwise Wilcoxon tests in place of the Nemenyi test, whose verdict on two
systems depends on which others are in the comparison).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.families import FamilyPair
from searchkit.evaluate.numbers import ALPHA, counted, p_value
from searchkit.evaluate.reports._html_elements import (
    Markup,
    element,
    join,
    shorten,
    text_width,
)
from searchkit.evaluate.reports._html_families import Family
from searchkit.evaluate.reports._html_scale import Scale
from searchkit.evaluate.significance import holm

LEAST_SETS = 3  # an average of fewer ranks says nothing

_FONT = 13  # pixels
_WIDE, _NARROW = 860, 340  # pixels; the style sheet shows the one that fits
_LONGEST = 38  # letters of a name that are drawn


@dataclass(frozen=True, slots=True)
class Ranks:
    """Average ranks of systems, the best first, and the groups that do not differ.

    Every pair of a group has a corrected p-value of .05 or more, and no further system could join.
    """

    average: Mapping[str, float]
    groups: Sequence[frozenset[str]]


def rank(analysis: Analysis, family: Family) -> Ranks | None:
    """Rank the systems that took part in all sets of a family by its main measure.

    Returns:
        None for fewer than three sets, or fewer than two systems.
    """
    if len(family.sets) < LEAST_SETS or len(family.complete) < 2:
        return None
    totals = dict.fromkeys(family.complete, 0.0)
    for facts in family.sets:
        means = analysis.means[facts.name][family.main]
        for name in family.complete:
            above = sum(means[other] > means[name] for other in family.complete)
            equal = sum(means[other] == means[name] for other in family.complete)
            totals[name] += above + (equal + 1) / 2  # of those that tie, each gets the middle rank
    average = {name: total / len(family.sets) for name, total in totals.items()}
    alike: dict[str, set[str]] = {name: set() for name in family.complete}
    for pair in _pairs(analysis, family):
        if pair.holm_p >= ALPHA:
            alike[pair.a].add(pair.b)
            alike[pair.b].add(pair.a)
    groups = [group for group in _cliques(alike) if len(group) > 1]
    ordered = dict(sorted(average.items(), key=lambda item: item[1]))
    position = {name: i for i, name in enumerate(ordered)}
    groups.sort(key=lambda group: sorted(position[name] for name in group))
    return Ranks(average=ordered, groups=groups)


def critical_difference(analysis: Analysis, family: Family) -> Markup | None:
    """The diagram of a family, once for wide and once for narrow pages; None as for `rank`."""
    found = rank(analysis, family)
    if found is None:
        return None
    label = _in_words(found, family)
    of = (family.group.task, family.main)
    corrected = [pair for pair in analysis.families if (pair.task, pair.measure) == of]
    least = holm([pair.least_p for pair in corrected])[corrected.index(_pairs(analysis, family)[0])]
    sets, pairs = counted(len(family.sets), "set"), counted(len(corrected), "pair")
    caption = [
        f"Average rank by {family.main} over {sets}; 1 is best. A bar joins systems that do not "
        "differ (exact Wilcoxon signed-rank test over sets, Holm-corrected over "
        f"{pairs}, p ≥ {p_value(ALPHA)}); its dots are its members."
    ]
    if least >= ALPHA:
        caption.append(
            " So few sets cannot separate so many systems: the smallest corrected p possible is "
            f"{p_value(least)}."
        )
    left_out = [name for name in family.systems if name not in family.complete]
    if left_out:
        caption.append(f" Not ranked, for want of some sets: {', '.join(left_out)}.")
    return element(
        "figure",
        _wide(found, label),
        _narrow(found, label),
        element("figcaption", *caption),
    )


def _pairs(analysis: Analysis, family: Family) -> list[FamilyPair]:
    """The comparisons of all systems that are ranked with each other."""
    return [
        pair
        for pair in analysis.families
        if (pair.task, pair.measure) == (family.group.task, family.main)
        and {pair.a, pair.b} <= set(family.complete)
    ]


def _cliques(alike: Mapping[str, set[str]]) -> list[frozenset[str]]:
    """The largest groups in which all are alike (Bron and Kerbosch 1973, with a pivot)."""
    found: list[frozenset[str]] = []

    def extend(group: set[str], possible: set[str], done: set[str]) -> None:
        if not possible and not done:
            found.append(frozenset(group))
            return
        pivot = max(sorted(possible | done), key=lambda name: len(alike[name] & possible))
        for name in sorted(possible - alike[pivot]):
            extend(group | {name}, possible & alike[name], done & alike[name])
            possible, done = possible - {name}, done | {name}

    extend(set(), set(alike), set())
    return found


def _in_words(found: Ranks, family: Family) -> str:
    ranks = ", ".join(f"{name} {number:.2f}" for name, number in found.average.items())
    groups = "; ".join(
        ", ".join(name for name in found.average if name in group) for group in found.groups
    )
    return (
        f"Average ranks over {counted(len(family.sets), 'set')}: {ranks}. "
        f"Groups that do not differ: {groups or 'none'}."
    )


def _wide(found: Ranks, label: str) -> Markup:
    """Names on both sides, as in the literature: the better half left, the other right."""
    names = list(found.average)
    left, right = names[: (len(names) + 1) // 2], names[(len(names) + 1) // 2 :]
    margin = max(text_width(shorten(name, _LONGEST), _FONT) for name in names) + 54
    place = Scale(1, len(names), margin + 14, _WIDE - margin - 14)
    levels = _levels(found)
    axis = 30
    first = axis + 22 + 9 * len(set(levels))
    parts = [_rank_axis(place, len(names), axis)]
    for row, name in [*enumerate(left), *enumerate(reversed(right))]:
        x, y = place(found.average[name]), first + 22 * row
        at_left = name in left
        edge = margin - 4 if at_left else _WIDE - margin + 4
        parts.append(element("path", d=f"M{x:.1f} {axis}V{y:.1f}H{edge:.1f}", class_="stem"))
        text, number = shorten(name, _LONGEST), f"{found.average[name]:.2f}"
        outward = -1 if at_left else 1
        anchor = "end" if at_left else "start"
        parts.append(
            element(
                "text", number, x=edge + 4 * outward, y=y + 4, text_anchor=anchor, class_="rank"
            )
        )
        parts.append(element("text", text, x=edge + 44 * outward, y=y + 4, text_anchor=anchor))
    for group, level in zip(found.groups, levels, strict=True):
        ranks = [place(found.average[name]) for name in names if name in group]
        y = axis + 13 + 9 * level
        parts.append(element("line", x1=min(ranks), x2=max(ranks), y1=y, y2=y, class_="group"))
        parts += [element("circle", cx=x, cy=y, r=3.2, class_="member") for x in ranks]
    height = first + 22 * len(left)
    return _drawing(parts, _WIDE, height, label, "wide")


def _narrow(found: Ranks, label: str) -> Markup:
    """A line for each system, the best on top; groups stand upright beside them."""
    names = list(found.average)
    levels = _levels(found)
    room = 14 + 11 * len(set(levels))
    place = Scale(1, len(names), 10, _NARROW - room - 10)
    axis = 30
    parts = [_rank_axis(place, len(names), axis)]
    rows = {name: axis + 34 + 36 * i for i, name in enumerate(names)}
    for name, y in rows.items():
        x = place(found.average[name])
        text = shorten(name, _LONGEST)
        parts += [
            element("line", x1=place(1), x2=place(len(names)), y1=y, y2=y, class_="row"),
            element("circle", cx=x, cy=y, r=4, class_="member"),
            element("text", text, x=place(1), y=y - 9),
            element(
                "text",
                f"{found.average[name]:.2f}",
                x=place(len(names)),
                y=y - 9,
                text_anchor="end",
                class_="rank",
            ),
        ]
    for group, level in zip(found.groups, levels, strict=True):
        x = _NARROW - room + 14 + 11 * level
        heights = [rows[name] for name in names if name in group]
        parts.append(element("line", x1=x, x2=x, y1=min(heights), y2=max(heights), class_="group"))
        parts += [element("circle", cx=x, cy=y, r=3.2, class_="member") for y in heights]
    return _drawing(parts, _NARROW, axis + 34 + 36 * len(names) - 16, label, "narrow")


def _levels(found: Ranks) -> list[int]:
    """For each group, the first lane in which its bar meets no other."""
    gap = 0.03 * len(found.average)  # ranks: dots of neighbouring bars must not touch
    ends: list[float] = []  # of the last bar in each lane
    levels = []
    for group in found.groups:
        ranks = [found.average[name] for name in group]
        lane = next((i for i, end in enumerate(ends) if end + gap < min(ranks)), len(ends))
        ends[lane : lane + 1] = [max(ranks)]
        levels.append(lane)
    return levels


def _rank_axis(place: Scale, count: int, y: float) -> Markup:
    return join(
        [
            element("line", x1=place(1), x2=place(count), y1=y, y2=y, class_="axis"),
            *(
                join(
                    [
                        element(
                            "line", x1=place(tick), x2=place(tick), y1=y - 5, y2=y, class_="axis"
                        ),
                        element("text", f"{tick}", x=place(tick), y=y - 10, text_anchor="middle"),
                    ]
                )
                for tick in range(1, count + 1)
            ),
        ]
    )


def _drawing(parts: Sequence[Markup], width: float, height: float, label: str, size: str) -> Markup:
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
        class_=f"ranks {size}",
    )
