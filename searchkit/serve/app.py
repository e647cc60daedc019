"""The routes: what is asked, who answers, and what it looks like when it cannot be answered."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from searchkit import __version__, places
from searchkit.errors import BadInput, CorruptFile, EmptyText, SearchkitError, UnknownName
from searchkit.search.judging import ledger_of
from searchkit.search.notes import taken
from searchkit.search.source import About
from searchkit.serve import messages, metrics
from searchkit.serve.asking import Asking
from searchkit.serve.cache import Cache
from searchkit.serve.embedding import embeddings
from searchkit.serve.guard import Guard, Limits, Names, Refused, fault
from searchkit.serve.logs import Log, escaped
from searchkit.serve.messages import MAX_K, MAX_PAGE, MAX_QUERY, MAX_SPAN, ModeName
from searchkit.serve.searching import Loaders, Rerankers, Searching, told_result, told_system
from searchkit.serve.shelf import Served, Shelf
from searchkit.serve.static import Page
from searchkit.serve.tokens import Token

if TYPE_CHECKING:
    from searchkit.generate.messages import Generator

GENERATION = "X-Index-Generation"
_JSON = "application/json"
# Rankings are made in Python, one thread at a time whatever their number; more of them only take
# processors from the models.
_SEARCHES = min(4, max(1, (os.cpu_count() or 2) - 1))
_PAGE_FILES = Path(__file__).parent / "page"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server answers.

    Attributes:
        names: under which it may be asked.
        token: without which it tells nothing; None for no token.
        limits: of what a request may cost.
        log: told of every request.
        cache: bytes of answers that are kept.
        threads: searches that run at once.
        rerankers: that may be asked for, by name, as functions that load them.
        generator: loads what writes answers; None where nothing does.
    """

    names: Names = field(default_factory=Names)
    token: Token | None = None
    limits: Limits = field(default_factory=Limits)
    log: Log = field(default_factory=Log)
    cache: int = 64 << 20
    threads: int = _SEARCHES
    rerankers: Loaders = field(default_factory=dict)
    generator: "Callable[[], Generator] | None" = None


def create_app(shelf: Shelf, settings: Settings | None = None) -> Guard:
    """The server as an ASGI application; it follows the indexes while it runs.

    Args:
        shelf: the indexes; it is closed when the server ends.
        settings: as `Settings` has them by default.
    """
    chosen = settings or Settings()
    searching = Searching(
        shelf,
        Cache(chosen.cache),
        Rerankers(chosen.rerankers),
        ThreadPoolExecutor(chosen.threads, "search"),
        ThreadPoolExecutor(1, "models"),
    )
    told = _telling(shelf)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for problem in await asyncio.gather(
            *map(asyncio.wrap_future, shelf.warm()), return_exceptions=True
        ):
            if isinstance(problem, BaseException):  # BM25 goes on without that model
                chosen.log.tell(f"a model cannot be loaded: {problem}")
        shelf.tell = chosen.log.tell
        following = asyncio.ensure_future(shelf.follow())
        try:
            yield
        finally:
            following.cancel()
            searching.threads.shutdown(wait=False, cancel_futures=True)
            searching.models.shutdown(wait=False, cancel_futures=True)
            shelf.close()

    app = FastAPI(
        title="searchkit",
        version=__version__,
        summary="Search of folders and collections, answers with citations, and embeddings.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    guard = Guard(
        app,
        names=chosen.names,
        token=chosen.token,
        limits=chosen.limits,
        log=chosen.log,
    )
    _say_faults(app, told)
    server = _Server(
        shelf, searching, Asking(searching, chosen.generator, told), guard, chosen.log, told
    )
    app.include_router(_index_routes(server))
    app.include_router(_embedding_routes(server))
    app.include_router(_operation_routes(server))
    _page_routes(app, Page(_PAGE_FILES))
    return guard


