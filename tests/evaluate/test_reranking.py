"""Reranking: orders and measures worked by hand, for dense, lexical and fused runs."""

import numpy as np
import pytest

from searchkit.corpus.labelled import Candidate, CandidateList, RerankingSet
from searchkit.errors import BadInput
from searchkit.evaluate.tasks import reranking
from searchkit.index.text import bm25
from searchkit.records import Hit


def angles(**degrees):
    """An encoder of words to directions in the plane."""

    def encode(texts, role):
        radians = np.radians([degrees[text] for text in texts])
        return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)

    return encode


def toy(**lists):
    """query=[(doc id, text, grade), ...]; the query's id is its text in capitals."""
    return RerankingSet(
        "toy",
        "test",
        tuple(
            CandidateList(query.upper(), query, tuple(Candidate(*one) for one in candidates))
            for query, candidates in lists.items()
        ),
    )


DATA = toy(
    east=[("d3", "north", 0), ("d1", "near", 1), ("d2", "west", 1)],
    south=[("d9", "near", 0), ("d2", "west", 1), ("d0", "west", 0)],
)
PLACES = angles(east=0, south=-90, north=90, near=10, west=170)


def ids(run):
    return {query: [hit.doc_id for hit in ranking] for query, ranking in run.items()}


def test_candidates_are_ranked_by_cosine_then_by_id():
    run = reranking.rank(DATA, PLACES)
    assert ids(run) == {"EAST": ["d1", "d3", "d2"], "SOUTH": ["d0", "d2", "d9"]}
    assert [hit.rank for hit in run["EAST"]] == [1, 2, 3]
    expected = np.cos(np.radians([10, 90, 170]))
    assert [hit.score for hit in run["EAST"]] == pytest.approx(expected, abs=1e-6)


def test_scores_are_those_of_the_ranking():
    # Relevant at ranks 1 and 3 of the first query, and at 2 of the second.
    found = reranking.score(DATA, PLACES)
    log2 = np.log2
    assert found == {
        "AP": {"EAST": pytest.approx((1 / 1 + 2 / 3) / 2), "SOUTH": 0.5},
        "RR@10": {"EAST": 1, "SOUTH": 0.5},
        "nDCG@10": {
            "EAST": pytest.approx((1 + 1 / log2(4)) / (1 + 1 / log2(3)), abs=1e-6),
            "SOUTH": pytest.approx(1 / log2(3), abs=1e-6),
        },
    }
    assert list(found) == list(reranking.MEASURES)


def test_queries_and_candidates_are_encoded_once_each_in_their_roles():
    calls = []

    def encode(texts, role):
        calls.append((list(texts), role))
        return PLACES(texts, role)

    reranking.rank(DATA, encode)
    assert calls == [(["east", "south"], "query"), (["north", "near", "west"], "passage")]


class TestRelevance:
    @pytest.mark.parametrize(("highest", "level"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2)])
    def test_begins_at_half_of_the_highest_grade(self, highest, level):
        assert reranking.relevance_level(toy(east=[("a", "x", 0), ("b", "y", highest)])) == level

    def test_is_what_binary_measures_count_from_and_ndcg_does_not(self):
        data = toy(east=[("a", "near", 1), ("b", "north", 3), ("c", "west", 2)])
        found = reranking.score(data, PLACES, ["AP", "RR@10", "P@2", "AP(rel=1)", "nDCG@10"])
        ideal = 3 + 2 / np.log2(3) + 1 / 2
        assert found == {
            "AP": {"EAST": pytest.approx((1 / 2 + 2 / 3) / 2)},
            "RR@10": {"EAST": 0.5},
            "P@2": {"EAST": 0.5},
            "AP(rel=1)": {"EAST": 1},
            "nDCG@10": {"EAST": pytest.approx((1 + 3 / np.log2(3) + 2 / 2) / ideal, abs=1e-6)},
        }

    def test_joins_the_parameters_that_a_measure_has(self):
        data = toy(east=[("a", "near", 1), ("b", "north", 3), ("c", "west", 2)])
        found = reranking.score(data, PLACES, ["AP(judged_only=True)", " AP @ 2"])
        assert found["AP(judged_only=True)"] == {"EAST": pytest.approx((1 / 2 + 2 / 3) / 2)}
        assert found[" AP @ 2"] == {"EAST": pytest.approx(1 / 2 / 2)}

    def test_is_no_matter_for_a_name_that_is_no_measure(self):
        data = toy(east=[("a", "near", 3)])
        for name in ["Spearman", "1 + 1", "", "nDCG@0"]:
            with pytest.raises(BadInput, match="is not a measure that can be computed here"):
                reranking.score(data, PLACES, [name])


