"""How well folders are searched: their files read, cut, indexed and asked what people asked.

    python benchmarks/folder_quality.py --data DIR --minilm DIR
    python benchmarks/folder_quality.py --data DIR --minilm DIR --variant tuned

Three folders with judgements are indexed as searchkit index does it, and searched with BM25, with
vectors, and with both. docs_cacm_html has the queries of the collection cacm, whose own BM25 stands
beside it; docs_pdf has the pages that answer a question; docs_spans the characters that do.
"""

import argparse
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from searchkit import places
from searchkit.commands._options import variants
from searchkit.commands._terminal import Terminal, results, table
from searchkit.corpus.collection import joined, open_collection
from searchkit.corpus.lines import json_object, lines
from searchkit.evaluate import measures
from searchkit.index.live.query import plain
from searchkit.index.text import bm25
from searchkit.records import Hit
from searchkit.search.live.plan import Plan
from searchkit.search.live.retrieve import Searcher, open_searcher
from searchkit.search.live.sync import sync

DEPTH, PAGES, CHUNKS = 100, 5, 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="where the folders are")
    parser.add_argument("--minilm", type=Path, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--variant", action="append", help="encode with it, too; repeatable")
    parser.add_argument("--folder", action="append", choices=MEASURES, help="of the three; all")
    parser.add_argument("--max-tokens", type=int, help="of the variants")
    parser.add_argument("--fusion", default="rrf")
    given = parser.parse_args()
    plan = Plan(
        variants=variants(given.variant, max_tokens=given.max_tokens),
        references=[("minilm", given.minilm)] if given.minilm else [],
        memories=places.evaluations() / "memories",
    )
    encoders = [*(["minilm"] if given.minilm else []), *(one.name for one in plan.variants)]
    systems: list[tuple[str, dict[str, Any]]] = [("bm25", {"mode": "bm25"})]
    for name in encoders:
        systems.append((name, {"mode": "dense", "variant": name}))
        hybrid = {"mode": "hybrid", "variant": name, "fusion": given.fusion}
        systems.append((f"hybrid({name})", hybrid))
    with tempfile.TemporaryDirectory() as temporary:
        for name in given.folder or MEASURES:
            folder = unpacked(given.data / name, Path(temporary) / name)
            searcher = indexed(folder, Path(temporary) / f"{name}-index", plan)
            MEASURES[name](given.data, searcher, systems)


def unpacked(source: Path, folder: Path) -> Path:
    """The files of a folder that comes as an archive."""
    with tarfile.open(source / "files.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def indexed(folder: Path, index: Path, plan: Plan) -> Searcher:
    """A folder through the index that a user would make of it."""
    with Terminal() as terminal:
        report = sync(index, [folder], plan, terminal)
    told = ", ".join(f"{count:,} {what}" for what, count in sorted(report.counts.items()))
    results.print(f"{folder.name}: {told}; {report.rows_added:,} chunks, {report.seconds:.0f} s")
    for fault in report.faults:
        results.print(f"  {fault.what}  {Path(fault.path).name}: {fault.reason}", soft_wrap=True)
    return open_searcher(index)


def of_cacm(data: Path, searcher: Searcher, systems: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """nDCG@10 of documents, and that of the collection's own BM25."""
    collection = open_collection(data / "cacm", "test")
    ids = {f"CACM-{int(one.doc_id):04}.html": one.doc_id for one in collection.documents()}
    shown = table("system", "nDCG@10", "R@100")
    texts = [joined(document) for document in collection.documents()]
    index = bm25.build(texts, bm25.Parameters())
    ranked = index.search([one.text for one in collection.queries], DEPTH, list(ids.values()))
    runs = {"bm25 of the collection": ranked}
    for name, how in systems:
        runs[name] = [
            [
                Hit(ids[one.doc_id], one.score, one.rank)
                for one in searcher.search(plain(query.text), DEPTH, **how)
            ]
            for query in collection.queries
        ]
    for name, rankings in runs.items():
        run = {
            query.query_id: ranking
            for query, ranking in zip(collection.queries, rankings, strict=True)
        }
        found = measures.score(run, collection.judgements, ["nDCG@10", "R@100"])
        means = [fmean(values.values()) for values in found.values()]
        shown.add_row(name, *(f"{mean:.3f}" for mean in means))
    results.print(shown)


def of_pages(data: Path, searcher: Searcher, systems: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """The share of the pages that answer a question among the first five."""
    wanted: dict[str, set[str]] = {}
    for row in (data / "docs_pdf/qrels/test.tsv").read_text("utf-8").splitlines()[1:]:
        query, page, _ = row.split("\t")
        wanted.setdefault(query, set()).add(page)
    asked = [json_object(line) for line in lines(data / "docs_pdf/queries.jsonl.gz")]
    shown = table("system", f"page recall@{PAGES}", f"document recall@{PAGES}")
    for name, how in systems:
        pages, documents = [], []
        for query in asked:
            found = searcher.search(plain(str(query["text"])), DEPTH, per_document=False, **how)
            first = list(dict.fromkeys(f"{one.doc_id}#page={one.page}" for one in found))[:PAGES]
            right = wanted[str(query["_id"])]
            pages.append(len(right & set(first)) / len(right))
            files = {page.partition("#")[0] for page in right}
            documents.append(len(files & {one.doc_id for one in found[:PAGES]}) / len(files))
        shown.add_row(name, f"{fmean(pages):.3f}", f"{fmean(documents):.3f}")
    results.print(shown)


def of_spans(data: Path, searcher: Searcher, systems: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Characters of answers in the first five passages, and how much of those is answers."""
    spans: dict[str, list[tuple[str, int, int]]] = {}
    for row in (data / "docs_spans/spans.tsv").read_text("utf-8").splitlines()[1:]:
        query, file, start, end = row.split("\t")
        spans.setdefault(query, []).append((file, int(start), int(end)))
    asked = [json_object(line) for line in lines(data / "docs_spans/queries.jsonl.gz")]
    shown = table("system", f"span recall@{CHUNKS}", "precision", "IoU")
    for name, how in systems:
        recalls, precisions, unions = [], [], []
        for query in asked:
            found = searcher.search(plain(str(query["text"])), CHUNKS, per_document=False, **how)
            right = {
                (file, place)
                for file, start, end in spans[str(query["_id"])]
                for place in range(start, end)
            }
            read = {(one.doc_id, place) for one in found for place in range(one.start, one.end)}
            recalls.append(len(right & read) / len(right))
            precisions.append(len(right & read) / max(1, len(read)))
            unions.append(len(right & read) / len(right | read))
        figures = (recalls, precisions, unions)
        shown.add_row(name, *(f"{fmean(figure):.3f}" for figure in figures))
    results.print(shown)


MEASURES = {"docs_cacm_html": of_cacm, "docs_pdf": of_pages, "docs_spans": of_spans}

if __name__ == "__main__":
    main()
