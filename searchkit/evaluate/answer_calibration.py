"""The numbers of `answer/calibration.json`, learned from questions with answers.

Half of the articles that a split asks about are taken out of an index, then the other half, so that
every question is asked once with its article there and once without. A sentence answers if it has a
right answer in it and is of the right document.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from searchkit.answer import abstention, extractive
from searchkit.answer.answering import look
from searchkit.answer.calibration import Calibration, Judge, Logistic, probability
from searchkit.errors import BadInput
from searchkit.evaluate.answer_set import Question, open_answers
from searchkit.evaluate.answers import K, System, holds, open_half
from searchkit.search.watcher import Watcher

if TYPE_CHECKING:
    from searchkit.answer.evidence import Found

Features = dict[str, float]
_VECTORS_ONLY = ("similarity", "agreement")


def calibrate(
    folder: Path,
    systems: Sequence[System],
    work: Path,
    *,
    split: str = "train",
    questions: int = 1_500,
    seed: int = 0,
    device: str | None = None,
    command: str = "",
    watcher: Watcher | None = None,
) -> Calibration:
    """Learn which sentences answer, and when there is no answer.

    Args:
        folder: a collection with answers.
        systems: BM25, for evidence by words, and one or more with vectors.
        work: where indexes are kept.
        split: whose questions; not the one that is reported on.
        questions: so many of each half.
        seed: of halves and samples.
        device: where queries are encoded.
        command: kept with what was learned.
        watcher: told how it goes on.

    Raises:
        BadInput: there is no system of one kind, the collection has no answers, or too few
            questions to learn from.
    """
    if len({system.variant is None for system in systems}) < 2:
        raise BadInput(
            "sentences are judged alike whatever found them, so evidence by words and by vectors "
            "is learned from together; give --bm25 and a --variant"
        )
    watcher = watcher or Watcher()
    found = open_answers(folder, split, seed)
    looked: dict[bool, list[tuple[Question, bool, Found]]] = {False: [], True: []}
    asked = [(one, half) for half in (0, 1) for one in found.sample(half, questions, seed)]
    for system in systems:
        of = looked[system.variant is not None]
        for removed in (0, 1):
            source = open_half(found, removed, system, work, device, watcher)
            for question, half in asked:
                of.append((question, half != removed, look(source, question.text, k=K)))
    sentences = _sentences([one for of in looked.values() for one in of])
    return Calibration(
        sentences=sentences,
        words=_judge(looked[False], sentences, without=_VECTORS_ONLY),
        vectors=_judge(looked[True], sentences),
        how={
            "command": command,
            "collection": found.collection.name,
            "fingerprint": found.collection.fingerprint,
            "split": split,
            "questions": len(asked),
            "seed": seed,
            "systems": [system.name for system in systems],
            "threshold": "least mean of both error rates on these questions",
        },
    )


def _sentences(looked: Sequence[tuple[Question, bool, "Found"]]) -> Logistic:
    rows: list[Features] = []
    answers: list[bool] = []
    for question, in_index, found in looked:
        for one in found.evidence if in_index else ():
            right = one.result.doc_id == question.doc_id
            text = one.result.text
            for start, end, features in extractive.features(found, one):
                rows.append(features)
                answers.append(right and holds(text[start:end], question.answers))
    return _fitted(rows, answers)


def _judge(
    looked: Sequence[tuple[Question, bool, "Found"]],
    sentences: Logistic,
    without: Sequence[str] = (),
) -> Judge:
    rows: list[Features] = []
    answers: list[bool] = []
    for _, in_index, found in looked:
        if candidates := extractive.ranked(found, sentences):
            features = abstention.features(found, candidates)
            rows.append({name: features[name] for name in features if name not in without})
            answers.append(in_index)
    model = _fitted(rows, answers)
    return Judge(model, _threshold([probability(model.logit(row)) for row in rows], answers))


def _fitted(rows: Sequence[Features], answers: Sequence[bool]) -> Logistic:
    """A logistic regression, rounded as it is kept.

    Raises:
        BadInput: there is nothing to tell apart.
    """
    from sklearn.linear_model import LogisticRegression

    if len(set(answers)) < 2:
        raise BadInput(
            f"{len(rows)} sentences or questions are all of one kind, so nothing can be learned "
            "from them; take a larger collection, or more --questions"
        )
    names = list(rows[0])
    table = np.array([[row[name] for name in names] for row in rows])
    model = LogisticRegression(C=100.0, max_iter=2_000).fit(table, answers)
    weights = {name: round(float(one), 4) for name, one in zip(names, model.coef_[0], strict=True)}
    return Logistic(round(float(model.intercept_[0]), 4), weights)


def _threshold(confidences: Sequence[float], answers: Sequence[bool]) -> float:
    """Where the mean of both error rates is least, half way between two confidences."""
    values, right = np.array(confidences), np.array(answers)
    order = np.argsort(values)
    values, right = values[order], right[order]
    # With the first n below the threshold: right ones that are missed, wrong ones that are left.
    missed = np.concatenate([[0], np.cumsum(right)]) / right.sum()
    given = 1 - np.concatenate([[0], np.cumsum(~right)]) / (~right).sum()
    least = int(np.argmin(missed + given))
    edges = np.concatenate([[0.0], values, [1.0]])
    return round(float(edges[least] + edges[least + 1]) / 2, 4)
