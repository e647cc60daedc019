"""Reranking: the candidates of each query, put into order.

A candidate is relevant, to the measures that know only relevant and not, from a grade on that the
set says itself: from half of the highest grade that it gives. So of grades 0 and 1, and of 0 to 2,
1 is relevant; of 0 to 3, 2 is, as the makers of sets with four grades count. nDCG reads the grades
as they are.

Sources: Muennighoff et al. 2023, MTEB, arXiv:2210.07316, section 3.2 (the task: AP and RR of the
order by cosine similarity); Craswell et al. 2020, Overview of the TREC 2019 deep learning track,
arXiv:2003.07820 (four grades, of which two are relevant).
"""

import re
from collections.abc import Sequence

import numpy as np

from searchkit.corpus.labelled import Candidate, RerankingSet
from searchkit.errors import BadInput
from searchkit.evaluate import measures as ranking_measures
from searchkit.evaluate.runs import Run
from searchkit.evaluate.tasks._encoding import Encode, Vectors, cosines, vectors_of
from searchkit.index.ranking import hits
from searchkit.index.text import bm25
from searchkit.records import Hit, Judgement

ITEM = "query"
MEASURES = ("AP", "RR@10", "nDCG@10")


def score(
    data: RerankingSet, encode: Encode, measures: Sequence[str] = MEASURES, *, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Measure the order of candidates by cosine similarity; see `rank` and `score_run`.

    Args:
        data: queries with their candidates.
        encode: of queries and candidates, each in their role.
        measures: in the notation of ir_measures.
        seed: of nothing: no part of this is drawn.

    Returns:
        By measure, as it was named, and query id.

    Raises:
        BadInput: a name is not that of a measure.
    """
    return score_run(data, rank(data, encode), measures)


def rank(data: RerankingSet, encode: Encode) -> dict[str, list[Hit]]:
    """All candidates of each query: descending cosine similarity, then ascending id."""
    queries = vectors_of((one.query for one in data.lists), "query", encode)
    texts = (candidate.text for one in data.lists for candidate in one.candidates)
    passages = vectors_of(texts, "passage", encode)
    run = {}
    for one in data.lists:
        vectors = np.stack([passages[candidate.text] for candidate in one.candidates])
        similarities = cosines(vectors, queries[one.query][None])
        run[one.query_id] = _ranking(one.candidates, similarities)
    return run


def lexical(data: RerankingSet, parameters: bm25.Parameters) -> dict[str, list[Hit]]:
    """The candidates that share a term with their query, by BM25, then by ascending id.

    How rare a term is, and how long a text usually is, is counted over the distinct texts of all
    candidates of the set.
    """
    texts = list(dict.fromkeys(c.text for one in data.lists for c in one.candidates))
    index = bm25.build(texts, parameters)
    run = {}
    for one in data.lists:
        (found,) = index.search([one.query], len(texts), texts)  # a text is its own id
        scores = {hit.doc_id: hit.score for hit in found}
        matching = [candidate for candidate in one.candidates if candidate.text in scores]
        run[one.query_id] = _ranking(
            matching, np.array([scores[candidate.text] for candidate in matching], np.float32)
        )
    return run


def complete(data: RerankingSet, run: Run) -> dict[str, list[Hit]]:
    """A run with every candidate of the set: those that it lacks come last, by ascending id.

    Raises:
        BadInput: the run ranks what is no candidate of its query, or one twice.
    """
    completed = {}
    for one in data.lists:
        ranking = list(run.get(one.query_id, ()))
        left = {candidate.doc_id for candidate in one.candidates}
        for hit in ranking:
            if hit.doc_id not in left:
                raise BadInput(
                    f"{hit.doc_id!r} is not among the {len(one.candidates)} candidates of query "
                    f"{one.query_id!r} of {data.name}, or ranked twice; rank these alone"
                )
            left.remove(hit.doc_id)
        lowest = min([0.0, *(hit.score for hit in ranking)])
        ranked = enumerate(sorted(left), start=len(ranking) + 1)
        completed[one.query_id] = ranking + [Hit(doc_id, lowest, rank) for rank, doc_id in ranked]
    return completed


def score_run(
    data: RerankingSet, run: Run, measures: Sequence[str] = MEASURES
) -> dict[str, dict[str, float]]:
    """Measure a run, completed.

    Args:
        data: the set that it ranks.
        run: rankings of candidates.
        measures: in the notation of ir_measures. Where one takes a lowest relevant grade and does
            not name it, as `AP(rel=2)` does, it is the set's `relevance_level`.

    Returns:
        By measure, as it was named, and query id.

    Raises:
        BadInput: see `complete`; or a name is not that of a measure.
    """
    judgements = [
        Judgement(one.query_id, candidate.doc_id, candidate.grade)
        for one in data.lists
        for candidate in one.candidates
    ]
    level = relevance_level(data)
    names = {name: _from_grade(name, level) for name in measures}
    found = ranking_measures.score(complete(data, run), judgements, list(names.values()))
    return {name: found[levelled] for name, levelled in names.items()}


def relevance_level(data: RerankingSet) -> int:
    """The lowest grade that counts as relevant: half of the highest, rounded up, at least 1."""
    highest = max((c.grade for one in data.lists for c in one.candidates), default=0)
    return max(1, (highest + 1) // 2)


def _ranking(candidates: Sequence[Candidate], scores: Vectors) -> list[Hit]:
    ids = [candidate.doc_id for candidate in candidates]
    return hits(scores, np.arange(len(ids)), len(ids), ids)


def _from_grade(name: str, level: int) -> str:
    """A measure's name with `rel`, if it takes that, does not say it, and 1 would be wrong."""
    from ir_measures import measures

    kind = re.split(r"\W", name.strip(), maxsplit=1)[0]
    rest = name.strip()[len(kind) :]
    known = measures.registry.get(kind)
    if level == 1 or known is None or "rel" not in known.SUPPORTED_PARAMS or "rel" in rest:
        return name
    given = f", {rest[1:]}" if rest.startswith("(") else f"){rest}"
    return f"{kind}(rel={level}{given}"
