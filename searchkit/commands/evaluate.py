"""searchkit eval: collections to a table that says which system is better, and how sure that is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit import places
from searchkit.commands import _options as options
from searchkit.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from searchkit.corpus.collection import Collection
    from searchkit.evaluate.runs import Run


def run(
    collections: Annotated[
        list[Path],
        typer.Argument(
            metavar="COLLECTION",
            help="Folders with corpus.jsonl, queries.jsonl and qrels/<split>.tsv, plain or .gz.",
            show_default=False,
        ),
    ],
    variant: options.VariantNames = None,
    embedder: options.EmbedderNames = None,
    hybrid: Annotated[
        list[str] | None,
        typer.Option(
            help="Also fuse this variant or embedder with BM25; repeatable.", show_default=False
        ),
    ] = None,
    run_file: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            help="Also compare a TREC run, <name>=<file>; for one collection; repeatable.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            "-i",
            help="Use this index, and complete it, instead of one of the evaluation's own.",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[
        str, typer.Option(help="The system that all others are compared with.")
    ] = "bm25",
    split: Annotated[str, typer.Option(help="Which qrels/<split>.tsv to judge by.")] = "test",
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Queries from this file instead: TREC topics, id<TAB>text or JSON lines.",
            show_default=False,
        ),
    ] = None,
    qrels: Annotated[
        Path | None,
        typer.Option(
            help="Judgements from this file instead: TREC qrels or BEIR.", show_default=False
        ),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            help="A measure in the notation of ir_measures; repeatable. [default: nDCG@10, R@100, "
            "RR@10, AP]",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Also report the queries of each value of this field, such as kind.",
            show_default=False,
        ),
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="How many documents a ranking holds.")] = 1000,
    vector_index: options.VectorIndexOption = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="Of the bootstrap and of the permutation test.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of both.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Where to save runs and scores. [default: evaluations/latest]", show_default=False
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", help="Write the table's rows to this file, too.", show_default=False
        ),
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", help="Write the table's rows to this file, too.", show_default=False),
    ] = None,
    base: options.Base = None,
    max_tokens: options.MaxTokens = None,
    last_layer: options.LastLayer = None,
    query_template: options.QueryTemplate = None,
    passage_template: options.PassageTemplate = None,
    device: options.DeviceOption = None,
    dtype: options.DTypeOption = None,
    engine: options.EngineOption = None,
    k1: options.K1 = None,
    b: options.B = None,
    stop_words: options.StopWords = None,
    stemmer: options.Stemmer = None,
) -> None:
    """Compare systems on judged collections: means, differences with intervals, corrected p-values.

    Examples:
      searchkit eval corpora/handbook --variant mean-causal --hybrid mean-causal

      searchkit eval scifact cranfield --variant mean-causal --json rows.json
    """
    from searchkit.commands._terminal import Terminal, notes, results
    from searchkit.corpus.collection import open_collection
    from searchkit.evaluate import measures, report
    from searchkit.evaluate.tasks import retrieval
    from searchkit.index.text.bm25 import Parameters
    from searchkit.search import build

    measured = tuple(measure or measures.DEFAULT)
    measures.check(measured)
    if len(collections) > 1 and (run_file or queries or qrels or index):
        raise BadInput(
            "--run, --queries, --qrels and --index belong to one collection; evaluate one at a time"
        )
    opened = [open_collection(path, split, queries=queries, qrels=qrels) for path in collections]
    _distinct([one.name for one in opened])
    text_parameters = options.text_parameters(k1=k1, b=b, stop_words=stop_words, stemmer=stemmer)
    if index is None:  # its own index has what this command says, not what an earlier one said
        text_parameters = text_parameters or Parameters()
    plan = build.Plan(
        variants=options.variants(
            variant,
            base=base,
            max_tokens=max_tokens,
            last_layer=last_layer,
            query_template=query_template,
            passage_template=passage_template,
        ),
        references=options.references(embedder),
        vector_indexes=tuple(vector_index or ()),
        text_parameters=text_parameters,
        device=device,
        engine=engine,
        dtype=dtype,
    )
    given = _read_runs(run_file, opened[0])
    _check_systems(retrieval.systems(plan, hybrid or ()), list(given), baseline)
    _check_field(by, opened)
    folder = output or places.evaluations() / "latest"
    scores: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    losses: list[retrieval.IndexLoss] = []
    provenance: dict[str, Any] = {}
    with Terminal() as terminal:
        for collection in opened:
            notes.rule(f"{collection.name}, {len(collection.queries)} queries", style="dim")
            own = retrieval.index_of(collection, places.evaluations() / "indexes")
            path = options.any_index_path(index) if index else own
            runs, lost = retrieval.rank(
                collection,
                path,
                plan,
                hybrids=hybrid or (),
                depth=depth,
                measured=measured,
                watcher=terminal,
            )
            for note in collection.notes:
                terminal.say(note)
            losses += lost
            runs |= given
            scores |= _score(collection, runs, measured, by)
            provenance[collection.name] = retrieval.save(folder, collection, runs, path, plan)
    rows = report.compare(scores, baseline, resamples=resamples, seed=seed)
    report.write_scores(folder / "scores.csv", scores)
    report.write_json(folder / "rows.json", rows)
    settings = {"baseline": baseline, "resamples": resamples, "seed": seed, "depth": depth}
    report.write_provenance(folder / "provenance.json", settings, provenance)
    if json_file:
        report.write_json(json_file, rows)
    if csv_file:
        report.write_csv(csv_file, rows)
    for name in measured:
        results.print(report.table(rows, measure=name, resamples=resamples))
        results.print()
    if losses:
        results.print(_loss_table(losses, measured))
    results.print(report.headline(rows, measured[0]), soft_wrap=True)
    notes.print(f"runs, scores and where they come from: {folder}", soft_wrap=True)


def _distinct(names: list[str]) -> None:
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadInput(f"two collections are called {twice.pop()!r}; rename the folder of one")


def _check_systems(ranked: list[str], given: list[str], baseline: str) -> None:
    if twice := [name for name in given if name in ranked]:
        raise BadInput(f"two systems are called {twice[0]!r}; give the --run another name")
    if baseline not in (*ranked, *given):
        raise UnknownName(
            f"no system is called {baseline!r}, to be the baseline; there are: "
            f"{', '.join((*ranked, *given))}"
        )


def _check_field(by: str | None, collections: "list[Collection]") -> None:
    queries = [query for collection in collections for query in collection.queries]
    fields = sorted({field for query in queries for field in query.metadata})
    if by and by not in fields:
        raise UnknownName(
            f"no query has a field {by!r} to report by; there are: {', '.join(fields) or 'none'}"
        )


def _read_runs(files: list[str] | None, collection: "Collection") -> "dict[str, Run]":
    from searchkit.evaluate.tasks.retrieval import load

    runs: dict[str, Run] = {}
    for text in files or ():
        name, equals, path = text.partition("=")
        if not equals or not name:
            raise BadInput(f"--run takes <name>=<file>, not {text!r}")
        if name in runs:
            raise BadInput(f"two runs are called {name!r}; give {path} another name")
        runs[name] = load(Path(path), collection)
    return runs


def _score(
    collection: "Collection", runs: "dict[str, Run]", measured: tuple[str, ...], by: str | None
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Scores by collection and system; with `by`, also by collection/value for each value of it."""
    from searchkit.evaluate import measures

    whole = {
        name: measures.score(run, collection.judgements, measured) for name, run in runs.items()
    }
    scores = {collection.name: whole}
    if by:
        values = {query.query_id: query.metadata.get(by) for query in collection.queries}
        for value in sorted({value for value in values.values() if value}):
            scores[f"{collection.name}/{value}"] = {
                name: {
                    measure: {
                        query: score for query, score in of.items() if values.get(query) == value
                    }
                    for measure, of in by_measure.items()
                }
                for name, by_measure in whole.items()
            }
    return scores


def _loss_table(losses: list[Any], measured: tuple[str, ...]) -> Any:
    from searchkit.commands._terminal import table

    shown = table(
        "collection",
        "system",
        "vector index",
        "recall@10",
        *measured[:2],
        title="what the vector index loses, apart from the model",
        caption="recall: of exact search's top 10; measures: mean less that of exact search",
    )
    for loss in losses:
        found = [f"{loss.differences[name]:+.4f}" for name in measured[:2]]
        shown.add_row(loss.collection, loss.system, loss.vector_index, f"{loss.recall:.4f}", *found)
    return shown
