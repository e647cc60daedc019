"""The indexes that are served: each open at its newest generation, their models shared.

A new generation is opened beside the one that answers and takes its place when it is there;
requests under way keep theirs.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from searchkit import places
from searchkit.errors import SearchkitError, UnknownName
from searchkit.index.store import Store
from searchkit.search import contents
from searchkit.search.encoders import open_encoders
from searchkit.search.notes import ThreadNotes, taken
from searchkit.search.source import Source, System, open_source
from searchkit.serve.batching import MOST, Batcher, Embedded

if TYPE_CHECKING:
    from searchkit.encode.embedder import TextEncoder
    from searchkit.index.vector import Vectors
    from searchkit.search.modes import Mode

LOOK = 0.5  # seconds between two looks at what is committed
_AGAIN = 30.0  # seconds until something that could not be opened is tried again
_GRACE = 300.0  # and until a model is let go of, for the sake of requests under way
_NOTES = 5  # lines that are kept of a generation

_Stamp = tuple[int, int, int]  # what tells a manifest from the one before


@dataclass(slots=True)
class Opened:
    """A generation of an index, open for searching.

    Attributes:
        source: searches it, and nothing newer.
        when: it was opened, POSIX seconds.
        notes: what a person should know of the generation, found out as it is searched.
    """

    source: Source
    when: float
    notes: tuple[str, ...] = ()
    _systems: "dict[tuple[Mode | None, str | None], System]" = field(default_factory=dict)

    def choose(self, mode: "Mode | None", variant: str | None) -> System:
        """See `Source.choose`; found out once."""
        if mode is None and variant is None:
            return self.source.default
        if (mode, variant) not in self._systems:
            self._systems[mode, variant] = self.source.choose(mode, variant)
        return self._systems[mode, variant]

    def keep(self, lines: Sequence[str]) -> None:
        """Take up what was said of the generation, which holds for all who search it."""
        if lines:
            self.notes = tuple(dict.fromkeys((*self.notes, *lines)))[-_NOTES:]


@dataclass(slots=True)
class Served:
    """An index that is served.

    Attributes:
        name: by which it is asked for.
        path: its directory; never told to anyone.
        fault: why it cannot be opened, or why its newest generation cannot; empty if it can.
    """

    name: str
    path: Path
    fault: str = ""
    _opened: Opened | None = None
    _stamp: _Stamp | None = None
    _tried: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it can be searched."""
        return self._opened is not None

    def now(self) -> Opened:
        """The newest generation that is open.

        Raises:
            SearchkitError: there is none.
        """
        if self._opened is None:
            raise SearchkitError(f"the index {self.name} cannot be opened: {self.fault}")
        return self._opened


