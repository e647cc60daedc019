"""What an evaluation found, in plain words, and how it was computed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.families import FamilyPair
from searchkit.evaluate.numbers import (
    ALPHA,
    ALPHA_TEXT,
    SMALLEST,
    amount,
    counted,
    fixed,
    p_value,
)
from searchkit.evaluate.over_sets import BY_ITEMS, BY_SETS
from searchkit.evaluate.reports import _order
from searchkit.evaluate.reports._order import Family
from searchkit.evaluate.reports._rows import Row, comparisons, rows
from searchkit.evaluate.results import Results
from searchkit.evaluate.significance import CONFIDENCE

_NAMED = 3  # so many sets are named in a sentence; more are counted


def headline(results: Results, analysis: Analysis) -> str:
    """What was found, in a few sentences, one a line.

    A task of one set has the sentence of that set. A task of several has one about the best system
    over all of them, and one about the sets on which that system gains and loses.
    """
    found = rows(results, analysis)
    lines = []
    for family in _order.families(results):
        if family.part_of is not None:  # said of the whole set
            continue
        if compared := _order.against_baseline(analysis, family):
            lines.append(_over(results, analysis, family, compared[0]))
            lines.append(_tally(found, family, compared[0]))
        elif alone := _alone(results, family):
            lines.append(alone)
        else:
            lines += [_finding(results, found, name) for name in family.sets]
    return "\n".join(lines)


def finding(results: Results, analysis: Analysis, name: str) -> str:
    """One sentence about the best system of a set other than its baseline, by its main measure."""
    return _finding(results, rows(results, analysis), name)


def caption(results: Results, analysis: Analysis, name: str, measure: str) -> str:
    """How the table of one set and measure was computed: items, resamples and corrections."""
    baseline = analysis.baseline(name)
    items = counted(results.sets[name].items, results.sets[name].item)
    if len(analysis.means[name][measure]) == 1:
        return f"Mean over {items}. {baseline} is alone: there is nothing to compare it with."
    pairs = sum(pair.measure == measure for pair in analysis.pairs)
    return (
        f"Mean over {items}; difference from {baseline}, {results.resamples:,} resamples; "
        f"p Holm-corrected over {counted(comparisons(results, measure), 'comparison')}, "
        f"letters over {counted(pairs, 'pair')}."
    )


def family_caption(analysis: Analysis, family: Family) -> str:
    """How the table over the sets of a task was computed."""
    compared = _order.against_baseline(analysis, family)
    least = {pair.sets: pair.least_p for pair in compared}
    pairs = _family_pairs(analysis, family)
    limits = [
        f" With {counted(sets, 'set')}, no p can be below {p_value(p)}, and none below "
        f"{p_value(min(1.0, p * pairs))} when corrected."
        for sets, p in least.items()
        if p >= SMALLEST
    ]
    return (
        f"Difference from {compared[0].b}, averaged over sets, with the {CONFIDENCE:.0%} interval "
        f"of a bootstrap over sets and items. p by sets: {BY_SETS}; Holm: corrected over "
        f"{counted(pairs, 'pair')}.{''.join(limits)} {BY_ITEMS}"
    )


def seeds_caption() -> str:
    """What the table of seeds shows."""
    return (
        "Systems that differ in the seed of their training alone. Between seeds: standard "
        "deviation of their means. Over items: standard error of one mean, from the items that "
        "the set happens to have."
    )


def legend() -> str:
    """What the columns of the tables mean, said once for all of them."""
    return (
        f"Best first. Difference: from the set's baseline on the same items, with its "
        f"{CONFIDENCE:.0%} bootstrap interval, which is not corrected. p: two-sided paired "
        "permutation test, Holm-corrected over the comparisons with the baseline on all sets of "
        "the measure. Letters: the systems that this one is significantly better than, "
        f"p below {ALPHA_TEXT} by the same test, corrected over all pairs of systems; so a "
        "letter can be missing beside a small p."
    )


def _alone(results: Results, family: Family) -> str:
    """One sentence about several sets that one and the same system has for itself; else none."""
    systems = {system for name in family.sets for system in results.scores[name]}
    if len(systems) > 1 or len(family.sets) == 1:
        return ""
    (system,) = systems
    values = [results.scores[name][system][family.measure].values() for name in family.sets]
    mean = fmean(fmean(of) for of in values)
    sets = counted(len(family.sets), f"{family.task} set")
    return f"On {sets}, {system} scores a mean {family.measure} of {fixed(mean)}, alone."


def _finding(results: Results, found: Sequence[Row], name: str) -> str:
    measure = _order.main_measure(results, name)
    baseline, *others = (row for row in found if (row.collection, row.measure) == (name, measure))
    if not others:
        mean = f"{fixed(baseline.mean)} {measure}"
        return f"On {name}, {baseline.system} scores {mean}, with nothing beside it."
    best, *rest = (
        _of_row(results, row, baseline.system)
        for row in sorted(others, key=lambda row: (-row.mean, row.system))
    )
    # The best on average can owe it to a few queries, while a steadier system is surely better.
    sure = next((one for one in rest if one.significant and one.difference > 0), None)
    if best.significant or sure is None:
        return f"{best.sentence()}."
    return f"{best.sentence()}; {sure.system} beats {sure.baseline} by {sure.size()}."


def _of_row(results: Results, row: Row, baseline: str) -> "_Lead":
    assert row.difference is not None and row.p is not None
    assert row.low is not None and row.high is not None
    return _Lead(
        system=_named(results, row.system, list(results.scores[row.collection])),
        baseline=baseline,
        where=f"on {row.collection}",
        measure=row.measure,
        difference=row.difference,
        low=row.low,
        high=row.high,
        p=row.p,
        among=counted(comparisons(results, row.measure), "comparison"),
    )


def _over(results: Results, analysis: Analysis, family: Family, best: FamilyPair) -> str:
    pairs = _family_pairs(analysis, family)
    lead = _Lead(
        system=_named(results, best.a, list(results.systems)),
        baseline=best.b,
        where=f"on average over {counted(best.sets, f'{family.task} set')}",
        measure=family.measure,
        difference=best.difference,
        low=best.low,
        high=best.high,
        p=best.holm_p,
        among=counted(pairs, "pair"),
    )
    if best.least_p * pairs >= ALPHA:  # then even the same sign on every set is not enough
        least = (
            f"the least p there can be, {p_value(best.least_p)}, is corrected among {lead.among}"
        )
        said = f"{lead.bare()}; with so few sets, no difference could be significant: {least}"
    else:
        said = lead.sentence()
    given = replace(lead, low=best.items_low, high=best.items_high, p=best.items_holm_p)
    return f"{said}. Given these sets, by their {best.items:,} items: {given.apart()}."


def _tally(found: Sequence[Row], family: Family, best: FamilyPair) -> str:
    """On which sets of a family its best system gains, loses, or may differ by chance alone."""
    gains: list[str] = []
    losses: list[str] = []
    chance: list[str] = []
    for row in found:
        if (row.system, row.measure) != (best.a, best.measure) or row.collection not in family.sets:
            continue
        if row.p is not None and row.difference is not None:
            better = gains if row.difference > 0 else losses
            (better if row.p < ALPHA else chance).append(row.collection)
    said = [
        f"{what} {_listed(names, best.sets)}"
        for what, names in (
            (f"beats {best.b} on", gains),
            (f"loses to {best.b} on", losses),
            ("may differ from it by chance alone on", chance),
        )
        if names
    ]
    if not gains and not losses:
        return (
            f"On none of these sets alone do {best.a} and {best.b} differ by more than chance may."
        )
    return f"Set by set, {best.a} {_joined(said)}."


@dataclass(frozen=True, slots=True)
class _Lead:
    """The best system and how far it is from the baseline."""

    system: str
    baseline: str
    where: str
    measure: str
    difference: float
    low: float
    high: float
    p: float
    among: str

    @property
    def significant(self) -> bool:
        return self.p < ALPHA

    def sentence(self) -> str:
        """With its p-value, and without a full stop."""
        if not self.significant:
            return f"{self.bare()}, which may be chance: {self._p()}"
        if self.difference > 0:
            return f"{self.system} beats {self.baseline} {self.where} by {self.size()}"
        return f"{self.bare()}, {self._p()}"

    def bare(self) -> str:
        """Without a p-value."""
        apart, interval = amount(self.difference, self.measure), f"({self._interval()})"
        if self.difference > 0:
            return f"{self.system} is {apart} above {self.baseline} {self.where} {interval}"
        nothing = f"Nothing is above {self.baseline} {self.where}"
        how = f"the closest, {apart} below it" if self.difference else "level with it"
        return f"{nothing}: {self.system} is {how} {interval}"

    def size(self) -> str:
        return f"{amount(self.difference, self.measure)} ({self._interval()}), {self._p()}"

    def apart(self) -> str:
        """The interval and the p-value alone."""
        return f"{self._interval()}, {self._p()}"

    def _interval(self) -> str:
        """Of the distance as it is told, which is never negative."""
        low, high = (-self.high, -self.low) if self.difference < 0 else (self.low, self.high)
        return f"{fixed(low)} to {fixed(high)}"

    def _p(self) -> str:
        corrected = "" if self.among.startswith("1 ") else f" corrected among {self.among}"
        return f"p {p_value(self.p)}{corrected}"


def _named(results: Results, system: str, beside: Sequence[str]) -> str:
    """A system's name, with what a reader must know who hears that it is the best."""
    facts = results.systems[system]
    seeds = sum(results.systems[other].design == facts.design for other in beside)
    said = ["untrained"] if facts.trained is False else []
    said += [f"the best of {seeds} seeds"] if seeds > 1 else []
    return f"{system} ({', '.join(said)})" if said else system


def _family_pairs(analysis: Analysis, family: Family) -> int:
    """Over how many comparisons the p-values of a family are corrected."""
    of = (family.task, family.measure)
    return sum((pair.task, pair.measure) == of for pair in analysis.families)


def _listed(names: Sequence[str], of: int) -> str:
    """Sets by name, or how many of them where they are too many to name."""
    if len(names) <= _NAMED:
        return _joined(names)
    return f"all {of} sets" if len(names) == of else f"{len(names)} of {of} sets"


def _joined(parts: Sequence[str]) -> str:
    """A; A and B; A, B and C."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
