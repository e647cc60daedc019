"""Retrieval: systems rank the documents of a collection for its queries.

Every encoder's ranking comes from exact search, so that differences between systems are differences
between models. What an approximate vector index loses is measured apart from that, as `IndexLoss`.
"""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from searchkit.corpus.collection import Collection
from searchkit.errors import BadInput, UnknownName
from searchkit.evaluate import measures
from searchkit.evaluate.runs import Run, read_run, write_run
from searchkit.index.documents import DocumentStore
from searchkit.index.store import Store
from searchkit.index.vector import Vectors
from searchkit.records import Hit
from searchkit.search import build
from searchkit.search.build import Plan, Watcher
from searchkit.search.retrieve import (
    Dense,
    Hybrid,
    Lexical,
    Ranker,
    open_encoders,
)

LEXICAL = "bm25"
DEPTH = 1000


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


def systems(plan: Plan, hybrids: Sequence[str] = ()) -> list[str]:
    """What `rank` ranks with: bm25, the encoders in the plan's order, `hybrid(<encoder>)`.

    Raises:
        UnknownName: a hybrid of what the plan does not encode.
        BadInput: two systems would go by one name.
    """
    encoders = _encoders(plan)
    if unknown := [name for name in hybrids if name not in encoders]:
        raise UnknownName(
            f"no hybrid of {unknown[0]!r}: it is none of the systems "
            f"{', '.join(encoders) or '(none)'}; name it with --variant or --embedder, too"
        )
    names = [LEXICAL, *encoders, *(_hybrid(name) for name in dict.fromkeys(hybrids))]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"two systems are called {twice[0]!r}; give the encoder another name")
    return names


def rank(
    collection: Collection,
    index: Path,
    plan: Plan,
    *,
    hybrids: Sequence[str] = (),
    depth: int = DEPTH,
    measured: Sequence[str] = measures.DEFAULT,
    watcher: Watcher | None = None,
) -> tuple[dict[str, Run], list[IndexLoss]]:
    """Rank a collection with BM25, every encoder of a plan, and their hybrids.

    Args:
        collection: what to search, and what for.
        index: the directory of its index; built, or completed, as the plan says.
        plan: the encoders, and the approximate vector indexes whose loss is wanted.
        hybrids: encoders of the plan to fuse with BM25, too.
        depth: how many documents a ranking holds.
        measured: what the loss of vector indexes is measured by.
        watcher: told how the index grows.

    Returns:
        Runs by system, in the order of `systems`; and the losses.

    Raises:
        UnknownName, BadInput: see `systems`.
    """
    order = systems(plan, hybrids)
    store = build.build_index(index, collection.corpus, plan, watcher)
    ids = DocumentStore.open(store.part("documents")).ids
    lexical = Lexical(store, ids)
    runs = {LEXICAL: _run(lexical, collection, depth)}
    losses: list[IndexLoss] = []
    texts = [query.text for query in collection.queries]
    for encoder in open_encoders(store, _encoders(plan), device=plan.device):
        # One forward pass over the queries for all rankings that need it.
        encoded = encoder.encode_prepared(encoder.prepare(texts, "query"))
        if encoded.truncated and watcher:
            watcher.say(f"{encoded.truncated} queries have over {encoder.max_tokens} tokens: cut")
        for name, vectors in encoded.vectors.items():
            exact = Dense(build.open_vector_index(store, name), _already(vectors), ids)
            runs[name] = _run(exact, collection, depth)
            if name in hybrids:
                runs[_hybrid(name)] = _run(Hybrid([exact, lexical]), collection, depth)
            for kind in plan.vector_indexes:
                if kind != build.EXACT:
                    index_of_kind = build.open_vector_index(store, name, kind)
                    approximate = Dense(index_of_kind, _already(vectors), ids)
                    # Searched apart: an index that is asked for more finds more of the first ten.
                    top = _run(approximate, collection, build.RECALL_CUTOFF)
                    run = _run(approximate, collection, depth)
                    losses.append(_loss(collection, name, kind, top, run, runs[name], measured))
    return {name: runs[name] for name in order}, losses


def index_of(collection: Collection, folder: Path) -> Path:
    """Where evaluations keep the index of a collection: another corpus has another place."""
    return folder / f"{collection.name}-{collection.corpus.fingerprint[:12]}"


def save(
    folder: Path, collection: Collection, runs: Mapping[str, Run], index: Path, plan: Plan
) -> dict[str, Any]:
    """Save the runs of a collection below `folder`, and say where they come from.

    Returns:
        Fingerprints of the data, parameters of BM25 and the row, hashes and arithmetic of every
        encoder of the plan; JSON.
    """
    # Those of an earlier evaluation must not lie among these.
    shutil.rmtree(folder / "runs" / _word(collection.name), ignore_errors=True)
    for name, run in runs.items():
        path = folder / "runs" / _word(collection.name) / f"{_word(name)}.trec"
        path.parent.mkdir(parents=True, exist_ok=True)
        # White space ends a column of the format, and some collections have it in their ids.
        escaped = {
            _word(query_id): [replace(hit, doc_id=_word(hit.doc_id)) for hit in ranking]
            for query_id, ranking in run.items()
        }
        write_run(path, escaped, _word(name))
    store = Store.open(index)
    encoders = build.encoders(store)
    return {
        "fingerprint": collection.fingerprint,
        "split": collection.split,
        "queries": len(collection.queries),
        "bm25": dict(store.facts("bm25")),
        "encoders": {name: encoders[name] for name in _encoders(plan)},
    }


def load(path: Path, collection: Collection) -> dict[str, list[Hit]]:
    """Read a run of a collection, from elsewhere or as `save` wrote it, with the ids it judges.

    Raises:
        BadInput: see `read_run`.
    """
    judged = {name for one in collection.judgements for name in (one.query_id, one.doc_id)}
    written = {_word(name): name for name in judged}
    return {
        written.get(query_id, query_id): [
            replace(hit, doc_id=written.get(hit.doc_id, hit.doc_id)) for hit in ranking
        ]
        for query_id, ranking in read_run(path).items()
    }


def _encoders(plan: Plan) -> list[str]:
    names = [variant.name for variant in plan.variants] + [name for name, _ in plan.references]
    return list(dict.fromkeys(names))


def _hybrid(name: str) -> str:
    return f"hybrid({name})"


def _word(text: str) -> str:
    """A name without white space or slashes, for a column or a file: percent-encoded if need be."""
    return quote(text, safe="!#$&'()*+,-.:;<=>?@[]^_`{|}~") if re.search(r"[\s/%]", text) else text


def _already(vectors: Vectors) -> Callable[[Sequence[str]], Vectors]:
    return lambda queries: vectors


def _run(ranker: Ranker, collection: Collection, depth: int) -> Run:
    rankings = ranker.search([query.text for query in collection.queries], depth)
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
        wanted = {hit.doc_id for hit in ranking[: build.RECALL_CUTOFF]}
        shares.append(len(wanted & {hit.doc_id for hit in top[query_id]}) / len(wanted))
    scores = [measures.score(one, collection.judgements, measured) for one in (run, exact)]
    differences = {
        measure: sum(scores[0][measure].values()) / len(scores[0][measure])
        - sum(scores[1][measure].values()) / len(scores[1][measure])
        for measure in measured
    }
    return IndexLoss(name, collection.name, kind, sum(shares) / len(shares), differences)
