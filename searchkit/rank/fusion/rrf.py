"""Reciprocal rank fusion: 1 / (constant + rank), summed over the rankings a document is in.

Source: Cormack, Clarke and Büttcher 2009, Reciprocal Rank Fusion Outperforms Condorcet and
Individual Rank Learning Methods, SIGIR.
"""

import heapq
from collections.abc import Sequence

from searchkit.records import Hit


def fuse(rankings: Sequence[Sequence[Hit]], k: int, *, constant: int = 60) -> list[Hit]:
    """Fuse rankings of one query.

    A ranking adds nothing to the documents it does not hold, and the order of the rankings makes no
    difference.

    Args:
        rankings: any number, some of them perhaps empty.
        k: how many hits to keep.
        constant: how little the very first ranks stand out; 60 is the source's.

    Returns:
        At most k hits, best first, equal scores in the order of their ids.
    """
    ranks: dict[str, list[int]] = {}
    for ranking in rankings:
        for hit in ranking:
            ranks.setdefault(hit.doc_id, []).append(hit.rank)
    best = heapq.nsmallest(k, ((-_score(of, constant), doc) for doc, of in ranks.items()))
    return [Hit(doc, -score, rank) for rank, (score, doc) in enumerate(best, start=1)]


def _score(ranks: list[int], constant: int) -> float:
    if len(ranks) == 1:  # as most are: this is done for thousands
        return 1.0 / (constant + ranks[0])
    # Sorted before they are added: float sums depend on their order, and the result must not.
    return sum(1.0 / (constant + rank) for rank in sorted(ranks))
