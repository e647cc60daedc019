"""What the statistics of an evaluation cost, and whether they keep their promises.

Timed beside SciPy's own functions, one pair of systems after the other; then simulated: how often
equal systems are called different, how often a difference of the size that is called detectable is
found, and how often intervals hold the truth.

    python benchmarks/significance.py                      # about four minutes of one core
    python benchmarks/significance.py --simulations 5000
    python benchmarks/significance.py --simulations 0      # the timing alone
"""

import argparse
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from searchkit.evaluate import significance
from searchkit.evaluate.analysis import analyse
from searchkit.evaluate.results import Results, SetFacts, SystemFacts
from searchkit.evaluate.significance import ALPHA, CONFIDENCE, POWER, RESAMPLES

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int, int], Floats]

BATCH = 100  # simulations that share their resamples and signs; the next ones have others
SETS_OF = 100  # items a set, where there are many sets
FEWER = 2000  # resamples there


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--systems", type=int, default=5)
    parser.add_argument("--measures", type=int, default=4)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    compare_speed(options)
    if options.simulations:
        simulate_pairs(options.simulations, options.seed)
        simulate_many_pairs(options.simulations, options.seed)
        simulate_sets(options.simulations, options.seed)


def compare_speed(options: argparse.Namespace) -> None:
    """Time all pairs by all measures, and SciPy on one of them."""
    rng = np.random.default_rng(options.seed)
    scores = ndcg(rng, options.queries, options.measures, options.systems)
    results = evaluation({"set": scores}, RESAMPLES)
    analyse(evaluation({"set": scores[:20]}, 10))  # imports what it needs
    ours = min(timed(lambda: analyse(results)) for _ in range(3))
    theirs = min(timed(lambda: with_scipy(*scores[:, 0, :2].T)) for _ in range(3))
    pairs = options.systems * (options.systems - 1) // 2 * options.measures
    print(
        f"{options.systems} systems, {options.measures} measures, {options.queries:,} queries: "
        f"{pairs} comparisons, each with a\npermutation test and an interval of {RESAMPLES:,} "
        "resamples, and a signed-rank test; the best of three\n\n"
        f"    searchkit.evaluate.analysis{ours:10.2f} s\n"
        f"    scipy.stats, pair by pair  {theirs * pairs:10.2f} s    ({pairs} x {theirs:.2f} s, "
        f"timed on one pair)\n"
        f"    ratio                      {theirs * pairs / ours:10.0f}\n"
    )


def with_scipy(a: Floats, b: Floats) -> None:
    """What `analyse` finds out about one pair, by SciPy alone."""
    rng = np.random.default_rng(0)
    batch = 500_000 // a.size  # everything at once, SciPy's own choice, takes longer
    stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=batch,
        rng=rng,
    )
    stats.bootstrap(
        (a - b,), np.mean, n_resamples=RESAMPLES, batch=batch, method="percentile", rng=rng
    )
    stats.wilcoxon(a, b)


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


# Scores of equal systems, (items, simulations, systems): independent and alike, given the item.


def ndcg(rng: np.random.Generator, items: int, simulations: int, systems: int) -> Floats:
    """nDCG@10 with one relevant document; a third of items, all systems answer at once or never."""
    ease = rng.beta(0.6, 0.8, (items, simulations, 1)).clip(0.02, 0.98)
    rank = rng.geometric(ease, (items, simulations, systems))
    found = np.where(rank <= 10, 1 / np.log2(1 + rank), 0.0)
    kind = rng.random((items, simulations, 1))
    return np.where(kind < 0.15, 0.0, np.where(kind > 0.85, 1.0, found))


def hits(rng: np.random.Generator, items: int, simulations: int, systems: int) -> Floats:
    """0 or 1, as accuracy and success at k."""
    ease = rng.beta(0.8, 0.5, (items, simulations, 1))
    return (rng.random((items, simulations, systems)) < ease).astype(np.float64)


def hard(rng: np.random.Generator, items: int, simulations: int, systems: int) -> Floats:
    """Near 0 for most items and near 1 for a few, as AP of hard queries."""
    ease = rng.lognormal(-3, 1, (items, simulations, 1))
    return np.minimum(1.0, ease * rng.lognormal(0, 1, (items, simulations, systems)))


