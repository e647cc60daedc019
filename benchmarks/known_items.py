"""Whether known-item queries rank systems as people's judgements do.

Of each judged collection, known-item queries are made, and the same systems search with both: good
ones, weak ones, and ones that are much alike. Printed is Kendall's tau-b between the two rankings
of systems, and what following the known-item queries would lose: the judged mean of the best
system, less that of the one that they put first.

    python benchmarks/known_items.py --data DIR --minilm DIR    # encodes every collection whole
    python benchmarks/known_items.py --data DIR --minilm DIR --sets cacm cranfield --max-tokens 32

Vectors are remembered, so a run that was stopped goes on, and a text of several sets is encoded
once. Scores are saved in evaluations/known_items/results, which searchkit report shows.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from searchkit import places
from searchkit.commands._terminal import Terminal
from searchkit.corpus.collection import open_collection
from searchkit.encode.variant import parse
from searchkit.evaluate import known_items, runner
from searchkit.evaluate.known_items import KINDS, Agreement
from searchkit.evaluate.results import Results, save
from searchkit.evaluate.suite import LEXICAL, SetRow, Suite, hybrid_name
from searchkit.index.text.bm25 import Parameters

MEASURE = "nDCG@10"
BOTH = "both"
# Those of the literature, and two that nobody would choose.
BM25 = {
    LEXICAL: Parameters(),
    "bm25-anserini": Parameters(k1=0.9, b=0.4),
    "bm25-3.0-0.0": Parameters(k1=3.0, b=0.0),
    "bm25-0.4-1.0": Parameters(k1=0.4, b=1.0),
}
FUSED = ("minilm", "mean-causal")  # with BM25, where they take part

Values = dict[str, dict[str, dict[str, float]]]  # collection, system, query


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="where the collections are")
    parser.add_argument("--minilm", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--sets", nargs="+", default=["scifact", "cranfield", "cacm", "medquad"])
    parser.add_argument(
        "--variants",
        nargs="+",
        default=["eos_last-causal", "mean-causal", "weighted_mean-causal"],
        help="designs, or .json files of variants",
    )
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--resamples", type=int, default=2000, help="of the interval of tau")
    parser.add_argument("--seed", type=int, default=0, help="of the queries, and of the interval")
    parser.add_argument("--dtype", help="of the variants; by default what calibration finds")
    options = parser.parse_args()
    folder = places.evaluations() / "known_items"
    with Terminal() as terminal:
        made = {
            (name, kind): row
            for name in options.sets
            for kind, row in make(options.data / name, folder, options.seed, terminal).items()
        }
        suite = suite_of(options, tuple(made.values()))
        results = runner.evaluate(suite, watcher=terminal).results
    save(folder / "results", results)
    show(results, options)


def make(collection: Path, folder: Path, seed: int, terminal: Terminal) -> dict[str, SetRow]:
    """Collections of known-item queries by kind; a kind that documents do not allow is left out."""
    documents = list(open_collection(collection).documents())
    rows: dict[str, SetRow] = {}
    for kind in KINDS:
        name = made_name(collection.name, kind)
        try:
            made = known_items.make(documents, folder / name, kind=kind, seed=seed)
        except known_items.TooFewDocuments as error:
            terminal.say(f"{collection.name}: {error}")
            continue
        rows[kind] = SetRow(source=str(made.folder), task="retrieval")
    return rows


def made_name(collection: str, kind: str) -> str:
    return f"{collection}-{kind}"


def suite_of(options: argparse.Namespace, made: tuple[SetRow, ...]) -> Suite:
    """All systems on the judged collections and on those that were made of them."""
    variants = tuple(parse(name, max_tokens=options.max_tokens) for name in options.variants)
    fused = [name for name in FUSED if name in ("minilm", *(one.name for one in variants))]
    return Suite(
        sets=(*(SetRow(source=str(options.data / name)) for name in options.sets), *made),
        lexical=BM25,
        variants=variants,
        references={"minilm": options.minilm},
        hybrids={hybrid_name((LEXICAL, name)): (LEXICAL, name) for name in fused},
        measures={"retrieval": (MEASURE,)},
        seed=options.seed,
        dtype=options.dtype,
    )


def show(results: Results, options: argparse.Namespace) -> None:
    """Means, tau and loss of each collection, tau over collections, and the line to quote."""
    real = {name: of_measure(results, name) for name in options.sets}
    made: dict[str, Values] = {
        kind: {
            name: of_measure(results, made_name(name, kind))
            for name in options.sets
            if made_name(name, kind) in results.scores
        }
        for kind in KINDS
    }
    made[BOTH] = {
        name: joined([made[kind][name] for kind in KINDS])
        for name in options.sets
        if all(name in made[kind] for kind in KINDS)
    }
    made = {kind: values for kind, values in made.items() if values}
    show_means(results)
    agreements = {
        kind: known_items.agreement(real, values, resamples=options.resamples, seed=options.seed)
        for kind, values in made.items()
    }
    line = "{:<20}{:<12}{:>9}{:>9}{:>9}   {}"
    print(line.format("collection", "queries", "how many", "tau-b", "loss", "put first"))
    for kind, values in made.items():
        for name, of in values.items():
            first = best(of)
            loss = mean(real[name][best(real[name])]) - mean(real[name][first])
            count = len(of[first])
            tau = agreements[kind].collections[name]
            print(line.format(name, kind, count, f"{tau:.3f}", f"{loss:.3f}", first))
    print()
    for kind, agreement in agreements.items():
        print(
            f"{kind}: tau-b {agreement.tau:.3f}, 95 % interval {agreement.low:.3f} to "
            f"{agreement.high:.3f}, mean over {len(agreement.collections)} collections, "
            f"{len(agreement.systems)} systems"
        )
    print(f"\nown_folder.AGREEMENT:\n{quoted(agreements)}")


def of_measure(results: Results, name: str) -> dict[str, dict[str, float]]:
    """The value of each query by system."""
    return {system: dict(of[MEASURE]) for system, of in results.scores[name].items()}


def joined(kinds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The queries of several kinds as one set, in which the mean is the mean of the kinds' means.

    Values of a kind with fewer queries are scaled up for it, and a bootstrap of all queries also
    varies how many of each kind there are. Ids of kinds differ by their prefix.
    """
    counts = [len(next(iter(of.values()))) for of in kinds]
    return {
        system: {
            query: value * sum(counts) / count / len(kinds)
            for of, count in zip(kinds, counts, strict=True)
            for query, value in of[system].items()
        }
        for system in kinds[0]
    }


