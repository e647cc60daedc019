"""How good answers are."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from searchkit.answer import calibration
from searchkit.evaluate import answer_calibration, answers
from searchkit.evaluate.answers import Asked, System, auroc, evaluate, holds, of_questions, scores

from .answered import write_answered

BM25 = (System("bm25"),)


@pytest.mark.parametrize(
    ("text", "right", "exact", "f1"),
    [
        ("The kitchen.", ["kitchen"], 1, 1),
        ("in the kitchen", ["the kitchen", "cellar"], 0, 2 / 3),
        ("the cellar", ["kitchen"], 0, 0),
        ("a", ["the"], 1, 1),  # nothing is left of either
        ("", ["kitchen"], 0, 0),
        ("two two three", ["two three four"], 0, 2 / 3),
    ],
)
def test_exact_match_and_f1_are_squads(text, right, exact, f1):
    assert scores(text, right) == (exact, pytest.approx(f1))


def test_an_answer_is_held_word_for_word():
    assert holds("It is 12.50 for all.", ["12.50"])
    assert not holds("It is a kitchenette.", ["kitchen"])
    assert not holds("It is the one.", ["the"])


def test_the_area_is_scikit_learns():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, 40) / 8, rng.integers(0, 7, 30) / 8
    expected = roc_auc_score([1] * 40 + [0] * 30, np.concatenate([first, second]))
    assert auroc(first, second) == pytest.approx(expected)


def row(query_id, in_index, confidence, **more):
    fields = {
        "in_passages": in_index,
        "in_first": in_index,
        "in_answer": in_index,
        "exact": 0.0,
        "f1": 0.5,
        "claims": 2,
        "verified": 1.0,
        "answered": True,
        "seconds": 0.1,
    }
    return Asked(query_id=query_id, in_index=in_index, confidence=confidence, **fields | more)


def test_figures_are_counted_by_hand():
    asked = [
        row("a", True, 0.9),
        row("b", True, 0.4, claims=0, verified=1.0, answered=False, f1=0.0),
        row("c", True, 0.7, in_first=False),
        row("d", False, 0.6, verified=0.5),
        row("e", False, 0.1),
    ]
    found = {one.measure: one for one in of_questions("bm25", "extractive", asked, 0.5, 0)}
    values = {measure: pytest.approx(one.value) for measure, one in found.items()}
    assert values == {
        "answer in passages": 1.0,
        "answer in best sentence": 2 / 3,
        "answer in answer": 1.0,
        "exact match": 0.0,
        "F1": 1 / 3,
        "verified": 1.0,
        "verified, no article": 0.75,
        "AUROC": 5 / 6,
        "error": (1 / 3 + 1 / 2) / 2,
        "answers without article": 0.5,
        "abstains with article": 1 / 3,
    }
    assert set(found) == set(answers.MEASURES)
    assert all(one.low <= one.value <= one.high for one in found.values())
    assert found["verified"].questions == 2  # of those that have any
    text = answers.csv_of(list(found.values()))
    assert text.splitlines()[0] == "system,mode,measure,value,low,high,questions"
    assert len(json.loads(answers.json_of(list(found.values())))) == len(found)


def test_a_set_is_asked_and_a_run_goes_on_where_it_ended(tmp_path, monkeypatch):
    folder, work = write_answered(tmp_path / "facts"), tmp_path / "evaluations" / "answers"
    rows = evaluate(folder, BM25, work)
    found = {one.measure: one.value for one in rows}
    assert found["answer in passages"] == 1
    assert found["answer in best sentence"] >= 0.75
    assert found["AUROC"] > 0.8
    (kept,) = (work / "asked").iterdir()
    lines = kept.read_text().splitlines()
    assert len(lines) == 8
    kept.write_text("\n".join([*lines[:5], lines[5][:20]]))  # ended in the midst of a line
    asked = []
    ask = answers._ask
    monkeypatch.setattr(answers, "_ask", lambda *given: asked.append(given) or ask(*given))
    assert [one.value for one in evaluate(folder, BM25, work)] == [one.value for one in rows]
    assert len(asked) == 3


def test_numbers_are_learned_and_tell_answers_from_none(tmp_path):
    folder, work = write_answered(tmp_path / "facts"), tmp_path / "evaluations" / "answers"
    learned = answer_calibration.calibrate(folder, BM25, work, split="train", command="as typed")
    assert learned.how["questions"] == 8
    assert learned.how["command"] == "as typed"
    assert learned.vectors == calibration.shipped().vectors  # no vectors, so nothing new of them
    assert not {"similarity", "agreement"} & set(learned.words.model.weights)
    assert 0 < learned.words.threshold < 1
    assert calibration.of_json(json.loads(calibration.to_json(learned))) == learned


def test_the_threshold_is_where_both_errors_are_least():
    confidences = [0.1, 0.2, 0.3, 0.6, 0.7, 0.9]
    assert (
        answer_calibration._threshold(confidences, [False, False, False, True, True, True]) == 0.45
    )
    assert (
        answer_calibration._threshold(confidences, [False, True, False, True, True, True]) == 0.45
    )
