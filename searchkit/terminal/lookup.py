"""Answers to what is being typed: words at once, vectors when typing pauses, stale ones never.

Nothing here waits in the event loop: words and vectors are looked up in a thread each, so that a
model that loads for seconds holds up neither typing nor BM25.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from searchkit.errors import BadInput, SearchkitError
from searchkit.search.source import Result, Source, System

T = TypeVar("T")


class Cancellable(Protocol):
    """Something that runs, and can be ended."""

    def cancel(self) -> object:
        """End it."""


Spawn = Callable[[Coroutine[Any, Any, None]], Cancellable]

SHOWN = 30  # results a list holds: enough to scroll, and few enough to make at every key
WORDS = "BM25"  # how the ranking by words is called
PAUSE = 0.12  # seconds without a key before a query is encoded


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found for a query in one column.

    Attributes:
        query: as it was typed.
        column: which of the systems that were asked.
        results: best first.
        complete: False while the vectors are still to come.
        seconds: from the key to this answer.
    """

    query: str
    column: int
    results: tuple[Result, ...]
    complete: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no answer.

    Attributes:
        query: as it was typed.
        message: one line a person can act upon.
        typing: whether it is the query that cannot be understood; typing on may mend it.
    """

    query: str
    message: str
    typing: bool = False


class Latest(Generic[T]):
    """A thread that does one job at a time; of those that wait, only the newest is done.

    It is a daemon: a model that is being loaded does not keep the program from ending.

    Attributes:
        busy: whether it is at a job.
    """

    def __init__(self, name: str) -> None:
        self._there = threading.Condition()
        self._waiting: tuple[Callable[[], T], asyncio.Future[T]] | None = None
        self._closed = False
        self.busy = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, job: Callable[[], T]) -> T:
        """The result of a job, once its turn has come.

        Raises:
            asyncio.CancelledError: a newer job took its place before it began, or there are to be
                no more.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._there:
            self._drop()
            if self._closed:
                future.cancel()
            else:
                self._waiting = (job, future)
                self._there.notify()
        return await future

    def close(self) -> None:
        """End the thread, once it has done the job that it is at."""
        with self._there:
            self._closed = True
            self._drop()
            self._there.notify()

    def _drop(self) -> None:
        if self._waiting is not None:
            self._waiting[1].cancel()
            self._waiting = None

    def _work(self) -> None:
        while self._do_next():  # a call a job: what a job holds is let go before the next is there
            pass
        self.busy = False

    def _do_next(self) -> bool:
        """Wait for a job and do it; False where there will be none."""
        with self._there:
            self.busy = False
            while self._waiting is None:
                if self._closed:
                    return False
                self._there.wait()
            (job, future), self._waiting = self._waiting, None
            self.busy = True
        if future.cancelled():
            return True
        outcome: T | None = None
        fault: Exception | None = None
        try:
            outcome = job()
        except Exception as error:  # it is the asker's, wherever it was raised
            fault = error
        try:
            future.get_loop().call_soon_threadsafe(_settle, future, outcome, fault)
        except RuntimeError:  # the program has ended meanwhile
            return False
        return True


def _settle(future: "asyncio.Future[Any]", outcome: Any, fault: Exception | None) -> None:
    if future.done():
        return
    if fault is not None:
        future.set_exception(fault)
    else:
        future.set_result(outcome)


class Lookup:
    """Looks queries up in a source; each new one takes the place of the one before.

    Args:
        source: what is searched.
        say: told of every answer and every fault of the newest query, in the event loop.
        spawn: starts a coroutine beside others; it must not swallow what that raises.
        pause: how long typing must rest before a query is encoded, in seconds.
        shown: how many results an answer has at most.
    """

    def __init__(
        self,
        source: Source,
        say: Callable[[Answer | Fault], None],
        spawn: Spawn,
        *,
        pause: float = PAUSE,
        shown: int = SHOWN,
    ) -> None:
        self.source = source
        self._say, self._spawn, self._pause, self._shown = say, spawn, pause, shown
        self._words: Latest[Any] = Latest("words")
        self._dense: Latest[Any] = Latest("vectors")
        self._asked: Cancellable | None = None

    @property
    def threads(self) -> tuple[Latest[Any], ...]:
        """Those at work for it; perhaps, once it is closed, for an answer nobody waits for."""
        return self._words, self._dense

    def ask(self, query: str, systems: Sequence[System], *, together: bool = False) -> None:
        """Look a query up with each system.

        Args:
            query: as it was typed, and not empty.
            systems: one a column.
            together: give all columns at once, when the last is complete, and cut to one length:
                neither what comes first nor what is longer must tell which it is.
        """
        self.forget()
        self._asked = self._spawn(self._answer(query, tuple(systems), together))

    def forget(self) -> None:
        """Give no more answers to what was asked."""
        if self._asked is not None:
            self._asked.cancel()
            self._asked = None

    def close(self) -> None:
        """Give no more answers at all; the threads end with what they are at."""
        self.forget()
        for thread in self.threads:
            thread.close()

    def warm(self, variant: str) -> None:
        """Load the model of an encoder, so that the first query need not wait for it."""

        async def load() -> None:
            with suppress(SearchkitError, OSError):  # the first query that needs it will say so
                await self._dense.run(lambda: self.source.dense("warm up", variant, 1))

        self._spawn(load())

    async def _answer(self, query: str, systems: tuple[System, ...], together: bool) -> None:
        began = time.monotonic()
        held: list[Answer] = []

        def give(column: int, results: Sequence[Result], complete: bool) -> None:
            seconds = time.monotonic() - began
            answer = Answer(query, column, tuple(results), complete, seconds)
            if together:
                held.append(answer)
            else:
                self._say(answer)

        try:
            if any(system.mode != "dense" for system in systems):
                found = await self._words.run(lambda: self._look_up_words(query))
                for column, system in enumerate(systems):
                    if system.mode == "bm25" or (system.mode == "hybrid" and not together):
                        give(column, found, system.mode == "bm25")
            variants = dict.fromkeys(one.variant for one in systems if one.variant)
            if variants:
                await asyncio.sleep(max(0.0, self._pause - (time.monotonic() - began)))
            for variant in variants:
                wanted = [(s.mode, c) for c, s in enumerate(systems) if s.variant == variant]
                modes = {mode for mode, _ in wanted}
                lists = await self._dense.run(partial(self._look_up_vectors, query, variant, modes))
                for mode, column in wanted:
                    give(column, lists[mode], True)
            length = min((len(answer.results) for answer in held if answer.results), default=0)
            for answer in held:
                self._say(replace(answer, results=answer.results[:length]))
        except (SearchkitError, OSError) as error:
            self._say(Fault(query, str(error), typing=isinstance(error, BadInput)))

    def _look_up_words(self, query: str) -> list[Result]:
        self.source.refresh()
        words = self.source.words(query, self._shown)  # no deeper: this is done at every key
        return self.source.results(query, {WORDS: words}, self._shown)

    def _look_up_vectors(
        self, query: str, variant: str, modes: Collection[str]
    ) -> dict[str, list[Result]]:
        rankings = {variant: self.source.dense(query, variant, self.source.depth)}
        found = {}
        for mode in modes:
            if mode == "hybrid":
                words = self.source.words(query, self.source.depth)
                found[mode] = self.source.results(query, {WORDS: words, **rankings}, self._shown)
            else:
                found[mode] = self.source.results(query, rankings, self._shown)
        return found
