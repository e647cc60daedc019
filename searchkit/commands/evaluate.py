"""searchkit eval: sets to a report that says which system is better, and how sure that is."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit import places
from searchkit.commands import _options as options
from searchkit.errors import BadInput

if TYPE_CHECKING:
    from searchkit.evaluate.suite import Reranking, SetRow, Suite
    from searchkit.evaluate.tasks.retrieval import IndexLoss

_SUITE = ".toml"


def run(
    context: typer.Context,
    sets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SET]...",
            help="Folders with a retrieval collection or another labelled set, "
            "hub:<owner>/<name>@<commit>, or one SUITE.toml; none with --index, whose own "
            "documents then make the queries.",
            show_default=False,
        ),
    ] = None,
    variant: options.VariantNames = None,
    embedder: options.EmbedderNames = None,
    hybrid: Annotated[
        list[str] | None,
        typer.Option(
            help="Also fuse this variant or embedder with BM25; repeatable.", show_default=False
        ),
    ] = None,
    rerank: options.Rerankers = None,
    rerank_depth: options.RerankDepth = None,
    run_file: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            help="Also compare a TREC run, <name>=<file>; for one set; repeatable.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            "-i",
            help="Use this index, and complete it, instead of one of the evaluation's own. Without "
            "a SET: find out what serves it best.",
            show_default=False,
        ),
    ] = None,
    pick: Annotated[
        bool,
        typer.Option("--pick", help="With --index alone: search the index with the best from now."),
    ] = False,
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
            help="A measure; of rankings, in the notation of ir_measures; repeatable. "
            "[default: those of each task]",
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
    seed: Annotated[int, typer.Option(min=0, help="Of both, of samples and of tasks.")] = 0,
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Keep so many documents, texts or pairs of each set, judged documents always.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be encoded, and how long it takes.")
    ] = False,
    report: Annotated[
        list[Path] | None,
        typer.Option(
            help="Write a report to this file, in the form of its suffix: .html, .md, .tex, .csv, "
            ".json or .txt; repeatable.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Where to save runs, scores and report.html. [default: evaluations/latest]",
            show_default=False,
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", help="Write the rows of the table to this file.", show_default=False
        ),
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", help="Write the rows of the table to this file.", show_default=False),
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
    """Compare systems on judged sets: means, differences with intervals, corrected p-values.

    A set is for retrieval, reranking, semantic similarity, classification or clustering, as its
    files say. A suite is a TOML file that names sets, systems and measures.

    Examples:
      searchkit eval corpora/handbook --variant tuned --hybrid tuned

      searchkit eval scifact stsb --variant tuned --report scifact.html

      searchkit eval suite.toml --dry-run

      searchkit eval --index handbook --pick
    """
    from searchkit.commands._terminal import Terminal, notes, results
    from searchkit.evaluate import own_folder, reports, runner
    from searchkit.evaluate import suite as suites
    from searchkit.evaluate.analysis import analyse
    from searchkit.evaluate.reports import csv, html, json
    from searchkit.evaluate.reports import terminal as tables
    from searchkit.evaluate.results import save
    from searchkit.files import write_text
    from searchkit.index.store import Store
    from searchkit.search.default import set_default

    forms = [(path, reports.form_of(path)) for path in report or ()]  # refused before any work
    folder = output or places.evaluations() / "latest"
    _refuse_places(folder, (*(report or ()), json_file, csv_file))
    own: Path | None = None
    remarks: list[str] = []
    if pick and (sets or not index):
        raise BadInput("--pick goes with --index and no SET; name the index alone")
    if sets and any(name.endswith(_SUITE) for name in sets):
        _refuse_options(context, sets)
        suite = suites.read(Path(sets[0]))
    else:
        lexical = options.text_parameters(k1=k1, b=b, stop_words=stop_words, stemmer=stemmer)
        variants = options.variants(
            variant,
            base=base,
            max_tokens=max_tokens,
            last_layer=last_layer,
            query_template=query_template,
            passage_template=passage_template,
        )
        given = {"index": index, "queries": queries, "qrels": qrels}
        if not sets and not index:
            raise typer.BadParameter("name a SET, or an index with --index", param_hint="SET")
        if not sets and (run_file or rerank or queries or qrels or sample or by):
            raise BadInput(
                "--run, --rerank, --queries, --qrels, --sample and --by belong to a SET; leave "
                "them out, or name one"
            )
        if not sets and hybrid and not variants and not embedder:
            raise BadInput(
                "the hybrids of everything in the index are compared without --hybrid; leave it out"
            )
        rows = _rows(sets or [""], split, sample, given)
        hybrids = {
            suites.hybrid_name((suites.LEXICAL, name)): (suites.LEXICAL, name)
            for name in hybrid or ()
        }
        suite = suites.Suite(
            sets=rows,
            lexical={suites.LEXICAL: lexical},
            variants=variants,
            references=_named(options.references(embedder)),
            hybrids=hybrids,
            rerankings=_rerankings(rerank, rerank_depth, [*hybrids] or [suites.LEXICAL]),
            runs=_runs(run_file, rows, seed),
            baseline=baseline if sets else "",  # the index says what else there is
            measures=_measures(measure),
            vector_indexes=tuple(vector_index or ()),
            by=by,
            depth=depth,
            resamples=resamples,
            seed=seed,
            device=device,
            engine=engine,
            dtype=dtype,
        )
        if not sets:
            own = options.index_path(str(index))
            suite, remarks = own_folder.suite_of(own, suite, seed=seed)
            suite = replace(suite, baseline=baseline)
    if dry_run:
        _show_plan(suite)
        return
    command = shlex.join(["searchkit", *context.obj])
    with Terminal() as terminal:
        for remark in remarks:
            terminal.say(remark)
        outcome = runner.evaluate(
            suite, command=command, watcher=terminal, keep=runner.keep_in(folder)
        )
    save(folder, outcome.results)
    analysis = analyse(outcome.results)
    saved: list[tuple[Path | None, Any]] = [
        (folder / "report.html", html),
        (folder / "rows.json", json),
        (json_file, json),
        (csv_file, csv),
        *forms,
    ]
    for path, form in saved:
        if path:
            write_text(path, form.render(outcome.results, analysis))
    results.print(tables.Report(outcome.results, analysis, every_measure=measure is not None))
    if outcome.losses:
        results.print(_loss_table(outcome.losses))
    if own:
        found = own_folder.answer(outcome.results, analysis)
        results.print(found.sentence, soft_wrap=True)
        if pick:
            set_default(Store.open(own), found.mode, found.variant)
            results.print(f"{own.name} is searched with {found.system} from now", soft_wrap=True)
    notes.print(f"runs, scores and where they come from: {folder}", soft_wrap=True)
    notes.print(f"to look into it: {folder / 'report.html'}", soft_wrap=True)


def _rows(
    sets: list[str], split: str, sample: int | None, given: dict[str, Any]
) -> "tuple[SetRow, ...]":
    """What the command line says of its sets; some options belong to a single one."""
    from searchkit.evaluate.suite import SetRow

    if len(sets) > 1 and any(given.values()):
        raise BadInput("--queries, --qrels and --index belong to one set; evaluate one at a time")
    place = options.any_index_path(given["index"]) if given["index"] else None
    return tuple(
        SetRow(source=source, split=split, sample=sample, **{**given, "index": place})
        for source in sets
    )


def _runs(
    files: list[str] | None, rows: "tuple[SetRow, ...]", seed: int
) -> dict[str, dict[str, Path]]:
    """TREC runs by system and set."""
    from searchkit.evaluate.sets import open_one

    if not files:
        return {}
    if len(rows) > 1:
        raise BadInput("--run belongs to one set; name several runs in a suite")
    paths: dict[str, Path] = {}
    for text in files:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise BadInput(f"--run takes <name>=<file>, not {text!r}")
        if name in paths:
            raise BadInput(f"two runs are called {name!r}; give {path} another name")
        paths[name] = Path(path)
    of = open_one(rows[0], seed).name
    return {name: {of: path} for name, path in paths.items()}


def _rerankings(
    names: list[str] | None, depth: int | None, systems: list[str]
) -> "dict[str, Reranking]":
    """The first documents of each of the systems, read again by every reranker."""
    from searchkit.evaluate.suite import Reranking

    read = options.rerank_depth(depth, names)
    named: dict[str, Reranking] = {}
    for one in (Reranking(name, of, read) for name in names or () for of in systems):
        if named.setdefault(one.name, one) != one:
            raise BadInput(f"two rerankings are called {one.name!r}; rename one of the folders")
    return named


def _named(references: tuple[tuple[str, Path], ...]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for name, folder in references:
        if named.setdefault(name, folder) != folder:
            raise BadInput(
                f"two embedders are called {name!r}; give one another name: <name>=st:<folder>"
            )
    return named


def _measures(names: list[str] | None) -> dict[str, tuple[str, ...]]:
    """Measures by task: each goes to the tasks that know it, all others are of rankings."""
    from searchkit import catalog
    from searchkit.evaluate import measures
    from searchkit.evaluate.suite import TASKS

    if not names:
        return {}
    ranking = ("retrieval", "reranking")
    others = [task for task in catalog.names(TASKS) if task not in ranking]
    known = {task: catalog.load(TASKS, task).MEASURES for task in others}
    found = {task: tuple(name for name in names if name in known[task]) for task in others}
    left = tuple(name for name in names if not any(name in of for of in found.values()))
    measures.check(left)
    found |= dict.fromkeys(ranking, left)
    return {task: chosen for task, chosen in found.items() if chosen}


def _refuse_options(context: typer.Context, sets: list[str]) -> None:
    """A suite says itself what the other options of the command line say."""
    if len(sets) > 1:
        raise BadInput(f"{', '.join(sets)}: give one suite, and nothing beside it")
    kept = {"sets", "dry_run", "report", "output", "json_file", "csv_file"}
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name not in kept and source is not None and source.name == "COMMANDLINE":
            raise BadInput(
                f"{sets[0]} says all that {parameter.opts[0]} could say; write it into the suite"
            )


def _refuse_places(folder: Path, reports: "tuple[Path | None, ...]") -> None:
    """Raise now what writing would raise after an hour."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; --output is a folder to save results in")
    for path in reports:
        if path and path.is_dir():
            raise BadInput(f"{path} is a folder; name a file in it, to write a report to")


