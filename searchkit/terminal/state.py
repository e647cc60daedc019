"""What the view remembers between runs: small JSON Lines files in the user's state folder."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from searchkit import files

Row = dict[str, Any]


def folder() -> Path:
    """`SEARCHKIT_HOME/state`, else the XDG state folder's searchkit; maybe not there yet."""
    if home := os.environ.get("SEARCHKIT_HOME"):
        return Path(home).expanduser() / "state"
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "searchkit"


class Rows:
    """A file of rows, for its owner's eyes alone; it need not be there yet.

    It is replaced as a whole, so that a crash leaves the rows of before or those of after, and
    changed by one process at a time, so that two views lose nothing of each other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Row]:
        """The rows; a line that is none is passed over: it cannot be mended, nor is it missed."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return []
        return [row for line in content.splitlines() if (row := _row(line)) is not None]

    def change(self, change: Callable[[list[Row]], list[Row]]) -> list[Row]:
        """Replace the rows by what a function makes of them.

        Raises:
            OSError: the disk is full, or the folder may not be written to.
        """
        with self._locked():
            rows = change(self.read())
            with files.atomic(self.path) as temporary:
                temporary.touch(mode=0o600)
                temporary.write_text(
                    "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows),
                    encoding="utf-8",
                    errors="replace",  # half a surrogate pair, which a terminal can bring
                )
        return rows

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f".{self.path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _row(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
