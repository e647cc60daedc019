"""A smaller corpus for the same questions: all judged documents, and some of the others."""

import heapq
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from blake3 import blake3

from searchkit import files
from searchkit.corpus.collection import Collection, open_collection


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
    if not target.is_dir():
        _write(collection, kept, target)
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


def _write(collection: Collection, kept: set[str], target: Path) -> None:
    """Write a sample, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        _lines(
            temporary / "corpus.jsonl",
            (
                {"_id": one.doc_id, "title": one.title, "text": one.text}
                for one in collection.documents()
                if one.doc_id in kept
            ),
        )
        _lines(
            temporary / "queries.jsonl",
            (
                {"_id": one.query_id, "text": one.text, "metadata": dict(one.metadata)}
                for one in collection.queries
            ),
        )
        qrels = temporary / "qrels" / f"{collection.split}.tsv"
        qrels.parent.mkdir()
        # All of them, of queries without text too: every system scores 0 there, as on the whole.
        rows = (f"{one.query_id}\t{one.doc_id}\t{one.grade}\n" for one in collection.judgements)
        with qrels.open("w", encoding="utf-8", newline="\n") as file:
            file.write("query-id\tcorpus-id\tscore\n")
            file.writelines(rows)
        temporary.chmod(0o755)
        files.sync_tree(temporary)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():  # another process may have been quicker; its files are the same
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
