"""In which order reports speak of measures and sets, and which sets belong together."""

from dataclasses import dataclass, replace

from searchkit.evaluate.analysis import Analysis, FamilyPair
from searchkit.evaluate.results import Results


@dataclass(frozen=True, slots=True)
class Family:
    """The sets of one task that have the same main measure."""

    task: str
    measure: str
    sets: tuple[str, ...]


def main_measure(results: Results, name: str) -> str:
    """The first measure of a set: the one that its headline speaks of."""
    return results.sets[name].measures[0]


def families(results: Results) -> list[Family]:
    """All sets by task and main measure, in the order of the evaluation."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for name, facts in results.sets.items():
        grouped.setdefault((facts.task, main_measure(results, name)), []).append(name)
    return [Family(task, measure, tuple(sets)) for (task, measure), sets in grouped.items()]


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
        pair, a=pair.b, b=pair.a, difference=-pair.difference, low=-pair.high, high=-pair.low
    )
