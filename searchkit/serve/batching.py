"""One model for all who ask: texts that wait while it computes are its next batch.

A forward pass over one short query reads every weight of a model for a dozen tokens; over sixty
queries it reads them once. So a model works in one thread of its own and takes whatever has come in
the meantime: nobody waits for a batch to fill.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from searchkit.errors import EmptyText
from searchkit.serve.messages import MAX_QUERY

if TYPE_CHECKING:
    from searchkit.encode.embedder import Role, TextEncoder, Vectors

MOST = 64  # texts of one batch
_TOKENS = 1536  # and about so many tokens: a query should not wait long behind passages
_LETTERS = 4  # of a token, more or less
_REMEMBERED = 4096  # vectors of queries: some ten MB


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vector of a text, (D,) float32 of unit length, and how many tokens it was computed of."""

    vector: "Vectors"
    tokens: int


@dataclass(slots=True)
class Work:
    """What a batcher has done so far.

    Attributes:
        texts: how many.
        sizes: how many batches there were of each size.
    """

    texts: int = 0
    sizes: dict[int, int] = field(default_factory=dict)


class Batcher:
    """An encoder with a thread of its own; see the head of this file.

    Args:
        name: of the variant whose vectors are wanted.
        load: opens the encoder; called in the thread, when the first text is there.
        most: how many texts a batch has at most; 1 for no batches.
    """

    def __init__(self, name: str, load: "Callable[[], TextEncoder]", most: int = MOST) -> None:
        self.name, self.work = name, Work()
        self._load, self._most = load, most
        self._encoder: TextEncoder | None = None
        self._there = threading.Condition()
        self._waiting: dict[Role, deque[tuple[str, Future[Embedded]]]] = {
            "query": deque(),
            "passage": deque(),
        }
        self._known: OrderedDict[str, Embedded] = OrderedDict()
        self._last: Role = "passage"
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"encode {name}", daemon=True)
        self._thread.start()

    @property
    def encoder(self) -> "TextEncoder | None":
        """The model, once it is loaded."""
        return self._encoder

    def submit(self, text: str, role: "Role") -> "Future[Embedded]":
        """A text's vector, some time; to cancel it takes the text out of the queue.

        Raises, through the future:
            EmptyText: the text has no token.
            BadInput: the model cannot be loaded, or is not the one that is meant.
        """
        future: Future[Embedded] = Future()
        with self._there:
            known = self._known.get(text) if role == "query" else None
            if known is not None:
                self._known.move_to_end(text)
                future.set_result(known)
            elif self._closed:
                future.cancel()
            else:
                self._waiting[role].append((text, future))
                self._there.notify()
        return future

    def waiting(self) -> int:
        """How many texts are in the queue."""
        return sum(map(len, self._waiting.values()))

    def close(self) -> None:
        """Take no more texts, and let go of those that wait."""
        with self._there:
            self._closed = True
            for queue in self._waiting.values():
                for _, future in queue:
                    future.cancel()
                queue.clear()
            self._there.notify()

    def _run(self) -> None:
        while batch := self._next():
            role, texts, futures = batch
            try:
                self._encode(role, texts, futures)
            except Exception as error:  # it belongs to whoever asked
                for future in futures:
                    if not future.done():
                        future.set_exception(error)

    def _next(self) -> "tuple[Role, list[str], list[Future[Embedded]]] | None":
        """Wait for texts, and take a batch of one role; None where there will be no more."""
        with self._there:
            while True:
                while not self.waiting():
                    if self._closed:
                        return None
                    self._there.wait()
                # Turn by turn: neither many passages nor many queries keep the others waiting.
                turn: Role = "query" if self._last == "passage" else "passage"
                role = turn if self._waiting[turn] else self._last
                self._last = role
                if batch := self._take(role):
                    return role, *batch

    def _take(self, role: "Role") -> "tuple[list[str], list[Future[Embedded]]] | None":
        queue, tokens = self._waiting[role], 0
        texts: list[str] = []
        futures: list[Future[Embedded]] = []
        while queue and len(texts) < self._most:
            tokens += len(queue[0][0]) // _LETTERS + 2
            if texts and tokens > _TOKENS:
                break
            text, future = queue.popleft()
            if future.set_running_or_notify_cancel():
                texts.append(text)
                futures.append(future)
        return (texts, futures) if texts else None

    def _encode(
        self, role: "Role", texts: list[str], futures: "Sequence[Future[Embedded]]"
    ) -> None:
        if self._encoder is None:
            self._encoder = self._load()
        encoder = self._encoder
        prepared: list[Any] = []
        readable: list[tuple[str, Future[Embedded]]] = []
        for text, future in zip(texts, futures, strict=True):
            try:
                one = encoder.prepare([text], role)
            except EmptyText as error:  # this one's alone
                future.set_exception(error)
                continue
            prepared.append(one)
            readable.append((text, future))
        if not readable:
            return
        counts = [encoder.unknown_tokens(one) for one in prepared]
        if isinstance(prepared[0], list):  # of an `Embedder`: tokens, which need not be made again
            together: Any = [tokens for one in prepared for tokens in one]
        else:
            together = encoder.prepare([text for text, _ in readable], role)
        vectors = encoder.encode_prepared(together).vectors[self.name]
        self.work.texts += len(readable)
        self.work.sizes[len(readable)] = self.work.sizes.get(len(readable), 0) + 1
        for (text, future), vector, tokens in zip(readable, vectors, counts, strict=True):
            embedded = Embedded(vector.copy(), tokens)  # a row keeps its whole batch alive
            if role == "query" and len(text) <= MAX_QUERY:
                with self._there:
                    self._known[text] = embedded
                    if len(self._known) > _REMEMBERED:
                        self._known.popitem(last=False)
            future.set_result(embedded)
