"""The few numbers that were learned: which sentence answers, and when there is no answer.

`calibration.json` holds them with how they were made; `searchkit eval-answers COLLECTION
--calibrate` makes them again.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic regression.

    Attributes:
        intercept: what is added to all.
        weights: by the name of the feature.
    """

    intercept: float
    weights: Mapping[str, float]

    def logit(self, features: Mapping[str, float]) -> float:
        """The logarithm of the odds; features without a weight play no part."""
        return self.intercept + sum(
            weight * features[name] for name, weight in self.weights.items()
        )


@dataclass(frozen=True, slots=True)
class Judge:
    """When evidence carries an answer.

    Attributes:
        model: features of `abstention.features` to the odds.
        threshold: the probability below which there is no answer.
    """

    model: Logistic
    threshold: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """All that was learned.

    Attributes:
        sentences: features of `extractive.features` to the odds that a sentence answers.
        words: of evidence that was found by words alone, or whose vectors say nothing.
        vectors: of evidence with the similarity of vectors.
        how: on what, and by which command.
    """

    sentences: Logistic
    words: Judge
    vectors: Judge
    how: Mapping[str, Any]

    def judge(self, *, has_vectors: bool) -> Judge:
        """The one that fits the evidence."""
        return self.vectors if has_vectors else self.words


@cache
def shipped() -> Calibration:
    """The numbers that come with searchkit."""
    return of_json(json.loads(PATH.read_text(encoding="utf-8")))


def of_json(fields: Mapping[str, Any]) -> Calibration:
    """What `to_json` made."""

    def judge(of: Mapping[str, Any]) -> Judge:
        return Judge(Logistic(**of["model"]), of["threshold"])

    return Calibration(
        Logistic(**fields["sentences"]),
        judge(fields["words"]),
        judge(fields["vectors"]),
        fields["how"],
    )


def to_json(calibration: Calibration) -> str:
    """A calibration as a file of few lines, to four digits."""

    def logistic(one: Logistic) -> dict[str, Any]:
        weights = {name: round(weight, 4) for name, weight in one.weights.items()}
        return {"intercept": round(one.intercept, 4), "weights": weights}

    def judge(one: Judge) -> dict[str, Any]:
        return {"model": logistic(one.model), "threshold": round(one.threshold, 4)}

    fields = {
        "how": dict(calibration.how),
        "sentences": logistic(calibration.sentences),
        "words": judge(calibration.words),
        "vectors": judge(calibration.vectors),
    }
    return json.dumps(fields, indent=1) + "\n"


def probability(logit: float) -> float:
    """Odds' logarithm to a probability, without overflow."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(logit) / (1 + math.exp(logit))


def logit(probability: float) -> float:
    """A probability to the logarithm of its odds, of which none is infinite."""
    kept = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(kept / (1 - kept))
