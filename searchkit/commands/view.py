"""searchkit view: the full-screen view of an index."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit import places
from searchkit.commands import _options as options
from searchkit.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from searchkit.search.source import Source
    from searchkit.terminal.background import RGB


def run(
    index: Annotated[
        str | None,
        typer.Argument(
            help="The name of an index, or its directory. [default: the one searched last]",
            show_default=False,
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            help="What colour the terminal is: light, dark, a colour such as #fdf6e3, or own to "
            "use nothing but the terminal's own colours. [default: the terminal is asked]",
            show_default=False,
        ),
    ] = None,
    device: options.DeviceOption = None,
) -> None:
    """Search on the whole screen: results while you type, documents beside them, two ways compared.

    Without a command, searchkit does the same.

    Examples:
      searchkit view

      searchkit view notes
    """
    if not is_possible():
        raise BadInput(
            "the view needs a terminal for its input and its output; for a pipe there is: "
            'searchkit search "..." --index NAME'
        )
    if os.environ.get("NO_COLOR") == "":  # says nothing by its standard; Textual takes it for yes
        del os.environ["NO_COLOR"]
    colour = _background(background)
    path = _chosen(index)
    from searchkit.search.source import open_source
    from searchkit.terminal.app import View

    def open_(name: str) -> "Source":
        return open_source(options.index_path(name), device)

    view = View(
        open_source(path, device),
        others=places.index_names(),
        open_source=open_,
        background=colour,
    )
    view.run()
    if view.busy:  # a model that nobody waits for any more; nothing is being written
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(view.return_code or 0)
    if view.return_code:
        raise typer.Exit(view.return_code)


def is_possible() -> bool:
    """Whether there is a terminal to fill, and somebody at it."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _chosen(index: str | None) -> Path:
    """The index that is named; else the only one, or the one that was searched last."""
    if index is not None:
        return options.index_path(index)
    names = places.index_names()
    if not names:
        raise UnknownName("there is no index yet; build one with: searchkit index FOLDER")
    from searchkit.terminal.history import History

    last = History().last_index()
    return options.index_path(last if last in names else names[0])


def _background(said: str | None) -> "RGB | None":
    from searchkit.terminal import background

    if said is None:
        return background.ask() or background.of_environment(os.environ.get("COLORFGBG"))
    named = {"dark": (0x12, 0x14, 0x18), "light": (0xFF, 0xFF, 0xFF), "own": None}
    if said in named:
        return named[said]
    digits = said.removeprefix("#")
    try:
        red, green, blue = bytes.fromhex(digits)
    except ValueError:
        raise BadInput(
            f"--background is {said!r}; it must be light, dark, own or a colour such as #fdf6e3"
        ) from None
    return red, green, blue
