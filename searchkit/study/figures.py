"""The numbers of a study's page: means over the sets of a task, and what they differ by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev

from searchkit.evaluate.analysis import seed_spreads
from searchkit.evaluate.families import FamilyPair, over_sets
from searchkit.evaluate.numbers import counted
from searchkit.evaluate.results import Results
from searchkit.evaluate.samples import set_means
from searchkit.study import seeds
from searchkit.study.record import Record

DESIGNS, TRAINING, BESIDE = "designs against {}", "training", "beside {}"
"""Questions: rows less another, rows less themselves untrained, all less a system of others."""

_BESIDE = ("bm25", "reference", "run")  # kinds of systems that every design is compared with


@dataclass(frozen=True, slots=True)
class Family:
    """The sets of one task with the same main measure."""

    task: str
    measure: str
    sets: tuple[str, ...]

    @property
    def title(self) -> str:
        """8 retrieval sets by nDCG@10."""
        return f"{counted(len(self.sets), f'{self.task} set')} by {self.measure}"


class Figures:
    """All that tables and sentences of a study are made of.

    Args:
        results: of every system, each seed apart.
        record: of their trainings.

    Attributes:
        results: by main measures alone, each seed apart.
        designs: likewise, the seeds of a design averaged item by item.
        families: in the order of the evaluation.
        others: the systems that every design is compared with: BM25, reference embedders, runs.
        trained: what was trained here, and hybrids with it.
        groups: by row, the rows that are compared with it, itself first; the baseline's come first.
    """

    def __init__(self, results: Results, record: Record) -> None:
        self.results = seeds.main_measures(results)
        self.designs = seeds.averaged(self.results)
        self.record = record
        grouped: dict[tuple[str, str], list[str]] = {}
        for name, facts in self.results.sets.items():
            if facts.part_of is None:
                grouped.setdefault((facts.task, facts.measures[0]), []).append(name)
        self.families = [Family(*key, tuple(sets)) for key, sets in grouped.items()]
        self.others = [one for one, of in self.designs.systems.items() if of.kind in _BESIDE]
        of_seeds = (one for one in self.results.systems.values() if one.seed is not None)
        bare = record.untrained.values()
        self.trained = dict.fromkeys(one.design for one in of_seeds if one.design not in bare)
        self.groups = {record.baseline: [record.baseline]}
        for row in record.rows:
            group = self.groups.setdefault(row.against, [row.against])
            if row.name not in group:
                group.append(row.name)
        self._means = set_means(self.designs)
        self._of_seeds = set_means(self.results)

    def mean(self, family: Family, design: str) -> float | None:
        """The mean over the sets of a family; None of a design that some of them lack."""
        return _over(self._means, family, design)

    def on(self, name: str, design: str) -> float | None:
        """The mean on one set; None of a design that takes no part in it."""
        (means,) = self._means[name].values()
        return means.get(design)

    def between_seeds(self, family: Family, design: str) -> float | None:
        """The standard deviation of `mean` between seeds; None for fewer than two."""
        members = seeds.by_design(self.results)[design]
        found = [_over(self._of_seeds, family, member) for member in members]
        values = [one for one in found if one is not None]
        return stdev(values) if len(values) > 1 else None

    @cached_property
    def spreads(self) -> Mapping[tuple[str, str], float]:
        """The standard deviation between seeds by set and design, where there are seeds."""
        return {(one.set, one.design): one.spread for one in seed_spreads(self.results)}

    def pairs(self, question: str, family: Family) -> list[FamilyPair]:
        """The comparisons of a question over the sets of a family; none over a single set."""
        return [
            pair
            for pair in self._compared[question]
            if (pair.task, pair.measure) == (family.task, family.measure)
        ]

    @cached_property
    def _compared(self) -> Mapping[str, Sequence[FamilyPair]]:
        kinds = {name: facts.kind for name, facts in self.designs.systems.items()}
        beside = [row.name for row in self.record.rows]
        beside += [name for name, kind in kinds.items() if kind in ("hybrid", *_BESIDE)]
        return over_sets(
            self.designs,
            {
                **{
                    DESIGNS.format(usual): [(name, usual) for name in others]
                    for usual, (_, *others) in self.groups.items()
                },
                TRAINING: list(self.record.untrained.items()),
                **{
                    BESIDE.format(other): [(name, other) for name in beside if name != other]
                    for other in self.others
                },
            },
        )


def _over(
    means: Mapping[str, Mapping[str, Mapping[str, float]]], family: Family, system: str
) -> float | None:
    found = [means[name][family.measure].get(system) for name in family.sets]
    values = [one for one in found if one is not None]
    return fmean(values) if len(values) == len(found) else None