def _show_plan(suite: "Suite") -> None:
    from searchkit.commands._terminal import results, table
    from searchkit.evaluate.plan import plan

    shown = table("set", "size", "pass", "texts", "tokens", "time")
    passes: dict[tuple[str, ...], str] = {}
    seconds, unknown, before = 0.0, False, ""
    for step in plan(suite):
        if step.systems and step.systems not in passes:
            passes[step.systems] = str(len(passes) + 1)
        first = step.set != before
        before = step.set
        shown.add_row(
            step.set if first else "",
            step.size if first else "",
            passes.get(step.systems, ""),
            f"{step.texts:,}",
            f"{step.tokens:,}",
            "?" if step.seconds is None else _duration(step.seconds),
        )
        seconds += step.seconds or 0.0
        unknown |= step.seconds is None
    results.print(shown)
    for systems, number in passes.items():
        results.print(f"pass {number}: {', '.join(systems)}")
    known = f"about {_duration(seconds)} of encoding"
    if unknown:
        known += " beside what was never timed on this machine"
    results.print(
        f"{known}; searches, classifiers, clusters and tests come on top, up to a minute a set"
        + ("; and reranking, seconds a query" if suite.rerankings else ""),
        soft_wrap=True,
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _loss_table(losses: "list[IndexLoss]") -> Any:
    from searchkit.commands._terminal import table

    measured = list(losses[0].differences)[:2]
    shown = table(
        "set",
        "system",
        "vector index",
        "recall@10",
        *measured,
        title="what the vector index loses, apart from the model",
        caption="recall: of exact search's top 10; measures: mean less that of exact search",
    )
    for loss in losses:
        found = [
            f"{loss.differences[name]:+.4f}" if name in loss.differences else ""
            for name in measured
        ]
        shown.add_row(loss.collection, loss.system, loss.vector_index, f"{loss.recall:.4f}", *found)
    return shown
