"""Families of sets: those that share a table, a scale and an average."""

from collections import Counter
from dataclasses import dataclass

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.reports import _order
from searchkit.evaluate.results import Results, SetFacts

_TITLES = {"sts": "Semantic similarity"}


@dataclass(frozen=True, slots=True)
class Family:
    """The sets of one task that have the same main measure.

    Attributes:
        key: its id on the page.
        title: what headings call it.
        group: the same family to the other reports.
        sets: in the order of the evaluation.
        systems: that took part in any of the sets, in the order of the evaluation.
        complete: those that took part in all of them; averages over sets are theirs alone. Nobody,
            where the sets are parts of one: averages would say again what it says.
        measures: of any of the sets, the main one first.
    """

    key: str
    title: str
    group: _order.Family
    sets: tuple[SetFacts, ...]
    systems: tuple[str, ...]
    complete: tuple[str, ...]
    measures: tuple[str, ...]

    @property
    def main(self) -> str:
        """The main measure."""
        return self.group.measure


def families(results: Results) -> list[Family]:
    """The families of an evaluation, in its order."""
    groups = _order.families(results)
    of_task = Counter(group.task for group in groups if group.part_of is None)
    return [
        _family(results, group, f"family-{i}", alone=of_task[group.task] == 1)
        for i, group in enumerate(groups)
    ]


def means_over_sets(family: Family, analysis: Analysis) -> dict[str, float]:
    """The mean main measure over the sets of a family, by system of `complete`."""
    return {
        system: sum(analysis.means[facts.name][family.main][system] for facts in family.sets)
        / len(family.sets)
        for system in family.complete
    }


def _family(results: Results, group: _order.Family, key: str, *, alone: bool) -> Family:
    sets = [results.sets[name] for name in group.sets]
    title = _TITLES.get(group.task, group.task.replace("_", " ").capitalize())
    part = {
        name: sum(name in results.scores[set] for set in group.sets) for name in results.systems
    }
    if group.part_of is not None:
        title = f"{title}, parts of {group.part_of}"
    measures = [group.measure, *(measure for facts in sets for measure in facts.measures)]
    return Family(
        key=key,
        title=title if alone or group.part_of is not None else f"{title} by {group.measure}",
        group=group,
        sets=tuple(sets),
        systems=tuple(name for name, times in part.items() if times),
        complete=tuple(
            name for name, times in part.items() if times == len(sets) and group.part_of is None
        ),
        measures=tuple(dict.fromkeys(measures)),
    )
