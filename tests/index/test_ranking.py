"""Rows and scores to hits, with searches whose answers are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.index.ranking import hits, top
from searchkit.records import Hit


class Table:
    """A search over known scores (Q, N); the first number of a query is its row in the table."""

    def __init__(self, scores):
        self.scores = np.asarray(scores, np.float32)
        self.asked = []

    def search(self, queries, k):
        self.asked.append((len(queries), k))
        scores = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), -1, np.int64)
        for place, query in enumerate(queries[:, 0].astype(int)):
            best = np.argsort(-self.scores[query], kind="stable")[:k]
            scores[place, : len(best)] = self.scores[query][best]
            rows[place, : len(best)] = best
        return scores, rows

    @property
    def queries(self):
        return np.arange(len(self.scores), dtype=np.float32)[:, None]


def test_hits_carry_ids_scores_and_ranks_from_one():
    table = Table([[0.25, 0.75, 0.5]])
    assert top(table.search, table.queries, 2, ["a", "b", "c"]) == [
        [Hit("b", 0.75, 1), Hit("c", 0.5, 2)]
    ]


def test_more_hits_than_documents_are_all_documents():
    table = Table([[0.25, 0.75, 0.5]])
    (ranking,) = top(table.search, table.queries, 1000, ["a", "b", "c"])
    assert [hit.doc_id for hit in ranking] == ["b", "c", "a"]


@given(
    scores=st.lists(st.lists(st.integers(0, 3), min_size=12, max_size=12), min_size=1, max_size=4),
    k=st.integers(1, 14),
    ids=st.permutations("abcdefghijkl"),
)
def test_ties_are_in_the_order_of_their_ids_also_across_the_cut(scores, k, ids):
    table = Table(scores)
    expected = [
        [doc_id for _, doc_id in sorted((-s, i) for s, i in zip(row, ids, strict=True))][:k]
        for row in scores
    ]
    rankings = top(table.search, table.queries, k, ids)
    assert [[hit.doc_id for hit in ranking] for ranking in rankings] == expected


def test_a_tie_across_the_cut_is_followed_to_its_end_and_no_further():
    scores = [[0.9] * 37 + [0.5] * 63, np.linspace(1, 0, 100)]
    ids = [f"{100 - row:03d}" for row in range(100)]
    table = Table(scores)
    tied, plain = top(table.search, table.queries, 10, ids)
    assert [hit.doc_id for hit in tied] == [f"{number:03d}" for number in range(64, 74)]
    assert [hit.doc_id for hit in plain] == ids[:10]
    assert table.asked == [(2, 11), (1, 22), (1, 44)]  # the second query needed no more


def test_the_first_of_a_tie_is_found_though_float32_noise_picked_it_later():
    exact = np.array([0.5, 0.5 - 1e-6, 0.5, 0.1, 0.0], np.float32)
    picked = Table([[0.5, 0.5 - 1e-6, 0.5 - 1.5e-6, 0.1, 0.0]])  # row 2 after row 1

    def search(queries, k):
        rows = picked.search(queries, k)[1][0]
        rows = rows[np.argsort(-exact[rows], kind="stable")]
        return exact[rows][None], rows[None]

    (ranking,) = top(search, picked.queries, 1, ["c", "b", "a", "d", "e"])
    assert ranking == [Hit("a", 0.5, 1)]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_padding_never_becomes_a_hit(k):
    asked = []

    def search(queries, depth):
        asked.append(depth)
        scores = np.full((1, depth), -np.inf, np.float32)
        rows = np.full((1, depth), -1, np.int64)
        scores[0, 0], rows[0, 0] = 0.5, 3
        return scores, rows

    ids = [f"d{row}" for row in range(9)]
    assert top(search, np.ones((1, 2), np.float32), k, ids) == [[Hit("d3", 0.5, 1)]]
    assert asked == [k + 1]  # an index that finds no more is not asked for more
    rows = np.array([-1, 3])
    assert hits(np.array([-np.inf, 0.5], np.float32), rows, k, ids) == [Hit("d3", 0.5, 1)]


def test_no_queries_have_no_rankings():
    table = Table(np.zeros((0, 3)))
    assert top(table.search, table.queries, 5, ["a", "b", "c"]) == []


@pytest.mark.parametrize("k", [0, -1])
def test_no_hits_cannot_be_asked_for(k):
    table = Table([[0.5]])
    with pytest.raises(ValueError, match=f"k is {k}, not at least 1"):
        top(table.search, table.queries, k, ["a"])
