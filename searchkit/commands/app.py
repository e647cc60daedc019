"""The command line, put together."""

import inspect
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from searchkit import __version__, places
from searchkit.commands._streams import give_up, say
from searchkit.errors import SearchkitError

# Name, module, function, in the order of --help.
_COMMANDS = {
    "index": ("index", "run"),
    "search": ("search", "run"),
    "ask": ("ask", "run"),
    "eval": ("evaluate", "run"),
    "eval-answers": ("eval_answers", "run"),
    "report": ("report", "run"),
    "explain-layers": ("explain_layers", "run"),
    "mine": ("mine", "run"),
    "train": ("train", "run"),
    "status": ("status", "run"),
    "watch": ("watch", "run"),
    "verify": ("upkeep", "verify"),
    "repair": ("upkeep", "repair"),
    "compact": ("upkeep", "compact"),
    "view": ("view", "run"),
    "serve": ("serve", "run"),
    "mcp": ("mcp", "run"),
}
_ALL = (*_COMMANDS, "models", "variants", "study")  # the last three are groups of commands
# Commands whose work is kept as it is done, and is not done again when they are run once more.
_GO_ON = frozenset({"index", "eval", "eval-answers", "train", "study", "watch"})


class _Commands(TyperGroup):
    """The commands; Typer would end them in its own ways for Ctrl-C and for a pipe that closes."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            goes_on = "; what was finished is kept, and the same command goes on from there"
            say(f"interrupted{goes_on if ctx.invoked_subcommand in _GO_ON else ''}")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            give_up(sys.stdout)
            # Who reads a search has what it wanted; what works for long may have stopped half way.
            raise typer.Exit(141 if ctx.invoked_subcommand in _GO_ON else 0) from None


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"searchkit {__version__}")
        raise typer.Exit


def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from searchkit.commands import view

    if view.is_possible() and places.index_names():
        view.run()
        return
    typer.echo(context.get_help())
    raise typer.Exit(2)


def application(names: Sequence[str] = _ALL) -> typer.Typer:
    """The command line with some of its commands, all by default; no other module is loaded."""
    app = typer.Typer(
        name="searchkit",
        cls=_Commands,
        help="Search documents with language-model embedders, and find out which design retrieves "
        "best.\n\nStart with: searchkit models pull smollm2-135m",
        add_completion=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_options)
    groups: list[typer.Typer] = []
    for name in names:
        if name in _COMMANDS:
            module, function = _COMMANDS[name]
            app.command(name)(getattr(_module(module), function))
        else:
            groups.append(_module(name).app)
            app.add_typer(groups[-1], name=name)
    for command in (one for of in (app, *groups) for one in of.registered_commands):
        # Examples keep their lines: \b at the top of a paragraph says so.
        text = inspect.getdoc(command.callback) or ""
        command.help = text.replace("\n\nExamples:\n", "\n\n\b\nExamples:\n").replace(
            "\n\n  ", "\n\n\b\n  "
        )
    return app


def _module(name: str) -> Any:
    return import_module(f"searchkit.commands.{name}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: those of the process by default.

    Returns:
        0 when done, 1 after a `SearchkitError` or where the system refuses, 2 for a usage error,
        130 when interrupted, 141 when nobody reads standard output any more.
    """
    typed = sys.argv[1:] if arguments is None else arguments
    # A search need not wait for the options of all others to be put together.
    app = application(typed[:1] if typed and typed[0] in _ALL else _ALL)
    try:
        # What was typed goes on record with what it found.
        app(typed, standalone_mode=True, prog_name="searchkit", obj=tuple(typed))
    except SearchkitError as error:
        say(f"searchkit: {error}")
        return 1
    except OSError as error:  # a folder that is read-only, a disk that is full
        where = f"{error.filename}: " if error.filename else ""
        said = " ".join(str(error.strerror or error).split())  # a library's may have several lines
        say(f"searchkit: {where}{said}")
        return 1
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0
