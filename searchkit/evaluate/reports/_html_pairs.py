"""Tables of all pairs of systems: on each set, over sets, and as letters."""

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.numbers import ALPHA, counted, p_value
from searchkit.evaluate.reports._html_elements import (
    Markup,
    breakable,
    element,
    fixed,
    interval,
    limited,
    signed,
    table,
    unseen,
)
from searchkit.evaluate.reports._html_families import Family
from searchkit.evaluate.reports._letters import ranges
from searchkit.evaluate.results import Results

_COLUMNS = (
    "set",
    "measure",
    "A",
    "B",
    "A − B",
    "95 % interval",
    "effect",
    "p",
    "Wilcoxon p",
    "Holm p",
    "BH p",
    "W/T/L",
    "detectable",
)
_TEXTS = 4  # columns from the left that hold words, not numbers


def pairs_table(analysis: Analysis) -> Markup:
    """Every pair of systems on every set by every measure; a script sorts and filters it."""
    head = element(
        "tr",
        *(
            element("th", name, scope="col", class_=None if i < _TEXTS else "number")
            for i, name in enumerate(_COLUMNS)
        ),
    )
    rows = [
        element(
            "tr",
            element("td", pair.set),
            element("td", pair.measure),
            element("td", pair.a),
            element("td", pair.b),
            element("td", signed(pair.difference)),
            element("td", interval(pair.low, pair.high)),
            element("td", limited(pair.effect, signed(pair.effect))),
            element("td", p_value(pair.p)),
            element("td", p_value(pair.wilcoxon_p)),
            _corrected(pair.holm_p),
            _corrected(pair.bh_p),
            element("td", f"{pair.wins}/{pair.ties}/{pair.losses}"),
            element("td", limited(pair.detectable, fixed(pair.detectable))),
        )
        for pair in analysis.pairs
    ]
    body = element("tbody", *rows)
    return table(
        None,
        [head],
        [body],
        label="All pairs of systems",
        rows=len(rows),
        class_="pairs",
        data_sortable=True,
    )


def over_sets_table(analysis: Analysis) -> Markup | None:
    """Every pair of systems over the sets of its family; None where no family has two sets."""
    if not analysis.families:
        return None
    head = element(
        "tr",
        *(element("th", name, scope="col") for name in ("family", "measure", "A", "B")),
        *(
            element("th", name, scope="col", class_="number")
            for name in (
                *("sets", "A − B", "95 % interval", "p", "Holm p", "BH p", "least p"),
                *("items", "95 % by items", "p by items", "Holm by items", "BH by items"),
            )
        ),
    )
    rows = [
        element(
            "tr",
            element("td", pair.task),
            element("td", pair.measure),
            element("td", pair.a),
            element("td", pair.b),
            element("td", f"{pair.sets}"),
            element("td", signed(pair.difference)),
            element("td", interval(pair.low, pair.high)),
            element("td", p_value(pair.p)),
            _corrected(pair.holm_p),
            _corrected(pair.bh_p),
            element("td", p_value(pair.least_p)),
            element("td", f"{pair.items:,}"),
            element("td", interval(pair.items_low, pair.items_high)),
            element("td", p_value(pair.items_p)),
            _corrected(pair.items_holm_p),
            _corrected(pair.items_bh_p),
        )
        for pair in analysis.families
    ]
    return table(
        None,
        [head],
        [element("tbody", *rows)],
        label="All pairs of systems over sets",
        rows=len(rows),
        class_="pairs",
        data_sortable=True,
    )


def letters_table(analysis: Analysis, family: Family) -> Markup | None:
    """Who is significantly better than whom, in letters; None for a single system."""
    if len(family.systems) < 2:
        return None
    head = element(
        "tr",
        element("th", "set", scope="col"),
        *(
            element("th", element("b", analysis.letter(name)), " ", breakable(name), scope="col")
            for name in family.systems
        ),
    )
    rows = []
    for facts in family.sets:
        means = analysis.means[facts.name][family.main]
        letters = analysis.letters(facts.name, family.main)
        rows.append(
            element(
                "tr",
                element("th", breakable(facts.name), scope="row"),
                *(
                    element("td", fixed(means[name]), element("sup", ranges(letters[name])))
                    if name in means
                    else element("td", "–", unseen("took no part"))
                    for name in family.systems
                ),
            )
        )
    caption = (
        f"{family.title}: {family.main}, and the letters of the systems that each "
        "is significantly better than"
    )
    return table(caption, [head], [element("tbody", *rows)], class_="letters")


def seeds_table(results: Results, analysis: Analysis) -> Markup | None:
    """What training alone makes, where designs were trained with several seeds."""
    if not analysis.seeds:
        return None
    head = element(
        "tr",
        *(element("th", name, scope="col") for name in ("set", "measure", "design")),
        *(
            element("th", name, scope="col", class_="number")
            for name in ("seeds", "mean", "spread of seeds", "standard error of items")
        ),
    )
    rows = [
        element(
            "tr",
            element("td", found.set),
            element("td", found.measure),
            element("td", breakable(found.design)),
            element("td", f"{found.seeds}", class_="number"),
            element("td", fixed(found.mean), class_="number"),
            element("td", fixed(found.spread), class_="number"),
            element("td", limited(found.sampling, fixed(found.sampling)), class_="number"),
        )
        for found in analysis.seeds
    ]
    designs = len({found.design for found in analysis.seeds})
    caption = f"What training with another seed changes, for {counted(designs, 'design')}"
    return table(caption, [head], [element("tbody", *rows)])


def _corrected(p: float) -> Markup:
    return element("td", p_value(p), class_="sure" if p < ALPHA else None)
