"""A search as it is asked for over HTTP, and its answer as bytes that can be kept."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from searchkit import catalog
from searchkit.errors import BadInput, UnknownName
from searchkit.index.live.query import NONE, Filters
from searchkit.records import Hit
from searchkit.search import filtering
from searchkit.search.modes import FUSIONS
from searchkit.search.notes import taken
from searchkit.search.source import Result, System
from searchkit.serve.batching import Embedded
from searchkit.serve.cache import Cache
from searchkit.serve.guard import Refused
from searchkit.serve.messages import Filtered, SearchAsked
from searchkit.serve.shelf import Opened, Served, Shelf

if TYPE_CHECKING:
    from searchkit.search.reranking import Reranker

TEXT = 2000  # characters of a result's text, where a result may be a whole book
_LEAD = 200  # of them before the first word that matches
_FUSION = "rrf"
TURNS = 8  # of who reranks or writes, those under way included

Loaders = Mapping[str, "Callable[[], Reranker]"]


class Rerankers:
    """Those that a server was started with; each is loaded when it is first asked for."""

    def __init__(self, load: Loaders) -> None:
        self._load = load
        self._loaded: dict[str, Reranker] = {}

    def names(self) -> list[str]:
        """By which they are asked for."""
        return list(self._load)

    def check(self, name: str | None) -> None:
        """See whether there is one of a name.

        Raises:
            UnknownName: there is none.
        """
        if name is not None and name not in self._load:
            there = ", ".join(self._load) or "none; start the server with --rerank"
            raise UnknownName(f"there is no reranker {name!r} here; there are: {there}")

    def get(self, name: str) -> "Reranker":
        """One of them; to be called in the one thread that they share."""
        if name not in self._loaded:
            self._loaded[name] = self._load[name]()
        return self._loaded[name]


class Turns:
    """A queue for the one thread that computes long: whoever would wait too long is told so."""

    def __init__(self) -> None:
        self._taken = 0

    def check(self) -> None:
        """See whether there is room.

        Raises:
            Refused: there is none.
        """
        if self._taken >= TURNS:
            raise Refused(
                429,
                f"{self._taken} wait for the one model that reranks and writes, which is the most; "
                "try again later, or ask without it",
                [(b"retry-after", b"10")],
            )

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait in the queue, and leave it at the end.

        Raises:
            Refused: there is no room.
        """
        self.check()
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


@dataclass(frozen=True, slots=True)
class Searching:
    """What a search needs.

    Attributes:
        shelf: the indexes.
        cache: of answers.
        rerankers: those that may be asked for.
        threads: where searches run.
        models: one thread, for what computes long.
        turns: of those who wait for it.
    """

    shelf: Shelf
    cache: Cache
    rerankers: Rerankers
    threads: Executor
    models: Executor
    turns: Turns = field(default_factory=Turns)

    async def answer(self, served: Served, asked: SearchAsked) -> tuple[bytes, str]:
        """The answer to a search as JSON, and the generation that gave it.

        Raises:
            SearchkitError: as `Source.find` does.
        """
        began = time.perf_counter()
        opened = served.now()
        generation = opened.source.generation
        self.rerankers.check(asked.rerank)
        told = json.dumps([served.name, generation, asked.model_dump_json()])
        key = blake3(told.encode()).digest()
        body, cached = await self.cache.get(key, partial(self._made, opened, asked))
        took = round((time.perf_counter() - began) * 1e3, 2)
        rest = json.dumps({"cached": cached, "took_ms": took})
        return body[:-1] + b"," + rest[1:].encode(), generation

    async def encoded(self, opened: Opened, variant: str, text: str) -> Embedded:
        """The vector of a query: it waits for those of others, and no thread waits for it."""
        batcher = self.shelf.batcher(opened.source.store, variant)
        return await asyncio.wrap_future(batcher.submit(text, "query"))

    async def _made(self, opened: Opened, asked: SearchAsked) -> bytes:
        loop = asyncio.get_running_loop()
        source = opened.source
        ways = [(asked.mode, asked.variant)]
        if asked.compare is not None:
            ways.append((asked.compare.mode, asked.compare.variant))
        systems = [opened.choose(mode, variant) for mode, variant in ways]
        filters = filters_of(asked)
        text = encoded_text(opened, asked.query, asked.literal)
        notes: list[str] = []
        for variant in dict.fromkeys(one.variant for one in systems if one.variant):
            if text.strip():
                notes += self._cut(opened, variant, await self.encoded(opened, variant, text))
        rankings = []
        for system in systems:
            find = partial(_find, opened, asked, system, filters)
            found, heard = await loop.run_in_executor(self.threads, find)
            opened.keep(heard)
            if asked.rerank and (text.strip() or not asked.typing):
                rerank = partial(self._rerank, asked, text, found)
                with self.turns.taken():
                    found = await loop.run_in_executor(self.models, rerank)
            rankings.append(found[: asked.k])
        read_again = asked.rerank if text.strip() else None
        told = [
            _ranked(asked, *one, source.whole, read_again)
            for one in zip(systems, rankings, strict=True)
        ]
        if asked.typing and not asked.literal and (complaint := source.complaint(asked.query)):
            notes.append(complaint)
        answer = {
            "query": asked.query,
            **told[0],
            "compared": told[1] if len(told) > 1 else None,
            "explanation": _explained(systems[0], asked) if asked.explain else None,
            "notes": [*opened.notes, *notes],
            "generation": source.generation,
        }
        return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")

    def _cut(self, opened: Opened, variant: str, query: Embedded) -> list[str]:
        encoder = self.shelf.batcher(opened.source.store, variant).encoder
        if encoder is None or not encoder.max_tokens or query.tokens < encoder.max_tokens:
            return []
        return [f"{variant} reads {encoder.max_tokens} tokens of a query, and this one has more"]

    def _rerank(self, asked: SearchAsked, text: str, found: list[Result]) -> list[Result]:
        from searchkit.search.reranking import rerank, text_of_passage

        assert asked.rerank is not None
        reranker = self.rerankers.get(asked.rerank)
        placed = rerank(reranker, text, found, text_of_passage, depth=asked.rerank_depth)
        return [one.item for one in placed]


