"""searchkit status: what there is."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit import places
from searchkit.commands import _options as options
from searchkit.commands._streams import say
from searchkit.errors import BadInput, SearchkitError

if TYPE_CHECKING:
    from searchkit.index.live.generation import Generation
    from searchkit.index.store import Store

_REASONS_SHOWN = 20


def run(
    index: Annotated[
        str | None,
        typer.Argument(help="The name of an index, or its directory.", show_default=False),
    ] = None,
    files: Annotated[
        bool,
        typer.Option("--files", help="List what became of every file of a folder."),
    ] = False,
) -> None:
    """List the indexes, or show what one of them holds and check every file of it.

    Examples:
      searchkit status

      searchkit status notes --files | grep failed
    """
    from searchkit.commands._terminal import results, table
    from searchkit.index.store import Store
    from searchkit.search import contents
    from searchkit.search.default import default_of

    if index is None:
        shown = table("index", "documents", "variants")
        damaged: list[str] = []
        for name in places.index_names():
            try:
                store = Store.open(places.indexes() / name)
            except SearchkitError as error:  # one that is damaged must not hide the others
                damaged.append(str(error))
                continue
            shown.add_row(name, _size(store), ", ".join(contents.encoders(store)))
        results.print(
            shown if shown.row_count else "no index yet; build one with: searchkit index FOLDER"
        )
        for line in damaged:
            say(f"searchkit: {line}")
        if damaged:
            raise typer.Exit(1)
        return
    store = Store.open(options.index_path(index))
    if store.corpus.get("kind") == "folder":
        _show_folder(store.path, files)
        return
    if files:
        raise BadInput(f"{store.path} is of a corpus, which has no files; leave out --files")
    for part in store.names():
        store.part(part)  # raises where a file is not what was written
    results.tell(
        f"{store.path}: {store.corpus['documents']:,} documents of {store.corpus['name']}; "
        "every file is whole"
    )
    if chosen := default_of(store):
        named = f" {chosen['variant']}" if chosen["variant"] else ""
        results.print(f"searched with {chosen['mode']}{named} unless a search says otherwise")
    shown = table("variant", "dimension", "cut", "made by", "vector indexes", "MB")
    for name, facts in contents.encoders(store).items():
        kinds = contents.built_kinds(store, name)
        shown.add_row(
            name,
            str(facts["dimension"]),
            str(facts["truncated"]),
            f"{facts['engine']} {facts['dtype']}",
            ", ".join(kinds),
            f"{sum(contents.bytes_of(store, name, kind) for kind in kinds) / 1e6:.1f}",
        )
    if shown.row_count:
        results.print(shown)


def _size(store: "Store") -> str:
    """How many documents an index holds."""
    if store.corpus.get("kind") != "folder":
        return f"{store.corpus['documents']:,}"
    return f"{store.facts('catalogue')['documents']:,}"


def _show_folder(path: Path, files: bool) -> None:
    """What became of the files of a folder, and what of their chunks is encoded."""
    from searchkit.commands._terminal import results, table
    from searchkit.index.live.generation import open_newest

    lines, coverage = open_newest(path, _files if files else _summary)
    for line in lines:
        results.tell(line)
    if coverage:
        shown = table("variant", "dimension", "encoded", "made by", "vector indexes")
        for row in coverage:
            shown.add_row(*row)
        results.print(shown)


_Told = tuple[list[str], list[tuple[str, ...]]]  # lines, and the rows of the table of encoders


def _files(generation: "Generation") -> _Told:
    told = [
        f"{file.state:<9}  {file.path}{f'  {file.reason}' if file.reason else ''}"
        for file in generation.catalogue.files()
    ]
    return told, []


def _summary(generation: "Generation") -> _Told:
    """See `run`. It prints nothing itself: a commit in between lets it begin anew."""
    store, catalogue = generation.store, generation.catalogue
    for part in store.names():
        store.part(part)  # raises where a file is not what was written
    told = [
        f"{store.path}: {catalogue.number_of_documents():,} documents in "
        f"{catalogue.number_of_chunks():,} chunks; every file is whole"
    ]
    told += [f"follows {root.path}" for root in catalogue.roots()]
    if cut := generation.settings.get("chunking"):
        overlap = f", {cut['overlap']} of them shared with the next" if cut["overlap"] else ""
        told.append(
            f"chunks: at most {cut['max_tokens']} tokens of {cut['base'] or 'words'}{overlap}"
        )
    counted = [f"{count:,} {state}" for state, count in catalogue.counts().items() if count]
    told.append(f"files: {', '.join(counted) or 'none'}")
    for file in catalogue.files(states=["indexed", "empty", "failed", "encrypted"]):
        if file.reason:  # of the first two, those that could not be read again
            told.append(f"  {file.state:<9}  {file.path}: {file.reason}")
    ignored = Counter(file.reason for file in catalogue.files(states=["ignored"]))
    told += [f"  ignored    {n:,}: {reason}" for reason, n in ignored.most_common(_REASONS_SHOWN)]
    if len(ignored) > _REASONS_SHOWN:
        told.append(f"  ignored    for {len(ignored) - _REASONS_SHOWN:,} more reasons: --files")
    rows: list[tuple[str, ...]] = [
        (
            name,
            str(coverage.facts["dimension"]),
            f"{coverage.rows:,} of {coverage.of:,}",
            f"{coverage.facts['engine']} {coverage.facts['dtype']}",
            ", ".join(["flat", *generation.kinds(name)]),
        )
        for name, coverage in generation.encoders().items()
    ]
    return told, rows
