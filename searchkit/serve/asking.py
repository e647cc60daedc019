"""A question as it is asked over HTTP: its answer comes as server-sent events.

The answer is made in a thread, piece by piece; when nobody listens any more it is given up between
two pieces.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from searchkit.answer.answering import Answer, Claim, Passages, Piece, Turn, answer, searched_for
from searchkit.errors import BadInput, SearchkitError
from searchkit.search.notes import taken
from searchkit.search.source import Result
from searchkit.serve.guard import Refused
from searchkit.serve.messages import AskAsked
from searchkit.serve.searching import Searching, encoded_text, filters_of, told_result
from searchkit.serve.shelf import Opened

if TYPE_CHECKING:
    from searchkit.generate.messages import Generator, Message

_ROOM = 64  # events that wait to be sent before the answer waits for them


@dataclass(slots=True)
class Asking:
    """What an answer needs besides a search.

    Attributes:
        searching: how it looks for passages.
        load: opens the language model that may write answers; None where there is none.
        told: takes what is nobody else's business out of a message.
    """

    searching: Searching
    load: "Callable[[], Generator] | None"
    told: Callable[[str], str]
    _generator: "Generator | None" = field(default=None, init=False)

    def check(self, asked: AskAsked) -> None:
        """See whether an answer can be begun.

        Raises:
            SearchkitError: it cannot.
            Refused: too many wait for the model that it needs.
        """
        if not asked.question.strip():
            raise BadInput("the question is empty; type what you want to know")
        if asked.generate and self.load is None:
            raise BadInput("this server writes no answers: it was started with --llm none")
        self.searching.rerankers.check(asked.rerank)
        filters_of(asked)
        if _is_slow(asked):
            self.searching.turns.check()

    async def events(self, opened: Opened, asked: AskAsked) -> AsyncIterator[bytes]:
        """The events of an answer; see the contract in the OpenAPI page."""
        loop = asyncio.get_running_loop()
        searching = self.searching
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        room = threading.Semaphore(_ROOM)
        stop = threading.Event()

        def put(part: bytes | None) -> None:
            if not stop.is_set():
                loop.call_soon_threadsafe(queue.put_nowait, part)

        def work() -> None:
            try:
                for part in self._told(opened, asked, stop):
                    while not room.acquire(timeout=0.1):
                        if stop.is_set():
                            return
                    if stop.is_set():
                        return
                    put(part)
                put(event("done", {}))
            except (SearchkitError, OSError) as error:
                put(event("error", {"message": self.told(str(error))}))
            except Exception as error:
                put(event("error", {"message": "something went wrong here; see the server's log"}))
                raise error
            finally:
                put(None)

        mode, variant = asked.mode, asked.variant
        try:
            system = opened.choose(mode, variant)
            if system.variant is not None:
                history = [Turn(one.question, one.answer) for one in asked.history]
                text = encoded_text(opened, searched_for(asked.question, history), literal=True)
                await searching.encoded(opened, system.variant, text)
        except SearchkitError as error:
            yield event("error", {"message": self.told(str(error))})
            return
        # What computes for seconds has one thread for all, what does not has several.
        slow = _is_slow(asked)
        executor: Executor = searching.models if slow else searching.threads
        try:
            with searching.turns.taken() if slow else nullcontext():
                working = loop.run_in_executor(executor, work)
                try:
                    while (part := await queue.get()) is not None:
                        room.release()
                        yield part
                    await working
                finally:
                    stop.set()
                    working.cancel()
        except Refused as refused:  # there was room a moment ago
            yield event("error", {"message": refused.message})

    def _told(self, opened: Opened, asked: AskAsked, stop: threading.Event) -> Iterator[bytes]:
        if stop.is_set():  # its turn came when nobody listened any more
            return
        source, searching = opened.source, self.searching
        system = opened.choose(asked.mode, asked.variant)
        results: dict[int, Result] = {}
        made = answer(
            source,
            asked.question,
            k=asked.k,
            mode=system.mode,
            variant=system.variant,
            filters=filters_of(asked),
            reranker=searching.rerankers.get(asked.rerank) if asked.rerank else None,
            generator=_Stopped(self._generate(), stop) if asked.generate else None,
            threshold=asked.threshold,
            history=[Turn(one.question, one.answer) for one in asked.history],
        )
        try:
            for one in made:
                if isinstance(one, Passages):
                    opened.keep(taken(source.notes))
                    results = {each.number: each.result for each in one.evidence}
                    passages = [
                        {"number": each.number, **told_result(each.result, source.whole)}
                        for each in one.evidence
                    ]
                    yield event("passages", {"query": one.query, "passages": passages})
                elif isinstance(one, Piece):
                    yield event("text", {"text": one.text})
                else:
                    yield event("answer", _answer(one, results))
        finally:
            if isinstance(made, GeneratorType):
                made.close()

    def _generate(self) -> "Generator":
        """The language model; to be called in the one thread that computes long."""
        if self._generator is None:
            assert self.load is not None
            self._generator = self.load()
        return self._generator


class _Stopped:
    """A language model that writes no further once nobody listens."""

    def __init__(self, generator: "Generator", stop: threading.Event) -> None:
        self.name, self.context_tokens = generator.name, generator.context_tokens
        self.count_tokens = generator.count_tokens
        self._generator, self._stop = generator, stop

    def stream(
        self,
        messages: "Sequence[Message]",
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """See `Generator.stream`."""
        pieces = self._generator.stream(
            messages, max_tokens=max_tokens, temperature=temperature, seed=seed
        )
        for piece in pieces:
            if self._stop.is_set():
                break
            yield piece
        if isinstance(pieces, GeneratorType):
            pieces.close()


def event(name: str, data: Any) -> bytes:
    """A server-sent event; JSON has no line end in it that could end it early."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _is_slow(asked: AskAsked) -> bool:
    return asked.generate or asked.rerank is not None


def _answer(made: Answer, results: dict[int, Result]) -> dict[str, Any]:
    return {
        "abstained": made.abstained,
        "missing": made.missing,
        "note": made.note,
        "confidence": made.confidence,
        "threshold": made.threshold,
        "mode": made.mode,
        "sentences": [_sentence(one, results.get(one.number)) for one in made.claims],
        "text": made.text,
        "verified_share": made.verified_share,
    }


def _sentence(claim: Claim, result: Result | None) -> dict[str, Any]:
    """A sentence, and where in the document what supports it stands: a result may show a part."""
    begin = result.start if result else 0
    return {
        "text": claim.text,
        "citations": list(claim.citations),
        "start": begin + claim.start,
        "end": begin + claim.end,
        "doc_id": result.doc_id if result else None,
        "verified": claim.verified,
    }