@dataclass(frozen=True, slots=True)
class _Server:
    """What the routes share."""

    shelf: Shelf
    searching: Searching
    asking: Asking
    guard: Guard
    log: Log
    told: Callable[[str], str]
    began: float = field(default_factory=time.time)

    async def run(self, function: Callable[[], Any]) -> Any:
        """Call a function in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.searching.threads, function)


def _index_routes(server: _Server) -> APIRouter:
    routes = APIRouter(prefix="/api/indexes", responses=_FAULTS)
    shelf = server.shelf

    @routes.get("", summary="The indexes that are served", response_model=messages.Indexes)
    async def indexes() -> Response:
        """Every index, with what its queries understand and how it is searched by default."""
        names = shelf.names()
        found = await server.run(lambda: [_index(server, shelf.get(name)) for name in names])
        return _answer({"indexes": found})

    @routes.get("/{index}", summary="One index", response_model=messages.IndexDetails)
    async def index(index: _Index) -> Response:
        """An index, with the state of its files if it follows folders."""
        served = shelf.get(index)
        found = await server.run(lambda: {**_index(server, served), **_details(served)})
        return _answer(found, found["generation"])

    @routes.post("/{index}/search", summary="Search", response_model=messages.SearchTold)
    async def search(index: _Index, asked: messages.SearchAsked) -> Response:
        """The best results of a query, by words, by meaning, or both, and of two ways at once."""
        server.log.query(index, asked.query)
        body, generation = await server.searching.answer(shelf.get(index), asked)
        return _answer(body, generation)

    @routes.get(
        "/{index}/search",
        summary="Search, as an address",
        response_model=messages.SearchTold,
    )
    async def search_by_address(
        index: _Index,
        q: Annotated[str, Query(max_length=MAX_QUERY, examples=["clean the autoclave"])],
        k: Annotated[int, Query(ge=1, le=MAX_K)] = 10,
        mode: ModeName | None = None,
        variant: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    ) -> Response:
        """The same with what people and curl need of it."""
        asked = messages.SearchAsked(query=q, k=k, mode=mode, variant=variant)
        body, generation = await server.searching.answer(shelf.get(index), asked)
        return _answer(body, generation)

    @routes.post(
        "/{index}/ask",
        summary="Ask",
        response_class=StreamingResponse,
        responses={200: _EVENTS},
    )
    async def ask(index: _Index, asked: messages.AskAsked) -> Response:
        """An answer of sentences that passages support, each with its citation, or none.

        The events are `passages` (what may be cited), `text` (pieces of what a model writes),
        `answer`, and `done`; or `error`. `start` and `end` of a sentence in `answer` are those of
        what supports it, in the text of the document `doc_id`.
        """
        server.log.query(index, asked.question)
        opened = shelf.get(index).now()
        server.asking.check(asked)
        opened.choose(asked.mode, asked.variant)
        return StreamingResponse(
            server.asking.events(opened, asked),
            media_type="text/event-stream",
            headers={GENERATION: opened.source.generation},
        )

    @routes.get("/{index}/documents", summary="Documents", response_model=messages.Documents)
    async def documents(
        index: _Index,
        after: Annotated[str | None, Query(max_length=4096)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> Response:
        """The documents of an index, page by page."""
        source = shelf.get(index).now().source
        page = await server.run(lambda: source.page(after, limit + 1))
        more = len(page) > limit
        told = {
            "documents": [_document(one) for one in page[:limit]],
            "next": page[limit - 1].doc_id if more else None,
        }
        return _answer(told, source.generation)

    @routes.get("/{index}/document", summary="A document", response_model=messages.DocumentTold)
    async def document(index: _Index, id: _DocId) -> Response:
        """A document with its text: the first 100,000 characters; `span` has the others."""
        source = shelf.get(index).now().source
        about, text = await server.run(lambda: (source.about(id), source.text(id)))
        told = {**_document(about), "text": text[:MAX_SPAN], "length": len(text)}
        return _answer(told, source.generation)

    @routes.get("/{index}/span", summary="A stretch of a document", response_model=messages.Span)
    async def span(
        index: _Index,
        id: _DocId,
        start: Annotated[int, Query(ge=0, le=1 << 40)] = 0,
        end: Annotated[int | None, Query(ge=0, le=1 << 40)] = None,
    ) -> Response:
        """Characters of a document's text: [start, end), of which at most 100,000 are given."""
        if end is not None and end < start:
            raise BadInput(f"end is {end}, before start, which is {start}; swap them")
        source = shelf.get(index).now().source
        about, text = await server.run(lambda: (source.about(id), source.text(id)))
        last = min(len(text), start + MAX_SPAN, len(text) if end is None else end)
        first = min(start, len(text))
        told = {
            "doc_id": id,
            "start": first,
            "end": max(first, last),
            "length": len(text),
            "text": text[first:last],
            "format": about.format,
            "language": about.language,
        }
        return _answer(told, source.generation)

    @routes.get(
        "/{index}/passages",
        summary="Passages of a document",
        response_model=messages.Passages,
    )
    async def passages(
        index: _Index, id: _DocId, q: Annotated[str, Query(max_length=MAX_QUERY)]
    ) -> Response:
        """The passages of a document with words of a query, in the order of its text."""
        source = shelf.get(index).now().source

        def find() -> dict[str, Any]:
            source.about(id)
            found = [told_result(one, source.whole) for one in source.passages(q, id)]
            return {"results": found, "notes": [server.told(one) for one in taken(source.notes)]}

        return _answer(await server.run(find), source.generation)

    @routes.get("/{index}/judgements", summary="Judgements", response_model=messages.Judgements)
    async def judgements(index: _Index) -> Response:
        """What was said of documents as answers, the last word on each."""
        ledger = ledger_of(shelf.get(index).now().source.name)
        read = await server.run(ledger.read)
        entries = [
            {"query": one.query, "doc_id": one.doc_id, "grade": one.grade, "literal": one.literal}
            for one in read.entries
        ]
        return _answer({"judgements": entries, "notes": [server.told(one) for one in read.notes]})

    @routes.post(
        "/{index}/judgements",
        summary="Judge",
        status_code=201,
        response_model=messages.JudgementTold,
    )
    async def judge(index: _Index, asked: messages.JudgementAsked) -> Response:
        """Note what somebody says of a document of the index; it is on the disk when answered."""
        from datetime import UTC, datetime

        source = shelf.get(index).now().source

        def note() -> None:
            source.about(asked.doc_id)  # a judgement of what is not there helps nobody
            ledger_of(source.name).add(
                asked.query, asked.doc_id, asked.grade, datetime.now(UTC), literal=asked.literal
            )

        await server.run(note)
        return _answer(asked.model_dump(), status=201)

    return routes


