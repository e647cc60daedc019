"""searchkit index: a folder of documents, or a corpus, to an index."""

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit.commands import _options as options
from searchkit.commands._streams import plain
from searchkit.errors import BadInput, UnknownName

if TYPE_CHECKING:
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
        typer.Option("--yes", help="Go on where work that was done has to be done again, unasked."),
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(
            help="Only files that match, such as '*.md' or 'notes/'; repeatable; '' for all.",
            show_default=False,
            **_FILES,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            help="No files that match; repeatable; '' for none.", show_default=False, **_FILES
        ),
    ] = None,
    hidden: Annotated[
        bool | None,
        typer.Option(
            "--hidden/--no-hidden",
            help="Also names that begin with a dot.",
            show_default=False,
            **_FILES,
        ),
    ] = None,
    follow_links: Annotated[
        bool | None,
        typer.Option(
            "--follow-links/--no-follow-links",
            help="Also what links lead to.",
            show_default=False,
            **_FILES,
        ),
    ] = None,
    gitignore: Annotated[
        bool | None,
        typer.Option(
            "--gitignore/--no-gitignore",
            help="Not what a .gitignore leaves out. [default: --gitignore]",
            show_default=False,
            **_FILES,
        ),
    ] = None,
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
    brought into step; no chunk is encoded twice. Which of its files are read is kept, but for what
    an option changes. Of a corpus, what is there is kept.

    Examples:
      searchkit index ~/notes --variant tuned

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
        "--hidden": hidden is not None,
        "--follow-links": follow_links is not None,
        "--gitignore": gitignore is not None,
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
    if _is_corpus(paths, name):
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
    rules = {
        "include": _patterns(include),
        "exclude": _patterns(exclude),
        "hidden": hidden,
        "follow_links": follow_links,
        "gitignore": gitignore,
        "most_bytes": _bytes(max_megabytes),
    }
    _index_folders(
        paths or [],
        name,
        {
            **shared,
            "base": None if variants else base,  # else that of the first variant, in a new index
            "rules": {name: value for name, value in rules.items() if value is not None},
            "vector_indexes": vector_index,
            "max_tokens": chunk_tokens,
            "overlap": overlap,
            "yes": yes,
            "retry": retry,
            "forget_missing": forget_missing,
            "dry_run": dry_run,
        },
    )


def _is_corpus(paths: Sequence[Path] | None, name: str | None) -> bool:
    """Whether what is named is a corpus, and not folders of documents or a part of those."""
    if not paths or len(paths) > 1:
        return False
    path = paths[0]
    is_one = path.name.removesuffix(".gz").endswith(".jsonl") or any(
        _is_file(path / corpus) for corpus in _CORPUS
    )
    return is_one and not _is_followed(path, name)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # whoever reads its folder says why it cannot be
        return False


def _is_followed(path: Path, name: str | None) -> bool:
    """Whether the index that is meant follows a folder in which a path lies."""
    from searchkit.index.store import Store

    path = path.expanduser().resolve()
    try:
        store = Store.open(options.index_path(path.name if name is None else name))
    except UnknownName:
        return False
    if store.corpus.get("kind") != "folder" or "catalogue" not in store.names():
        return False
    return any(path.is_relative_to(root["path"]) for root in store.facts("catalogue")["roots"])


def _refuse(given: Mapping[str, Any], what: str, other: str) -> None:
    """Refuse options that would have no effect."""
    if useless := [option for option, value in given.items() if value]:
        raise BadInput(f"{useless[0]} has no part in {what}; leave it out, or name {other}")


def _patterns(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Patterns that were given; an empty one takes back those of earlier runs."""
    return None if not given else tuple(filter(None, given))


def _bytes(megabytes: float | None) -> int | None:
    if megabytes is None:
        return None
    if not math.isfinite(megabytes):
        raise BadInput(f"--max-megabytes is {megabytes}; it must be a number, such as 50")
    return round(megabytes * _MEGABYTE)


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
    results.tell(f"{place}")
    if report_recall:
        _show_recall(store)


def _index_folders(paths: Sequence[Path], name: str | None, plan: Mapping[str, Any]) -> None:
    from searchkit.commands._terminal import Terminal, results
    from searchkit.search.live.plan import NeedsYes, Plan
    from searchkit.search.live.sync import sync

    if name is None and len(paths) != 1:
        raise BadInput(
            f"{len(paths)} paths do not say which index is meant; give it a --name"
            if paths
            else "name a folder, or the index that is to be brought into step: --name NAME"
        )
    place = (
        options.new_index_path(paths[0].expanduser().resolve().name)
        if name is None
        else options.any_index_path(name)
    )

    def bring(**more: Any) -> "Report":
        with Terminal() as terminal:
            return sync(place, paths, Plan(**{**plan, **more}), terminal)

    try:
        report = bring()
    except NeedsYes as error:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        if not _agrees(error.cost):
            raise typer.Exit(1) from None
        report = bring(yes=True)
    show_report(report)
    if not report.dry:
        results.tell(f"{place}")
    if any(report.faults):
        raise typer.Exit(1)


def _agrees(cost: str) -> bool:
    """Ask on the terminal whether to go on."""
    from rich.prompt import Confirm
    from rich.text import Text

    from searchkit.commands._terminal import notes

    try:
        return Confirm.ask(Text(f"{plain(cost)}. Go on?"), console=notes, default=False)
    except EOFError:
        return False


def show_report(report: "Report") -> None:
    """What became of the files: counts, and those that could not be read, on stderr."""
    from searchkit.commands._terminal import notes, results

    for line in report.notes:
        notes.tell(f"note   {line}")
    if report.dry:
        for file in report.files:
            if file.what not in ("unchanged", "ignored"):
                was = f" (was {file.reason})" if file.what == "renamed" else ""
                results.tell(f"{file.what:<9}  {file.path}{was}")
    faults = list(report.faults)
    for file in faults[:_FAULTS_SHOWN]:
        reason = f": {file.reason}" if file.reason else ""
        notes.tell(f"{file.what:<9}  {file.path}{reason}")
    if len(faults) > _FAULTS_SHOWN:
        notes.tell(f"... and {len(faults) - _FAULTS_SHOWN:,} more")
    told = [f"{count:,} {what}" for what, count in report.counts.items()] or ["no files"]
    line = ", ".join(told)
    if report.rows_added:
        line += f"; {report.rows_added:,} new chunks"
    for encoder, texts in report.encoded.items():
        line += f"; {texts:,} {'to encode' if report.dry else 'encoded'} by {encoder}"
    notes.tell(f"files  {line}, in {report.seconds:.1f} s")


def _show_recall(store: "Store") -> None:
    from searchkit.commands._terminal import results, table
    from searchkit.search import contents

    cutoff = f"recall@{contents.RECALL_CUTOFF}"
    shown = table("variant", "vector index", cutoff, "MB")
    for name in contents.encoders(store):
        for kind in contents.built_kinds(store, name):
            found = contents.recall_of(store, name, kind)
            size = contents.bytes_of(store, name, kind)
            shown.add_row(name, kind, f"{found:.4f}", f"{size / 1e6:.1f}")
    results.print(shown)
