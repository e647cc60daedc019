"""Answers that are kept: equal requests of one generation are computed once, then looked up.

What several wait for at the same time is computed once, too, and given up when the last of them has
gone away.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class _Flight:
    """An answer that is being computed, and how many wait for it."""

    task: "asyncio.Task[bytes]"
    waiting: int = 0


_ENTRY = 512  # bytes that an answer takes beside its own: its key, and its place


class Cache:
    """Answers by request, the least recently used leaving first; used in one event loop.

    Args:
        most: bytes that are kept.

    Attributes:
        hits: how often an answer was there, or being made.
        misses: how often it was not.
        size: bytes that are kept.
    """

    def __init__(self, most: int) -> None:
        self.most, self.size = most, 0
        self.hits = self.misses = 0
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._flights: dict[Hashable, _Flight] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> tuple[bytes, bool]:
        """The answer to a request, and whether it was there.

        Args:
            key: tells the request and the generation that answers from all others; short.
            make: the answer, when nobody has asked yet; what it raises is kept for nobody.
        """
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            self.hits += 1
            return kept, True
        flight = self._flights.get(key)
        if flight is None:
            self.misses += 1
            flight = _Flight(asyncio.ensure_future(self._make(key, make)))
            self._flights[key] = flight
            flight.task.add_done_callback(lambda _: self._landed(key, flight))
        else:
            self.hits += 1
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task), False
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._landed(key, flight)  # whoever asks now starts anew
                flight.task.cancel()

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        answer = await make()
        if len(answer) + _ENTRY <= self.most:
            if (before := self._kept.pop(key, None)) is not None:
                self.size -= len(before) + _ENTRY
            self._kept[key] = answer
            self.size += len(answer) + _ENTRY
            while self.size > self.most:
                _, gone = self._kept.popitem(last=False)
                self.size -= len(gone) + _ENTRY
        return answer

    def _landed(self, key: Hashable, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # whoever waited was told; nobody need be told it went unheard
