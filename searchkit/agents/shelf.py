"""The indexes that agents may read: what is not on the shelf cannot be reached.

An index is opened when it is first asked for, and every question goes to its newest generation.
Names are looked up, never joined to a path.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from searchkit import places
from searchkit.errors import BadInput, SearchkitError, UnknownName
from searchkit.search.notes import ThreadNotes
from searchkit.search.source import Source, open_source


@dataclass(slots=True)
class _Held:
    """A place for an index that is open; the lock is for whoever opens it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    path: Path | None = None
    source: Source | None = None


class Shelf:
    """Indexes by name; threads may share it.

    Args:
        paths: the directories by name, asked for at every call: indexes come and go.
        device: where queries are encoded; the best there is by default.
    """

    def __init__(self, paths: Callable[[], Mapping[str, Path]], device: str | None = None) -> None:
        self._paths = paths
        self._device = device
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The names of the indexes, in alphabetical order."""
        return sorted(self._paths())

    def name(self, given: str | None) -> str:
        """The name of an index, which may be left out where there is one.

        Raises:
            UnknownName: there is no such index, or none at all.
            BadInput: none is named, and there are several.
        """
        names = self.names()
        if not names:
            raise UnknownName("no index is served; build one with: searchkit index FOLDER")
        if given is None and len(names) > 1:
            raise BadInput(f"index is missing; name one of: {', '.join(names)}")
        if given is not None and given not in names:
            raise UnknownName(f"no index {given!r} is served; there are: {', '.join(names)}")
        return names[0] if given is None else given

    def source(self, name: str) -> Source:
        """An index at its newest generation, and at that one for as long as somebody reads it.

        Raises:
            UnknownName: there is no such index any more.
            CorruptFile: a file of it that is needed is not what was written.
        """
        path = self._paths().get(name)
        if path is None:
            raise UnknownName(f"the index {name!r} is not there any more")
        with self._lock:
            held = self._held.setdefault(name, _Held())
        with held.lock:
            if held.source is None or held.path != path:
                held.source, held.path = self._open(path), path
            else:
                held.source = self._renewed(held.source, path)
            return held.source

    def hide(self, message: str) -> str:
        """A message without the directories of the indexes, which nobody else needs to know."""
        return places.hidden(message, self._paths().values())

    def _renewed(self, source: Source, path: Path) -> Source:
        """The source, or a newer one; its models stay loaded where that can be."""
        try:
            return source.renewed() or source
        except SearchkitError:  # an index of another kind may have taken its place
            return self._open(path)

    def _open(self, path: Path) -> Source:
        return open_source(path, self._device, notes=ThreadNotes())
