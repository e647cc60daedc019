"""Standard output and standard error: text that may hold anything, and readers that are gone."""

import os
import sys
from typing import TextIO

import typer

_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")
_BUT_LINE_ENDS = {code: shown for code, shown in _CONTROLS.items() if code != ord("\n")}


def plain(text: str, *, lines: bool = False) -> str:
    """A text for a terminal, character by character: what would command it is replaced.

    Names of files, documents and what libraries say of them may hold anything.

    Args:
        text: of any origin.
        lines: whether it may have several lines; else a line end in it is replaced, too.
    """
    return text.translate(_BUT_LINE_ENDS if lines else _CONTROLS)


def say(message: str) -> None:
    """Write a message to standard error, or nowhere if nobody reads it: the work goes on."""
    try:
        typer.echo(plain(message, lines=True), err=True)
    except BrokenPipeError:
        give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """Let go nowhere what is still to be written to a stream whose reader is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
