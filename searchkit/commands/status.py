"""searchkit status: what there is."""

from typing import Annotated

import typer

from searchkit import places
from searchkit.commands import _options as options


def run(
    index: Annotated[
        str | None,
        typer.Argument(help="The name of an index, or its directory.", show_default=False),
    ] = None,
) -> None:
    """List the indexes, or show what one of them holds and check every file of it."""
    from rich.table import Table

    from searchkit.commands._terminal import results
    from searchkit.index.store import Store
    from searchkit.search import build

    if index is None:
        table = Table("index", "documents", "variants", box=None)
        for manifest in sorted(places.indexes().glob("*/manifest.json")):
            store = Store.open(manifest.parent)
            table.add_row(
                manifest.parent.name,
                f"{store.corpus['documents']:,}",
                ", ".join(build.encoders(store)),
            )
        results.print(
            table if table.row_count else "no index yet; build one with: searchkit index CORPUS"
        )
        return
    store = Store.open(options.index_path(index))
    for part in store.names():
        store.part(part)  # raises where a file is not what was written
    results.print(
        f"{store.path}: {store.corpus['documents']:,} documents of {store.corpus['name']}; "
        "every file is whole",
        soft_wrap=True,
    )
    table = Table("variant", "dimension", "cut", "made by", "vector indexes", "MB", box=None)
    for name, facts in build.encoders(store).items():
        kinds = build.built_kinds(store, name)
        table.add_row(
            name,
            str(facts["dimension"]),
            str(facts["truncated"]),
            f"{facts['engine']} {facts['dtype']}",
            ", ".join(kinds),
            f"{sum(build.bytes_of(store, name, kind) for kind in kinds) / 1e6:.1f}",
        )
    if table.row_count:
        results.print(table)