def _embedding_routes(server: _Server) -> APIRouter:
    routes = APIRouter(prefix="/v1", responses=_FAULTS)

    @routes.post("/embeddings", summary="Embeddings", response_model=messages.Embeddings)
    async def embed(asked: messages.EmbeddingsAsked) -> Response:
        """Vectors of texts, as OpenAI's API gives them; `input_type` tells queries from passages.

        `dimensions` keeps the first so many numbers and makes them unit length again.
        """
        return _answer(await embeddings(server.shelf, asked))

    @routes.get("/models", summary="Encoders", response_model=messages.Models)
    async def models() -> Response:
        """The encoders of the indexes that are served, and those the server was started with."""
        found = [
            {"id": name, "object": "model", "created": int(server.began), "owned_by": "searchkit"}
            for name in sorted(server.shelf.models())
        ]
        return _answer({"object": "list", "data": found})

    return routes


def _operation_routes(server: _Server) -> APIRouter:
    routes = APIRouter()

    @routes.get("/api/health", summary="Whether it is there", response_model=messages.Health)
    async def health() -> Response:
        """That the server answers; needs no token."""
        uptime = round(time.time() - server.began, 1)
        return _answer({"status": "ok", "version": __version__, "uptime_s": uptime})

    @routes.get("/api/ready", summary="Whether it can search", response_model=messages.Ready)
    async def ready() -> Response:
        """How many indexes can be searched; needs no token."""
        count = sum(server.shelf.get(name).is_open for name in server.shelf.names())
        return _answer({"status": "ready" if count else "no index", "indexes": count})

    @routes.get(
        "/metrics",
        summary="Metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **{status: _FAULTS[status] for status in (400, 401, 403, 421)},
        },
    )
    async def figures() -> Response:
        """What the server did, in the text format of Prometheus."""
        text = "".join(f"{line}\n" for line in _metrics(server))
        return Response(text, media_type=metrics.MEDIA_TYPE)

    return routes


