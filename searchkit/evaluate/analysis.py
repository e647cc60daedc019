"""What saved scores say: every pair of systems on every set, over the sets of a task, and by seed.

On one set, two systems are paired by its items: `significance` has the tests and the interval.
Over the sets of one task, their means are paired by sets, as in the study that this project began
with. That asks another question: does the difference hold on a further set of this task, and not
on further items of these sets.

Draws are made once a set, and all systems and measures share them. They follow from the seed and
the set's name, so that no order of systems, sets, measures or items moves a result. Nor do other
sets and systems, before correction, but in two ways: by rounding, and where there are so many
comparisons that more signs are drawn.

Sources: Tang and Yang 2024, Pooling And Attention, arXiv:2409.02727 (Wilcoxon's test over sets);
Demšar 2006, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (why it suits);
Davison and Hinkley 1997, Bootstrap methods and their application, section 3.8 (the hierarchical
bootstrap).
"""

import hashlib
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TypeVar

import numpy as np

from searchkit.evaluate import significance
from searchkit.evaluate.results import Results, SetFacts
from searchkit.evaluate.significance import ALPHA, LEAST_ITEMS, Floats

_SIGNS_A_COMPARISON = 100  # Holm then leaves the least p that can be drawn at 0.01
_JUDGED = 0.5  # below it, most of the first ten documents are taken for not relevant unread
_JUDGED_GAP = 0.1  # one document in ten, and nDCG@10 can gain or lose as much by one


@dataclass(frozen=True, slots=True)
class Pair:
    """System `a` minus system `b` on one set by one measure.

    Attributes:
        set, measure, a, b: what is compared.
        items: by how many the systems are paired.
        difference: of their means.
        low, high: its 95 % bootstrap interval, not corrected for other comparisons.
        effect: `significance.effect_size`: 0 where nothing differs, infinite where all items differ
            by the same.
        p: two-sided, of the paired permutation test, not corrected.
        wilcoxon_p: of the signed-rank test, not corrected.
        holm_p, bh_p: `p`, corrected over all pairs of all sets of this measure.
        wins, ties, losses: items on which `a` scores higher than, as high as and lower than `b`.
        detectable: `significance.detectable`; infinite for fewer than six items.
    """

    set: str
    measure: str
    a: str
    b: str
    items: int
    difference: float
    low: float
    high: float
    effect: float
    p: float
    wilcoxon_p: float
    holm_p: float
    bh_p: float
    wins: int
    ties: int
    losses: int
    detectable: float


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
        holm_p, bh_p: `p`, corrected over all pairs of this task.
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


@dataclass(frozen=True, slots=True)
class SeedSpread:
    """What training with another seed changes, beside what other items would.

    Attributes:
        set, measure, design: what was trained more than once.
        seeds: how many systems of this design took part.
        mean: of their means.
        spread: the standard deviation between their means, over n - 1.
        sampling: the standard error of a mean over items, averaged over seeds; infinite for one
            item.
    """

    set: str
    measure: str
    design: str
    seeds: int
    mean: float
    spread: float
    sampling: float


@dataclass(frozen=True)
class Analysis:
    """All that tables and plots say about scores.

    Attributes:
        pairs: by set, measure and systems in the order of the evaluation; each two systems once.
        families: by task, measure and systems.
        seeds: by set, measure and design.
        means: by set, measure and system.
        systems: all of them, in the order of the evaluation.
        reference: the evaluation's baseline; `baseline` has a set's own.
        warnings: what a reader should know before the numbers, one line each.
    """

    pairs: tuple[Pair, ...]
    families: tuple[FamilyPair, ...]
    seeds: tuple[SeedSpread, ...]
    means: Mapping[str, Mapping[str, Mapping[str, float]]]
    systems: tuple[str, ...]
    reference: str
    warnings: tuple[str, ...] = ()

    def pair(self, set: str, measure: str, a: str, b: str) -> Pair:
        """The comparison of two systems, turned round where `pairs` has the other order.

        Raises:
            ValueError: there is none.
        """
        if (set, measure, a, b) in self._pairs:
            return self._pairs[set, measure, a, b]
        if (set, measure, b, a) in self._pairs:
            return _turned(self._pairs[set, measure, b, a])
        raise ValueError(f"{a} and {b} were not compared by {measure} on {set}")

    def letter(self, system: str) -> str:
        """What `letters` calls a system: a to z in the order of systems, then a1 to z1, a2, ..."""
        turn, place = divmod(self.systems.index(system), 26)
        return chr(ord("a") + place) + (str(turn) if turn else "")

    def letters(self, set: str, measure: str) -> dict[str, str]:
        """For each system of a set, the letters of those that it is significantly better than.

        That is, with a higher mean and a Holm-corrected p below 5 %.
        """
        systems = self.means[set][measure]
        return {
            a: "".join(
                self.letter(b) for b in systems if a != b and self._beats(set, measure, a, b)
            )
            for a in systems
        }

    def baseline(self, set: str) -> str:
        """The system that a set is compared with: the evaluation's, or else the set's first."""
        systems = next(iter(self.means[set].values()))
        return self.reference if self.reference in systems else next(iter(systems))

    def _beats(self, set: str, measure: str, a: str, b: str) -> bool:
        pair = self.pair(set, measure, a, b)
        return pair.difference > 0 and pair.holm_p < ALPHA

    @cached_property
    def _pairs(self) -> dict[tuple[str, str, str, str], Pair]:
        return {(pair.set, pair.measure, pair.a, pair.b): pair for pair in self.pairs}