EQUAL: Mapping[str, Draw] = {"nDCG@10": ndcg, "0 or 1": hits, "skewed": hard}


def rare_gains(rng: np.random.Generator, items: int, simulations: int) -> Floats:
    """(items, simulations): one item of ten gains 0.4, and nine lose as much together."""
    return np.where(rng.random((items, simulations)) < 0.1, 0.4, -0.4 / 9)


def advantage(draw: Draw, items: int) -> tuple[float, float]:
    """How to make a difference that is detectable: its probability, and its size.

    The higher of two scores goes to the better system with a probability above one half, which
    keeps ties, zeros and every score as they are. With d the difference of two equal systems and
    x = 2 * probability - 1, the mean is x E|d| and the variance E d^2 - (x E|d|)^2; it is
    detectable where the mean is c standard errors.
    """
    d = np.ptp(draw(np.random.default_rng(0), 500_000, 1, 2), axis=2)
    c = special.nctdtrinc(items - 1, 1 - POWER, stats.t.isf(ALPHA / 2, items - 1)) / items**0.5
    x = c * np.sqrt((d**2).mean() / (1 + c**2)) / d.mean()
    return (1 + x) / 2, x * d.mean()


# Simulations


class Found(NamedTuple):
    """Shares of simulations; `detectable` is the mean of what was called so."""

    permutation: float
    signed_rank: float
    covered: float
    detectable: float


def simulate(
    draw: Callable[[np.random.Generator, int], Floats], truth: float, simulations: int, seed: int
) -> Found:
    """Test differences drawn as (items, simulations), whose true mean is known."""
    found = []
    for start in range(0, simulations, BATCH):
        rng = np.random.default_rng([seed, start])
        columns = draw(rng, min(BATCH, simulations - start))
        differences = np.column_stack([columns, np.zeros(len(columns))])
        count = columns.shape[1]
        p = significance.sign_flip(
            differences, np.arange(count), np.full(count, count), RESAMPLES, rng
        )
        means = significance.bootstrap_means(columns, RESAMPLES, rng)
        low, high = significance.interval(means, columns)
        ranked = np.array([significance.signed_rank(column) for column in columns.T])
        found.append(
            [
                p < ALPHA,
                ranked < ALPHA,
                (low <= truth) & (truth <= high),
                significance.detectable(columns),
            ]
        )
    return Found(*np.concatenate(found, axis=1).mean(axis=1))


def simulate_pairs(simulations: int, seed: int) -> None:
    """Two systems on one set."""
    print(
        f"Two systems on one set. In % of {simulations:,} simulations, with the standard error of "
        f"simulating.\nTests at {ALPHA:.0%}; intervals of {CONFIDENCE:.0%}; `detectable` is what "
        f"should be found in {POWER:.0%}.\n"
    )
    line = "{:<9}{:>8}{:>14}{:>13}{:>12}{:>17}{:>12}{:>12}"
    print(line.format("", "", "equal:", "", "", "detectable:", "", "estimate"))
    head = ("scores", "queries", "permutation", "signed rank", "in interval")
    print(line.format(*head, "permutation", "in interval", "/ truth"))
    for name, draw in EQUAL.items():
        for items in (20, 50, 200):
            print(line.format(name, items, *pair_cells(draw, items, simulations, seed)), flush=True)
    for items in (20, 50, 200):

        def gains(rng: np.random.Generator, count: int, items: int = items) -> Floats:
            return rare_gains(rng, items, count)

        found = simulate(gains, 0.0, simulations, seed)
        cells = [percent(share, simulations) for share in found[:3]]
        print(line.format("gains *", items, *cells, "", "", ""), flush=True)
    print(
        "\n* Equal means, unlike shapes: one query of ten gains 0.4, nine lose 0.044 each. Signs "
        "are then not\n  arbitrary: the permutation test errs where queries are few, and the "
        "signed-rank test, which does not\n  compare means, on any number of them.\n"
        "- So few queries of this kind cannot differ by so much.\n"
    )


