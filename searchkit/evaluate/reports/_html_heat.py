"""The heat map: the main measure of every system on every set of a family."""

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.numbers import counted
from searchkit.evaluate.reports._html_elements import (
    Markup,
    breakable,
    element,
    fixed,
    join,
    table,
    unseen,
)
from searchkit.evaluate.reports._html_families import Family, means_over_sets

SHADES = 9  # of the scale; the style sheet has a class for each, heat-0 to heat-8

_BEST = join([element("span", "★", class_="best", aria_hidden="true"), unseen("best ")])


def heat_map(analysis: Analysis, family: Family) -> Markup:
    """A table of sets by systems, a shade for each value, and the row of means.

    Shades run evenly from the lowest to the highest value of the table, so that they compare
    between rows too. A star marks the best of a row.
    """
    rows = [(facts, dict(analysis.means[facts.name][family.main])) for facts in family.sets]
    shown = [number for _, row in rows for number in row.values()]
    low, high = min(shown), max(shown)
    head = element(
        "tr",
        element("th", "set", scope="col"),
        *(element("th", breakable(name), scope="col") for name in family.systems),
    )
    body = element(
        "tbody",
        *(
            element(
                "tr",
                element(
                    "th",
                    breakable(facts.name),
                    " ",
                    element("small", counted(facts.items, facts.item)),
                    scope="row",
                ),
                *_cells(row, family.systems, low, high),
            )
            for facts, row in rows
        ),
    )
    means = means_over_sets(family, analysis)
    foot = None
    if len(family.sets) > 1 and means:
        foot = element(
            "tr",
            element("th", f"mean of {counted(len(family.sets), 'set')}", scope="row"),
            *_cells(means, family.systems, low, high),
        )
    caption = f"{family.main} by set and system"
    heat = table(caption, [head], [body], foot=foot, class_="heat")
    return element("figure", heat, _legend(family, low, high), class_="heat-map")


def _cells(
    row: dict[str, float], systems: tuple[str, ...], low: float, high: float
) -> list[Markup]:
    best = max(row.values())
    cells = []
    for name in systems:
        if name not in row:
            cells.append(element("td", "–", unseen("took no part"), class_="none"))
            continue
        cells.append(
            element(
                "td",
                _BEST if row[name] == best and len(row) > 1 else None,
                fixed(row[name]),
                class_=f"heat-{_shade(row[name], low, high)}",
            )
        )
    return cells


def _shade(number: float, low: float, high: float) -> int:
    if high == low:
        return SHADES // 2
    return min(SHADES - 1, int((number - low) / (high - low) * SHADES))


def _legend(family: Family, low: float, high: float) -> Markup:
    swatches = element(
        "span",
        *(element("i", class_=f"heat-{shade}") for shade in range(SHADES)),
        class_="scale",
        aria_hidden="true",
    )
    notes = ["★ best of the row."]
    if set(family.complete) != set(family.systems):
        notes.append("– took no part; only systems that took part in every set have a mean.")
    return element("figcaption", f"{fixed(low)} ", swatches, f" {fixed(high)}. ", " ".join(notes))