def _page_routes(app: FastAPI, page: Page) -> None:
    @app.get("/", include_in_schema=False)
    async def home() -> Response:
        return page.answer("index.html")

    @app.get("/static/{name:path}", include_in_schema=False)
    async def static(name: str) -> Response:
        return page.answer(name)

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return page.answer("icon.svg")


def _answer(told: bytes | Mapping[str, Any], generation: str = "", status: int = 200) -> Response:
    body = told if isinstance(told, bytes) else json.dumps(told, ensure_ascii=False).encode()
    headers = {GENERATION: generation} if generation else {}
    return Response(body, status, headers, _JSON)


def _say_faults(app: FastAPI, told: Callable[[str], str]) -> None:
    """Every fault becomes a status and one line, here and nowhere else."""

    def refused(status: int, message: str) -> Response:
        return Response(fault(status, message), status, media_type=_JSON)

    @app.exception_handler(SearchkitError)
    async def of_searchkit(_: Request, error: SearchkitError) -> Response:
        status = next((code for kind, code in _STATUSES if isinstance(error, kind)), 409)
        return refused(status, told(str(error)))

    @app.exception_handler(Refused)
    async def of_limits(_: Request, error: Refused) -> Response:
        headers = {name.decode(): value.decode() for name, value in error.headers}
        return Response(fault(error.status, error.message), error.status, headers, media_type=_JSON)

    @app.exception_handler(Exception)  # it goes on to the guard, which tells the log
    async def of_ours(_: Request, error: Exception) -> Response:
        return refused(500, "something went wrong here; the server's log says what")

    @app.exception_handler(RequestValidationError)
    async def of_values(_: Request, error: RequestValidationError) -> Response:
        return refused(422, "; ".join(map(_complaint, error.errors()[:3])))

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        path = escaped(request.url.path[:200])
        known = {
            404: f"there is nothing at {path}; /openapi.json lists what there is",
            405: f"{path} does not take {escaped(request.method[:20])}; see /openapi.json",
        }
        said = known.get(error.status_code, str(error.detail))
        return Response(
            fault(error.status_code, said), error.status_code, error.headers, media_type=_JSON
        )


def _complaint(error: Mapping[str, Any]) -> str:
    """What is wrong with a value, and which one was found."""
    where = ".".join(str(part) for part in error["loc"][1:]) or "the body"
    try:
        found = json.dumps(error.get("input"))
    except (ValueError, TypeError, RecursionError):
        found = "something that is no JSON"
    shown = f"{found[:60]}..." if len(found) > 60 else found
    return f"{escaped(where[:100])}: {escaped(str(error['msg'])[:200])}; found {escaped(shown)}"


def _telling(shelf: Shelf) -> Callable[[str], str]:
    """A function that takes this machine's folders out of messages."""

    def told(message: str) -> str:
        served = [shelf.get(name).path for name in shelf.names()]
        return places.hidden(message, [*served, places.home(), places.indexes()])

    return told


def _index(server: _Server, served: Served) -> dict[str, Any]:
    if not served.is_open:
        return {
            "name": served.name,
            "kind": None,
            "status": "failed",
            "message": server.told(served.fault),
            "documents": 0,
            "encoders": [],
            "default": None,
            "rerankers": [],
            "syntax": "",
            "whole": False,
            "generation": "",
            "opened": None,
            "filters": [],
            "notes": [],
        }
    opened = served.now()
    source = opened.source
    notes = [server.told(line) for line in opened.notes]
    if served.fault:  # the newest generation cannot be opened, and this one still answers
        notes.append(server.told(served.fault))
    return {
        "name": served.name,
        "kind": "collection" if source.whole else "folder",
        "status": "ready",
        "message": "",
        "documents": source.documents,
        "encoders": list(source.encoders),
        "default": told_system(source.default),
        "rerankers": server.searching.rerankers.names(),
        "syntax": source.syntax,
        "whole": source.whole,
        "generation": source.generation,
        "opened": opened.when,
        "filters": [{"text": one.text, "note": one.note} for one in source.filters()],
        "notes": notes,
    }


