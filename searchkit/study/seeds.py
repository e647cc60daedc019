"""Several trainings of a design as one system: the mean of their scores, item by item."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from searchkit.evaluate.results import Results, SystemFacts


def main_measures(results: Results) -> Results:
    """The main measure of each set alone, and nothing but scores: what a study speaks of."""
    return replace(
        results,
        sets={name: replace(one, measures=one.measures[:1]) for name, one in results.sets.items()},
        scores={
            name: {
                system: {results.sets[name].measures[0]: of[results.sets[name].measures[0]]}
                for system, of in by_system.items()
            }
            for name, by_system in results.scores.items()
        },
        explorer={},
    )


def averaged(results: Results) -> Results:
    """Systems of one design, which differ in their seed, as one that is called after the design.

    Its score of an item is the mean of theirs, so that comparisons of designs are paired by items
    as comparisons of systems are; what another seed would change is not in their intervals.
    """
    designs = by_design(results)
    return replace(
        results,
        systems={name: _facts(name, results, members) for name, members in designs.items()},
        scores={
            name: {
                design: _mean([by_system[member] for member in members])
                for design, members in designs.items()
                if members[0] in by_system
            }
            for name, by_system in results.scores.items()
        },
        baseline=results.systems[results.baseline].design,
    )


def by_design(results: Results) -> dict[str, list[str]]:
    """The systems of each design, in the order of the evaluation."""
    designs: dict[str, list[str]] = {}
    for name, facts in results.systems.items():
        designs.setdefault(facts.design, []).append(name)
    return designs


def _mean(scores: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        measure: {item: fmean(one[measure][item] for one in scores) for item in values}
        for measure, values in scores[0].items()
    }


def _facts(design: str, results: Results, members: Sequence[str]) -> SystemFacts:
    facts = [results.systems[member] for member in members]
    speeds = [one.tokens_per_s for one in facts if one.tokens_per_s]
    return replace(
        facts[0],
        name=design,
        seed=None,
        tokens_per_s=fmean(speeds) if speeds else None,
        details={},
    )