class Shelf:
    """The indexes that are served; see the head of this file.

    Args:
        paths: by name, those to serve; None for all there are, those that are yet to come too.
        device: where models compute; the best there is by default.
        batch: how many texts an encoder takes at once at most.
        extra: other encoders, by name, as functions that load them.

    Attributes:
        renewals: how many generations were opened.
        tell: told in a line of faults that nobody expected.
    """

    def __init__(
        self,
        paths: Mapping[str, Path] | None = None,
        *,
        device: str | None = None,
        batch: int = MOST,
        extra: "Mapping[str, Callable[[], TextEncoder]] | None" = None,
    ) -> None:
        self._paths, self._device, self._batch = paths, device, batch
        self._served: dict[str, Served] = {}
        self._lock = threading.Lock()
        self._by_facts: dict[tuple[str, ...], Batcher] = {}
        self._by_store: WeakKeyDictionary[Store, dict[str, Batcher]] = WeakKeyDictionary()
        self._extra = {name: Batcher(name, load, batch) for name, load in (extra or {}).items()}
        self._retired: list[tuple[float, Batcher]] = []
        self._looking = ThreadPoolExecutor(1, "generations")
        self.renewals = 0
        self.tell: Callable[[str], None] = lambda _: None

    def names(self) -> list[str]:
        """Of all indexes that are served, in alphabetical order."""
        return sorted(self._served)

    def get(self, name: str) -> Served:
        """An index by its name.

        Raises:
            UnknownName: none of that name is served.
        """
        served = self._served.get(name)
        if served is None:
            there = ", ".join(self.names()) or "none"
            raise UnknownName(f"no index {name!r} is served; there are: {there}")
        return served

    def look(self) -> None:
        """Open what is new: indexes, and generations of those that are open."""
        paths = self._paths
        if paths is None:
            paths = {name: places.indexes() / name for name in places.index_names()}
        gone = set(self._served) - set(paths)
        for name in gone:
            del self._served[name]
        changed = bool(gone)
        for name, path in paths.items():
            served = self._served.setdefault(name, Served(name, path))
            stamp, now = _stamp(path), time.monotonic()
            if stamp != served._stamp or (served.fault and now > served._tried + _AGAIN):
                served._stamp, served._tried = stamp, now
                changed |= self._renew(served)
        if changed:
            self._tidy()
        while self._retired and self._retired[0][0] < time.monotonic() - _GRACE:
            self._retired.pop(0)[1].close()

    async def follow(self) -> None:
        """Look again and again, without holding up the event loop; nothing ends it but its task."""
        loop = asyncio.get_running_loop()
        told = ""
        while True:
            await asyncio.sleep(LOOK)
            wrong = ""
            try:
                await loop.run_in_executor(self._looking, self.look)
            except Exception as error:
                wrong = f"{type(error).__name__}: {error}"
            if wrong and wrong != told:
                self.tell(f"new generations cannot be looked for, and will be again: {wrong}")
            told = wrong

    def warm(self) -> "list[Future[Embedded]]":
        """Let the encoders load that searches use by default, so that the first need not wait."""
        sources = [
            self._served[name].now().source for name in self.names() if self._served[name].is_open
        ]
        return [
            self.batcher(source.store, source.default.variant).submit("warm up", "query")
            for source in sources
            if source.default.variant
        ]

    def close(self) -> None:
        """Let go of the models."""
        self._looking.shutdown(wait=False, cancel_futures=True)
        for batcher in self.batchers():
            batcher.close()

    def batchers(self) -> list[Batcher]:
        """All encoders at work, loaded or not."""
        with self._lock:
            retired = [batcher for _, batcher in self._retired]
            return [*self._by_facts.values(), *self._extra.values(), *retired]

    def batcher(self, store: Store, name: str) -> Batcher:
        """The encoder of an index's vectors; indexes with vectors of the same one share it."""
        with self._lock:
            of = self._by_store.setdefault(store, {})
            if name not in of:
                facts = contents.encoders(store)[name]
                key = _key(name, facts)
                if key not in self._by_facts:
                    self._by_facts[key] = Batcher(
                        name,
                        lambda: next(open_encoders(store, [name], device=self._device)),
                        self._batch,
                    )
                of[name] = self._by_facts[key]
            return of[name]

    def models(self) -> dict[str, Batcher]:
        """Encoders by the names that requests for embeddings give.

        `<index>/<encoder>` always says which is meant; `<encoder>` is the first of that name.
        """
        found = dict(self._extra)
        for name in self.names():
            served = self._served[name]
            if served.is_open:
                source = served.now().source
                for encoder in source.encoders:
                    batcher = self.batcher(source.store, encoder)
                    found.setdefault(encoder, batcher)
                    found[f"{name}/{encoder}"] = batcher
        return found

    def encode(self, store: Store, name: str, text: str) -> "Vectors":
        """The vector of a query, for a search in a thread; see `encoders.EncodeQuery`."""
        return self.batcher(store, name).submit(text, "query").result().vector

    def _renew(self, served: Served) -> bool:
        """Open the newest generation of an index; what is open stays where that fails."""
        before = served._opened
        try:
            if before is None:
                source: Source | None = self._open(served.path)
            else:
                source = self._renewed(served.path, before.source)
            if source is not None:
                source.hold()
        except (SearchkitError, OSError) as error:
            served.fault = str(error)
            return False
        except Exception as error:  # a fault of ours, or of a file: the other indexes go on
            served.fault = f"something went wrong as it was opened ({type(error).__name__})"
            self.tell(f"{served.name} cannot be opened: {type(error).__name__}: {error}")
            return False
        served.fault = ""
        if source is None:
            return False
        served._opened = Opened(source, time.time(), tuple(taken(source.notes)))
        self.renewals += 1
        return True

    def _open(self, path: Path) -> Source:
        return open_source(path, self._device, self.encode, ThreadNotes())

    def _renewed(self, path: Path, source: Source) -> Source | None:
        try:
            return source.renewed()
        except SearchkitError:  # an index of another kind may have taken its place
            return self._open(path)

    def _tidy(self) -> None:
        """Let go of models that no index has any more."""
        opened = [served.now().source for served in self._served.values() if served.is_open]
        wanted = {
            _key(name, facts)
            for source in opened
            for name, facts in contents.encoders(source.store).items()
        }
        with self._lock:
            for key in set(self._by_facts) - wanted:
                self._retired.append((time.monotonic(), self._by_facts.pop(key)))


_SAME = ("fingerprint", "engine", "dtype")  # what makes two encoders of one name the same


def _key(name: str, facts: Mapping[str, Any]) -> tuple[str, ...]:
    return (name, *(str(facts.get(one)) for one in _SAME))


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = (path / "manifest.json").stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
