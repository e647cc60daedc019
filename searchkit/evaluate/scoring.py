"""One set measured with one encoder, by exact search where documents are ranked.

What looks at many encoders in turn (the layers of a model, the steps of a training) needs no index
and no run: vectors come from a function, values by item go back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from searchkit import catalog
from searchkit.corpus.collection import Collection, joined
from searchkit.errors import BadInput
from searchkit.evaluate import measures
from searchkit.evaluate.sets import EvaluationSet, check_measures, open_one, task_of, texts_of
from searchkit.evaluate.suite import TASKS, SetRow
from searchkit.evaluate.tasks._encoding import Encode
from searchkit.index import ranking
from searchkit.search import contents

_SAMPLE = 1000  # of a validation, where nobody says otherwise
_DEPTH = 1000  # of a ranking, where the measure does not say where it stops
_MEAN = "mean"

Score = Callable[[Encode], dict[str, float]]
"""How one set is measured: an encoder to values by item."""


@dataclass(frozen=True, slots=True)
class Validation:
    """How a variant in training is measured.

    Attributes:
        measure: see `figures`.
        facts: the fingerprint of what is measured on, by name and split of the set; JSON.
    """

    measure: Callable[[Encode], dict[str, float]]
    facts: Mapping[str, str]


def open_measured(sets: Sequence[SetRow], seed: int) -> dict[str, tuple[EvaluationSet, str]]:
    """The sets by name, each with the measure that it is measured by.

    Raises:
        BadInput: two sets of one name, or one that cannot be opened or measured so.
    """
    opened: dict[str, tuple[EvaluationSet, str]] = {}
    for row in sets:
        one = open_one(row, seed)
        name = row.name or one.name
        if name in opened:
            raise BadInput(f"two sets are called {name!r}; run this again for one of them")
        default: Sequence[str] = catalog.load(TASKS, task_of(one)).MEASURES
        measure = (row.measures or default)[0]
        check_measures(one, [measure])
        if not isinstance(one, Collection):
            texts_of(one, seed)  # for what it raises
        opened[name] = one, measure
    return opened


def scorer(opened: EvaluationSet, measure: str, seed: int) -> Score:
    """How a set is measured, once for each encoder; what all of them share is read once."""
    if isinstance(opened, Collection):
        return _retrieval(opened, measure)
    module: Any = catalog.load(TASKS, task_of(opened))

    def score(encode: Encode) -> dict[str, float]:
        values: dict[str, float] = module.score(opened, encode, [measure], seed=seed)[measure]
        return values

    return score


def _retrieval(collection: Collection, measure: str) -> Score:
    """The documents of a collection by the cosine of their vectors."""
    ids, passages = [], []
    for document in collection.documents():
        ids.append(document.doc_id)
        passages.append(joined(document))
    queries = [query.text for query in collection.queries]
    # What a measure does not look at need not be ranked.
    depth = min(measures.cutoff(measure) or _DEPTH, len(ids))

    def score(encode: Encode) -> dict[str, float]:
        index = catalog.load(contents.VECTOR_INDEXES, contents.EXACT).build(
            encode(passages, "passage")
        )
        rankings = ranking.top(index.search, encode(queries, "query"), depth, ids)
        pairs = zip(collection.queries, rankings, strict=True)
        run = {query.query_id: found for query, found in pairs}
        return measures.score(run, collection.judgements, [measure])[measure]

    return score


def validation(
    sources: Sequence[str], *, sample: int | None = None, seed: int = 0
) -> Validation | None:
    """How a variant in training is measured.

    Args:
        sources: labelled sets, each `<folder>@<split>`: which split must be said, lest the one
            that tunes be the one that reports.
        sample: documents, texts or pairs of each set; 1,000 by default.
        seed: of the sample.

    Returns:
        None if there are no sources.

    Raises:
        BadInput: a source names no split; see also `open_measured` and `figures`.
    """
    sample = _SAMPLE if sample is None else sample
    rows = []
    for source in sources:
        folder, at, split = source.rpartition("@")
        if not at:
            raise BadInput(f"{source} names no split to validate on; write {source}@dev")
        rows.append(SetRow(source=folder, split=split, sample=sample))
    if not rows:
        return None
    sets = open_measured(rows, seed)
    facts = {f"{name}@{one.split}": one.fingerprint for name, (one, _) in sets.items()}
    return Validation(figures(sets, seed), facts)


def figures(
    sets: Mapping[str, tuple[EvaluationSet, str]], seed: int = 0
) -> Callable[[Encode], dict[str, float]]:
    """How sets are measured together: an encoder to each set's mean by its name, and `mean`.

    Args:
        sets: what `open_measured` gave.
        seed: of what a task draws.

    Raises:
        BadInput: a set has the name of the mean.
    """
    if _MEAN in sets:
        raise BadInput(
            f"a set is called {_MEAN!r}, as the mean over all sets is; give its folder another name"
        )
    scores = {name: scorer(one, measure, seed) for name, (one, measure) in sets.items()}

    def of(encode: Encode) -> dict[str, float]:
        found = {}
        for name, score in scores.items():
            values = score(encode)
            found[name] = sum(values.values()) / len(values)
        return {**found, _MEAN: sum(found.values()) / len(found)}

    return of
