"""searchkit index: a folder of documents, or a corpus, to an index."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit.commands import _options as options
from searchkit.errors import BadInput

if TYPE_CHECKING:
    from searchkit.corpus.folder import Rules
    from searchkit.index.store import Store
    from searchkit.search.live.plan import Report

_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")
_FILES: dict[str, Any] = {"rich_help_panel": "Files of a folder"}
_CHUNKS: dict[str, Any] = {"rich_help_panel": "Chunks of a folder", "show_default": False}
_MEGABYTE = 1_000_000
_FAULTS_SHOWN = 20


def run(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH...",
            help="Folders of documents, or parts of those that the index follows; or one corpus: "
            "a .jsonl (also .gz), or the folder that its corpus.jsonl lies in. [default: all that "
            "the index follows]",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="What to call the index. [default: as the folder or corpus]", show_default=False
        ),
    ] = None,
    variant: options.VariantNames = None,
    embedder: options.EmbedderNames = None,
    vector_index: options.VectorIndexOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, and do nothing.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Go on where work that was done has to be done again."),
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(
            help="Only files that match, such as '*.md' or 'notes/'; repeatable.",
            show_default=False,
            **_FILES,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="No files that match; repeatable.", show_default=False, **_FILES),
    ] = None,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Also names that begin with a dot.", **_FILES)
    ] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Also what links lead to.", **_FILES)
    ] = False,
    no_gitignore: Annotated[
        bool,
        typer.Option("--no-gitignore", help="Also what a .gitignore leaves out.", **_FILES),
    ] = False,
    max_megabytes: Annotated[
        float | None,
        typer.Option(min=0, help="No larger files. [default: 50]", show_default=False, **_FILES),
    ] = None,
    retry: Annotated[
        bool,
        typer.Option("--retry", help="Read files again that failed, changed or not.", **_FILES),
    ] = False,
    forget_missing: Annotated[
        bool,
        typer.Option(
            "--forget-missing", help="Forget a folder that is gone, with all its files.", **_FILES
        ),
    ] = False,
    chunk_tokens: Annotated[
        int | None,
        typer.Option(min=8, help="The most tokens of a chunk. [default: 200]", **_CHUNKS),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            min=0, help="Tokens that it shares with the one before. [default: 0]", **_CHUNKS
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the corpus that the index holds.")
    ] = False,
    report_recall: Annotated[
        bool,
        typer.Option(
            "--report-recall", help="Print how much of exact search each vector index finds."
        ),
    ] = False,
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
    """Index documents: BM25 always, and vectors of as many variants as named.

    A folder is followed: run it again, and what was added, changed, renamed or deleted since is
    brought into step; no chunk is encoded twice. Of a corpus, what is there is kept.

    Examples:
      searchkit index ~/notes --variant mean-causal

      searchkit index --name notes --dry-run

      searchkit index corpora/handbook --variant mean-bidirectional --vector-index hnsw
    """
    variants = options.variants(
        variant,
        base=base,
        max_tokens=max_tokens,
        last_layer=last_layer,
        query_template=query_template,
        passage_template=passage_template,
    )
    shared = {
        "variants": variants,
        "references": options.references(embedder),
        "device": device,
        "engine": engine,
        "dtype": dtype,
    }
    of_a_folder = {
        "--dry-run": dry_run,
        "--yes": yes,
        "--include": include,
        "--exclude": exclude,
        "--hidden": hidden,
        "--follow-links": follow_links,
        "--no-gitignore": no_gitignore,
        "--max-megabytes": max_megabytes is not None,
        "--retry": retry,
        "--forget-missing": forget_missing,
        "--chunk-tokens": chunk_tokens is not None,
        "--overlap": overlap is not None,
    }
    text_parameters = options.text_parameters(k1=k1, b=b, stop_words=stop_words, stemmer=stemmer)
    of_a_corpus = {
        "--replace": replace,
        "--report-recall": report_recall,
        "--k1, --b, --stop-words and --stemmer": text_parameters,
    }
    if _is_corpus(paths):
        _refuse(of_a_folder, "an index of a corpus", "a folder")
        _index_corpus(
            (paths or [])[0],
            name,
            {**shared, "text_parameters": text_parameters, "replace": replace},
            kinds=tuple(vector_index or ()),
            report_recall=report_recall,
        )
        return
    _refuse(of_a_corpus, "an index of a folder", "a corpus")
    rules = _rules(
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        hidden=hidden,
        follow_links=follow_links,
        gitignore=not no_gitignore,
        most_bytes=None if max_megabytes is None else round(max_megabytes * _MEGABYTE),
    )
    _index_folders(
        paths or [],
        name,
        {
            **shared,
            "base": None if variants else base,  # else that of the first variant, in a new index
            "rules": rules,
            "vector_indexes": vector_index,
            "max_tokens": chunk_tokens,
            "overlap": overlap,
            "yes": yes,
            "retry": retry,
            "forget_missing": forget_missing,
            "dry_run": dry_run,
        },
    )


def _is_corpus(paths: Sequence[Path] | None) -> bool:
    """Whether what is named is a corpus, and not folders of documents."""
    if not paths or len(paths) > 1:
        return False
    path = paths[0]
    if path.name.removesuffix(".gz").endswith(".jsonl"):
        return True
    return any((path / corpus).is_file() for corpus in _CORPUS)


def _refuse(given: Mapping[str, Any], what: str, other: str) -> None:
    """Refuse options that would have no effect."""
    if useless := [option for option, value in given.items() if value]:
        raise BadInput(f"{useless[0]} has no part in {what}; leave it out, or name {other}")


def _rules(**given: Any) -> "Rules | None":
    """The rules that are asked for, defaults for the rest; None if none is."""
    from searchkit.corpus.folder import Rules

    usual = Rules()
    chosen = {
        name: value
        for name, value in given.items()
        if value is not None and value != getattr(usual, name)
    }
    return Rules(**chosen) if chosen else None


def _index_corpus(
    path: Path,
    name: str | None,
    plan: Mapping[str, Any],
    *,
    kinds: tuple[str, ...],
    report_recall: bool,
) -> None:
    from searchkit.commands._terminal import Terminal, results
    from searchkit.corpus.collection import open_corpus
    from searchkit.search import build

    source = open_corpus(path)
    place = options.new_index_path(name or source.name)
    with Terminal() as terminal:
        store = build.build_index(place, source, build.Plan(vector_indexes=kinds, **plan), terminal)
    results.print(f"{place}", soft_wrap=True)
    if report_recall:
        _show_recall(store)


def _index_folders(paths: Sequence[Path], name: str | None, plan: Mapping[str, Any]) -> None:
    from searchkit.commands._terminal import Terminal, results
    from searchkit.search.live.plan import Plan
    from searchkit.search.live.sync import sync

    if name is None and len(paths) != 1:
        raise BadInput(
            f"{len(paths)} paths do not say which index is meant; give it a --name"
            if paths
            else "name a folder, or the index that is to be brought into step: --name NAME"
        )
    place = options.any_index_path(name or paths[0].expanduser().resolve().name)
    with Terminal() as terminal:
        report = sync(place, paths, Plan(**plan), terminal)
    show_report(report)
    if not report.dry:
        results.print(f"{place}", soft_wrap=True)
    if any(report.faults):
        raise typer.Exit(1)


def show_report(report: "Report") -> None:
    """What became of the files: counts, and those that could not be read, on stderr."""
    from searchkit.commands._terminal import notes, results

    for line in report.notes:
        notes.print(f"note   {line}", soft_wrap=True)
    if report.dry:
        for file in report.files:
            if file.what not in ("unchanged", "ignored"):
                was = f" (was {file.reason})" if file.what == "renamed" else ""
                results.print(f"{file.what:<9}  {file.path}{was}", soft_wrap=True)
    faults = list(report.faults)
    for file in faults[:_FAULTS_SHOWN]:
        reason = f": {file.reason}" if file.reason else ""
        notes.print(f"{file.what:<9}  {file.path}{reason}", soft_wrap=True)
    if len(faults) > _FAULTS_SHOWN:
        notes.print(f"... and {len(faults) - _FAULTS_SHOWN:,} more", soft_wrap=True)
    told = [f"{count:,} {what}" for what, count in report.counts.items()] or ["no files"]
    line = ", ".join(told)
    if report.rows_added:
        line += f"; {report.rows_added:,} new chunks"
    for encoder, texts in report.encoded.items():
        line += f"; {texts:,} {'to encode' if report.dry else 'encoded'} by {encoder}"
    notes.print(f"files  {line}, in {report.seconds:.1f} s", soft_wrap=True)


def _show_recall(store: "Store") -> None:
    from searchkit.commands._terminal import results, table
    from searchkit.search import build

    cutoff = f"recall@{build.RECALL_CUTOFF}"
    shown = table("variant", "vector index", cutoff, "MB")
    for name in build.encoders(store):
        for kind in build.built_kinds(store, name):
            found = build.recall_of(store, name, kind)
            size = build.bytes_of(store, name, kind)
            shown.add_row(name, kind, f"{found:.4f}", f"{size / 1e6:.1f}")
    results.print(shown)
