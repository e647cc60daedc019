"""Writes the command reference from `--help`: `make reference`. A test says when it is stale."""

import contextlib
import io
import os
from pathlib import Path

PATH = Path(__file__).parents[2] / "searchkit" / "commands" / "README.md"

COMMANDS = (
    "index",
    "search",
    "eval",
    "status",
    "models list",
    "models pull",
    "models info",
    "models check",
)

HEAD = """# Commands

Written from `searchkit --help` by `make reference`.

Results go to standard output, progress and notes to standard error. Exit codes: 0 done, 1 something
to mend (one line says what), 2 a usage error, 130 interrupted.
"""


def reference() -> str:
    """The page: the help of every command, as an 80-column terminal shows it."""
    helps = [f"## searchkit {name}\n\n```text\n{_help(name)}\n```\n" for name in COMMANDS]
    return "\n".join([HEAD, *helps])


def _help(command: str) -> str:
    from searchkit.commands.app import main

    os.environ["COLUMNS"] = "80"
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        main([*command.split(), "--help"])
    return "\n".join(line.rstrip() for line in shown.getvalue().strip().splitlines())


if __name__ == "__main__":
    PATH.write_text(reference(), encoding="utf-8")
