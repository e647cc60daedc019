"""A smaller collection: fewer queries, fewer documents, or less of each, or several of these.

Of documents, all that are judged for a query that is kept are kept, and some of the others; texts
are cut at one length.
"""

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from blake3 import blake3

from searchkit.corpus.collection import Collection, open_collection
from searchkit.corpus.cut import Cut
from searchkit.corpus.written import read_facts, write_collection
from searchkit.records import Query


def sample(
    collection: Collection,
    documents: int | None,
    folder: Path,
    *,
    unjudged: int | None = None,
    queries: int | None = None,
    cut: Cut | None = None,
    seed: int = 0,
) -> Collection:
    """A part of a collection, or one of texts that are cut, the same on every machine.

    Every judged document is kept, however many there are, so a query has all its answers; the
    others, and queries, are those with the lowest hashes of seed and id, so a smaller sample is
    part of a larger one. Scores are higher than on the whole, and compare only with those of the
    same sample.

    Args:
        collection: to draw from.
        documents: how many to keep at least; None for all.
        folder: where samples are written, once each, in BEIR's layout.
        unjudged: how many to keep that are not judged, in the place of `documents`.
        queries: how many to keep, with their judgements; None for all.
        cut: at which length documents and queries are cut; None leaves them whole.
        seed: of the draw.

    Returns:
        The collection itself if it has no more of both and none is cut; else one that is called
        after their number, or after the length, or both, such as `scifact-1500-q100-cut64`, and
        notes what it is.
    """
    drawn_queries = _drawn(collection.queries, queries, seed)
    asked = {query.query_id for query in drawn_queries}
    are_fewer = len(drawn_queries) < len(collection.queries)
    judgements = [one for one in collection.judgements if one.query_id in asked or not are_fewer]
    judged = {one.doc_id for one in judgements}
    there = [document.doc_id for document in collection.documents()]
    kept = {doc_id for doc_id in there if doc_id in judged}
    others = [doc_id for doc_id in there if doc_id not in judged]
    wanted = unjudged
    if wanted is None:
        wanted = len(others) if documents is None else max(0, documents - len(kept))
    is_drawn = wanted < len(others)
    if not (is_drawn or are_fewer or cut):
        return collection
    known = f"{len(kept):,} judged and {min(wanted, len(others)):,} not"
    kept.update(heapq.nsmallest(wanted, others, key=lambda doc_id: _hash(seed, doc_id)))
    drawn_documents = (one for one in collection.documents() if one.doc_id in kept)
    name = collection.name + (f"-{len(kept)}" if is_drawn else "")
    name += (f"-q{queries}" if are_fewer else "") + (cut.suffix if cut else "")
    how: dict[str, Any] = {"documents": documents, "seed": seed}
    if unjudged is not None:
        how["unjudged"] = unjudged
    if are_fewer:
        how["queries"] = queries
    if cut:
        how["cut"] = [cut.tokens, cut.identity]
    target = folder / _draw(collection, how) / name
    if read_facts(target) is None:
        write_collection(
            target,
            cut.documents(drawn_documents) if cut else drawn_documents,
            cut.queries(drawn_queries) if cut else drawn_queries,
            judgements,  # of queries without text, too: they score 0, as on the whole
            {"sample_of": collection.fingerprint, **how},
            split=collection.split,
        )
    drawn = open_collection(target, collection.split)
    remarks = list(drawn.remarks)
    if is_drawn:
        remarks.append(
            f"a sample of {len(kept):,} of {len(there):,} documents, drawn with seed {seed}: "
            f"{known}"
        )
    if are_fewer:
        of = len(collection.queries)
        remarks.append(f"a sample of {queries:,} of {of:,} queries, drawn with seed {seed}")
    if cut:
        remarks.append(cut.remark)
    return replace(drawn, remarks=tuple(remarks))


def _drawn(queries: Sequence[Query], wanted: int | None, seed: int) -> Sequence[Query]:
    """So many of the queries, in their order; all where that is no fewer."""
    if wanted is None or wanted >= len(queries):
        return queries
    ids = (query.query_id for query in queries)
    chosen = set(heapq.nsmallest(wanted, ids, key=lambda query_id: _hash(seed, query_id)))
    return [query for query in queries if query.query_id in chosen]


def _hash(seed: int, name: str) -> bytes:
    return blake3(f"{seed} {name}".encode()).digest()


def _draw(collection: Collection, how: Mapping[str, Any]) -> str:
    """12 hexadecimal digits that differ wherever the files of samples may."""
    metadata = [dict(query.metadata) for query in collection.queries]
    told = [collection.fingerprint, collection.split, metadata, how["documents"], how["seed"]]
    if more := {name: of for name, of in how.items() if name not in ("documents", "seed")}:
        told.append(more)
    return blake3(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
