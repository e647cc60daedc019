"""Reciprocal rank fusion: 1 / (constant + rank), summed over the rankings a document is in.

Source: Cormack, Clarke and Büttcher 2009, Reciprocal Rank Fusion Outperforms Condorcet and
Individual Rank Learning Methods, SIGIR.
"""

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
    # Sorted before they are added: float sums depend on their order, and the result must not.
    scores = {doc: sum(1.0 / (constant + rank) for rank in sorted(of)) for doc, of in ranks.items()}
    best = sorted(scores, key=lambda doc: (-scores[doc], doc))[:k]
    return [Hit(doc, scores[doc], rank) for rank, doc in enumerate(best, start=1)]
