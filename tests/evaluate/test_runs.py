"""TREC run files: the ranking that was shown is the ranking that trec_eval reads."""

import numpy as np
import pytest
import pytrec_eval
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchkit.errors import BadInput
from searchkit.evaluate.runs import read_run, write_run
from searchkit.records import Hit

IDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=3
).filter(lambda text: len(text.split()) == 1)
FEW_SCORES = st.sampled_from([1.0, 1.0 - 2**-30, 0.1, 0.0, -0.0, -1e-45, 1 / 3, 7e8])


@st.composite
def rankings(draw, scores=FEW_SCORES):
    ids = draw(st.lists(IDS, unique=True, max_size=8))
    values = sorted((draw(scores) for _ in ids), reverse=True)
    return [
        Hit(doc_id, score, rank)
        for rank, (doc_id, score) in enumerate(zip(ids, values, strict=True), 1)
    ]


def hits(*pairs):
    return [Hit(doc_id, score, rank) for rank, (doc_id, score) in enumerate(pairs, start=1)]


def test_a_run_is_six_columns_with_the_fewest_digits(tmp_path):
    path = tmp_path / "runs/bm25.run"
    score = float(np.float32(0.1))
    run = {"q2": hits(("d9", 12.5), ("d1", score)), "q1": hits(("d1", 1e-8)), "q3": []}
    write_run(path, run, "bm25")
    assert path.read_bytes() == (
        b"q2 Q0 d9 1 12.5 bm25\nq2 Q0 d1 2 0.1 bm25\nq1 Q0 d1 1 1e-08 bm25\n"
    )
    assert read_run(path) == {"q2": hits(("d9", 12.5), ("d1", 0.1)), "q1": hits(("d1", 1e-8))}
    assert list(tmp_path.glob("runs/.*")) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(IDS, rankings(), max_size=4))
def test_what_was_written_is_read_in_the_same_order(tmp_path, run):
    path = tmp_path / "run"
    write_run(path, run, "tag")
    read = read_run(path)
    assert list(read) == [query_id for query_id, ranking in run.items() if ranking]
    for query_id, ranking in read.items():
        assert [hit.doc_id for hit in ranking] == [hit.doc_id for hit in run[query_id]]
        assert [hit.rank for hit in ranking] == list(range(1, len(ranking) + 1))
        for hit, shown in zip(ranking, run[query_id], strict=True):
            assert hit.score == pytest.approx(shown.score, rel=1e-6, abs=1e-44)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rankings(st.floats(-1e9, 1e9, width=32)).filter(lambda ranking: distinct(ranking)))
def test_scores_that_differ_in_float32_are_read_as_they_were(tmp_path, ranking):
    path = tmp_path / "run"
    write_run(path, {"q": ranking}, "tag")
    read = read_run(path).get("q", [])
    assert [(hit.doc_id, np.float32(hit.score)) for hit in read] == [
        (hit.doc_id, np.float32(hit.score)) for hit in ranking
    ]


def distinct(ranking):
    return len({hit.score for hit in ranking}) == len(ranking)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(IDS, st.sampled_from([3.0, 2.0, 0.5, -1.0]), min_size=1, max_size=8))
def test_ties_are_read_as_trec_eval_ranks_them(tmp_path, scores):
    path = tmp_path / "run"
    lines = [f"q Q0 {doc_id} 0 {score} tag\n" for doc_id, score in scores.items()]
    path.write_text("".join(lines), encoding="utf-8")
    for hit in read_run(path)["q"]:
        judged = pytrec_eval.RelevanceEvaluator({"q": {hit.doc_id: 1}}, {"recip_rank"})
        assert judged.evaluate({"q": scores})["q"]["recip_rank"] == 1 / hit.rank


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("q1 Q0 d3 3 0.5", "5 columns, found 'q1 Q0 d3 3 0.5'; a line is: query-id Q0 doc-id"),
        ("q1 Q0 d 3 3 0.5 tag", "7 columns"),
        ("q1 Q0 d3 3 high tag", "the score is 'high'; it must be a finite number"),
        ("q1 Q0 d3 3 nan tag", "the score is 'nan'"),
        ("q1 Q0 d3 3 1e999 tag", "the score is '1e999'"),
        ("q1 Q0 d1 3 0.5 tag", "document 'd1' is ranked twice for query 'q1'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, said):
    path = tmp_path / "a.run"
    path.write_text(f"q1 Q0 d1 1 0.9 tag\nq1 Q0 d2 2 0.8 tag\n{line}\n")
    with pytest.raises(BadInput) as caught:
        read_run(path)
    assert str(caught.value).startswith(f"{path}:3: {said}")


@pytest.mark.parametrize(
    ("query_id", "doc_id", "tag", "said"),
    [
        ("q 1", "d1", "tag", "query id 'q 1' cannot stand in a TREC run"),
        ("q1", "Ada Lovelace", "tag", "document id 'Ada Lovelace' cannot"),
        ("q1", "d1\n", "tag", r"document id 'd1\\n' cannot"),
        ("q1", "d1", "my tag", "the tag 'my tag' cannot"),
        ("q1", "d1", "", "the tag '' cannot"),
    ],
)
def test_white_space_is_refused_before_anything_is_written(tmp_path, query_id, doc_id, tag, said):
    path = tmp_path / "a.run"
    path.write_text("as before")
    with pytest.raises(BadInput, match=said):
        write_run(path, {query_id: hits((doc_id, 1.0))}, tag)
    assert path.read_text() == "as before"


@pytest.mark.parametrize(
    ("ranking", "said"),
    [
        (
            hits(("d1", 0.5), ("d2", 0.6)),
            "scores rise along a ranking: 0.5 of 'd1', then 0.6 of 'd2'",
        ),
        (hits(("d1", float("nan"))), "the score of 'd1' is not finite in float32: nan"),
        (hits(("d1", 1e40)), "the score of 'd1' is not finite in float32: 1e[+]40"),
    ],
)
def test_a_ranking_that_is_none_is_a_broken_promise(tmp_path, ranking, said):
    with pytest.raises(ValueError, match=said):
        write_run(tmp_path / "run", {"q": ranking}, "tag")
