"""Intervals and tests: against enumeration, SciPy, worked examples and simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from searchkit.evaluate.significance import (
    ALPHA,
    benjamini_hochberg,
    bootstrap_means,
    corrected,
    detectable,
    effect_size,
    expanded,
    holm,
    paired,
    sign_flip,
    signed_rank,
)

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


@settings(max_examples=50)
@given(scores, st.integers(0, 3))
def test_swapping_the_systems_mirrors_everything_but_p(pairs, seed):
    a, b = np.array(pairs).T
    one, other = (paired(*order, resamples=500, seed=seed) for order in ((a, b), (b, a)))
    assert (other.mean, other.low, other.high) == (-one.mean, -one.high, -one.low)
    assert other.p == one.p
    assert (other.wins, other.ties, other.losses) == (one.losses, one.ties, one.wins)


@settings(max_examples=50)
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


def test_resampled_means_are_those_of_scipy():
    """The same generator draws the same rows; 300 items come in two blocks."""
    values = np.random.default_rng(0).random((300, 3))
    means = bootstrap_means(values, 2000, np.random.default_rng(5))
    theirs = stats.bootstrap(
        (values[:, 1],),
        np.mean,
        n_resamples=2000,
        batch=500_000 // 300,
        method="percentile",
        rng=np.random.default_rng(5),
    )
    assert means.shape == (2000, 3)
    np.testing.assert_allclose(means[:, 1], theirs.bootstrap_distribution, rtol=1e-12)


def test_columns_that_are_resampled_together_stay_paired():
    values = np.random.default_rng(0).random((40, 2))
    means = bootstrap_means(np.c_[values, values[:, 0] - values[:, 1]], 50, np.random.default_rng())
    np.testing.assert_allclose(means[:, 0] - means[:, 1], means[:, 2], atol=1e-14)


def test_intervals_are_as_wide_as_students_for_few_units():
    """Of even steps from 0 to 1, a quantile is its own probability."""
    means = np.linspace(0, 1, 10_001)[:, None]
    for units in (4, 50):
        tail = stats.norm.cdf(stats.t.ppf(0.025, units - 1) * np.sqrt(units / (units - 1)))
        low, high = expanded(means, units)
        assert (low[0], high[0]) == pytest.approx((tail, 1 - tail), abs=1e-9)


def test_pairs_that_share_signs_have_the_p_values_that_they_have_alone():
    """Few items differ in the first pair, so that it is enumerated among others that are drawn."""
    scores = np.random.default_rng(2).random((60, 4))
    scores[8:, 1] = scores[8:, 0]
    a, b = [0, 0, 2, 3], [1, 2, 3, 2]
    together = sign_flip(scores, a, b, 2000, np.random.default_rng(7))
    alone = [
        sign_flip(scores[:, [i, j]], [0], [1], 2000, np.random.default_rng(7))[0]
        for i, j in zip(a, b, strict=True)
    ]
    assert list(together) == alone
    assert together[0] == enumerated(list(scores[:8, 0] - scores[:8, 1]))
    assert together[2] == together[3]


def test_signs_are_drawn_on_where_few_matter():
    """All 40 differences favour the first system: of any number of draws, none reaches that."""
    scores = np.zeros((40, 3))
    scores[:, 0] = 1
    scores[:20, 2] = 1  # to the second column, 20 differences and a p near 1e-6; to itself none
    p = sign_flip(scores, [0, 1], [1, 1], 99, np.random.default_rng(0), most=9999)
    assert list(p) == [1 / 10_000, 1.0]
    noise = np.random.default_rng(1).normal(size=(40, 2))
    few, many = (
        sign_flip(noise, [0], [1], 999, np.random.default_rng(0), most=most) for most in (0, 99_999)
    )
    assert few > 0.05
    assert few == many


def every_sign(differences):
    """The p-value of the signed-rank test by its definition: all signs of the ranks."""
    kept = [value for value in differences if value]
    ranks = stats.rankdata(np.abs(kept))
    centre = ranks.sum() / 2
    observed = abs(sum(rank for rank, value in zip(ranks, kept, strict=True) if value > 0) - centre)
    sums = (
        abs(sum(itertools.compress(ranks, signs)) - centre)
        for signs in itertools.product((0, 1), repeat=len(kept))
    )
    return float(np.mean([one >= observed - 1e-9 for one in sums]))


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_signed_ranks_are_exact_with_ties_and_zeros(differences):
    assert signed_rank(differences) == pytest.approx(every_sign(differences), rel=1e-12)


@pytest.mark.parametrize("items", [1, 2, 7, 20, 50])
def test_signed_ranks_without_ties_agree_with_scipys_exact_test(items):
    differences = np.random.default_rng(items).normal(0.3, 1, items)
    theirs = stats.wilcoxon(differences, method="exact").pvalue
    assert signed_rank(differences) == pytest.approx(theirs, rel=1e-12)


def test_signed_ranks_with_ties_agree_with_scipys_enumeration():
    differences = np.array([3, -1, 2, 2, -2, 5, 1, 1.0])
    method = stats.PermutationMethod(n_resamples=2**8)
    theirs = stats.wilcoxon(differences, method=method).pvalue
    assert signed_rank(differences) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("items", [60, 200])
def test_many_signed_ranks_agree_with_scipys_approximation(items):
    """Eighths make ties and zeros, and differ in no last bits, which SciPy would not forgive."""
    differences = np.random.default_rng(items).integers(-12, 15, items) / 8
    theirs = stats.wilcoxon(differences, method="asymptotic").pvalue
    assert 1e-4 < theirs < 0.9
    assert signed_rank(differences) == pytest.approx(theirs, rel=1e-9)


def test_signed_ranks_forgive_the_last_bit():
    """0.3 - 0.2 and 0.2 - 0.1 share a rank, 1.5. SciPy gives them 1 and 2, and a p of 0.5."""
    differences = [0.2 - 0.3, 0.2 - 0.1, 0.4 - 0.1]
    assert stats.wilcoxon(differences).pvalue == 0.5
    assert signed_rank(differences) == signed_rank([-1, 1, 3]) == 0.75


def test_signed_ranks_of_nothing_say_nothing():
    assert signed_rank([]) == signed_rank([0.0, 0.0]) == 1


@settings(max_examples=50)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=70))
def test_signed_ranks_do_not_know_who_is_first(differences):
    assert signed_rank(differences) == signed_rank([-one for one in differences])


def test_effect_by_hand():
    """Differences 1, 2, 3 have the mean 2 and the standard deviation 1; equal ones have none."""
    differences = np.array([[1.0, 0, 0.3 - 0.2], [2, 0, 0.2 - 0.1], [3, 0, 0.4 - 0.3]])
    assert effect_size(differences) == pytest.approx([2, 0, np.inf])
    assert effect_size(-differences) == pytest.approx([-2, 0, -np.inf])
    assert effect_size(np.array([[0.5, 0.0]])) == pytest.approx([np.inf, 0])


@pytest.mark.parametrize("items", [6, 20, 323, 1000])
def test_the_detectable_difference_is_the_t_tests(items):
    """Both solve for the noncentrality, to four digits or more."""
    differences = np.random.default_rng(items).normal(0, 0.3, (items, 2))
    theirs = TTestPower().solve_power(nobs=items, alpha=0.05, power=0.8)
    assert detectable(differences) == pytest.approx(
        theirs * differences.std(axis=0, ddof=1), rel=1e-4
    )


def test_five_items_can_detect_nothing():
    """Of 32 signs, two are all alike: p is 0.0625 at least. Six have 2 of 64."""
    differences = np.random.default_rng(0).random((6, 1))
    assert detectable(differences[:5]) == np.inf
    assert 0 < detectable(differences) < np.inf
    assert detectable(np.zeros((6, 1))) == 0
    assert paired([1] * 5, [0] * 5).p == 2 / 32 > ALPHA
    assert paired([1] * 6, [0] * 6).p == 2 / 64 < ALPHA


def test_families_are_corrected_one_by_one():
    p_values = [0.03, 0.01, 0.04, 0.02]
    assert corrected(p_values, ["a", "b", "a", "a"]) == [
        pytest.approx((0.06, 0.04)),
        (0.01, 0.01),
        pytest.approx((0.06, 0.04)),
        pytest.approx((0.06, 0.04)),
    ]
    assert corrected([], []) == []


def test_holm_by_hand():
    """Sorted, times 4, 3, 2, 1: 0.02, 0.06, 0.06, 0.04; none below the one before it: 0.06."""
    assert holm([0.03, 0.005, 0.04, 0.02]) == pytest.approx([0.06, 0.02, 0.06, 0.06])
    assert holm([0.7, 0.9]) == [1.0, 1.0]
    assert holm([0.01]) == [0.01]
    assert holm([]) == []


def test_benjamini_hochberg_by_hand():
    """Sorted, times 4/1, 4/2, 4/3, 4/4: 0.02, 0.04, 0.04, 0.04."""
    assert benjamini_hochberg([0.03, 0.005, 0.04, 0.02]) == pytest.approx([0.04, 0.02, 0.04, 0.04])
    assert benjamini_hochberg([0.01]) == [0.01]
    assert benjamini_hochberg([]) == []


@pytest.mark.parametrize("comparisons", [2, 30])
def test_corrections_are_those_of_statsmodels(comparisons):
    values = list(np.random.default_rng(comparisons).random(comparisons).round(2) ** 3)
    assert holm(values) == pytest.approx(list(multipletests(values, method="holm")[1]))
    assert benjamini_hochberg(values) == pytest.approx(
        list(multipletests(values, method="fdr_bh")[1])
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_corrections_raise_values_and_keep_their_order(values):
    corrected = list(zip(values, benjamini_hochberg(values), holm(values), strict=True))
    for (p, discovery, family), (other_p, *others) in itertools.product(corrected, repeat=2):
        assert p <= discovery * (1 + 1e-12) <= family * (1 + 1e-9) <= 1 + 1e-9
        assert p > other_p or (discovery <= others[0] and family <= others[1])


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
