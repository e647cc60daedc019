"""The top of a ranking read again: who moves, what stays below, what is remembered and told."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.errors import BadInput, UnknownName
from searchkit.records import Hit
from searchkit.search.reranking import Placed, Reranker, open_reranker, rerank

TEXTS = {
    "a": "The quick brown fox jumps over the lazy dog.",
    "b": "Pooling turns the hidden states of a text into one vector.",
    "c": "Vitamin D deficiency is associated with infection.",
    "d": "Attention decides which states know what.",
    "e": "the dog sleeps on " * 90,
}
RANKING = [Hit(doc_id, 5.0 - place, place) for place, doc_id in enumerate(TEXTS, start=1)]
QUERY = "which documents answer the query"


class Given:
    """Scores that the test knows; counts what it is asked."""

    fingerprint = "given"

    def __init__(self, scores):
        self.scores, self.asked = scores, []

    def score(self, query, passages):
        self.asked += passages
        return [self.scores[passage] for passage in passages]

    def truncated(self, query, passages):
        return sum(len(passage) > 99 for passage in passages)


def text_of(hit):
    return TEXTS[hit.doc_id]


def of(**scores):
    return Reranker("given", Given({TEXTS[doc_id]: score for doc_id, score in scores.items()}))


def test_the_first_are_reordered_and_the_rest_stay_below_in_their_order():
    reranker = of(a=0.1, b=0.9, c=-4.0)
    assert rerank(reranker, QUERY, RANKING, text_of, depth=3) == [
        Placed(Hit("b", 0.9, 1), 2, 3.0, 0.9),
        Placed(Hit("a", 0.1, 2), 1, 4.0, 0.1),
        Placed(Hit("c", -4.0, 3), 3, 2.0, -4.0),
        Placed(Hit("d", -5.0, 4), 4, 1.0, None),
        Placed(Hit("e", -6.0, 5), 5, 0.0, None),
    ]


@given(
    scores=st.lists(st.sampled_from([-2.0, 0.0, 0.0, 7.5]), min_size=5, max_size=5),
    depth=st.integers(1, 7),
)
def test_a_reranked_ranking_is_a_ranking_of_the_same(scores, depth):
    reranker = of(**dict(zip(TEXTS, scores, strict=True)))
    placed = rerank(reranker, QUERY, RANKING, text_of, depth=depth)
    assert sorted(one.item.doc_id for one in placed) == sorted(TEXTS)
    assert [one.item.rank for one in placed] == [1, 2, 3, 4, 5]
    found = [one.item.score for one in placed]
    assert found == sorted(found, reverse=True)
    for above, below in pairwise(placed):
        if above.reranked is not None and above.reranked == below.reranked:
            assert above.rank_before < below.rank_before  # ties stay as they were
        if above.reranked is None:
            assert below.reranked is None and below.rank_before == above.rank_before + 1
    assert sum(one.reranked is not None for one in placed) == min(depth, 5)


def test_no_more_is_read_than_was_asked_for():
    given_ = Given(dict.fromkeys(TEXTS.values(), 0.0))
    rerank(Reranker("given", given_), QUERY, RANKING, text_of, depth=2)
    assert given_.asked == [TEXTS["a"], TEXTS["b"]]


def test_what_was_ranked_is_left_as_it_was():
    before = list(RANKING)
    rerank(of(a=0.0, b=1.0, c=2.0, d=3.0, e=4.0), QUERY, RANKING, text_of)
    assert before == RANKING


def test_scores_are_remembered_by_what_was_read(tmp_path):
    scores = dict.fromkeys(TEXTS.values(), 0.5) | {TEXTS["c"]: 1 / 3}
    first, second, other = Given(scores), Given(scores), Given(scores)
    other.fingerprint = "other"
    rerank(Reranker("given", first, tmp_path), QUERY, RANKING, text_of, depth=3)
    again = Reranker("given", second, tmp_path)
    placed = rerank(again, QUERY, RANKING, text_of, depth=5)
    assert second.asked == [TEXTS["d"], TEXTS["e"]]  # the others came from the memory
    assert placed[-1].reranked == 1 / 3  # to the last bit
    assert again.passages_per_s > 0
    rerank(again, "another query", RANKING, text_of, depth=1)
    assert second.asked[2:] == [TEXTS["a"]]
    rerank(Reranker("given", other, tmp_path), QUERY, RANKING, text_of, depth=1)
    assert other.asked == [TEXTS["a"]]


def test_what_was_cut_is_counted_whether_it_is_remembered_or_not(tmp_path):
    scores = dict.fromkeys(TEXTS.values(), 0.5)
    for _ in range(2):
        reranker = Reranker("given", Given(scores), tmp_path)
        assert reranker.note() == ""
        rerank(reranker, QUERY, RANKING, text_of)
        assert (reranker.passages, reranker.truncated) == (5, 1)
        assert reranker.note() == ("given: 1 of 5 passages are longer than it reads, and were cut")


@pytest.mark.parametrize("name", ["query_likelihood", "llm_yes_no"])
def test_a_language_model_is_named_by_its_base_or_behind_a_colon(tiny_model, name):
    folder = str(tiny_model("llama"))
    by_base = open_reranker(name, base=folder, device="cpu")
    by_name = open_reranker(f"{name}:{folder}", device="cpu")
    assert (by_base.name, by_name.name) == (name, f"{name}:llama")
    assert by_base.fingerprint == by_name.fingerprint
    found = [rerank(one, QUERY, RANKING, text_of) for one in (by_base, by_name)]
    assert found[0] == found[1]
    assert by_base.truncated == 1


def test_a_cross_encoder_is_named_by_its_directory(tiny_cross_encoder):
    reranker = open_reranker(f"cross_encoder:{tiny_cross_encoder}", device="cpu")
    assert reranker.name == "cross_encoder:cross"
    placed = rerank(reranker, QUERY, RANKING, text_of, depth=4)
    assert sorted(one.item.doc_id for one in placed[:4]) == ["a", "b", "c", "d"]
    assert reranker.truncated == 0


def test_what_cannot_be_opened_is_refused():
    with pytest.raises(UnknownName, match=r"no rerank is called 'bm25'; .* query_likelihood"):
        open_reranker("bm25")
    with pytest.raises(BadInput, match="write cross_encoder:DIR"):
        open_reranker("cross_encoder")
    with pytest.raises(BadInput, match=r"has no config\.json"):
        open_reranker("cross_encoder:nowhere")
    with pytest.raises(UnknownName, match="searchkit models pull smollm2-135m"):
        open_reranker("query_likelihood")
    with pytest.raises(UnknownName, match="no base model 'nothing'"):
        open_reranker("query_likelihood:nothing")


def test_what_cannot_be_reranked_is_refused():
    with pytest.raises(BadInput, match="depth of reranking is 0"):
        rerank(of(), QUERY, RANKING, text_of, depth=0)
    with pytest.raises(BadInput, match="no words that passages could be read for"):
        rerank(of(), "  ", RANKING, text_of)
    assert rerank(of(), QUERY, [], text_of) == []
