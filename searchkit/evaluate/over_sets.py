"""How tables tell what two systems differ by over the sets of a task: by sets, then by items."""

from searchkit.evaluate.families import FamilyPair
from searchkit.evaluate.grid import Cell, Column
from searchkit.evaluate.numbers import interval, p_value
from searchkit.evaluate.significance import CONFIDENCE

TESTED = (
    Column("p", "by sets", right=True),
    Column("Holm", "by sets", right=True),
    Column(f"[{CONFIDENCE:.0%}]", "by items", right=True),
    Column("p", "by items", right=True),
    Column("Holm", "by items", right=True),
)
"""The columns behind that of the difference."""

BY_SETS = "Wilcoxon's signed-rank test over the sets' differences, two-sided, exact"
"""What the first two are."""

BY_ITEMS = (
    "By items: the same difference with these sets taken as given, so that nothing is said of "
    "others; every set counts the same, the interval is that of a bootstrap of the items within "
    "each set, and p that of the two-sided permutation test that flips the signs of items."
)
"""What the others are."""


def tested(pair: FamilyPair) -> tuple[Cell, ...]:
    """The cells of `TESTED`."""
    return (
        Cell(p_value(pair.p), "number"),
        Cell(p_value(pair.holm_p), "number"),
        Cell(interval(pair.items_low, pair.items_high), "number"),
        Cell(p_value(pair.items_p), "number"),
        Cell(p_value(pair.items_holm_p), "number"),
    )