def pair_cells(draw: Draw, items: int, simulations: int, seed: int) -> list[str]:
    def equal(rng: np.random.Generator, count: int) -> Floats:
        scores = draw(rng, items, count, 2)
        return scores[..., 0] - scores[..., 1]

    def unequal(rng: np.random.Generator, count: int) -> Floats:
        sizes = np.abs(equal(rng, count))
        return np.where(rng.random(sizes.shape) < probability, sizes, -sizes)

    found = simulate(equal, 0.0, simulations, seed)
    cells = [percent(share, simulations) for share in found[:3]]
    probability, truth = advantage(draw, items)
    if probability > 1:
        return [*cells, "-", "-", "-"]
    found = simulate(unequal, truth, simulations, seed)
    cells += [percent(share, simulations) for share in (found.permutation, found.covered)]
    return [*cells, f"{found.detectable / truth:.2f}"]


def simulate_many_pairs(simulations: int, seed: int) -> None:
    """Five equal systems: how often any of ten pairs is called different."""
    print("Five equal systems on one set, ten pairs: any of them called different, in %.\n")
    line = "{:<9}{:>8}{:>14}{:>13}{:>22}"
    print(line.format("scores", "queries", "uncorrected", "Holm", "Benjamini-Hochberg"))
    a, b = np.triu_indices(5, k=1)
    for name, draw in EQUAL.items():
        for items in (20, 50, 200):
            found = []
            for simulation in range(simulations):
                rng = np.random.default_rng([seed, items, simulation])
                scores = draw(rng, items, 1, 5)[:, 0]
                p = significance.sign_flip(scores, a, b, RESAMPLES, rng)
                corrected = (significance.holm(p), significance.benjamini_hochberg(p))
                found.append([min(values) < ALPHA for values in (p, *corrected)])
            cells = [percent(share, simulations) for share in np.mean(found, axis=0)]
            print(line.format(name, items, *cells), flush=True)
    print()


def simulate_sets(simulations: int, seed: int) -> None:
    """Three systems of equal quality over the sets of a task."""
    print(
        f"Three equal systems over sets of {SETS_OF} queries, {FEWER:,} resamples. A set favours "
        "each system by a\nrandom amount, with a standard deviation of 0 or 0.1. In %: one pair "
        "called different; any of three\npairs, Holm-corrected; 0 in the interval of one pair.\n"
    )
    line = "{:<9}{:>8}{:>14}{:>13}{:>13}"
    print(line.format("favour", "sets", "signed rank", "Holm", "in interval"))
    for favour in (0.0, 0.1):
        for sets in (3, 6, 12):
            found = []
            for simulation in range(simulations):
                rng = np.random.default_rng([seed, sets, simulation])
                scores = {
                    f"set {number}": ndcg(rng, SETS_OF, 1, 3) + rng.normal(0, favour, 3)
                    for number in range(sets)
                }
                families = analyse(evaluation(scores, FEWER, seed=simulation)).families
                one = families[0]
                found.append(
                    [
                        one.p < ALPHA,
                        min(pair.holm_p for pair in families) < ALPHA,
                        one.low <= 0 <= one.high,
                    ]
                )
            cells = [percent(share, simulations) for share in np.mean(found, axis=0)]
            print(line.format(f"{favour:.1f}", sets, *cells), flush=True)


def evaluation(scores: Mapping[str, Floats], resamples: int, seed: int = 0) -> Results:
    """Saved results with (items, measures, systems) scores for each set."""
    _, measures, systems = next(iter(scores.values())).shape
    names = [f"system {number}" for number in range(systems)]
    by = [f"measure {number}" for number in range(measures)]
    return Results(
        scores={
            name: {
                system: {
                    measure: {str(item): float(x) for item, x in enumerate(values[:, row, column])}
                    for row, measure in enumerate(by)
                }
                for column, system in enumerate(names)
            }
            for name, values in scores.items()
        },
        sets={
            name: SetFacts(
                name=name,
                task="retrieval",
                split="test",
                item="query",
                items=len(values),
                measures=by,
                fingerprint="",
            )
            for name, values in scores.items()
        },
        systems={name: SystemFacts(name=name, kind="run", design=name) for name in names},
        baseline=names[0],
        resamples=resamples,
        seed=seed,
        command="",
        versions={},
    )


def percent(share: float, simulations: int) -> str:
    return f"{100 * share:.1f} ±{100 * (share * (1 - share) / simulations) ** 0.5:.1f}"


if __name__ == "__main__":
    main()
