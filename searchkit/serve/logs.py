"""One line a request on standard error; nothing that came from outside can break a line."""

import sys
import time
from typing import TextIO

_LONGEST = 2000  # characters of a line


def escaped(text: str) -> str:
    """A text on one line, in ASCII: whatever would command a terminal is written out."""
    shown = text.encode("ascii", "backslashreplace").decode()
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."


class Log:
    """Lines on a stream; a reader that is gone stops nothing.

    Args:
        stream: standard error by default.
        queries: whether addresses are told with what was asked, and what was searched for.
        quiet: tells nothing of single requests.
    """

    def __init__(
        self, stream: TextIO | None = None, *, queries: bool = False, quiet: bool = False
    ) -> None:
        self._stream, self.queries, self._quiet = stream, queries, quiet

    def request(
        self, client: str, method: str, path: str, status: int, seconds: float, size: int
    ) -> None:
        """Tell of a request that is over."""
        if not self._quiet:
            self.tell(f"{client} {method} {path} {status} {seconds * 1e3:.1f}ms {size}B")

    def query(self, index: str, text: str) -> None:
        """Tell what is searched for, where that is wanted."""
        if self.queries:
            self.tell(f"query of {index}: {text!r}")

    def tell(self, message: str) -> None:
        """Write a line, with the time."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        try:
            print(f"{moment} {escaped(message)}", file=self._stream or sys.stderr, flush=True)
        except (OSError, ValueError):  # nobody reads it any more
            self._quiet = True