def analyse(results: Results) -> Analysis:
    """Compare all systems of an evaluation with each other.

    Args:
        results: with the same items for all systems of a set and measure; the measures of one set
            may differ in their items.

    Raises:
        ValueError: a set or a system has scores and no facts, a set has no scores, its systems
            differ in their measures or items, or a score is not finite.
    """
    samples = [sample for name in results.scores for sample in _samples(results, name)]
    means = set_means(results)
    most = max(results.resamples, _SIGNS_A_COMPARISON * _most_comparisons(samples))
    found: dict[str, dict[str, list[Pair]]] = {name: {} for name in means}
    members = []
    for sample in samples:
        resampled = sample.resample(results.resamples, results.seed)
        found[sample.facts.name].update(_pairs(sample, resampled, results, most))
        if sample.is_member:
            members.append(sample.member(resampled))
    pairs = [pair for name in means for measure in means[name] for pair in found[name][measure]]
    families = _families(members, combinations(results.systems, 2), means, results.seed)
    return Analysis(
        pairs=tuple(_corrected(pairs, lambda pair: pair.measure)),
        families=tuple(_corrected(families, lambda pair: pair.task)),
        seeds=seed_spreads(results),
        means=means,
        systems=tuple(results.systems),
        reference=results.baseline,
        warnings=(
            *_unjudged([results.sets[name] for name in means]),
            *_of_one_pool(results.sets[name] for name in means),
            *_too_few(pairs, families),
        ),
    )


def over_sets(
    results: Results, questions: Mapping[str, Sequence[tuple[str, str]]]
) -> dict[str, tuple[FamilyPair, ...]]:
    """Chosen pairs of systems over the sets of each task, where `analyse` compares all with all.

    Args:
        results: see `analyse`.
        questions: by name, pairs of systems, each the first less the second. P-values are corrected
            over the pairs of a question and task, so what else is asked does not move them.
    """
    members = [
        sample.member(sample.resample(results.resamples, results.seed))
        for name in results.scores
        for sample in _samples(results, name)
        if sample.is_member
    ]
    means = set_means(results)
    return {
        question: tuple(
            _corrected(_families(members, pairs, means, results.seed), lambda pair: pair.task)
        )
        for question, pairs in questions.items()
    }


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


def seed_spreads(results: Results) -> tuple[SeedSpread, ...]:
    """Designs of which two seeds or more took part, by set and measure."""
    return tuple(_seeds(results, set_means(results)))


@dataclass(frozen=True, slots=True)
class _Sample:
    """The scores of one set by measures that have the same items.

    Items, measures and systems are in the order of their names, so that no other order matters.
    """

    facts: SetFacts
    measures: tuple[str, ...]
    systems: tuple[str, ...]
    values: Floats  # (Q, M, S)

    def resample(self, resamples: int, seed: int) -> Floats:
        """(R, M, S): means of bootstrap samples of the items, which measures and systems share."""
        rng = _generator(seed, "items", self.facts.name)
        means = significance.bootstrap_means(_flat(self.values), resamples, rng)
        return means.reshape(resamples, len(self.measures), len(self.systems))

    @property
    def is_member(self) -> bool:
        """Whether it has the main measure of a set that counts in its task: no part of another."""
        return self.facts.measures[0] in self.measures and self.facts.part_of is None

    def member(self, resampled: Floats) -> "_Member":
        """Its main measure alone; lets go of the others."""
        main = self.facts.measures[0]
        drawn = resampled[:, self.measures.index(main)].copy()
        return _Member(self.facts.name, self.facts.task, main, self.systems, drawn)


@dataclass(frozen=True, slots=True)
class _Member:
    """One set of a family, by its main measure."""

    set: str
    task: str
    measure: str
    systems: tuple[str, ...]
    resampled: Floats  # (R, S): means of bootstrap samples of the items


