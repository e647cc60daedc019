"""Which sentences answer, and when none does."""

import json
from dataclasses import replace

from searchkit.answer import abstention, calibration, extractive, terms
from searchkit.answer.calibration import Calibration, Judge, Logistic
from searchkit.answer.evidence import Evidence, Found

from .conftest import passage

EVIDENCE = (
    passage(
        1, "The ferry is white. It was built in 1998 at Lochend. Does the ferry sink?", "Ferry"
    ),
    passage(2, "Visitors pay 12.50 for the ferry. Marta Lind books it."),
    passage(3, "Sheep graze on the cliffs."),
)


def found(question, evidence=EVIDENCE):
    return Found(terms.read(question), evidence, [one.result for one in evidence])


def counted(question):
    looked = found(question)
    return {
        one.result.text[start:end]: held
        for one in looked.evidence
        for start, end, held in extractive.features(looked, one)
    }


def test_every_sentence_is_counted():
    rows = counted("When was the ferry built at Lochend?")
    assert len(rows) == 6
    built = rows["It was built in 1998 at Lochend."]
    assert built["kind_met"] == 1
    assert rows["The ferry is white."]["kind_missed"] == 1
    assert built["around"] == 1  # the title says ferry
    assert built["pairs"] == 0
    assert counted("Who is Marta Lind?")["Marta Lind books it."]["pairs"] == 1
    assert rows["Does the ferry sink?"]["question"] == 1
    assert rows["Sheep graze on the cliffs."]["sentence"] == 0
    shares = ("sentence", "around", "passage", "pairs", "names")
    assert all(0 <= row[name] <= 1 for row in rows.values() for name in shares)


def test_the_best_sentences_are_verbatim_and_none_is_repeated():
    looked = found("Who books the ferry?", (*EVIDENCE, passage(4, EVIDENCE[1].result.text)))
    ranked = extractive.ranked(looked)
    assert [one.probability for one in ranked] == sorted(
        (one.probability for one in ranked), reverse=True
    )
    chosen = extractive.best(ranked)
    texts = [one.text for one in chosen]
    assert 1 <= len(texts) <= extractive.SHOWN
    assert len(set(texts)) == len(texts)
    assert all(one.text in one.evidence.result.text for one in chosen)


def test_what_is_missing_is_named_as_it_was_written():
    assert abstention.missing(found("Where do zebras eat?")) == "no passage has: zebras, eat"
    assert "brings them together" in abstention.missing(found("Who books the sheep?"))
    assert abstention.missing(found("ferry", ())) == "nothing was found"


def test_passages_of_one_file_are_compared_with_each_other():
    texts = ("The ferry leaves at eight.", "The ferry is white and leaves.", "Sheep graze.")
    pool = [
        replace(passage(number, text).result, key="one.md") for number, text in enumerate(texts)
    ]
    evidence = [Evidence(number, one) for number, one in enumerate(pool, start=1)]
    found = Found(terms.read("When does the ferry leave?"), evidence, pool)
    lead = abstention.features(found, extractive.ranked(found))["lead"]
    apart = [replace(one, key=one.text) for one in pool]
    evidence = [Evidence(number, one) for number, one in enumerate(apart, start=1)]
    other = Found(found.asked, evidence, apart)
    assert lead == abstention.features(other, extractive.ranked(other))["lead"]


def test_nothing_found_is_no_confidence():
    nothing = found("ferry", ())
    assert extractive.ranked(nothing) == []
    assert abstention.confidence(nothing, []) == 0
    assert not nothing.has_vectors


def test_vectors_tell_how_far_a_passage_stands_out():
    from dataclasses import replace

    scores = (0.9, 0.5, 0.4)
    results = [
        replace(one.result, lists=(("bm25", one.number, 1.0), ("tuned", one.number, score)))
        for one, score in zip(EVIDENCE, scores, strict=True)
    ]
    looked = Found(terms.read("ferry"), EVIDENCE, results)
    assert looked.has_vectors
    assert looked.similarity(results[0]) > 1
    assert looked.similarity(results[2]) < 0
    assert not found("ferry").similarity(EVIDENCE[0].result)


def test_the_shipped_numbers_say_how_they_were_made_and_fit_the_features():
    shipped = calibration.shipped()
    assert {"command", "collection", "fingerprint", "split", "seed"} <= set(shipped.how)
    looked = found("Who books the ferry?")
    rows = counted("Who books the ferry?")
    assert set(shipped.sentences.weights) == set(next(iter(rows.values())))
    features = abstention.features(looked, extractive.ranked(looked))
    assert set(shipped.vectors.model.weights) == set(features)
    assert set(shipped.words.model.weights) < set(features)
    assert all(0 < one.threshold < 1 for one in (shipped.words, shipped.vectors))


def test_a_calibration_is_read_as_it_was_written():
    model = Logistic(0.5, {"a": 1.25})
    one = Calibration(model, Judge(model, 0.4), Judge(model, 0.6), {"seed": 0})
    assert calibration.of_json(json.loads(calibration.to_json(one))) == one


def test_probabilities_and_logits_are_each_other_undone():
    for value in (-800.0, -2.0, 0.0, 2.0, 800.0):
        assert 0 <= calibration.probability(value) <= 1
    assert abs(calibration.logit(calibration.probability(2.0)) - 2.0) < 1e-9
    assert calibration.logit(0.0) < -10
