"""A smaller corpus for the same questions: fewer documents, or less of each, or both.

Of documents, all that are judged are kept, and some of the others; texts are cut at one length.
"""

import heapq
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from blake3 import blake3

from searchkit.corpus.collection import Collection, open_collection
from searchkit.corpus.cut import Cut
from searchkit.corpus.written import read_facts, write_collection


def sample(
    collection: Collection,
    documents: int | None,
    folder: Path,
    *,
    unjudged: int | None = None,
    cut: Cut | None = None,
    seed: int = 0,
) -> Collection:
    """A collection of some of the documents, or of texts that are cut, the same on every machine.

    Every judged document is kept, however many there are, so a query has all its answers; the
    others are those with the lowest hashes of seed and id, so a smaller sample is part of a larger
    one. Scores are higher than on the whole, and compare only with those of the same sample.

    Args:
        collection: to draw from.
        documents: how many to keep at least; None for all.
        folder: where samples are written, once each, in BEIR's layout.
        unjudged: how many to keep that are not judged, in the place of `documents`.
        cut: at which length documents and queries are cut; None leaves them whole.
        seed: of the draw.

    Returns:
        The collection itself if it has no more documents and none is cut; else one that is called
        after their number, or after the length, or both, such as `scifact-1500-cut64`, and notes
        what it is.
    """
    judged = {one.doc_id for one in collection.judgements}
    there = [document.doc_id for document in collection.documents()]
    kept = {doc_id for doc_id in there if doc_id in judged}
    others = [doc_id for doc_id in there if doc_id not in judged]
    wanted = unjudged
    if wanted is None:
        wanted = len(others) if documents is None else max(0, documents - len(kept))
    is_drawn = wanted < len(others)
    if not is_drawn and cut is None:
        return collection
    known = f"{len(kept):,} judged and {min(wanted, len(others)):,} not"
    kept.update(heapq.nsmallest(wanted, others, key=lambda doc_id: _hash(seed, doc_id)))
    drawn_documents = (one for one in collection.documents() if one.doc_id in kept)
    name = collection.name + (f"-{len(kept)}" if is_drawn else "") + (cut.suffix if cut else "")
    how: dict[str, Any] = {"documents": documents, "seed": seed}
    if unjudged is not None:
        how["unjudged"] = unjudged
    if cut:
        how["cut"] = [cut.tokens, cut.identity]
    target = folder / _draw(collection, how) / name
    if read_facts(target) is None:
        write_collection(
            target,
            cut.documents(drawn_documents) if cut else drawn_documents,
            cut.queries(collection.queries) if cut else collection.queries,
            collection.judgements,  # of queries without text, too: they score 0, as on the whole
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
    if cut:
        remarks.append(cut.remark)
    return replace(drawn, remarks=tuple(remarks))


def _hash(seed: int, doc_id: str) -> bytes:
    return blake3(f"{seed} {doc_id}".encode()).digest()


def _draw(collection: Collection, how: Mapping[str, Any]) -> str:
    """12 hexadecimal digits that differ wherever the files of samples may."""
    metadata = [dict(query.metadata) for query in collection.queries]
    told = [collection.fingerprint, collection.split, metadata, *how.values()]
    return blake3(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
