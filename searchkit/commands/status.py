"""searchkit status: what there is."""

from typing import Annotated

import typer

from searchkit import places
from searchkit.commands import _options as options
from searchkit.errors import SearchkitError


def run(
    index: Annotated[
        str | None,
        typer.Argument(help="The name of an index, or its directory.", show_default=False),
    ] = None,
) -> None:
    """List the indexes, or show what one of them holds and check every file of it."""
    from searchkit.commands._terminal import results, table
    from searchkit.index.store import Store
    from searchkit.search import build
    from searchkit.search.default import default_of

    if index is None:
        shown = table("index", "documents", "variants")
        damaged: list[str] = []
        for manifest in sorted(places.indexes().glob("*/manifest.json")):
            try:
                store = Store.open(manifest.parent)
            except SearchkitError as error:  # one that is damaged must not hide the others
                damaged.append(str(error))
                continue
            shown.add_row(
                manifest.parent.name,
                f"{store.corpus['documents']:,}",
                ", ".join(build.encoders(store)),
            )
        results.print(
            shown if shown.row_count else "no index yet; build one with: searchkit index CORPUS"
        )
        for line in damaged:
            typer.echo(f"searchkit: {line}", err=True)
        if damaged:
            raise typer.Exit(1)
        return
    store = Store.open(options.index_path(index))
    for part in store.names():
        store.part(part)  # raises where a file is not what was written
    results.print(
        f"{store.path}: {store.corpus['documents']:,} documents of {store.corpus['name']}; "
        "every file is whole",
        soft_wrap=True,
    )
    if chosen := default_of(store):
        named = f" {chosen['variant']}" if chosen["variant"] else ""
        results.print(f"searched with {chosen['mode']}{named} unless a search says otherwise")
    shown = table("variant", "dimension", "cut", "made by", "vector indexes", "MB")
    for name, facts in build.encoders(store).items():
        kinds = build.built_kinds(store, name)
        shown.add_row(
            name,
            str(facts["dimension"]),
            str(facts["truncated"]),
            f"{facts['engine']} {facts['dtype']}",
            ", ".join(kinds),
            f"{sum(build.bytes_of(store, name, kind) for kind in kinds) / 1e6:.1f}",
        )
    if shown.row_count:
        results.print(shown)
