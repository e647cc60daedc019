"""Intervals and tests: against enumeration, SciPy, worked examples and simulation."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from searchkit.evaluate.significance import holm, paired

scores = st.lists(
    st.tuples(*[st.sampled_from([0.0, 0.1, 0.25, 0.387, 0.5, 1.0]) | st.floats(0, 1)] * 2),
    min_size=1,
    max_size=30,
)


def enumerated(differences):
    """The share of all 2^Q sign vectors whose sum is at least as far from 0."""
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return float(np.mean(np.array(sums) >= abs(sum(differences)) - 1e-12))


@pytest.mark.parametrize("seed", range(5))
def test_on_eight_queries_p_is_that_of_all_256_signs(seed):
    a, b = np.random.default_rng(seed).random((2, 8)).round(1)
    assert paired(a, b).p == enumerated(list(a - b))


def test_p_on_three_queries_by_hand():
    """0.1, 0.2, 0.3: of eight signs, only all plus and all minus reach a sum of 0.6."""
    assert paired([0.3, 0.5, 0.6], [0.2, 0.3, 0.3]).p == 2 / 8


def test_ties_do_not_change_p():
    a, b = np.random.default_rng(1).random((2, 10))
    tied = np.full(500, 0.5)
    assert paired(np.r_[tied, a], np.r_[tied, b]).p == paired(a, b).p


def test_drawn_signs_agree_with_scipy():
    """Both draw 10,000: the standard error of each p near 0.04 is 0.002, so 0.01 is 3.5 of both."""
    rng = np.random.default_rng(3)
    b = rng.random(60)
    a = b + rng.normal(0.055, 0.2, 60)
    theirs = stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=10_000,
        rng=np.random.default_rng(0),
    )
    assert 0.01 < theirs.pvalue < 0.1
    assert paired(a, b).p == pytest.approx(theirs.pvalue, abs=0.01)


def test_drawn_signs_agree_with_enumerated_ones():
    """Fourteen queries are drawn; the standard error of p is at most 0.005."""
    a, b = np.random.default_rng(5).random((2, 14))
    assert paired(a, b).p == pytest.approx(enumerated(list(a - b)), abs=0.02)


def test_a_drawn_p_is_never_0():
    assert paired(np.ones(50), np.zeros(50), resamples=999).p == 1 / 1000


@settings(max_examples=50, deadline=None)
@given(scores, st.integers(0, 3))
def test_swapping_the_systems_mirrors_everything_but_p(pairs, seed):
    a, b = np.array(pairs).T
    one, other = (paired(*order, resamples=500, seed=seed) for order in ((a, b), (b, a)))
    assert (other.mean, other.low, other.high) == (-one.mean, -one.high, -one.low)
    assert other.p == one.p
    assert (other.wins, other.ties, other.losses) == (one.losses, one.ties, one.wins)


@settings(max_examples=50, deadline=None)
@given(scores)
def test_bounds_hold(pairs):
    a, b = np.array(pairs).T
    found = paired(a, b, resamples=500)
    assert found.low <= found.high
    assert 0 < found.p <= 1
    assert found.wins + found.ties + found.losses == found.queries == len(pairs)
    assert found.mean == pytest.approx(np.mean(a) - np.mean(b))
    assert min(a - b) - 1e-12 <= found.low and found.high <= max(a - b) + 1e-12


def test_equal_systems_differ_by_nothing():
    same = np.random.default_rng(0).random(40)
    found = paired(same, same)
    assert (found.mean, found.low, found.high, found.p, found.ties) == (0, 0, 0, 1, 40)


def test_a_constant_difference_has_an_interval_of_one_value_and_still_a_test():
    found = paired(np.full(8, 0.75), np.full(8, 0.5))
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)
    assert found.p == 2 / 2**8


def test_one_query_says_nothing():
    found = paired([0.7], [0.2])
    assert (found.low, found.high, found.p) == (found.mean, found.mean, 1)


def test_a_seed_decides_the_result():
    a, b = np.random.default_rng(0).random((2, 100))
    assert paired(a, b, seed=1) == paired(a, b, seed=1)
    assert paired(a, b, seed=1).low != paired(a, b, seed=2).low


def test_the_interval_is_near_students_where_differences_are_normal():
    """A 2.5 % quantile of 10,000 resampled means has a standard error of 0.03 of their spread."""
    differences = np.random.default_rng(0).normal(0.05, 0.2, 200)
    found = paired(differences, np.zeros(200))
    error = differences.std(ddof=1) / np.sqrt(200)
    low, high = stats.t.interval(0.95, 199, loc=differences.mean(), scale=error)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.15 * error)


def test_more_confidence_is_a_wider_interval():
    a, b = np.random.default_rng(0).random((2, 50))
    wide, narrow = paired(a, b, confidence=0.99), paired(a, b, confidence=0.8)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_intervals_cover_and_tests_err_as_often_as_they_say():
    """400 simulated pairs of equal systems on 50 queries, half of them ties.

    Of 400 draws at 5 %, 3 standard errors are 3.3 %: the interval should miss 0, and the test
    reject, between 1.7 and 8.3 % of the time; 2 % more for an interval of so many ties.
    """
    rng = np.random.default_rng(0)
    missed = rejected = 0
    for seed in range(400):
        differences = rng.normal(0, 0.3, 50) * (rng.random(50) < 0.5)
        found = paired(differences, np.zeros(50), resamples=1000, seed=seed)
        missed += not found.low <= 0 <= found.high
        rejected += found.p < 0.05
    assert 0.017 <= rejected / 400 <= 0.083
    assert 0.017 <= missed / 400 <= 0.103


def test_holm_by_hand():
    """Sorted, times 4, 3, 2, 1: 0.02, 0.06, 0.06, 0.04; none below the one before it: 0.06."""
    assert holm([0.03, 0.005, 0.04, 0.02]) == pytest.approx([0.06, 0.02, 0.06, 0.06])
    assert holm([0.7, 0.9]) == [1.0, 1.0]
    assert holm([0.01]) == [0.01]
    assert holm([]) == []


@settings(max_examples=20, deadline=None)  # statsmodels collects garbage on every call: 30 ms
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_raises_values_and_keeps_their_order(values):
    corrected = holm(values)
    for (p, q), (other_p, other_q) in itertools.product(
        zip(values, corrected, strict=True), repeat=2
    ):
        assert p <= q <= 1
        assert p > other_p or q <= other_q


@pytest.mark.parametrize(
    ("a", "b", "kwargs", "said"),
    [
        ([1.0, 2.0], [1.0], {}, r"\(Q,\) and \(Q,\), not \(2,\) and \(1,\)"),
        ([[1.0]], [[1.0]], {}, r"not \(1, 1\)"),
        ([], [], {}, r"not \(0,\)"),
        ([1.0, np.nan], [1.0, 1.0], {}, "1 pairs are not"),
        ([1.0], [1.0], {"resamples": 0}, "resamples 0"),
        ([1.0], [1.0], {"confidence": 95}, "confidence 95"),
    ],
)
def test_what_cannot_be_paired_is_a_broken_promise(a, b, kwargs, said):
    with pytest.raises(ValueError, match=said):
        paired(a, b, **kwargs)


def test_five_systems_and_four_measures_take_seconds():
    """The promise is 10 s for 20 comparisons of 1,000 queries; a quarter of them is timed."""
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for a, b in rng.random((5, 2, 1000)):
        paired(a, b)
    assert time.perf_counter() - start < 10 / 4