def encoded_text(opened: Opened, query: str, literal: bool) -> str:
    """What of a query its source will have encoded."""
    if opened.source.whole:
        return query
    return " ".join(query.split()) if literal else opened.source.need(query)


def filters_of(asked: Filtered) -> Filters:
    """Filters that hold besides those of the query.

    Raises:
        BadInput: a time is none, or there is none between the two.
    """
    return filtering.filters_of(asked.path, asked.format, asked.lang, asked.after, asked.before)


def told_system(system: System) -> dict[str, Any]:
    """A way to search, as it is told."""
    return {"mode": system.mode, "variant": system.variant, "name": system.name}


def told_result(result: Result, whole: bool) -> dict[str, Any]:
    """A result as it is told: without its file, and of a whole document the part that matters."""
    text, start, best, marks = result.text, result.start, result.best, result.marks
    if whole and len(text) > TEXT:
        first = best[0] if best != (0, 0) else marks[0][0] if marks else 0
        begin = max(0, min(first - _LEAD, len(text) - TEXT))
        text = text[begin : begin + TEXT]
        start += begin
        marks = tuple((a - begin, b - begin) for a, b in marks if a >= begin and b - begin <= TEXT)
        best = (max(0, best[0] - begin), min(TEXT, best[1] - begin)) if best != (0, 0) else best
    return {
        "rank": result.rank,
        "score": result.score,
        "doc_id": result.doc_id,
        "title": result.title,
        "trail": result.trail,
        "place": result.place,
        "line": result.line,
        "lines": result.lines,
        "page": result.page,
        "text": text,
        "start": start,
        "best": best,
        "marks": marks,
        "lists": [
            {"name": name, "rank": rank, "score": score} for name, rank, score in result.lists
        ],
    }


def _find(
    opened: Opened, asked: SearchAsked, system: System, filters: Filters
) -> tuple[list[Result], list[str]]:
    """The results of a search, and what it said in this thread."""
    whole = opened.source.whole
    if whole and (filters != NONE or asked.all_passages):
        raise BadInput(
            f"{opened.source.name} is the index of a collection, whose documents are whole and "
            "have no path, format, language or time; leave out filters and all_passages"
        )
    found = opened.source.find(
        asked.query,
        max(asked.k, asked.rerank_depth) if asked.rerank else asked.k,
        mode=system.mode,
        variant=system.variant,
        filters=filters,
        literal=asked.literal,
        per_document=whole or not asked.all_passages,
        typing=asked.typing,
    )
    return found, taken(opened.source.notes)


def _ranked(
    asked: SearchAsked, system: System, found: Sequence[Result], whole: bool, rerank: str | None
) -> dict[str, Any]:
    results = [told_result(one, whole) for one in found]
    if asked.explain:
        for one in results:
            for listed in one["lists"]:
                listed["share"] = _share(system, listed["rank"], listed["score"])
    return {"system": {**told_system(system), "rerank": rerank}, "results": results}


def _share(system: System, rank: int, score: float) -> float:
    """What a list gave to a score: a fusion adds up what each list gives alone."""
    if system.mode != "hybrid":
        return score
    fused: list[Hit] = catalog.load(FUSIONS, _FUSION).fuse([[Hit("", score, rank)]], 1)
    return fused[0].score


def _explained(system: System, asked: SearchAsked) -> str:
    if system.mode == "hybrid":
        module = catalog.load(FUSIONS, _FUSION)
        told = (
            f"hybrid search of bm25 and {system.variant}; {(module.__doc__ or '').splitlines()[0]}"
        )
    else:
        told = f"{system.mode} search" + (
            f" of the vectors of {system.variant}" if system.variant else ""
        )
    told = told.rstrip(".")
    return (
        f"{told}; the first {asked.rerank_depth} read again by {asked.rerank}"
        if asked.rerank
        else told
    )
