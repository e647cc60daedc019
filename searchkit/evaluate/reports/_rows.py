"""The rows that every report begins with: each system against the baseline of its set."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.reports import _order
from searchkit.evaluate.results import Results
from searchkit.evaluate.significance import holm


@dataclass(frozen=True, slots=True)
class Row:
    """One system on one set by one measure; the published form of a result, columns in this order.

    `queries` counts the items of the set, whatever they are. `difference` is the mean less that of
    the set's baseline, `low` and `high` the 95 % interval of that, which is not corrected, and `p`
    the corrected p-value. All four are None for the baseline itself.
    """

    system: str
    collection: str
    measure: str
    mean: float
    queries: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None


def rows(results: Results, analysis: Analysis) -> list[Row]:
    """Compare every system with the baseline of each set, by every measure.

    P-values are Holm-corrected within each measure, over its comparisons with a baseline on all
    sets. That is fewer than all pairs of systems, over which `Pair.holm_p` is corrected. Measures
    are not corrected for each other: they are views of the same rankings or vectors.

    Returns:
        Rows by measure, set and system in the order of the evaluation, each set's baseline first.
    """
    found = []
    for measure in dict.fromkeys(one for facts in results.sets.values() for one in facts.measures):
        of_measure = [
            row
            for name in _order.sets_with(results, measure)
            for row in _of_set(results, analysis, name, measure)
        ]
        corrected = iter(holm([row.p for row in of_measure if row.p is not None]))
        found += [row if row.p is None else replace(row, p=next(corrected)) for row in of_measure]
    return found


def comparisons(results: Results, measure: str) -> int:
    """Over how many comparisons with a baseline the p-values of a measure are corrected."""
    return sum(len(results.scores[name]) - 1 for name in _order.sets_with(results, measure))


def _of_set(results: Results, analysis: Analysis, name: str, measure: str) -> Iterator[Row]:
    """The rows of one set and measure, with p-values that are not corrected yet."""
    baseline = analysis.baseline(name)
    means = analysis.means[name][measure]
    for system in sorted(means, key=lambda system: system != baseline):
        items = len(results.scores[name][system][measure])
        row = Row(system, name, measure, means[system], items, None, None, None, None)
        if system != baseline:
            pair = analysis.pair(name, measure, system, baseline)
            row = replace(row, difference=pair.difference, low=pair.low, high=pair.high, p=pair.p)
        yield row
