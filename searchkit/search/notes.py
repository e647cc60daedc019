"""What a search has to say besides its results: lines for whoever asked."""

import threading
from collections import deque
from contextlib import suppress
from typing import Protocol

_MOST = 5  # lines that wait to be taken


class Notes(Protocol):
    """Lines that wait to be taken away, the oldest first: a `deque`, or a `ThreadNotes`."""

    def append(self, line: str, /) -> None:
        """Add a line."""

    def popleft(self) -> str:
        """Take the oldest."""

    def __len__(self) -> int:
        """How many there are."""


class ThreadNotes(threading.local):
    """Lines of the thread that looks at them: where many ask at once, each hears its own call's."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MOST)

    def append(self, line: str, /) -> None:
        """Add a line."""
        self._lines.append(line)

    def popleft(self) -> str:
        """Take the oldest."""
        return self._lines.popleft()

    def __len__(self) -> int:
        return len(self._lines)


def taken(notes: Notes) -> list[str]:
    """All that wait; they are told once."""
    lines = []
    with suppress(IndexError):
        while True:
            lines.append(notes.popleft())
    return lines