def _generator(seed: int, *names: str) -> np.random.Generator:
    """Random numbers that follow from a seed and from what they are for."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:16])])


def _flat(values: Floats) -> Floats:
    """(Q, M, S) as (Q, M x S)."""
    return values.reshape(len(values), -1)


def _samples(results: Results, name: str) -> Iterator[_Sample]:
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
        yield _Sample(facts, tuple(alike), systems, np.array(values, dtype=np.float64))


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


def _most_comparisons(samples: Sequence[_Sample]) -> int:
    """How many pairs of systems there are on all sets by the measure that has most."""
    comparisons = Counter[str]()
    for sample in samples:
        comparisons.update(dict.fromkeys(sample.measures, math.comb(len(sample.systems), 2)))
    return max(comparisons.values(), default=0)


def _pairs(
    sample: _Sample, resampled: Floats, results: Results, most: int
) -> dict[str, list[Pair]]:
    """All pairs of systems, by measure; p-values are not corrected yet."""
    names = list(combinations([one for one in results.systems if one in sample.systems], 2))
    a = [sample.systems.index(name) for name, _ in names]
    b = [sample.systems.index(name) for _, name in names]
    differences = sample.values[:, :, a] - sample.values[:, :, b]  # (Q, M, P)
    rng = _generator(results.seed, "signs", sample.facts.name)
    rows = np.arange(len(sample.measures))[:, None] * len(sample.systems)
    p_values = significance.sign_flip(
        _flat(sample.values),
        (rows + a).ravel(),
        (rows + b).ravel(),
        results.resamples,
        rng,
        most=most,
    ).reshape(len(sample.measures), -1)
    found = {}
    for row, measure in enumerate(sample.measures):
        columns = differences[:, row]
        low, high = significance.interval(resampled[:, row, a] - resampled[:, row, b], columns)
        effects, detectable = significance.effect_size(columns), significance.detectable(columns)
        found[measure] = [
            Pair(
                set=sample.facts.name,
                measure=measure,
                a=first,
                b=second,
                items=len(columns),
                difference=float(columns[:, place].mean()),
                low=float(low[place]),
                high=float(high[place]),
                effect=float(effects[place]),
                p=float(p_values[row, place]),
                wilcoxon_p=significance.signed_rank(columns[:, place]),
                holm_p=1.0,
                bh_p=1.0,
                wins=int((columns[:, place] > 0).sum()),
                ties=int((columns[:, place] == 0).sum()),
                losses=int((columns[:, place] < 0).sum()),
                detectable=float(detectable[place]),
            )
            for place, (first, second) in enumerate(names)
        ]
    return found


def _turned(pair: Pair) -> Pair:
    """The same comparison from the other side."""
    return replace(
        pair,
        a=pair.b,
        b=pair.a,
        difference=0.0 - pair.difference,  # no -0.0
        low=0.0 - pair.high,
        high=0.0 - pair.low,
        effect=0.0 - pair.effect,
        wins=pair.losses,
        losses=pair.wins,
    )


def _families(
    members: Sequence[_Member],
    pairs: Iterable[tuple[str, str]],
    means: Mapping[str, Mapping[str, Mapping[str, float]]],
    seed: int,
) -> list[FamilyPair]:
    """Pairs of systems over the sets of each task; p-values are not corrected yet."""
    compared = list(pairs)
    families: dict[tuple[str, str], list[_Member]] = {}
    for member in members:
        families.setdefault((member.task, member.measure), []).append(member)
    found = []
    for (task, measure), family in families.items():
        drawn: dict[tuple[str, ...], dict[str, Floats]] = {}
        for a, b in compared:
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
    return found


def _resample_sets(members: Sequence[_Member], seed: int) -> dict[str, Floats]:
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
    rng = _generator(seed, "sets", members[0].measure, *(one.set for one in members))
    total = np.zeros(stacked.shape[1:])
    for _ in members:
        total += stacked[rng.integers(0, sets, resamples), rng.integers(0, resamples, resamples)]
    return dict(zip(systems, total.T / sets, strict=True))


_Comparison = TypeVar("_Comparison", Pair, FamilyPair)


def _corrected(
    found: Sequence[_Comparison], together: Callable[[_Comparison], str]
) -> list[_Comparison]:
    """The comparisons with corrected p-values: over those of which `together` says the same."""
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(found):
        groups.setdefault(together(one), []).append(place)
    corrected = list(found)
    for places in groups.values():
        p_values = [found[place].p for place in places]
        holm, bh = significance.holm(p_values), significance.benjamini_hochberg(p_values)
        for place, holm_p, bh_p in zip(places, holm, bh, strict=True):
            corrected[place] = replace(found[place], holm_p=holm_p, bh_p=bh_p)
    return corrected


def _seeds(
    results: Results, means: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> Iterator[SeedSpread]:
    for name, by_measure in means.items():
        for measure, by_system in by_measure.items():
            designs: dict[str, list[str]] = {}
            for system in by_system:
                facts = results.systems[system]
                if facts.seed is not None:
                    designs.setdefault(facts.design, []).append(system)
            for design, systems in designs.items():
                if len(systems) < 2:
                    continue
                errors = [
                    _standard_error(results.scores[name][system][measure].values())
                    for system in systems
                ]
                yield SeedSpread(
                    set=name,
                    measure=measure,
                    design=design,
                    seeds=len(systems),
                    mean=statistics.fmean(by_system[system] for system in systems),
                    spread=statistics.stdev(by_system[system] for system in systems),
                    sampling=statistics.fmean(errors),
                )


def _standard_error(scores: Iterable[float]) -> float:
    values = np.sort(list(scores))  # in an order of its own: sums round
    return float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else math.inf


def _unjudged(sets: Sequence[SetFacts]) -> Iterator[str]:
    """Warn where what nobody judged may decide how systems compare.

    A document without a judgement counts as not relevant, and those who rank unlike the systems
    whose documents were judged meet more of them (Thakur et al. 2021, BEIR, arXiv:2104.08663, whose
    dense retrievers gained most from judging the rest). Two thresholds: less than half, where most
    of what a measure at 10 says is this assumption; and, above that, one document in ten less than
    the system that was judged most, since a difference of that size alone can make one in nDCG@10.
    """
    few = {
        facts.name: {name: share for name, share in facts.judged_at_10.items() if share < _JUDGED}
        for facts in sets
    }
    wholly = [one.name for one in sets if few[one.name] and few[one.name] == one.judged_at_10]
    places = {", ".join(wholly): "every system"} if wholly else {}
    for name, shares in few.items():
        if shares and name not in wholly:
            places[name] = _shares(shares)
    for place, systems in places.items():
        yield (
            f"{place}: fewer than half of the first ten documents are judged, for {systems}; the "
            "others count as not relevant, which can decide a small difference"
        )
    for facts in sets:
        judged = facts.judged_at_10
        most = max(judged, key=lambda name: judged[name], default="")
        behind = {
            name: share
            for name, share in judged.items()
            if name not in few[facts.name] and judged[most] - share > _JUDGED_GAP
        }
        if behind:
            yield (
                f"{facts.name}: fewer of the first ten documents are judged for {_shares(behind)} "
                f"than for {_shares({most: judged[most]})}; those not judged count as not "
                f"relevant, which favours {most}"
            )


def _of_one_pool(sets: Iterable[SetFacts]) -> Iterator[str]:
    """Warn of items that are draws from the same texts: they vary less than other texts would."""
    names = [facts.name for facts in sets if facts.item == "resampling"]
    if names:
        yield (
            f"{', '.join(names)}: the resamplings of a set share its texts, so their intervals and "
            "p-values speak of these texts alone, and call small differences significant"
        )


def _shares(judged: Mapping[str, float]) -> str:
    return ", ".join(f"{name} ({share:.0%})" for name, share in judged.items())


def _too_few(pairs: Sequence[Pair], families: Sequence[FamilyPair]) -> Iterator[str]:
    """Warn of sets with too few items, and of tasks with too few sets, for any significance."""
    lines: list[str] = []
    for measure in dict.fromkeys(pair.measure for pair in pairs):
        counts = [(pair.set, pair.items) for pair in pairs if pair.measure == measure]
        lines += _out_of_reach(counts, "items")
    for task in dict.fromkeys(pair.task for pair in families):
        counts = [(f"{task} over sets", pair.sets) for pair in families if pair.task == task]
        lines += _out_of_reach(counts, "sets")
    yield from dict.fromkeys(lines)  # measures with the same items say the same


def _out_of_reach(counts: Sequence[tuple[str, int]], units: str) -> Iterator[str]:
    """Warn where no p-value could be small enough, whatever the scores.

    Both tests flip signs, so that the least p of n units is 2 / 2**n; and Holm's correction of the
    least p-values gives the least that it can give.

    Args:
        counts: where each of the comparisons that are corrected together is made, and of how many.
        units: what there are so many of.
    """
    least = [2.0 ** (1 - count) for _, count in counts]
    floors = zip(counts, least, significance.holm(least), strict=True)
    for (place, count), p, corrected in sorted(set(floors)):
        if p >= ALPHA:
            yield (
                f"{place}: with {count} {units}, no p can be below {p:.2g}; "
                f"it takes {LEAST_ITEMS} to get below {ALPHA}"
            )
        elif corrected >= ALPHA:
            yield (
                f"{place}: with {count} {units}, no p can be below {p:.2g}, nor below "
                f"{corrected:.2g} when it is Holm-corrected for {len(counts)} comparisons"
            )
