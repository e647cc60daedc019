"""searchkit verify, repair and compact: looking after the index of a folder."""

import shlex
from typing import Annotated

import typer

from searchkit.commands import _options as options
from searchkit.commands._streams import plain, say

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
        typer.echo(plain(f"{fault.part}: {fault.what}"))
    if faults:
        say(f"searchkit: mend it with: searchkit repair {shlex.quote(index)}")
        raise typer.Exit(1)
    typer.echo(plain(f"{path}: whole"))


def repair(index: Index) -> None:
    """Mend what can be mended; searchkit index then reads and encodes what was lost.

    Examples:
      searchkit repair notes
    """
    from searchkit.search.live import upkeep

    path = options.index_path(index)
    mended = upkeep.repair(path)
    for one in mended:
        typer.echo(plain(f"{one.part}: {one.what}"))
    if mended:
        say(f"next: searchkit index --name {shlex.quote(index)}")
    else:
        typer.echo(plain(f"{path}: nothing to mend"))


def compact(
    index: Index,
    forget: Annotated[
        list[str] | None,
        typer.Option(
            help="Also drop the vectors of this variant or embedder, which encodes nothing from "
            "now on; repeatable.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Drop what deleted and changed files left behind; nothing is encoded for it.

    Examples:
      searchkit compact notes

      searchkit compact notes --forget mean-causal
    """
    from searchkit.search.live import upkeep

    path = options.index_path(index)
    for name in forget or ():
        upkeep.forget_encoder(path, name)
    found = upkeep.compact(path)
    before, after = (found[when] / 1e6 for when in ("before", "after"))
    typer.echo(plain(f"{path}: {before:,.1f} MB before, {after:,.1f} MB now"))