def _details(served: Served) -> dict[str, Any]:
    """What an index of folders knows of its files."""
    return {} if not served.is_open else dict(served.now().source.state())


def _document(about: About) -> dict[str, Any]:
    return {
        "doc_id": about.doc_id,
        "title": about.title,
        "format": about.format,
        "language": about.language,
        "modified": about.modified,
    }


def _metrics(server: _Server) -> list[str]:
    shelf, cache = server.shelf, server.searching.cache
    batchers = shelf.batchers()
    sizes: dict[str, dict[int, int]] = {}
    for one in batchers:
        of = sizes.setdefault(one.name, {})
        for size, count in dict(one.work.sizes).items():
            of[size] = of.get(size, 0) + count
    served = [shelf.get(name) for name in shelf.names()]
    opened = [(one.name, one.now().source) for one in served if one.is_open]
    now = [
        ("searchkit_requests_running", "Requests under way.", server.guard.running),
        ("searchkit_encoder_waiting_texts", "Texts in queues.", sum(b.waiting() for b in batchers)),
        ("searchkit_cache_bytes", "Bytes of answers that are kept.", cache.size),
        ("searchkit_cache_answers", "Answers that are kept.", len(cache)),
        ("searchkit_resident_bytes", "Memory in use.", metrics.resident_bytes()),
        ("searchkit_uptime_seconds", "Since the start.", round(time.time() - server.began, 1)),
    ]
    totals = [
        ("searchkit_cache_hits_total", "Answers that were there.", cache.hits),
        ("searchkit_cache_misses_total", "Answers that were not.", cache.misses),
        ("searchkit_generations_opened_total", "Of all indexes.", shelf.renewals),
    ]
    return [
        *server.guard.requests.lines(),
        *metrics.batches(sizes),
        *(line for one in now for line in metrics.gauge(*one[:2], [({}, one[2])])),
        *(line for one in totals for line in metrics.counted(*one[:2], [({}, one[2])])),
        *metrics.gauge(
            "searchkit_index_documents",
            "Documents of an index.",
            [({"index": name}, source.documents) for name, source in opened],
        ),
        *metrics.gauge(
            "searchkit_index_generation",
            "1 of the generation that answers.",
            [({"index": name, "generation": source.generation}, 1) for name, source in opened],
        ),
    ]


_Index = Annotated[str, InPath(max_length=200, examples=["notes"])]
_DocId = Annotated[str, Query(min_length=1, max_length=4096, examples=["lab/care.md"])]
_STATUSES: tuple[tuple[type[SearchkitError], int], ...] = (
    (UnknownName, 404),
    (BadInput, 422),
    (EmptyText, 422),
    (CorruptFile, 500),
)  # all others, such as an extra that is not installed, are 409
_REFUSALS = {
    400: "It is no whole HTTP request, or its body no JSON.",
    401: "It lacks the token.",
    403: "A page of another site sent it.",
    404: "There is no such index, document, encoder or reranker.",
    405: "The address takes another method.",
    408: "It took too long to come, or to be answered.",
    409: "Something that it needs is missing or busy here.",
    413: "It is too long.",
    415: "It is not JSON.",
    421: "Its Host is not a name of this server.",
    422: "A value of it is not what it must be.",
    429: "There are too many others; Retry-After says when to try again.",
}
_FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": messages.Failure, "description": text} for status, text in _REFUSALS.items()
}
_EVENTS: dict[str, Any] = {
    "description": "Server-sent events.",
    "content": {
        "text/event-stream": {
            "schema": {  # of each event
                "type": "object",
                "properties": {
                    "event": {"enum": ["passages", "text", "answer", "done", "error"]},
                    "data": {"type": "string", "description": "JSON."},
                },
            },
            "example": 'event: passages\ndata: {"passages": [{"number": 1, "doc_id": "a.md"}]}\n\n'
            'event: answer\ndata: {"abstained": false, "text": "Rinse it. [1]"}\n\n'
            "event: done\ndata: {}\n\n",
        }
    },
}
