"""Which sentences of some passages answer a question best.

A sentence is told by what can be counted without a model: how much of the question it holds, each
word as rare as it is, with and without its neighbours and its title; words that stand side by side
in both; names and numbers; whether it has a date, a number or a name where one is asked for; and
how far up its passage was found. A logistic regression weighs these; see `calibration`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from searchkit.answer import calibration, terms
from searchkit.answer.calibration import Logistic
from searchkit.answer.evidence import Evidence, Found, context, wording
from searchkit.answer.sentences import sentences

SHOWN = 3  # sentences of an answer, at most
LEAST = 0.5  # a further sentence is at least this likely to answer, as a share of the best one


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may answer.

    Attributes:
        evidence: the passage.
        start: of the sentence in the text of the passage.
        end: after it.
        features: by name; see `features`.
        probability: that it answers, if anything does.
    """

    evidence: Evidence
    start: int
    end: int
    features: dict[str, float]
    probability: float

    @property
    def text(self) -> str:
        """The sentence, as it stands in the passage."""
        return self.evidence.result.text[self.start : self.end]


def ranked(found: Found, model: Logistic | None = None) -> list[Candidate]:
    """All sentences of the evidence, the likeliest first; none where there is no evidence."""
    model = model or calibration.shipped().sentences
    made = [
        Candidate(one, start, end, held, calibration.probability(model.logit(held)))
        for one in found.evidence
        for start, end, held in features(found, one)
    ]
    return sorted(made, key=lambda one: (-one.probability, one.evidence.number, one.start))


def best(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The sentences that make an answer: the best one, and others nearly as good."""
    chosen: list[Candidate] = []
    for one in candidates:
        if len(chosen) == SHOWN or one.probability < LEAST * candidates[0].probability:
            break
        if all(one.text != other.text for other in chosen):  # files are copied
            chosen.append(one)
    return chosen


def features(found: Found, one: Evidence) -> Iterator[tuple[int, int, dict[str, float]]]:
    """Every sentence of a passage with what is counted of it: mostly shares, from 0 to 1."""
    asked, text = found.asked, one.result.text
    spans = sentences(text)
    above = terms.terms(context(one.result))
    whole = found.covered(terms.terms(wording(one.result)))
    held = [terms.terms(text[start:end]) for start, end in spans]
    for number, (start, end) in enumerate(spans):
        own = held[number]
        before = held[number - 1] if number else ()
        after = held[number + 1] if number + 1 < len(held) else ()
        fits = terms.answers_kind(text[start:end], asked)
        yield (
            start,
            end,
            {
                "sentence": found.covered(own),
                "around": found.covered((*above, *before, *own, *after)),
                "passage": whole,
                "pairs": _side_by_side(asked.pairs, own),
                "names": found.named((*above, *own)),
                "kind_met": float(asked.kind is not None and fits),
                "kind_missed": float(asked.kind is not None and not fits),
                "first_passage": float(one.number == 1),
                "rank": 1 / one.number,
                "length": math.log1p(len(own)),
                "question": float(text[start:end].rstrip("\"'”’»)").endswith(("?", "？", "؟"))),
            },
        )


def _side_by_side(pairs: Sequence[tuple[str, str]], held: Sequence[str]) -> float:
    """The share of neighbouring terms of the question that are neighbours in a text."""
    return len(set(pairs) & set(pairwise(held))) / len(pairs) if pairs else 0.0
