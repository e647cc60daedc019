"""Weighted fusion: the scores of each ranking from 0 to 1, times its weight, summed.

In each ranking the least score becomes 0 and the best 1, so that a document at the end of a ranking
gains as little from it as one that it does not hold, wherever the ranking was cut.

Source: Bruch, Gai and Ingber 2023, An Analysis of Fusion Functions for Hybrid Retrieval, ACM TOIS
42(1), arXiv:2210.11934: the convex combination, with the least score seen for the least possible.
"""

import math
from collections.abc import Callable, Sequence

from searchkit.records import Hit

_STEPS = 20  # between all weight on one ranking and all on the other


def fuse(
    rankings: Sequence[Sequence[Hit]], k: int, *, weights: Sequence[float] | None = None
) -> list[Hit]:
    """Fuse rankings of one query.

    A ranking adds nothing to the documents it does not hold. Equal scores all become 1.

    Args:
        rankings: any number, some of them perhaps empty; finite scores.
        k: how many hits to keep.
        weights: of each ranking, finite and not negative; 1 each by default.

    Returns:
        At most k hits, best first, equal scores in the order of their ids.

    Raises:
        ValueError: there are not as many weights as rankings, or one is negative or not finite.
    """
    weights = [1.0] * len(rankings) if weights is None else list(weights)
    if len(weights) != len(rankings):
        raise ValueError(f"{len(weights)} weights for {len(rankings)} rankings")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise ValueError(f"weights {weights}: each must be finite and not negative")
    shares: dict[str, list[float]] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        least = min((hit.score for hit in ranking), default=0.0)
        width = max((hit.score for hit in ranking), default=0.0) - least
        for hit in ranking:
            share = (hit.score - least) / width if width else 1.0
            shares.setdefault(hit.doc_id, []).append(weight * share)
    # fsum: the same to the last bit in whichever order the rankings come.
    scores = {doc_id: math.fsum(of) for doc_id, of in shares.items()}
    best = sorted(scores, key=lambda doc_id: (-scores[doc_id], doc_id))[:k]
    return [Hit(doc_id, scores[doc_id], rank) for rank, doc_id in enumerate(best, start=1)]


def tune(
    cases: Sequence[Sequence[Sequence[Hit]]],
    worth: Callable[[Sequence[Sequence[Hit]]], float],
    k: int,
) -> tuple[float, float]:
    """The weights of two systems under which their fusions are worth most.

    Weights that are worth the same are settled towards equal ones.

    Args:
        cases: of each query, the ranking of the one system and that of the other.
        worth: of the fused rankings of all queries, in their order, such as their mean nDCG@10.
        k: how many hits of each `worth` is shown.

    Returns:
        Two weights from 0 to 1, in steps of 0.05, whose sum is 1.

    Raises:
        ValueError: there are no cases, or one has not two rankings.
    """
    if not cases or any(len(case) != 2 for case in cases):
        raise ValueError(f"{len(cases)} cases of {sorted({len(case) for case in cases})} rankings")

    def value(step: int) -> tuple[float, int]:
        fused = [fuse(case, k, weights=_weights(step)) for case in cases]
        return round(worth(fused), 9), -abs(2 * step - _STEPS)

    return _weights(max(range(_STEPS + 1), key=value))


def _weights(step: int) -> tuple[float, float]:
    return step / _STEPS, (_STEPS - step) / _STEPS
