"""Measures: trec_eval's values, over every judged query, of the ranking that was shown."""

import subprocess
import sys

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from searchkit.errors import BadInput
from searchkit.evaluate.measures import DEFAULT, check, cutoff, score
from searchkit.records import Hit, Judgement

TREC_EVAL = {"nDCG@10": "ndcg_cut_10", "R@100": "recall_100", "AP": "map", "RR": "recip_rank"}

doc_ids = st.sampled_from([f"d{i}" for i in range(12)])
query_ids = st.sampled_from([f"q{i}" for i in range(5)])
runs = st.dictionaries(query_ids, st.lists(doc_ids, unique=True))
qrels = st.dictionaries(
    query_ids, st.dictionaries(doc_ids, st.integers(-1, 3), min_size=1), min_size=1
)


def ranked(run, tied=False):
    return {
        query_id: [
            Hit(doc_id, 1.0 if tied else 1 / rank, rank) for rank, doc_id in enumerate(ranking, 1)
        ]
        for query_id, ranking in run.items()
    }


def judged(grades):
    return [
        Judgement(query_id, doc_id, grade)
        for query_id, documents in grades.items()
        for doc_id, grade in documents.items()
    ]


@given(runs, qrels)
def test_values_are_those_of_trec_eval(run, grades):
    found = score(ranked(run), judged(grades), [*TREC_EVAL, "RR@10"])
    scored = {
        query_id: {doc_id: -float(i) for i, doc_id in enumerate(ranking)}
        for query_id, ranking in run.items()
    }
    oracle = pytrec_eval.RelevanceEvaluator(grades, set(TREC_EVAL.values())).evaluate(scored)
    for name, trec_name in TREC_EVAL.items():
        assert found[name] == {
            query_id: oracle[query_id][trec_name] if query_id in oracle else 0.0
            for query_id in grades
        }
    # No ranking here is longer than 12: RR@10 differs where the first relevant is 11th or 12th.
    assert found["RR@10"] == {
        query_id: value if value >= 0.1 else 0.0 for query_id, value in found["RR"].items()
    }


@given(runs, qrels)
def test_ties_stay_in_the_order_shown(run, grades):
    assert score(ranked(run, tied=True), judged(grades)) == score(ranked(run), judged(grades))


@given(runs, qrels)
def test_ndcg_is_between_0_and_1(run, grades):
    values = score(ranked(run), judged(grades), ["nDCG@10"])["nDCG@10"]
    assert all(0 <= value <= 1 for value in values.values())


@given(qrels)
def test_ndcg_of_the_ideal_ranking_is_1(grades):
    ideal = {
        query_id: sorted(documents, key=lambda doc_id: -documents[doc_id])
        for query_id, documents in grades.items()
    }
    values = score(ranked(ideal), judged(grades), ["nDCG@10"])["nDCG@10"]
    for query_id, documents in grades.items():
        answerable = any(grade > 0 for grade in documents.values())
        assert values[query_id] == pytest.approx(1.0 if answerable else 0.0)


def test_every_judged_query_counts():
    """By hand: one of two relevant is second, one query is missed, one answered with nothing."""
    run = ranked({"found": ["x", "a"], "nothing": [], "hopeless": ["a"], "unjudged": ["a"]})
    grades = {
        "found": {"a": 1, "b": 1},
        "missed": {"a": 1},
        "nothing": {"a": 1},
        "hopeless": {"a": 0},
    }
    found = score(run, judged(grades), [*DEFAULT, "Judged@10", "P@1"])
    assert list(found) == [*DEFAULT, "Judged@10", "P@1"]
    for name, value in (("R@100", 0.5), ("RR@10", 0.5), ("AP", 0.25), ("P@1", 0.0)):
        assert found[name] == {"found": value, "missed": 0.0, "nothing": 0.0, "hopeless": 0.0}
    assert found["Judged@10"] == {"found": 0.5, "missed": 0.0, "nothing": 0.0, "hopeless": 1.0}


def test_a_query_without_relevant_documents_scores_0_as_in_trec_eval():
    oracle = pytrec_eval.RelevanceEvaluator({"q": {"d": 0}}, set(TREC_EVAL.values()))
    assert set(oracle.evaluate({"q": {"d": 1.0}})["q"].values()) == {0.0}
    found = score(ranked({"q": ["d"]}), [Judgement("q", "d", 0)], list(TREC_EVAL))
    assert found == {name: {"q": 0.0} for name in TREC_EVAL}


def test_a_very_negative_grade_is_not_relevant():
    found = score(ranked({"q": ["a", "b"]}), judged({"q": {"a": -900_000, "b": 1}}), ["RR"])
    assert found == {"RR": {"q": 0.5}}


@pytest.mark.parametrize(
    "name",
    [
        "nDCG@10",
        " nDCG@10 ",
        "nDCG(judged_only=True)@10",
        "P(rel=2)@5",
        "IPrec@0.1",
        "Rprec",
        "Success@1",
        "Bpref",
        "Compat(p=0.9)",
    ],
)
def test_names_are_those_of_ir_measures(name):
    check([name])
    assert list(score(ranked({"q": ["d"]}), [Judgement("q", "d", 2)], [name])[name]) == ["q"]


@pytest.mark.parametrize(
    "name",
    [
        "ndcg@10",
        "nDCG@ten",
        "nDCG@0",
        "nDCG@-1",
        "nDCG@99999999999999999999",
        "nDCG@10@5",
        "nDCG@10.5",
        "nDCG(cutof=3)",
        "nDCG(3)@10",
        "P",
        "P(rel=0)@5",
        "P(rel='2')@5",
        "Judged@0",
        "alpha_nDCG@10",
        "ERR@10",
        "foo bar",
        "__import__('os')",
        "(" * 500,
        "",
    ],
)
def test_what_is_no_measure_is_named_with_examples(name):
    for act in (lambda: check([name]), lambda: score({}, [Judgement("q", "d", 1)], ["AP", name])):
        with pytest.raises(BadInput, match="there are nDCG@10, R@100") as caught:
            act()
        assert str(caught.value).startswith(repr(name))


@pytest.mark.parametrize(
    ("name", "looks_at"),
    [
        ("nDCG@10", 10),
        ("P(rel=2)@5", 5),
        (" AP @ 2 ", 2),
        ("AP", None),
        ("Rprec", None),
        ("IPrec@1.0", None),  # whose number is a recall
    ],
)
def test_a_cutoff_is_how_much_of_a_ranking_is_looked_at(name, looks_at):
    assert cutoff(name) == looks_at


@given(runs, qrels)
def test_what_lies_below_the_cutoff_changes_nothing(run, judged):
    judgements = [Judgement(q, d, grade) for q, of in judged.items() for d, grade in of.items()]
    for name in ("nDCG@3", "RR@3", "R@3", "P@3", "AP@3", "Judged@3"):
        cut = {query_id: ranking[: cutoff(name)] for query_id, ranking in ranked(run).items()}
        assert score(cut, judgements, [name]) == score(ranked(run), judgements, [name])


def test_a_cutoff_is_of_a_measure():
    with pytest.raises(BadInput, match="'nDCG10' is not a measure"):
        cutoff("nDCG10")


def test_broken_promises_are_value_errors():
    with pytest.raises(ValueError, match="no judgements"):
        score({}, [])
    with pytest.raises(ValueError, match="twice among the 3 hits of 'q'"):
        score(ranked({"q": ["a", "b", "a"]}), [Judgement("q", "a", 1)])


def test_importing_measures_does_not_import_ir_measures():
    code = "import sys, searchkit.evaluate.measures; sys.exit('ir_measures' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
