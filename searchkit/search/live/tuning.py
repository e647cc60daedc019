"""Weights of hybrid search, tuned on the judgements of an index and tried on held-out ones."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit import files
from searchkit.rank.fusion import rrf, weighted
from searchkit.records import Hit, Judgement
from searchkit.search.judging import Ledger, asked
from searchkit.search.live.lists import WORDS
from searchkit.search.live.retrieve import DEPTH, Searcher

FEWEST = 10  # queries with something relevant among what was judged; fewer say too little
_FOLDS = 5
_SHOWN = 10  # hits of a ranking that count

Measure = Callable[[Sequence[Sequence[Hit]], Sequence[Sequence[Judgement]]], float]
"""(rankings, the judgements of each) to their mean value; the query ids are those of the latter."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """Weights, and what they are worth on queries that they were not tuned on.

    Attributes:
        weights: by name of the list; equal where too few queries were judged.
        queries: how many were tuned on.
        held_out: mean nDCG@10 of weighted fusion on each fifth of the queries, with weights tuned
            on the others; NaN where nothing was tuned.
        rrf: that of reciprocal rank fusion on the same queries.
    """

    weights: dict[str, float]
    queries: int
    held_out: float
    rrf: float


def tuned_weights(searcher: Searcher, variant: str, ledger: Ledger, measure: Measure) -> Tuned:
    """The weights for fusing BM25 with one encoder's list.

    They are kept beside the ledger until a judgement is added or other vectors take the name.

    Args:
        searcher: of the index that was judged.
        variant: the encoder.
        ledger: judgements of documents of the index.
        measure: what is to be as high as possible: nDCG@10.
    """
    entries = ledger.read().entries
    judged: dict[tuple[str, bool], list[Judgement]] = {}
    for entry in entries:
        key = (entry.query, entry.literal)
        judged.setdefault(key, []).append(Judgement(str(key), entry.doc_id, entry.grade))
    telling = {query: of for query, of in judged.items() if any(one.grade > 0 for one in of)}
    if len(telling) < FEWEST:
        return Tuned({WORDS: 0.5, variant: 0.5}, len(telling), math.nan, math.nan)
    facts = searcher.generation.encoders()[variant].facts
    stamp = [files.blake3_of(ledger.path), variant, facts["fingerprint"]]
    place = ledger.path.with_suffix(".weights.json")
    if known := _kept(place, stamp):
        return known
    cases, qrels = [], []
    for (text, literal), of in telling.items():
        query = asked(text, literal)
        lists = [
            searcher.search_words(query, DEPTH),
            searcher.search_dense(query, DEPTH, variant=variant),
        ]
        cases.append([ranking.hits() for ranking in lists])
        qrels.append(of)
    tuned = _tune(cases, qrels, variant, measure)
    kept = {"stamp": stamp, "weights": tuned.weights, "queries": tuned.queries}
    kept |= {"held_out": tuned.held_out, "rrf": tuned.rrf}
    files.write_text(place, json.dumps(kept, indent=1) + "\n")
    return tuned


def _tune(
    cases: Sequence[Sequence[Sequence[Hit]]],
    qrels: Sequence[Sequence[Judgement]],
    variant: str,
    measure: Measure,
) -> Tuned:
    def best(numbers: Sequence[int]) -> tuple[float, float]:
        some = [qrels[number] for number in numbers]
        return weighted.tune(
            [cases[number] for number in numbers], lambda fused: measure(fused, some), _SHOWN
        )

    numbers = range(len(cases))
    fused: list[Sequence[Hit]] = [()] * len(cases)
    for fold in range(_FOLDS):
        weights = best([number for number in numbers if number % _FOLDS != fold])
        for number in numbers[fold::_FOLDS]:
            fused[number] = weighted.fuse(cases[number], _SHOWN, weights=weights)
    words, dense = best(numbers)
    return Tuned(
        {WORDS: words, variant: dense},
        len(cases),
        measure(fused, qrels),
        measure([rrf.fuse(case, _SHOWN) for case in cases], qrels),
    )


def _kept(place: Path, stamp: Sequence[str]) -> Tuned | None:
    """What was tuned before; None if it is not there, not whole, or of something else."""
    try:
        kept: dict[str, Any] = json.loads(place.read_bytes())
        if kept["stamp"] != list(stamp):
            return None
        return Tuned(kept["weights"], kept["queries"], kept["held_out"], kept["rrf"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
