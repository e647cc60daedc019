"""The history of a training run: JSON lines, one a step and one a validation.

{"step": 7, "loss": 0.41, "accuracy": 0.94, ...}            see `train.loop.Step`
{"step": 100, "validation": {"scifact nDCG@10": 0.52}}
{"step": 103, "failed": "the loss is nan", "pairs": [...]}   where a run had to stop
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from searchkit import files
from searchkit.errors import CorruptFile

NAME = "history.jsonl"  # in the folder of a run


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a history, but for a last one that a kill left unfinished.

    Raises:
        CorruptFile: another line is not what was written.
    """
    rows = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):  # behind the last end of line: no line
        try:
            row = json.loads(line)
            row["step"]
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptFile(f"{path}:{number} is no line of a history: {line!r:.60}") from error
        rows.append(row)
    return rows


class History:
    """A history that is being written.

    Args:
        path: the file; what it holds beyond `step` is cut off, as those steps are taken again.
        step: the step of the checkpoint that the run goes on from; 0 for a new run.

    Raises:
        CorruptFile: the file does not hold all steps before.
    """

    def __init__(self, path: Path, step: int) -> None:
        rows = [row for row in read(path) if row["step"] <= step] if step and path.exists() else []
        found = [row["step"] for row in rows if "loss" in row]
        if found != list(range(1, step + 1)):
            raise CorruptFile(
                f"{path} holds {len(found)} of the {step} steps before the checkpoint; put it"
                f" back, or delete {path.parent} to start from step 0"
            )
        files.write_text(path, "".join(map(_line, rows)))
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a line; other processes can read it at once."""
        self._file.write(_line(row))
        self._file.flush()

    def sync(self) -> None:
        """Flush all lines to the disk: a checkpoint must not know steps that the history lost."""
        os.fsync(self._file.fileno())


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"
