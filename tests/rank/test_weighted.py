"""Sums of weighted fusion worked by hand, and weights found again that were hidden in the cases."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.rank.fusion import weighted
from searchkit.records import Hit


def ranking(**scores):
    """Hits of documents by their scores, best first."""
    best = sorted(scores, key=lambda doc_id: (-scores[doc_id], doc_id))
    return [Hit(doc_id, scores[doc_id], rank) for rank, doc_id in enumerate(best, start=1)]


def found(hits):
    return {hit.doc_id: hit.score for hit in hits}


def test_scores_from_0_to_1_are_weighted_and_summed():
    words = ranking(a=12.0, b=9.0, c=4.0)  # 1, 5/8, 0
    vectors = ranking(c=0.9, d=0.7, b=0.5)  # 1, 1/2, 0
    fused = weighted.fuse([words, vectors], 10, weights=[0.25, 0.5])
    assert [hit.doc_id for hit in fused] == ["c", "a", "d", "b"]  # a and d tie
    assert found(fused) == pytest.approx({"a": 0.25, "b": 0.15625, "c": 0.5, "d": 0.25}, rel=1e-12)


def test_each_ranking_counts_as_much_unless_told_otherwise():
    rankings = [ranking(a=2.0, b=1.0), ranking(b=5.0, c=1.0)]
    assert weighted.fuse(rankings, 3) == weighted.fuse(rankings, 3, weights=[1, 1])
    assert found(weighted.fuse(rankings, 3)) == {"a": 1.0, "b": 1.0, "c": 0.0}


@given(
    scores=st.dictionaries(st.sampled_from("abcdef"), st.integers(-50, 50), min_size=1),
    others=st.dictionaries(st.sampled_from("abcdef"), st.integers(-50, 50)),
    factor=st.sampled_from([0.5, 1, 4, 1024]),
    shift=st.integers(-100, 100),
)
def test_the_scale_and_the_zero_of_a_system_play_no_part(scores, others, factor, shift):
    moved = {doc_id: factor * score + shift for doc_id, score in scores.items()}
    there = ranking(**others)
    assert weighted.fuse([ranking(**moved), there], 9) == weighted.fuse(
        [ranking(**scores), there], 9
    )


def test_one_hit_alone_and_equal_hits_are_the_best_there_are():
    assert found(weighted.fuse([ranking(a=-3.0)], 1, weights=[0.5])) == {"a": 0.5}
    assert found(weighted.fuse([ranking(a=7.0, b=7.0)], 2)) == {"a": 1.0, "b": 1.0}


def test_the_end_of_a_ranking_is_worth_what_absence_is():
    fused = weighted.fuse([ranking(a=2.0, b=1.0), ranking(c=2.0, a=1.5, d=1.0)], 9)
    assert found(fused) == {"a": 1.5, "b": 0.0, "c": 1.0, "d": 0.0}


def test_without_weight_a_ranking_decides_nothing():
    words, vectors = ranking(a=2.0, b=1.0), ranking(b=9.0, a=1.0)
    assert [hit.doc_id for hit in weighted.fuse([words, vectors], 2, weights=[1, 0])] == ["a", "b"]
    assert [hit.doc_id for hit in weighted.fuse([words, vectors], 2, weights=[0, 1])] == ["b", "a"]


@pytest.mark.parametrize("weights", [[1.0], [1.0, 1.0, 1.0]])
def test_a_weight_for_each_ranking(weights):
    with pytest.raises(ValueError, match=rf"^{len(weights)} weights for 2 rankings$"):
        weighted.fuse([[], []], 1, weights=weights)


@pytest.mark.parametrize("wrong", [-0.1, math.nan, math.inf])
def test_weights_are_finite_and_not_negative(wrong):
    with pytest.raises(ValueError, match="must be finite and not negative"):
        weighted.fuse([[], []], 1, weights=[1.0, wrong])


class TestTune:
    def test_all_that_is_right_is_trusted(self):
        right, wrong = ranking(a=3.0, b=2.0, c=1.0), ranking(b=9.0, c=8.0, a=1.0)
        # b, the most that speaks against a, has 1/2 and the weight of the wrong: a wins with the
        # weight w of the right if w > w / 2 + (1 - w), so from w = 0.7 on in steps of 0.05.
        weights = weighted.tune([[right, wrong]], firsts("a"), 3)
        assert weights == pytest.approx((0.7, 0.3))
        weights = weighted.tune([[wrong, right]], firsts("a"), 3)
        assert weights == pytest.approx((0.3, 0.7))

    def test_weights_are_equal_where_they_make_no_difference(self):
        cases = [[ranking(a=2.0, b=1.0), ranking(a=5.0, b=3.0)]]
        assert weighted.tune(cases, firsts("a"), 2) == (0.5, 0.5)

    def test_every_case_counts(self):
        # The one query wants the first system's best, three others the second's.
        case = [ranking(a=2.0, b=1.0), ranking(b=2.0, a=1.0)]
        found = weighted.tune([case] * 4, firsts("a", "b", "b", "b"), 1)
        assert found == pytest.approx((0.45, 0.55))  # the nearest to equal that lets b win

    def test_there_is_something_to_tune_on(self):
        with pytest.raises(ValueError, match="0 cases"):
            weighted.tune([], firsts(), 1)
        with pytest.raises(ValueError, match=r"1 cases of \[1\] rankings"):
            weighted.tune([[ranking(a=1.0)]], firsts("a"), 1)


def firsts(*wanted):
    """A measure: how many rankings begin with what is wanted of them."""
    return lambda fused: sum(
        hits[0].doc_id == best for hits, best in zip(fused, wanted, strict=True)
    )
