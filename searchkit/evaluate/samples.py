"""The scores of one set as numbers, and means of draws from its items.

Draws are made once a set, and all systems and measures share them. They follow from the seed and
the set's name, so that no order of systems, sets, measures or items moves a result.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from searchkit.evaluate import significance
from searchkit.evaluate.results import Results, SetFacts
from searchkit.evaluate.significance import Floats


@dataclass(frozen=True, slots=True)
class Sample:
    """The scores of one set by measures that have the same items.

    Items, measures and systems are in the order of their names, so that no other order matters.
    """

    facts: SetFacts
    measures: tuple[str, ...]
    systems: tuple[str, ...]
    values: Floats  # (Q, M, S)

    @property
    def columns(self) -> Floats:
        """The values as (Q, M x S)."""
        return self.values.reshape(len(self.values), -1)

    @property
    def is_member(self) -> bool:
        """Whether it has the main measure of a set that counts in its task: no part of another."""
        return self.facts.measures[0] in self.measures and self.facts.part_of is None

    def resample(self, resamples: int, seed: int) -> Floats:
        """(R, M, S): means of bootstrap samples of the items, which measures and systems share."""
        rng = generator(seed, "items", self.facts.name)
        means = significance.bootstrap_means(self.columns, resamples, rng)
        return means.reshape(resamples, len(self.measures), len(self.systems))


def set_means(results: Results) -> dict[str, dict[str, dict[str, float]]]:
    """The means over items by set, measure and system; sums do not know an order."""
    return {
        name: {
            measure: {
                system: math.fsum(scores[system][measure].values()) / len(scores[system][measure])
                for system in results.systems
                if system in scores
            }
            for measure in results.sets[name].measures
        }
        for name, scores in results.scores.items()
    }


def generator(seed: int, *names: str) -> np.random.Generator:
    """Random numbers that follow from a seed and from what they are for."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:16])])


def samples_of(results: Results, name: str) -> Iterator[Sample]:
    """The scores of one set, checked; measures of the same items together."""
    scores = results.scores[name]
    unknown = scores.keys() - results.systems.keys()
    if unknown or name not in results.sets:
        raise ValueError(f"there are scores but no facts of {min(unknown, default=name)}")
    if not scores:
        raise ValueError(f"{name} has no scores")
    facts, systems = results.sets[name], tuple(sorted(scores))
    for system in systems:
        if scores[system].keys() != set(facts.measures):
            raise ValueError(
                f"on {name}, {system} has the measures {sorted(scores[system])}, "
                f"not {sorted(facts.measures)}"
            )
    measures: dict[tuple[str, ...], list[str]] = {}
    for measure in sorted(facts.measures):
        measures.setdefault(_items(scores, name, measure), []).append(measure)
    for items, alike in measures.items():
        values = [
            [[scores[system][measure][item] for system in systems] for measure in alike]
            for item in items
        ]
        yield Sample(facts, tuple(alike), systems, np.array(values, dtype=np.float64))


def _items(
    scores: Mapping[str, Mapping[str, Mapping[str, float]]], name: str, measure: str
) -> tuple[str, ...]:
    """The ids of the items that all systems of a set have by one measure, sorted."""
    first = min(scores)
    items = scores[first][measure].keys()
    if not items:
        raise ValueError(f"on {name}, {measure} of {first} has no items")
    for system, by_measure in scores.items():
        differing = by_measure[measure].keys() ^ items
        if differing:
            raise ValueError(
                f"on {name}, {measure} of {first} and {system} differ in {len(differing)} items, "
                f"such as {min(differing)!r}"
            )
        for item, value in by_measure[measure].items():
            if not math.isfinite(value):
                raise ValueError(f"on {name}, {measure} of {system} for {item!r} is {value}")
    return tuple(sorted(items))
