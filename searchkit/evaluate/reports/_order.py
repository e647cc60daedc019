"""In which order reports speak of measures and sets, and which sets belong together."""

from dataclasses import dataclass, replace

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.families import FamilyPair
from searchkit.evaluate.results import Results


@dataclass(frozen=True, slots=True)
class Family:
    """The sets of one task that have the same main measure.

    Parts of a set are a family of their own, and nothing is said over them: together they are that
    set again. `part_of` names it, and is None for a family of whole sets.
    """

    task: str
    measure: str
    sets: tuple[str, ...]
    part_of: str | None = None


def main_measure(results: Results, name: str) -> str:
    """The first measure of a set: the one that its headline speaks of."""
    return results.sets[name].measures[0]


def families(results: Results) -> list[Family]:
    """All sets by task and main measure, in the order of the evaluation; parts come last."""
    grouped: dict[tuple[str, str, str | None], list[str]] = {}
    for name, facts in results.sets.items():
        key = (facts.task, main_measure(results, name), facts.part_of)
        grouped.setdefault(key, []).append(name)
    found = [Family(task, by, tuple(sets), of) for (task, by, of), sets in grouped.items()]
    return sorted(found, key=lambda family: family.part_of is not None)


def measures(results: Results) -> list[str]:
    """Every measure once: the main ones first, then in the order of the sets."""
    main = [main_measure(results, name) for name in results.sets]
    rest = [measure for facts in results.sets.values() for measure in facts.measures]
    return list(dict.fromkeys(main + rest))


def sets_with(results: Results, measure: str) -> list[str]:
    """The sets that were measured by it."""
    return [name for name, facts in results.sets.items() if measure in facts.measures]


def against_baseline(analysis: Analysis, family: Family) -> list[FamilyPair]:
    """Each system less the baseline over the sets of a family, the largest difference first.

    Empty where the analysis has no comparison over these sets, as for a single one.
    """
    if family.part_of is not None:
        return []
    pairs = [
        pair
        for pair in analysis.families
        if (pair.task, pair.measure) == (family.task, family.measure)
    ]
    compared = {system for pair in pairs for system in (pair.a, pair.b)}
    known = analysis.reference in compared
    baseline = analysis.reference if known else analysis.baseline(family.sets[0])
    found = [
        pair if pair.b == baseline else _turned(pair)
        for pair in pairs
        if baseline in (pair.a, pair.b)
    ]
    return sorted(found, key=lambda pair: (-pair.difference, pair.a))


def _turned(pair: FamilyPair) -> FamilyPair:
    return replace(
        pair,
        a=pair.b,
        b=pair.a,
        difference=-pair.difference,
        low=-pair.high,
        high=-pair.low,
        items_low=-pair.items_high,
        items_high=-pair.items_low,
    )
