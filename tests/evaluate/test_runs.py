"""Runs: fused by rank, and saved so that trec_eval reads the ranking that was shown."""

import numpy as np
import pytest
import pytrec_eval
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchkit.errors import BadInput, UnknownName
from searchkit.evaluate.runs import fuse, load_run, read_run, save_runs, word, write_run
from searchkit.records import Hit, Judgement

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


def ids(run):
    return {query: [hit.doc_id for hit in ranking] for query, ranking in run.items()}


FIRST = {"q1": hits(("a", 9.0), ("b", 8.0)), "q2": hits(("c", 1.0)), "q3": []}
SECOND = {"q1": hits(("b", 0.3), ("c", 0.2), ("a", 0.1)), "q4": hits(("a", 0.1))}


class TestFusion:
    def test_is_by_reciprocal_ranks(self):
        fused = fuse([FIRST, SECOND], 10)
        # Of "q1": b at ranks 2 and 1, a at 1 and 3, c at 2 alone.
        scores = {"b": 1 / 62 + 1 / 61, "a": 1 / 61 + 1 / 63, "c": 1 / 62}
        assert [(hit.doc_id, hit.rank) for hit in fused["q1"]] == [("b", 1), ("a", 2), ("c", 3)]
        assert {hit.doc_id: hit.score for hit in fused["q1"]} == pytest.approx(scores)

    def test_takes_a_query_that_a_run_misses_as_one_without_hits(self):
        fused = fuse([FIRST, SECOND], 10)
        assert ids(fused) == {"q1": ["b", "a", "c"], "q2": ["c"], "q3": [], "q4": ["a"]}

    def test_keeps_as_much_as_it_is_asked_for(self):
        assert ids(fuse([FIRST, SECOND], 1))["q1"] == ["b"]

    def test_of_one_run_is_its_ranking(self):
        assert ids(fuse([SECOND], 10)) == ids(SECOND)

    def test_is_blind_to_the_order_of_runs(self):
        runs = [FIRST, SECOND, {"q1": hits(("d", 1.0), ("b", 0.5))}]
        assert fuse(runs, 10) == {query: fuse(runs[::-1], 10)[query] for query in fuse(runs, 10)}

    def test_is_a_choice_of_the_folder(self):
        with pytest.raises(UnknownName, match="no fusion is called 'borda'; there are: "):
            fuse([FIRST], 10, "borda")


ODD = [
    "a b",
    "a/b",
    "a%20b",
    "100%",
    "tab\there",
    "ä ö",
    "plain",
    "c%2Fd",
    ".",
    "..",
    "\N{NO-BREAK SPACE}",
]


def judged(*doc_ids, query="q 1"):
    return [Judgement(query, doc_id, 1) for doc_id in doc_ids]


class TestFolders:
    def test_hold_a_file_for_each_run_and_nothing_else(self, tmp_path):
        runs = {"bm25": {"q": hits(("d", 1.0))}, "hybrid(x)": {}}
        save_runs(tmp_path / "runs", {"earlier": {"q": hits(("d", 1.0))}})
        save_runs(tmp_path / "runs", runs)
        files = sorted(path.name for path in (tmp_path / "runs").iterdir())
        assert files == ["bm25.trec", "hybrid(x).trec"]
        assert (tmp_path / "runs/bm25.trec").read_text() == "q Q0 d 1 1.0 bm25\n"

    def test_hold_any_name_and_give_back_any_id(self, tmp_path):
        ranking = hits(*((name, float(-place)) for place, name in enumerate(ODD)))
        runs = {name: {"q 1": ranking, "q%201": ranking[:1]} for name in ODD}
        save_runs(tmp_path / "deep/runs", runs)
        files = list((tmp_path / "deep/runs").iterdir())
        assert len(files) == len(ODD)
        assert [path.name for path in tmp_path.iterdir()] == ["deep"]
        for file in files:
            lines = file.read_text().splitlines()
            assert all(len(line.split()) == 6 for line in lines)
            assert len(lines) == len(ODD) + 1
            loaded = load_run(file, [*judged(*ODD), *judged("plain", query="q%201")])
            assert loaded == {"q 1": ranking, "q%201": ranking[:1]}

    def test_give_back_ids_that_nobody_judged_if_they_are_told(self, tmp_path):
        save_runs(tmp_path, {"bm25": {"q": hits(("a b", 2.0), ("a%", 1.0), ("c", 0.5))}})
        file = tmp_path / "bm25.trec"
        assert ids(load_run(file, judged("c", query="q"))) == {"q": ["a%20b", "a%25", "c"]}
        told = load_run(file, judged("c", query="q"), ["a b", "a%", "c", "d"])
        assert ids(told) == {"q": ["a b", "a%", "c"]}

    def test_are_not_asked_for_ids_where_none_is_encoded(self, tmp_path):
        save_runs(tmp_path, {"bm25": {"q": hits(("a", 2.0))}})

        def read_the_corpus():
            raise AssertionError("a large corpus was read for nothing")
            yield

        loaded = load_run(tmp_path / "bm25.trec", judged("b"), read_the_corpus())
        assert ids(loaded) == {"q": ["a"]}

    def test_take_ids_of_a_run_from_elsewhere_as_they_are(self, tmp_path):
        (tmp_path / "run").write_text("1 Q0 http://x/a%20b 1 2.5 t\n1 Q0 c%20d 2 1.5 t\n")
        loaded = load_run(tmp_path / "run", judged("http://x/a%20b", query="1"), ["c"])
        assert ids(loaded) == {"1": ["http://x/a%20b", "c%20d"]}


@given(st.text(min_size=1, max_size=5), st.text(min_size=1, max_size=5))
def test_a_word_is_one_name_of_a_file_and_no_other_names_word(first, second):
    for name in (first, second):
        assert len(word(name).split()) == 1
        assert "/" not in word(name) and "\0" not in word(name)
        assert word(name) not in (".", "..")
    assert (word(first) == word(second)) == (first == second)


def test_a_word_is_never_the_folder_itself_or_the_one_above():
    assert [word(name) for name in (".", "..", "...", "a.b")] == ["%2E", "%2E%2E", "...", "a.b"]
