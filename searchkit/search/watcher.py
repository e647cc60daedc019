"""Whoever wants to know how work on an index goes on."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """What one step did: `reused` says that an earlier run had done it."""

    what: str
    reused: bool
    facts: dict[str, Any]


class Watcher:
    """Told how a build, or an evaluation of several, goes on; a command shows it."""

    def enter(self, what: str) -> None:
        """The next set of an evaluation begins."""

    def begin(self, what: str, total: int) -> None:
        """A step begins that counts up to `total` texts; 0 where it does not count."""

    def advance(self, progress: Any) -> None:
        """Encoding went on: an `encode.blocks.Progress`."""

    def done(self, step: Done) -> None:
        """A step ended."""

    def say(self, line: str) -> None:
        """Something that the user should know."""
