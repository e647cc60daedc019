"""What reading the first documents again gains over the best hybrid, and what it costs.

    python benchmarks/rerank.py --data DIR
    python benchmarks/rerank.py --data DIR --sets cacm --queries 5 --rerank query_likelihood

Of every collection some queries are drawn. BM25 and `tuned`, fused, rank the documents for them;
each reranker reads the first 20 again, and its ranking stands alone and fused with the one before
it, by reciprocal ranks: a weight would have to be tuned on other queries. Differences are of
nDCG@10, with 95 % intervals, and p-values of the permutation test are Holm-corrected over all
comparisons of the table.

Vectors and scores are remembered in evaluations/memories, so a run that was stopped goes on; the
seconds are of the passages that were ever read for the memory.
"""

import argparse
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from searchkit import catalog, places
from searchkit.commands._terminal import Terminal, results, table
from searchkit.corpus.collection import Collection, joined, open_collection
from searchkit.encode.variant import parse
from searchkit.evaluate import measures, significance
from searchkit.evaluate.runs import Run, fuse
from searchkit.evaluate.significance import Difference
from searchkit.evaluate.tasks import retrieval
from searchkit.index.documents import DocumentStore
from searchkit.index.store import Store
from searchkit.search import reranking
from searchkit.search.build import Plan
from searchkit.search.reranking import Reranker, open_reranker, rerank

MEASURE = "nDCG@10"
FIRST = "hybrid"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="where the collections are")
    parser.add_argument("--sets", nargs="+", default=["scifact", "cranfield", "cacm", "medquad"])
    parser.add_argument(
        "--rerank",
        nargs="+",
        default=[one for one in catalog.names(reranking.RERANKERS) if one != "cross_encoder"],
        help="rerankers, as searchkit search --rerank takes them",
    )
    parser.add_argument("--variant", default="tuned", help="fused with BM25")
    parser.add_argument("--queries", type=int, default=50, help="of each collection")
    parser.add_argument("--depth", type=int, default=reranking.DEPTH)
    parser.add_argument("--seed", type=int, default=0, help="of the queries, and of the tests")
    parser.add_argument("--device")
    options = parser.parse_args()
    memories = places.evaluations() / "memories"
    rerankers = [
        open_reranker(name, device=options.device, memories=memories) for name in options.rerank
    ]
    values: dict[str, dict[str, dict[str, float]]] = {}
    with Terminal() as terminal:
        for name in options.sets:
            collection = drawn(open_collection(options.data / name), options.queries, options.seed)
            index = retrieval.index_of(collection, places.evaluations() / "indexes")
            plan = Plan(
                variants=(parse(options.variant),), device=options.device, memories=memories
            )
            ranked = retrieval.rank(collection, index, plan, watcher=terminal)
            first = fuse([*ranked.runs.values()], retrieval.DEPTH)
            documents = DocumentStore.open(Store.open(index).part("documents"))
            runs = {FIRST: first}
            for one in rerankers:
                terminal.say(f"{name}: {one.name} reads {len(collection.queries)} rankings")
                runs |= read_again(one, collection, documents, first, options.depth)
            values[name] = {
                system: measures.score(run, collection.judgements, [MEASURE])[MEASURE]
                for system, run in runs.items()
            }
    show(values, options.seed)
    for one in rerankers:
        speed = one.passages_per_s
        told = "remembered" if speed is None else f"{options.depth / speed:.2f} s a query"
        results.print(f"{one.name}: {told}; {one.note() or 'no passage was cut'}", soft_wrap=True)


def drawn(collection: Collection, queries: int, seed: int) -> Collection:
    """A collection with some of its queries, the same for a seed; all documents stay."""
    known = sorted({one.query_id for one in collection.judgements})
    chosen = {*random.Random(seed).sample(known, min(queries, len(known)))}
    return replace(
        collection,
        queries=tuple(one for one in collection.queries if one.query_id in chosen),
        judgements=tuple(one for one in collection.judgements if one.query_id in chosen),
    )


def read_again(
    reranker: Reranker, collection: Collection, documents: DocumentStore, first: Run, depth: int
) -> dict[str, Run]:
    """The reranked run, and its first documents fused with those of the run before it."""
    alone: dict[str, list] = {}
    for query in collection.queries:
        placed = rerank(
            reranker,
            query.text,
            first[query.query_id],
            lambda hit: joined(documents.by_id(hit.doc_id)),
            depth=depth,
        )
        alone[query.query_id] = [place.item for place in placed]
    tops = [{key: hits[:depth] for key, hits in run.items()} for run in (first, alone)]
    return {reranker.name: alone, f"{reranker.name} + {FIRST}": fuse(tops, depth)}


def show(values: Mapping[str, Mapping[str, Mapping[str, float]]], seed: int) -> None:
    """Means, and differences from the hybrid."""
    compared: list[tuple[str, str, Difference]] = []
    for name, of in values.items():
        before = [*of[FIRST].values()]
        for system, after in of.items():
            if system != FIRST:
                found = significance.paired([after[key] for key in of[FIRST]], before, seed=seed)
                compared.append((name, system, found))
    corrected = significance.holm([found.p for _, _, found in compared])
    shown = table("set", "queries", "system", MEASURE, "difference", "95 % interval", "p, Holm")
    rows = iter(zip(compared, corrected, strict=True))
    for name, of in values.items():
        for system, scores in of.items():
            mean = f"{fmean(scores.values()):.3f}"
            told: Sequence[str] = ("", "", "")
            if system != FIRST:
                (_, _, found), p = next(rows)
                interval = f"{found.low:+.3f} to {found.high:+.3f}"
                told = (f"{found.mean:+.3f}", interval, f"{p:.3f}")
            shown.add_row(name, str(len(scores)), system, mean, *told)
    results.print(shown)


if __name__ == "__main__":
    main()
