"""What holds for every fusion, and the sums of reciprocal rank fusion worked by hand."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit import catalog
from searchkit.rank.fusion import rrf
from searchkit.records import Hit

FUSIONS = catalog.names("searchkit.rank.fusion")
IDS = st.sampled_from(["a", "b", "c", "d", "e", "f", "10", "9", "ä"])


def ranking(*ids, scores=None):
    """Hits in the order of their ids, with falling scores of no consequence."""
    scores = scores or [10.0 - place for place in range(len(ids))]
    return [
        Hit(doc_id, score, rank)
        for rank, (doc_id, score) in enumerate(zip(ids, scores, strict=True), start=1)
    ]


RANKINGS = st.lists(
    st.lists(IDS, unique=True, max_size=6).map(lambda ids: ranking(*ids)), max_size=4
)


@pytest.fixture(scope="module", params=FUSIONS)
def fuse(request):
    return catalog.load("searchkit.rank.fusion", request.param).fuse


@given(rankings=RANKINGS, k=st.integers(1, 12))
def test_every_fusion_ranks_what_it_was_given_from_1_on(fuse, rankings, k):
    fused = fuse(rankings, k)
    there = {hit.doc_id for hits in rankings for hit in hits}
    assert len(fused) == min(k, len(there))
    assert {hit.doc_id for hit in fused} <= there
    assert len({hit.doc_id for hit in fused}) == len(fused)
    assert [hit.rank for hit in fused] == list(range(1, len(fused) + 1))
    assert [hit.score for hit in fused] == sorted((hit.score for hit in fused), reverse=True)


@given(rankings=RANKINGS, k=st.integers(1, 12), order=st.randoms(use_true_random=False))
def test_every_fusion_is_blind_to_the_order_of_the_rankings(fuse, rankings, k, order):
    shuffled = list(rankings)
    order.shuffle(shuffled)
    assert fuse(shuffled, k) == fuse(rankings, k)  # to the last bit of every score


@given(rankings=RANKINGS, k=st.integers(1, 12), where=st.integers(0, 4))
def test_a_retriever_that_found_nothing_changes_nothing(fuse, rankings, k, where):
    assert fuse([*rankings[:where], [], *rankings[where:]], k) == fuse(rankings, k)


@given(rankings=RANKINGS, k=st.integers(1, 12))
def test_a_shorter_list_is_the_beginning_of_a_longer_one(fuse, rankings, k):
    assert fuse(rankings, k) == fuse(rankings, 100)[:k]


@given(ids=st.lists(IDS, unique=True, max_size=6))
def test_one_ranking_alone_keeps_its_order(fuse, ids):
    assert [hit.doc_id for hit in fuse([ranking(*ids)], 10)] == ids


@given(rankings=RANKINGS)
def test_equal_scores_are_in_the_order_of_their_ids(fuse, rankings):
    fused = fuse(rankings, 100)
    for above, below in pairwise(fused):
        assert above.score > below.score or above.doc_id < below.doc_id


def test_nothing_fused_is_nothing(fuse):
    assert fuse([], 3) == []
    assert fuse([[], []], 3) == []


def test_what_is_fused_is_left_as_it_was(fuse):
    rankings = [ranking("a", "b"), ranking("b")]
    before = [list(hits) for hits in rankings]
    fuse(rankings, 1)
    assert rankings == before


def test_reciprocal_ranks_are_summed():
    fused = rrf.fuse([ranking("a", "b", "c"), ranking("c", "a")], 10)
    # a: 1/61 + 1/62, c: 1/63 + 1/61, b: 1/62
    expected = [
        ("a", Fraction(123, 3782)),
        ("c", Fraction(124, 3843)),
        ("b", Fraction(1, 62)),
    ]
    assert [(hit.doc_id, hit.rank) for hit in fused] == [("a", 1), ("c", 2), ("b", 3)]
    for hit, (_, score) in zip(fused, expected, strict=True):
        assert hit.score == pytest.approx(float(score), rel=1e-15)


def test_scores_of_the_rankings_play_no_part():
    big = ranking("a", "b", scores=[1e6, -1e6])
    small = ranking("b", "a", scores=[0.2, 0.1])
    assert [hit.doc_id for hit in rrf.fuse([big, small], 2)] == ["a", "b"]
    first, second = rrf.fuse([big, small], 2)
    assert first.score == second.score == 1 / 61 + 1 / 62


def test_ties_at_the_cut_are_decided_by_their_ids():
    rankings = [ranking("d"), ranking("b"), ranking("c"), ranking("a")]
    assert [hit.doc_id for hit in rrf.fuse(rankings, 2)] == ["a", "b"]


def test_the_constant_says_how_much_the_first_rank_counts():
    # One first place against two third places: 1/(c+1) against 2/(c+3), equal at c = 1.
    rankings = [ranking("a", "x", "b"), ranking("y", "z", "b")]
    best = {c: rrf.fuse(rankings, 1, constant=c)[0].doc_id for c in (0, 1, 60)}
    assert best == {0: "a", 1: "a", 60: "b"}
