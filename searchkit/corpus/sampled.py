"""A smaller corpus for the same questions: all judged documents, and some of the others."""

import heapq
import json
from dataclasses import replace
from pathlib import Path

from blake3 import blake3

from searchkit.corpus.collection import Collection, open_collection
from searchkit.corpus.written import read_facts, write_collection


def sample(collection: Collection, documents: int, folder: Path, *, seed: int = 0) -> Collection:
    """A collection of at least so many documents, the same on every machine.

    Every judged document is kept, however many there are, so a query has all its answers; the
    others are those with the lowest hashes of seed and id, so a smaller sample is part of a larger
    one. Scores are higher than on the whole, and compare only with those of the same sample.

    Args:
        collection: to draw from.
        documents: how many to keep.
        folder: where samples are written, once each, in BEIR's layout.
        seed: of the draw.

    Returns:
        The collection itself if it has no more documents; else one that is called after their
        number, such as `scifact-1500`, and notes that it is a sample.
    """
    judged = {one.doc_id for one in collection.judgements}
    there = [document.doc_id for document in collection.documents()]
    kept = {doc_id for doc_id in there if doc_id in judged}
    if len(there) <= max(documents, len(kept)):
        return collection
    others = (doc_id for doc_id in there if doc_id not in judged)
    wanted = max(0, documents - len(kept))
    kept.update(heapq.nsmallest(wanted, others, key=lambda doc_id: _hash(seed, doc_id)))
    target = folder / _draw(collection, documents, seed) / f"{collection.name}-{len(kept)}"
    if read_facts(target) is None:
        write_collection(
            target,
            (document for document in collection.documents() if document.doc_id in kept),
            collection.queries,
            collection.judgements,  # of queries without text, too: they score 0, as on the whole
            {"sample_of": collection.fingerprint, "documents": documents, "seed": seed},
            split=collection.split,
        )
    drawn = open_collection(target, collection.split)
    remark = f"a sample of {len(kept):,} of {len(there):,} documents, drawn with seed {seed}"
    return replace(drawn, remarks=(*drawn.remarks, remark))


def _hash(seed: int, doc_id: str) -> bytes:
    return blake3(f"{seed} {doc_id}".encode()).digest()


def _draw(collection: Collection, documents: int, seed: int) -> str:
    """12 hexadecimal digits that differ wherever the files of samples may."""
    metadata = [dict(query.metadata) for query in collection.queries]
    told = [collection.fingerprint, collection.split, metadata, documents, seed]
    return blake3(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
