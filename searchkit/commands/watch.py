"""searchkit watch: an index that follows its folders as they change."""

import os
from pathlib import Path
from typing import Annotated

import typer

from searchkit.commands import _options as options
from searchkit.commands._streams import say
from searchkit.errors import BadInput, SearchkitError


def run(
    index: Annotated[
        str, typer.Argument(help="The name of an index, or its directory.", show_default=False)
    ],
    wait: Annotated[
        float,
        typer.Option(min=0.05, help="Seconds of quiet to wait for after a change."),
    ] = 1.0,
    no_encoding: Annotated[
        bool,
        typer.Option("--no-encoding", help="BM25 alone; searchkit index encodes what is new."),
    ] = False,
) -> None:
    """Bring the index of a folder into step whenever something in the folder changes.

    Ctrl-C ends it; an index that is searched meanwhile is always whole.

    Examples:
      searchkit watch notes

      searchkit watch notes --wait 5 --no-encoding
    """
    from watchfiles import watch

    from searchkit.commands._terminal import Terminal, notes
    from searchkit.commands.index import show_report
    from searchkit.index.live.generation import Generation
    from searchkit.search.live.plan import Plan
    from searchkit.search.live.sync import sync

    path = options.index_path(index)
    roots = [Path(root.path) for root in Generation.open(path).catalogue.roots()]

    def follow() -> None:
        try:
            with Terminal() as terminal:
                report = sync(path, (), Plan(encode=not no_encoding), terminal)
        except SearchkitError as error:  # another writer, a disk that is gone: the next may do
            say(f"searchkit: {error}")
            return
        if set(report.counts) - {"unchanged", "ignored"} or report.encoded:
            show_report(report)

    own = str(path.resolve())  # an index may lie in what it follows

    def concerns(_: object, changed: str) -> bool:
        return changed != own and not changed.startswith(own + os.sep)

    follow()
    there = [root for root in roots if root.is_dir()]
    for root in roots:
        if root not in there:
            notes.tell(f"note   {root} is not there, and not watched")
    if not there:
        raise BadInput(f"{path} follows no folder that is there; is a disk missing?")
    notes.tell(f"watching {', '.join(map(str, there))}")
    quiet = round(wait * 1000)
    for _ in watch(
        *there,
        watch_filter=concerns,
        step=quiet,
        debounce=10 * quiet,
    ):
        follow()
