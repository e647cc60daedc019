"""Pairs of systems over the sets of one task, whose means are paired by sets.

That asks another question than one set does: does the difference hold on a further set of this
task, and not on further items of these sets.

Sources: Tang and Yang 2024, Pooling And Attention, arXiv:2409.02727 (Wilcoxon's test over sets);
Demšar 2006, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (why it suits);
Davison and Hinkley 1997, Bootstrap methods and their application, section 3.8 (the hierarchical
bootstrap).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from searchkit.evaluate import significance
from searchkit.evaluate.results import Results
from searchkit.evaluate.samples import Sample, generator, samples_of, set_means
from searchkit.evaluate.significance import Floats


@dataclass(frozen=True, slots=True)
class FamilyPair:
    """System `a` minus system `b` over the sets of one task with the same main measure.

    Attributes:
        task, measure, a, b: what is compared.
        sets: in how many both take part, at least two.
        difference: of their means, averaged over these sets.
        low, high: its 95 % interval from a bootstrap of sets, and of items within each. It is wide
            where sets agree, since the items' share counts twice (it held 99.9 % of simulated
            truths), and where they do not, about right from six sets on (three: 88 %).
        p: two-sided, of Wilcoxon's signed-rank test over the sets' differences; exact for up to 50.
        holm_p, bh_p: `p`, corrected over all pairs of this task and measure.
        least_p: the smallest p that so many sets can give.
    """

    task: str
    measure: str
    a: str
    b: str
    sets: int
    difference: float
    low: float
    high: float
    p: float
    holm_p: float
    bh_p: float
    least_p: float


def over_sets(
    results: Results, questions: Mapping[str, Sequence[tuple[str, str]]]
) -> dict[str, tuple[FamilyPair, ...]]:
    """Chosen pairs of systems over the sets of each task, where `analyse` compares all with all.

    Args:
        results: see `analyse`.
        questions: by name, pairs of systems, each the first less the second. P-values are corrected
            over the pairs of a question, task and measure, so what else is asked does not move
            them.
    """
    members = [
        Member.of(sample, sample.resample(results.resamples, results.seed))
        for name in results.scores
        for sample in samples_of(results, name)
        if sample.is_member
    ]
    means = set_means(results)
    return {
        question: tuple(compare(members, pairs, means, results.seed))
        for question, pairs in questions.items()
    }


@dataclass(frozen=True, slots=True)
class Member:
    """One set of a family, by its main measure."""

    set: str
    task: str
    measure: str
    systems: tuple[str, ...]
    resampled: Floats  # (R, S): means of bootstrap samples of the items

    @classmethod
    def of(cls, sample: Sample, resampled: Floats) -> "Member":
        """The main measure of a sample that `is_member`, without the others."""
        main = sample.facts.measures[0]
        drawn = resampled[:, sample.measures.index(main)].copy()
        return cls(sample.facts.name, sample.facts.task, main, sample.systems, drawn)


def compare(
    members: Sequence[Member],
    pairs: Iterable[tuple[str, str]],
    means: Mapping[str, Mapping[str, Mapping[str, float]]],
    seed: int,
) -> list[FamilyPair]:
    """Pairs of systems over the sets of each task.

    Args:
        members: the sets.
        pairs: each the first less the second.
        means: see `set_means`.
        seed: of the bootstrap of sets.
    """
    wanted = list(pairs)
    families: dict[tuple[str, str], list[Member]] = {}
    for member in members:
        families.setdefault((member.task, member.measure), []).append(member)
    found = []
    for (task, measure), family in families.items():
        drawn: dict[tuple[str, ...], dict[str, Floats]] = {}
        for a, b in wanted:
            shared = [one for one in family if a in one.systems and b in one.systems]
            if len(shared) < 2:
                continue
            sets = tuple(sorted(one.set for one in shared))
            if sets not in drawn:
                drawn[sets] = _resample_sets(shared, seed)
            low, high = significance.expanded((drawn[sets][a] - drawn[sets][b])[:, None], len(sets))
            differences = [means[name][measure][a] - means[name][measure][b] for name in sets]
            found.append(
                FamilyPair(
                    task=task,
                    measure=measure,
                    a=a,
                    b=b,
                    sets=len(sets),
                    difference=math.fsum(differences) / len(sets),
                    low=float(low[0]),
                    high=float(high[0]),
                    p=significance.signed_rank(differences),
                    holm_p=1.0,
                    bh_p=1.0,
                    least_p=2.0 ** (1 - len(sets)),
                )
            )
    adjusted = significance.corrected(
        [one.p for one in found], [(one.task, one.measure) for one in found]
    )
    return [
        replace(one, holm_p=holm, bh_p=bh) for one, (holm, bh) in zip(found, adjusted, strict=True)
    ]


def _resample_sets(members: Sequence[Member], seed: int) -> dict[str, Floats]:
    """Means over bootstrap samples of sets, and of items within each set drawn, by system.

    A set that is drawn twice brings two samples of its items: each is one of those that were drawn
    for the set's own interval, taken at random.
    """
    members = sorted(members, key=lambda one: one.set)
    systems = sorted(set.intersection(*(set(one.systems) for one in members)))
    stacked = np.stack(
        [one.resampled[:, [one.systems.index(name) for name in systems]] for one in members]
    )  # (sets, R, S)
    sets, resamples, _ = stacked.shape
    rng = generator(seed, "sets", members[0].measure, *(one.set for one in members))
    total = np.zeros(stacked.shape[1:])
    for _ in members:
        total += stacked[rng.integers(0, sets, resamples), rng.integers(0, resamples, resamples)]
    return dict(zip(systems, total.T / sets, strict=True))
