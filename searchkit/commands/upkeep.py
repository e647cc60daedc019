"""searchkit verify, repair and compact: looking after the index of a folder."""

from typing import Annotated

import typer

from searchkit.commands import _options as options

Index = Annotated[
    str, typer.Argument(help="The name of an index, or its directory.", show_default=False)
]


def verify(index: Index) -> None:
    """Check every file of an index, and that its parts agree with each other.

    Ends with 1 if anything is wrong. searchkit repair mends it.

    Examples:
      searchkit verify notes
    """
    from searchkit.search.live import upkeep

    path = options.index_path(index)
    faults = upkeep.verify(path)
    for fault in faults:
        typer.echo(f"{fault.part}: {fault.what}")
    if faults:
        typer.echo(f"searchkit: mend it with: searchkit repair {index}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{path}: whole")


def repair(index: Index) -> None:
    """Mend what can be mended; searchkit index then reads and encodes what was lost.

    Examples:
      searchkit repair notes
    """
    from searchkit.search.live import upkeep

    path = options.index_path(index)
    mended = upkeep.repair(path)
    for one in mended:
        typer.echo(f"{one.part}: {one.what}")
    if mended:
        typer.echo(f"next: searchkit index --name {path.name}", err=True)
    else:
        typer.echo(f"{path}: nothing to mend")


def compact(index: Index) -> None:
    """Drop what deleted and changed files left behind; nothing is encoded for it.

    Examples:
      searchkit compact notes
    """
    from searchkit.search.live import upkeep

    path = options.index_path(index)
    found = upkeep.compact(path)
    before, after = (found[when] / 1e6 for when in ("before", "after"))
    typer.echo(f"{path}: {before:,.1f} MB before, {after:,.1f} MB now")
