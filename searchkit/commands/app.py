"""The command line, put together."""

import inspect
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from searchkit import __version__, places
from searchkit.commands import (
    evaluate,
    explain_layers,
    index,
    mine,
    models,
    report,
    search,
    status,
    study,
    train,
    upkeep,
    variants,
    view,
    watch,
)
from searchkit.commands._streams import give_up, say
from searchkit.errors import SearchkitError

# Commands whose work is kept as it is done, and is not done again when they are run once more.
_GO_ON = frozenset({"index", "eval", "train", "study", "watch"})


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


app = typer.Typer(
    name="searchkit",
    cls=_Commands,
    help="Search documents with language-model embedders, and find out which design retrieves "
    "best.\n\nStart with: searchkit models pull smollm2-135m",
    add_completion=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("index")(index.run)
app.command("search")(search.run)
app.command("eval")(evaluate.run)
app.command("report")(report.run)
app.command("explain-layers")(explain_layers.run)
app.command("mine")(mine.run)
app.command("train")(train.run)
app.command("status")(status.run)
app.command("watch")(watch.run)
app.command("verify")(upkeep.verify)
app.command("repair")(upkeep.repair)
app.command("compact")(upkeep.compact)
app.command("view")(view.run)
app.add_typer(models.app, name="models")
app.add_typer(variants.app, name="variants")
app.add_typer(study.app, name="study")
for command in (
    *app.registered_commands,
    *models.app.registered_commands,
    *variants.app.registered_commands,
    *study.app.registered_commands,
):
    # Examples keep their lines: \b at the top of a paragraph says so.
    text = inspect.getdoc(command.callback) or ""
    command.help = text.replace("\n\nExamples:\n", "\n\n\b\nExamples:\n").replace(
        "\n\n  ", "\n\n\b\n  "
    )


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"searchkit {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    if view.is_possible() and places.index_names():
        view.run()
        return
    typer.echo(context.get_help())
    raise typer.Exit(2)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: those of the process by default.

    Returns:
        0 when done, 1 after a `SearchkitError`, 2 for a usage error, 130 when interrupted, 141 when
        nobody reads standard output any more.
    """
    typed = sys.argv[1:] if arguments is None else arguments
    try:
        # What was typed goes on record with what it found.
        app(typed, standalone_mode=True, prog_name="searchkit", obj=tuple(typed))
    except SearchkitError as error:
        say(f"searchkit: {error}")
        return 1
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0
