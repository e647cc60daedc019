"""Pairs of systems over the sets of one task: whether one has the higher mean over them.

Two questions are asked of the same difference. Paired by sets: does it hold on a further set of
this task? Few sets cannot say, whatever their scores. Paired by items: does it hold on further
items of these sets? That takes the sets as given, and says nothing of others.

Sources: Tang and Yang 2024, Pooling And Attention, arXiv:2409.02727 (Wilcoxon's test over sets);
Demšar 2006, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (why it suits);
Davison and Hinkley 1997, Bootstrap methods and their application, sections 3.2 and 3.8 (the
bootstraps of strata and of a hierarchy).
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
        items: how many the sets have together.
        items_low, items_high: the 95 % interval of `difference` with these sets given, from a
            bootstrap of the items within each.
        items_p: two-sided, of the permutation test that flips the signs of items; every set counts
            the same, so an item weighs 1 / (sets x items of its set).
        items_holm_p, items_bh_p: `items_p`, corrected as `p` is: over the same pairs.
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
    items: int
    items_low: float
    items_high: float
    items_p: float
    items_holm_p: float
    items_bh_p: float


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


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One set of a family, by its main measure."""

    set: str
    task: str
    measure: str
    systems: tuple[str, ...]
    values: Floats  # (Q, S)
    resampled: Floats  # (R, S): means of bootstrap samples of the items

    @classmethod
    def of(cls, sample: Sample, resampled: Floats) -> "Member":
        """The main measure of a sample that `is_member`, without the others."""
        main = sample.facts.measures[0]
        place = sample.measures.index(main)
        values, drawn = sample.values[:, place].copy(), resampled[:, place].copy()
        return cls(sample.facts.name, sample.facts.task, main, sample.systems, values, drawn)

    def column(self, array: Floats, a: str, b: str) -> Floats:
        """One system less another in `values` or `resampled`."""
        difference: Floats = array[:, self.systems.index(a)] - array[:, self.systems.index(b)]
        return difference


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
        seed: of the bootstrap of sets, and of signs.
    """
    wanted = list(pairs)
    families: dict[tuple[str, str], list[Member]] = {}
    for member in sorted(members, key=lambda one: one.set):
        families.setdefault((member.task, member.measure), []).append(member)
    ordered = dict.fromkeys((member.task, member.measure) for member in members)
    return [pair for key in ordered for pair in _of_family(families[key], wanted, means, seed)]


def _of_family(
    family: Sequence[Member],
    wanted: Sequence[tuple[str, str]],
    means: Mapping[str, Mapping[str, Mapping[str, float]]],
    seed: int,
) -> list[FamilyPair]:
    """Those of the wanted pairs that share two sets of a family or more."""
    alike: dict[tuple[Member, ...], list[tuple[str, str]]] = {}
    for a, b in wanted:
        shared = tuple(one for one in family if a in one.systems and b in one.systems)
        if len(shared) > 1:
            alike.setdefault(shared, []).append((a, b))
    compared = sum(map(len, alike.values()))
    found: dict[tuple[str, str], FamilyPair] = {}
    for shared, pairs in alike.items():
        drawn, p_values = _resample_sets(shared, seed), _flip_items(shared, pairs, compared, seed)
        for (a, b), items_p in zip(pairs, p_values, strict=True):
            low, high = significance.expanded((drawn[a] - drawn[b])[:, None], len(shared))
            resampled = sum(one.column(one.resampled, a, b) for one in shared) / len(shared)
            items_low, items_high = significance.stratified(
                np.asarray(resampled), [one.column(one.values, a, b) for one in shared]
            )
            of_sets = [means[one.set][one.measure] for one in shared]
            differences = [mean[a] - mean[b] for mean in of_sets]
            found[a, b] = FamilyPair(
                task=shared[0].task,
                measure=shared[0].measure,
                a=a,
                b=b,
                sets=len(shared),
                difference=math.fsum(differences) / len(shared),
                low=float(low[0]),
                high=float(high[0]),
                p=significance.signed_rank(differences),
                holm_p=1.0,
                bh_p=1.0,
                least_p=2.0 ** (1 - len(shared)),
                items=sum(len(one.values) for one in shared),
                items_low=items_low,
                items_high=items_high,
                items_p=float(items_p),
                items_holm_p=1.0,
                items_bh_p=1.0,
            )
    in_order = [found[pair] for pair in wanted if pair in found]
    by_sets = significance.corrected([one.p for one in in_order], [None] * len(in_order))
    by_items = significance.corrected([one.items_p for one in in_order], [None] * len(in_order))
    return [
        replace(one, holm_p=sets[0], bh_p=sets[1], items_holm_p=items[0], items_bh_p=items[1])
        for one, sets, items in zip(in_order, by_sets, by_items, strict=True)
    ]


def _flip_items(
    members: Sequence[Member], pairs: Sequence[tuple[str, str]], compared: int, seed: int
) -> Floats:
    """Two-sided p-values of the mean over sets, from the signs of all items.

    Args:
        members: the sets, in the order of their names.
        pairs: that take part in all of them.
        compared: over how many pairs the p-values will be corrected.
        seed: of the signs.
    """
    systems = sorted({name for pair in pairs for name in pair})
    # Weighed so that the sum over all items is the mean over sets.
    weighed = [
        one.values[:, [one.systems.index(name) for name in systems]]
        / (len(members) * len(one.values))
        for one in members
    ]
    resamples = len(members[0].resampled)
    return significance.sign_flip(
        np.concatenate(weighed),
        [systems.index(a) for a, _ in pairs],
        [systems.index(b) for _, b in pairs],
        resamples,
        generator(seed, "signs", members[0].measure, *(one.set for one in members)),
        most=max(resamples, significance.SIGNS_A_COMPARISON * compared),
    )


def _resample_sets(members: Sequence[Member], seed: int) -> dict[str, Floats]:
    """Means over bootstrap samples of sets, and of items within each set drawn, by system.

    A set that is drawn twice brings two samples of its items: each is one of those that were drawn
    for the set's own interval, taken at random.
    """
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
