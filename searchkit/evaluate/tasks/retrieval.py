"""Retrieval: systems rank the documents of a collection for its queries.

Every encoder's ranking comes from exact search, so that differences between systems are differences
between models. What an approximate vector index loses is measured apart from that, as `IndexLoss`.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from searchkit.corpus.collection import Collection, joined
from searchkit.evaluate import measures
from searchkit.evaluate.runs import Run
from searchkit.index.documents import DocumentStore
from searchkit.index.text import bm25
from searchkit.index.vector import Vectors
from searchkit.records import Document
from searchkit.search import build, contents
from searchkit.search.build import Plan
from searchkit.search.encoders import open_encoders
from searchkit.search.retrieve import Dense, Lexical, Ranker
from searchkit.search.watcher import Watcher

ITEM = "query"
MEASURES = measures.DEFAULT
LEXICAL = "bm25"
DEPTH = 1000
# What is tried for BM25: around the values of the literature, k1 first.
_GRID = ((0.6, 0.9, 1.2, 1.5, 1.8, 2.4), (0.2, 0.4, 0.6, 0.75, 0.9))


@dataclass(frozen=True, slots=True)
class IndexLoss:
    """What an approximate vector index loses against exact search of the same vectors.

    `recall` is the share of the exact top 10 that it finds when it is asked for ten, over the
    queries of the collection, and `differences` holds by measure the mean less that of exact
    search, when both are asked for as much as the runs hold.
    """

    system: str
    collection: str
    vector_index: str
    recall: float
    differences: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Ranked:
    """What ranking a collection brought.

    Attributes:
        runs: by system: BM25 as the index holds it, other BM25s, the encoders in their order.
        losses: one for each encoder and approximate vector index.
        facts: by system, what the index knows of it; JSON. Encoders with a memory also have the
            `tokens_per_s` at which they encoded.
        notes: what a reader of the scores should know of the ranking, one line each.
    """

    runs: dict[str, Run]
    losses: list[IndexLoss] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def rank(
    collection: Collection,
    index: Path,
    plan: Plan,
    *,
    lexical: Mapping[str, bm25.Parameters] | None = None,
    depth: int = DEPTH,
    measured: Sequence[str] = MEASURES,
    watcher: Watcher | None = None,
) -> Ranked:
    """Rank a collection with BM25 and every encoder of a plan.

    Args:
        collection: what to search, and what for.
        index: the directory of its index; built, or completed, as the plan says.
        plan: the encoders, and the approximate vector indexes whose loss is wanted.
        lexical: more BM25s by name, with parameters other than those of the index.
        depth: how many documents a ranking holds.
        measured: what the loss of vector indexes is measured by.
        watcher: told how the index grows.
    """
    store = build.build_index(index, collection.corpus, plan, watcher)
    documents = DocumentStore.open(store.part("documents"))
    ids = documents.ids
    ranked = Ranked({LEXICAL: _run(Lexical(store, ids), collection, depth)})
    ranked.facts[LEXICAL] = dict(store.facts("bm25"))
    for name, parameters in (lexical or {}).items():
        ranked.runs[name] = _words(collection, documents, parameters, depth)
        ranked.facts[name] = asdict(parameters)
    texts = [query.text for query in collection.queries]
    names = _encoders(plan)
    known = contents.encoders(store)
    opened = open_encoders(store, names, device=plan.device, memories=plan.memories)
    for encoder in opened:
        # One forward pass over the queries for all rankings that need it.
        encoded = encoder.encode_prepared(encoder.prepare(texts, "query"))
        if encoded.truncated and watcher:
            watcher.say(f"{encoded.truncated} queries have over {encoder.max_tokens} tokens: cut")
        for name, vectors in encoded.vectors.items():
            exact = Dense(contents.open_vector_index(store, name), _already(vectors), ids)
            ranked.runs[name] = _run(exact, collection, depth)
            ranked.facts[name] = {**known[name], "tokens_per_s": encoder.tokens_per_s}
            for kind in plan.vector_indexes:
                if kind != contents.EXACT:
                    index_of_kind = contents.open_vector_index(store, name, kind)
                    approximate = Dense(index_of_kind, _already(vectors), ids)
                    # Searched apart: an index that is asked for more finds more of the first ten.
                    top = _run(approximate, collection, contents.RECALL_CUTOFF)
                    run = _run(approximate, collection, depth)
                    ranked.losses.append(
                        _loss(collection, name, kind, top, run, ranked.runs[name], measured)
                    )
    order = [LEXICAL, *(lexical or {}), *names]
    return Ranked({name: ranked.runs[name] for name in order}, ranked.losses, ranked.facts)


def tune(dev: Collection, measure: str = MEASURES[0], depth: int = DEPTH) -> bm25.Parameters:
    """The k1 and b of BM25 with the highest mean on a split that nothing is reported on.

    Args:
        dev: a collection with that split's queries and judgements.
        measure: in the notation of ir_measures.
        depth: how many documents a ranking holds.

    Returns:
        The best of a grid of 30; among equals, the first.
    """
    documents = list(dev.documents())
    # What the measure does not see is not ranked: most of the time of a search goes into hits.
    depth = min(depth, measures.cutoff(measure) or depth)

    def mean(parameters: bm25.Parameters) -> float:
        run = _words(dev, documents, parameters, depth)
        values = measures.score(run, dev.judgements, [measure])[measure]
        return sum(values.values()) / len(values)

    return max((bm25.Parameters(k1=k1, b=b) for k1, b in itertools.product(*_GRID)), key=mean)


def index_of(collection: Collection, folder: Path) -> Path:
    """Where evaluations keep the index of a collection: another corpus has another place."""
    return folder / f"{collection.name}-{collection.corpus.fingerprint[:12]}"


def _encoders(plan: Plan) -> list[str]:
    names = [variant.name for variant in plan.variants] + [name for name, _ in plan.references]
    return list(dict.fromkeys(names))


def _already(vectors: Vectors) -> Callable[[Sequence[str]], Vectors]:
    return lambda queries: vectors


def _run(ranker: Ranker, collection: Collection, depth: int) -> Run:
    rankings = ranker.search([query.text for query in collection.queries], depth)
    pairs = zip(collection.queries, rankings, strict=True)
    return {query.query_id: ranking for query, ranking in pairs}


def _words(
    collection: Collection, documents: Iterable[Document], parameters: bm25.Parameters, depth: int
) -> Run:
    """The run of a BM25 that is built for it and not kept."""
    ids: list[str] = []

    def texts() -> Iterator[str]:
        for document in documents:
            ids.append(document.doc_id)
            yield joined(document)

    index = bm25.build(texts(), parameters)
    rankings = index.search([query.text for query in collection.queries], depth, ids)
    pairs = zip(collection.queries, rankings, strict=True)
    return {query.query_id: ranking for query, ranking in pairs}


def _loss(
    collection: Collection,
    name: str,
    kind: str,
    top: Run,
    run: Run,
    exact: Run,
    measured: Sequence[str],
) -> IndexLoss:
    shares = []
    for query_id, ranking in exact.items():
        wanted = {hit.doc_id for hit in ranking[: contents.RECALL_CUTOFF]}
        shares.append(len(wanted & {hit.doc_id for hit in top[query_id]}) / len(wanted))
    scores = [measures.score(one, collection.judgements, measured) for one in (run, exact)]
    differences = {
        measure: sum(scores[0][measure].values()) / len(scores[0][measure])
        - sum(scores[1][measure].values()) / len(scores[1][measure])
        for measure in measured
    }
    return IndexLoss(name, collection.name, kind, sum(shares) / len(shares), differences)
