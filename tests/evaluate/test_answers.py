"""How good answers are."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from searchkit.answer import calibration, verification
from searchkit.encode.variant import Variant
from searchkit.errors import BadInput
from searchkit.evaluate import answer_calibration, answers
from searchkit.evaluate.answer_set import open_answers
from searchkit.evaluate.answers import Asked, System, auroc, evaluate, holds, of_questions, scores

from ..answer.conftest import Writer
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
        "article": query_id,
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


def width(asked, measure):
    (found,) = (one for one in of_questions("bm25", "", asked, 0.5, 0) if one.measure == measure)
    return found.high - found.low


def test_questions_of_one_article_are_drawn_together():
    def rows(articles):
        return [
            row(
                f"{half}{number}",
                half,
                (number % 8 + half) / 9,
                in_first=number % 8 > 3,
                article=f"{half}{number % articles}",
            )
            for half in (True, False)
            for number in range(160)
        ]

    apart, together = rows(160), rows(8)  # each article has 20 questions that fare alike
    for measure in ("answer in best sentence", "F1", "AUROC", "error", "answers without article"):
        if measure == "F1":  # of one value
            assert width(together, measure) == pytest.approx(0)
        else:
            assert width(together, measure) > 2 * width(apart, measure)
    weights = answers._resampled(together[:160], np.random.default_rng(0))
    assert weights.sum(axis=1) == pytest.approx(1)
    assert (weights[:, 0] == weights[:, 8]).all()
    assert width(rows(1), "answer in best sentence") == 0  # of one article nothing is known


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


def key(folder, system=BM25[0], encoder="", writer=(), seed=0):
    return answers._key(open_answers(folder, "test", seed), system, encoder, writer)


def test_what_was_kept_is_of_the_same_answers_halves_encoder_and_writer(tmp_path, monkeypatch):
    folder = write_answered(tmp_path / "facts")
    first = key(folder)
    assert first == key(folder)
    keys = {
        first,
        key(folder, encoder="abc"),
        key(folder, writer=("base", "abc")),
        key(folder, writer=("base", "abd")),
        key(folder, seed=1),
    }
    path = folder / "answers.jsonl"
    path.write_text(path.read_text().replace("1998", "1999"))
    keys.add(key(folder))
    monkeypatch.setattr(verification, "RULES", 0)
    keys.add(key(folder))
    assert len(keys) == 7


def test_what_was_kept_of_another_half_is_refused(tmp_path):
    folder, work = write_answered(tmp_path / "facts"), tmp_path / "evaluations" / "answers"
    evaluate(folder, BM25, work)
    (kept,) = (work / "asked").iterdir()
    kept.write_text(kept.read_text().replace('"in_index": true', '"in_index": false'))
    with pytest.raises(BadInput, match="was not in the index, and now it is; delete it"):
        evaluate(folder, BM25, work)


def test_sentences_in_place_of_a_text_are_none_of_the_models(tmp_path):
    folder, work = write_answered(tmp_path / "facts"), tmp_path / "evaluations" / "answers"
    rows = evaluate(folder, BM25, work, generator=Writer(lambda told: "Nobody knows that [1]."))
    found = {one.measure: one.value for one in rows}
    assert found["answer in answer"] == found["verified"] == 0
    assert found["abstains with article"] == 1


def test_numbers_are_learned_of_words_and_vectors_together(tmp_path):
    folder, work = write_answered(tmp_path / "facts"), tmp_path / "evaluations" / "answers"
    with pytest.raises(BadInput, match="give --bm25 and a --variant"):
        answer_calibration.calibrate(folder, BM25, work)


def test_numbers_are_learned_and_tell_answers_from_none(tmp_path, base):
    folder, work = write_answered(tmp_path / "facts"), tmp_path / "evaluations" / "answers"
    variant = Variant(attention="causal", pooling="mean", base=base, max_tokens=64)
    systems = (*BM25, System("tiny", variant))
    learned = answer_calibration.calibrate(folder, systems, work, split="train", command="as typed")
    assert learned.how["questions"] == 8
    assert learned.how["command"] == "as typed"
    assert "similarity" in learned.vectors.model.weights
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
