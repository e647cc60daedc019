"""The documentation says what the program does."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_command_reference_is_what_help_prints() -> None:
    script = "import reference; print(reference.reference(), end='')"
    # In a process of its own: pytest's terminal is not the one that help is written for.
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT / "tests" / "commands",
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    stale = (ROOT / "searchkit" / "commands" / "README.md").read_text("utf-8") != done.stdout
    assert not stale, "run: make reference"


@pytest.mark.slow
def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    commands = [
        line for block in blocks for line in block.splitlines() if line.startswith("searchkit ")
    ]
    assert len(commands) >= 4
    environment = {**os.environ, "SEARCHKIT_HOME": str(tmp_path)}
    for command in commands:
        arguments = [sys.executable, "-m", "searchkit", *shlex.split(command)[1:]]
        done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout.strip(), command