WORDS = toy(
    ferry=[
        ("d4", "the ferry leaves", 1),
        ("d3", "ferry ferry tide", 0),
        ("d2", "sheep graze", 1),
        ("d1", "the ferry leaves", 0),
        ("d0", "an empty sea", 0),
    ],
    sheep=[("d3", "ferry ferry tide", 1), ("d2", "sheep graze", 0)],
)


class TestLexical:
    def test_is_bm25_over_the_distinct_candidates_of_the_set(self):
        run = reranking.lexical(WORDS, bm25.Parameters())
        texts = ["the ferry leaves", "ferry ferry tide", "sheep graze", "an empty sea"]
        index = bm25.build(texts, bm25.Parameters())
        (found,) = index.search(["ferry"], 4, texts)
        score = {hit.doc_id: hit.score for hit in found}
        assert len(score) == 2
        assert run["FERRY"] == [
            Hit("d3", score["ferry ferry tide"], 1),
            Hit("d1", score["the ferry leaves"], 2),
            Hit("d4", score["the ferry leaves"], 3),
        ]

    def test_leaves_out_what_shares_no_word_and_takes_its_parameters(self):
        assert ids(reranking.lexical(WORDS, bm25.Parameters()))["SHEEP"] == ["d2"]
        with_the = toy(the=[("a", "the ferry", 0), ("b", "a sheep", 1)])
        for stop_words, expected in [("english", []), ("none", ["a"])]:
            run = reranking.lexical(with_the, bm25.Parameters(stop_words=stop_words))
            assert ids(run) == {"THE": expected}

    def test_with_nothing_to_index_finds_nothing(self):
        run = reranking.lexical(toy(ferry=[("a", "!", 1)]), bm25.Parameters())
        assert run == {"FERRY": []}


class TestComplete:
    def test_puts_what_a_run_lacks_last_by_id_and_no_score_rises(self):
        run = {"FERRY": [Hit("d3", 2.5, 1), Hit("d4", -1.0, 2)]}
        completed = reranking.complete(WORDS, run)
        assert ids(completed) == {"FERRY": ["d3", "d4", "d0", "d1", "d2"], "SHEEP": ["d2", "d3"]}
        for ranking in completed.values():
            assert [hit.rank for hit in ranking] == list(range(1, len(ranking) + 1))
            scores = [hit.score for hit in ranking]
            assert scores == sorted(scores, reverse=True)
        assert ids(run) == {"FERRY": ["d3", "d4"]}

    def test_is_what_a_run_is_measured_as(self):
        # Relevant: d2 and d4, which complete to ranks 4 and 5; and the only one, at rank 2.
        run = {"FERRY": [Hit("d3", 2.5, 1)], "SHEEP": [Hit("d2", 1.0, 1)]}
        assert reranking.score_run(WORDS, run, ["AP"]) == {
            "AP": {"FERRY": pytest.approx((1 / 4 + 2 / 5) / 2), "SHEEP": 0.5}
        }

    @pytest.mark.parametrize("ranking", [["d3", "d9"], ["d3", "d2", "d3"]])
    def test_refuses_what_is_no_ranking_of_the_candidates(self, ranking):
        run = {"SHEEP": [Hit(doc_id, -rank, rank) for rank, doc_id in enumerate(ranking, 1)]}
        with pytest.raises(BadInput, match=r"^'d[39]' is not among the 2 candidates of query 'SHE"):
            reranking.complete(WORDS, run)
