"""What tests, intervals and detectable differences promise, on systems whose truth is known.

`benchmarks/significance.py` has the same with more distributions and more draws.
"""

import numpy as np
import pytest
from scipy import special, stats

from searchkit.evaluate.analysis import analyse
from searchkit.evaluate.results import Results, SetFacts, SystemFacts
from searchkit.evaluate.significance import (
    ALPHA,
    benjamini_hochberg,
    bootstrap_means,
    detectable,
    holm,
    interval,
    sign_flip,
    signed_rank,
)

SIMULATIONS = 1000
RESAMPLES = 2000


def ndcg(rng, items, simulations, systems):
    """Equal systems, (items, simulations, systems); a third of items is tied at 0 or 1."""
    ease = rng.beta(0.6, 0.8, (items, simulations, 1)).clip(0.02, 0.98)
    rank = rng.geometric(ease, (items, simulations, systems))
    found = np.where(rank <= 10, 1 / np.log2(1 + rank), 0.0)
    kind = rng.random((items, simulations, 1))
    return np.where(kind < 0.15, 0.0, np.where(kind > 0.85, 1.0, found))


def hits(rng, items, simulations, systems):
    """Equal systems that are right or wrong."""
    ease = rng.beta(0.8, 0.5, (items, simulations, 1))
    return (rng.random((items, simulations, systems)) < ease).astype(float)


def p_values(differences, rng):
    """Of each column, among columns that share their signs in hundreds."""
    found = []
    for columns in np.array_split(differences, SIMULATIONS // 100, axis=1):
        count = columns.shape[1]
        zeros = np.zeros((len(columns), 1))
        pairs = (np.arange(count), np.full(count, count))
        found.append(sign_flip(np.hstack([columns, zeros]), *pairs, RESAMPLES, rng))
    return np.concatenate(found)


@pytest.mark.parametrize(("draw", "least"), [(ndcg, 0.02), (hits, 0.005)])
@pytest.mark.parametrize("items", [20, 100])
def test_equal_systems_are_called_different_as_seldom_as_promised(draw, least, items):
    """Three standard errors of 1,000 simulations at 5 % are 2.1 %.

    Right or wrong makes p-values in coarse steps, and a test that errs even less.
    """
    rng = np.random.default_rng(items)
    scores = draw(rng, items, SIMULATIONS, 2)
    differences = scores[..., 0] - scores[..., 1]
    assert least < np.mean(p_values(differences, rng) < ALPHA) < 0.071
    ranked = [signed_rank(column) for column in differences.T]
    assert least < np.mean(np.array(ranked) < ALPHA) < 0.071


def test_with_holm_any_of_ten_pairs_errs_as_seldom_as_one():
    """Without, it is about a quarter. Three standard errors of 400 at 5 % are 3.3 %."""
    rng = np.random.default_rng(0)
    a, b = np.triu_indices(5, k=1)
    found = []
    for _ in range(400):
        p = sign_flip(ndcg(rng, 40, 1, 5)[:, 0], a, b, RESAMPLES, rng)
        found.append([min(p), min(holm(p)), min(benjamini_hochberg(p))])
    uncorrected, family, discovery = np.mean(np.array(found) < ALPHA, axis=0)
    assert uncorrected > 0.15
    assert 0.01 < family <= discovery < 0.083


def test_a_detectable_difference_is_found_in_four_of_five_and_lies_in_the_interval():
    """The higher of two equal systems' scores goes to the better one with a probability above 1/2.

    It is such that the true mean is as many standard errors from 0 as the t test needs for 80 %.
    """
    rng, items = np.random.default_rng(1), 100
    sizes = np.ptp(ndcg(rng, 100_000, 1, 2), axis=2)
    mean, square = sizes.mean(), (sizes**2).mean()
    c = special.nctdtrinc(items - 1, 0.2, stats.t.isf(0.025, items - 1)) / np.sqrt(items)
    advantage = c * np.sqrt(square / (1 + c**2)) / mean
    truth = advantage * mean
    drawn = np.ptp(ndcg(rng, items, SIMULATIONS, 2), axis=2)
    better = rng.random(drawn.shape) < (1 + advantage) / 2
    differences = np.where(better, drawn, -drawn)
    assert differences.mean() == pytest.approx(truth, rel=0.05)
    assert np.mean(p_values(differences, rng) < ALPHA) == pytest.approx(0.8, abs=0.05)
    assert detectable(differences).mean() == pytest.approx(truth, rel=0.05)
    low, high = interval(bootstrap_means(differences, RESAMPLES, rng), differences)
    assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize(("favour", "least", "most"), [(0.0, 0.97, 1.0), (0.1, 0.83, 0.99)])
def test_over_sets_tests_err_and_intervals_miss_seldom(favour, least, most):
    """Where sets agree, an interval over sets and items counts the items' share twice, and holds.

    Where each favours a system at random, only sets count, of which six are few. Three standard
    errors of 100 simulations are 6.5 %.
    """
    rng = np.random.default_rng(3)
    found = []
    for seed in range(100):
        scores = {
            f"set {place}": ndcg(rng, 30, 1, 2)[:, 0] + rng.normal(0, favour, 2)
            for place in range(6)
        }
        (pair,) = analyse(evaluation(scores, seed)).families
        found.append([pair.p < ALPHA, pair.low <= 0 <= pair.high])
    called, held = np.mean(found, axis=0)
    assert called < 0.115
    assert least <= held <= most


def evaluation(scores, seed):
    """Saved results of {set: (items, 2) scores} by one measure."""
    facts = {"task": "retrieval", "split": "test", "item": "query", "measures": ["m"]}
    return Results(
        scores={
            name: {
                system: {"m": {str(item): float(value) for item, value in enumerate(column)}}
                for system, column in zip("ab", values.T, strict=True)
            }
            for name, values in scores.items()
        },
        sets={
            name: SetFacts(name=name, items=len(values), fingerprint="", **facts)
            for name, values in scores.items()
        },
        systems={name: SystemFacts(name=name, kind="run", design=name) for name in "ab"},
        baseline="a",
        resamples=400,
        seed=seed,
        command="",
        versions={},
    )
