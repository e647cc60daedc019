"""searchkit study: designs trained alike, compared on the same sets, and a page about it."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from searchkit import places
from searchkit.commands import _options as options
from searchkit.errors import BadInput

app = typer.Typer(
    help="Train designs alike, compare them, and write a page about it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Define = Annotated[
    list[str] | None,
    typer.Option(
        "--define",
        "-D",
        metavar="NAME=VALUE",
        help="What stands for ${NAME} in the study file; repeatable. [default: the environment's]",
        show_default=False,
    ),
]


@app.command("run")
def run(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="STUDY.toml", help="The study.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder of this study.", show_default=False),
    ],
    define: Define = None,
    device: options.DeviceOption = None,
) -> None:
    """Train every design of a study with every seed, evaluate them, and write the page.

    What is finished is kept, so a study that was killed goes on with the same command.

    Examples:
      searchkit study run study.toml -o poolings

      searchkit study run study.toml -o poolings -D DATA=../data
    """
    _run(context, file, output, define, device)


@app.command("report")
def report(
    folder: Annotated[
        Path, typer.Argument(help="What searchkit study run filled.", show_default=False)
    ],
) -> None:
    """Write the page of a study again, from what was saved and without a model.

    Examples:
      searchkit study report poolings

      searchkit study report evaluations/study
    """
    from searchkit.study import run as studies

    typer.echo(studies.report(folder))


@app.command("reproduce")
def reproduce(
    context: typer.Context,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The folder of this study. [default: evaluations/study]",
            show_default=False,
        ),
    ] = None,
    define: Define = None,
    device: options.DeviceOption = None,
) -> None:
    """Run the study that comes with searchkit: DATA is where its sets are, MINILM its reference.

    Examples:
      searchkit study reproduce -D DATA=../data -D MINILM=path/to/all-MiniLM-L6-v2

      searchkit study reproduce -o again -D DATA=../data -D MINILM=path/to/all-MiniLM-L6-v2
    """
    from searchkit.study.file import SHIPPED

    _run(context, SHIPPED, output or places.evaluations() / "study", define, device)


def _run(
    context: typer.Context,
    file: Path,
    output: Path,
    define: list[str] | None,
    device: options.Device | None,
) -> None:
    from searchkit.commands._terminal import Terminal
    from searchkit.study import run as studies
    from searchkit.study.file import read

    study = read(file, variables={**os.environ, **_defined(define)})
    with Terminal() as terminal:
        studies.run(
            study,
            output,
            command=shlex.join(["searchkit", *context.obj]),
            device=device,
            watcher=terminal,
        )
    typer.echo(output / studies.PAGE)


def _defined(given: list[str] | None) -> dict[str, str]:
    found = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise BadInput(f"--define takes NAME=VALUE, not {text!r}")
        found[name] = value
    return found
