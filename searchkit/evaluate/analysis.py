"""What saved scores say: every pair of systems on every set, over the sets of a task, and by seed.

On one set, two systems are paired by its items: `significance` has the tests and the interval.
`families` compares them over the sets of one task.

Other sets and systems do not move a result, before correction, but in two ways: by rounding, and
where there are so many comparisons that more signs are drawn; see `samples` for the draws.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from searchkit.evaluate import families, significance
from searchkit.evaluate.families import FamilyPair, Member
from searchkit.evaluate.results import Results, SetFacts
from searchkit.evaluate.samples import Sample, generator, samples_of, set_means
from searchkit.evaluate.significance import ALPHA, LEAST_ITEMS, Floats

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
    samples = [sample for name in results.scores for sample in samples_of(results, name)]
    means = set_means(results)
    most = max(results.resamples, significance.SIGNS_A_COMPARISON * _most_comparisons(samples))
    found: dict[str, dict[str, list[Pair]]] = {name: {} for name in means}
    members = []
    for sample in samples:
        resampled = sample.resample(results.resamples, results.seed)
        found[sample.facts.name].update(_pairs(sample, resampled, results, most))
        if sample.is_member:
            members.append(Member.of(sample, resampled))
    pairs = [pair for name in means for measure in means[name] for pair in found[name][measure]]
    over_sets = families.compare(members, combinations(results.systems, 2), means, results.seed)
    return Analysis(
        pairs=tuple(_corrected(pairs)),
        families=tuple(over_sets),
        seeds=seed_spreads(results),
        means=means,
        systems=tuple(results.systems),
        reference=results.baseline,
        warnings=(
            *_unjudged([results.sets[name] for name in means]),
            *of_one_pool(results.sets[name] for name in means),
            *_too_few(pairs, over_sets),
        ),
    )


def seed_spreads(results: Results) -> tuple[SeedSpread, ...]:
    """Designs of which two seeds or more took part, by set and measure."""
    return tuple(_seeds(results, set_means(results)))


def _most_comparisons(samples: Sequence[Sample]) -> int:
    """How many pairs of systems there are on all sets by the measure that has most."""
    comparisons = Counter[str]()
    for sample in samples:
        comparisons.update(dict.fromkeys(sample.measures, math.comb(len(sample.systems), 2)))
    return max(comparisons.values(), default=0)


def _pairs(sample: Sample, resampled: Floats, results: Results, most: int) -> dict[str, list[Pair]]:
    """All pairs of systems, by measure; p-values are not corrected yet."""
    names = list(combinations([one for one in results.systems if one in sample.systems], 2))
    a = [sample.systems.index(name) for name, _ in names]
    b = [sample.systems.index(name) for _, name in names]
    differences = sample.values[:, :, a] - sample.values[:, :, b]  # (Q, M, P)
    rng = generator(results.seed, "signs", sample.facts.name)
    rows = np.arange(len(sample.measures))[:, None] * len(sample.systems)
    p_values = significance.sign_flip(
        sample.columns,
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


def _corrected(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """Pairs with p-values that are corrected over all pairs of a measure."""
    adjusted = significance.corrected([pair.p for pair in pairs], [pair.measure for pair in pairs])
    for pair, (holm, bh) in zip(pairs, adjusted, strict=True):
        yield replace(pair, holm_p=holm, bh_p=bh)


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


def of_one_pool(sets: Iterable[SetFacts]) -> Iterator[str]:
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
    for family in dict.fromkeys((pair.task, pair.measure) for pair in families):
        counts = [
            (f"{pair.task} over sets", pair.sets)
            for pair in families
            if (pair.task, pair.measure) == family
        ]
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