def show_means(results: Results) -> None:
    first = max(map(len, results.systems))
    widths = {name: max(7, len(name) + 2) for name in results.scores}
    print(f"{MEASURE}, mean over queries\n")
    print(" " * first + "".join(f"{name:>{width}}" for name, width in widths.items()))
    for system in results.systems:
        cells = (
            f"{mean(results.scores[name][system][MEASURE]):>{width}.3f}"
            for name, width in widths.items()
        )
        print(f"{system:<{first}}" + "".join(cells))
    print()


def mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def best(systems: Mapping[str, Mapping[str, float]]) -> str:
    return max(systems, key=lambda system: mean(systems[system]))


def quoted(agreements: Mapping[str, Agreement]) -> str:
    """What a user who has no judgements should know of known-item queries."""
    main = agreements.get(BOTH) or next(iter(agreements.values()))
    # Over the same collections: one that has no titles has sentences all the same.
    taus = {kind: agreements[kind].collections for kind in KINDS if kind in agreements}
    alone = [
        f"{fmean(of[name] for name in main.collections):.2f} by {kind}s"
        for kind, of in taus.items()
        if main.collections.keys() <= of.keys()
    ]
    return (
        f"On {len(main.collections)} judged collections ({', '.join(main.collections)}), such "
        f"queries ranked {len(main.systems)} systems as the judged ones did with a Kendall's tau-b "
        f"of {main.tau:.2f} (95 % interval {main.low:.2f} to {main.high:.2f}; "
        f"{', '.join(alone)}); 1 is the same order, 0 none in common."
    )


if __name__ == "__main__":
    main()
