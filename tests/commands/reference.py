"""Writes the command reference from `--help`: `make reference`. A test says when it is stale."""

import contextlib
import io
import os
from pathlib import Path

PATH = Path(__file__).parents[2] / "searchkit" / "commands" / "README.md"

HEAD = """# Commands

Written from `searchkit --help` by `make reference`.

Results go to standard output, progress and notes to standard error. Exit codes: 0 done, 1 something
to mend (one line says what), 2 a usage error, 130 interrupted, 141 where nobody reads the output of
a command that writes more than its output.
"""


def reference() -> str:
    """The page: the help of every command, as an 80-column terminal shows it."""
    helps = [f"## searchkit {name}\n\n```text\n{_help(name)}\n```\n" for name in commands()]
    return "\n".join([HEAD, *helps])


def commands() -> list[str]:
    """Every command in the order of `--help`, those of a group behind its name."""
    from searchkit.commands.app import application

    app = application()
    plain = [str(command.name) for command in app.registered_commands]
    grouped = [
        f"{group.name} {command.name}"
        for group in app.registered_groups
        if group.typer_instance
        for command in group.typer_instance.registered_commands
    ]
    return [*plain, *grouped]


def _help(command: str) -> str:
    from searchkit.commands.app import main

    os.environ["COLUMNS"] = "80"
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        main([*command.split(), "--help"])
    return "\n".join(line.rstrip() for line in shown.getvalue().strip().splitlines())


if __name__ == "__main__":
    PATH.write_text(reference(), encoding="utf-8")
