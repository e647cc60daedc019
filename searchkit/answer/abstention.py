"""Whether the evidence carries an answer, and what is missing where it does not.

The question is put to the best sentence and to its passage: how much of the question they hold, how
much none of the passages holds, and how far the best passage stands out from the rest of what was
found. A logistic regression makes a probability of it, learned on questions half of which had lost
the article that answers them; below a threshold there is no answer. The threshold is the one at
which the two errors together are smallest: an answer where there is none, and none where there is
one.
"""

from collections.abc import Sequence
from statistics import fmean

from searchkit.answer import calibration, terms
from searchkit.answer.evidence import Found, wording
from searchkit.answer.extractive import Candidate


def confidence(found: Found, candidates: Sequence[Candidate]) -> float:
    """The probability that the evidence carries an answer; 0 where nothing was found."""
    if not candidates:
        return 0.0
    judge = calibration.shipped().judge(has_vectors=found.has_vectors)
    return calibration.probability(judge.model.logit(features(found, candidates)))


def threshold(found: Found) -> float:
    """The confidence below which there is no answer, unless somebody sets another one."""
    return calibration.shipped().judge(has_vectors=found.has_vectors).threshold


def features(found: Found, candidates: Sequence[Candidate]) -> dict[str, float]:
    """What is counted of the evidence as a whole; there is at least one sentence."""
    first = candidates[0]
    cited = first.evidence.result
    passage = terms.terms(wording(cited))
    others = [found.covered(terms.terms(wording(one))) for one in found.pool if one is not cited]
    everything = {term for one in found.evidence for term in terms.terms(wording(one.result))}
    whole = found.covered(passage)
    tops = {name: one.key for one in found.pool for name, rank, _ in one.lists if rank == 1}
    return {
        "best": calibration.logit(first.probability),
        "sentence": first.features["sentence"],
        "around": first.features["around"],
        "passage": whole,
        "together": found.covered(everything),
        "names": found.named(passage),
        "lead": whole - (fmean(others) if others else 0.0),
        "pairs": first.features["pairs"],
        "kind_missed": first.features["kind_missed"],
        "similarity": found.similarity(cited),
        "agreement": float(len(tops) > 1 and len(set(tops.values())) == 1),
    }


def missing(found: Found) -> str:
    """What stands between the evidence and an answer, in one line."""
    if not found.evidence:
        return "nothing was found"
    if found.missing:
        return f"no passage has: {', '.join(found.missing)}"
    return "the passages have the words of the question, but none brings them together"
