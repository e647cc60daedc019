"""What every request passes before anything reads it: names, token, size, time, and how many.

A page of any site can send a browser's requests to this machine, and a name that such a site makes
point here (DNS rebinding) would make them look like its own: so the Host must be a name that is
served, and an Origin the same as the Host.
"""

import asyncio
import ipaddress
import json
import time
import traceback
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from searchkit.serve.logs import Log, escaped
from searchkit.serve.metrics import Requests
from searchkit.serve.tokens import Token

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

_PAGE = frozenset({"/", "/favicon.ico"})
OPEN = _PAGE | {"/api/health", "/api/ready"}
"""What is answered without a token: the page, which asks for one, and that the server is there."""
STATIC = "/static/"
# What is answered however much there is to do, and reads no body.
_CHEAP = OPEN | {"/metrics"}
_JSON = b"application/json"
_CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", _CSP),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a request may cost.

    Attributes:
        head_s: seconds in which its address and headers must have come.
        body: bytes of it.
        body_s: seconds in which it must have come.
        answer_s: seconds until its answer begins, of a stream until its first event.
        stream_s: seconds until a stream ends.
        unread_s: seconds without any of an answer being read.
        requests: how many are under way at once.
        waiting: how many connections may be open besides, for requests that are yet to come.
    """

    head_s: float = 10.0
    body: int = 4 << 20
    body_s: float = 10.0
    answer_s: float = 30.0
    stream_s: float = 600.0
    unread_s: float = 30.0
    requests: int = 512
    waiting: int = 256


@dataclass(frozen=True, slots=True)
class Names:
    """The names under which a server may be asked.

    Attributes:
        allowed: in lower case.
        any_address: whether any numeric address will do, as it must where a server listens on all
            of them. Rebinding needs a name, so this opens nothing.
    """

    allowed: Collection[str] = field(default=frozenset({"localhost", "127.0.0.1", "::1"}))
    any_address: bool = False

    def allow(self, host: str) -> bool:
        """Whether a Host header names this server, with or without a port."""
        name = _name_of(host)
        if name is None:
            return False
        if name in self.allowed:
            return True
        with suppress(ValueError):
            address = ipaddress.ip_address(name)
            return self.any_address or (address.is_loopback and "127.0.0.1" in self.allowed)
        return False


class Refused(Exception):
    """A request that is not answered, and why; `headers` go with the answer."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, tuple(headers)


class Guard:
    """The application behind its checks; see the head of this file.

    Args:
        app: answers what passes.
        names: under which it may be asked.
        token: without which nothing but `OPEN` is answered; None for no token.
        limits: of what a request may cost.
        log: told of every request.

    Attributes:
        requests: counts of those that are over.
        running: how many are under way.
    """

    def __init__(
        self, app: App, *, names: Names, token: Token | None, limits: Limits, log: Log
    ) -> None:
        self._app, self._names, self._token = app, names, token
        self.limits, self._log = limits, log
        self.requests = Requests()
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        began = time.perf_counter()
        answer = _Answer(send)
        try:
            await self._admit(scope, receive, answer)
        except Refused as refused:
            # What of the request is yet to come is read by nobody.
            headers = [*refused.headers, (b"connection", b"close")]
            await answer.refuse(refused.status, refused.message, headers)
        except _Gone:
            answer.status = answer.status or 499
        except Exception as error:  # a fault of ours: told here, and to nobody else
            self._log.tell("".join(traceback.format_exception(error)).replace("\n", " | "))
            await answer.refuse(500, "something went wrong here; the server's log says what")
        seconds = time.perf_counter() - began
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.requests.add(method, route, answer.status, seconds)
        self._log.request(
            _client(scope),
            scope["method"],
            self._address(scope),
            answer.status,
            seconds,
            answer.size,
        )

    async def _admit(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        path = scope["path"]
        self._check_names(scope)
        if self._token and path not in OPEN and not path.startswith(STATIC):
            self._check_token(scope)
        if path in _CHEAP or path.startswith(STATIC):
            body = await self._body(scope, receive, 0)
            await self._answer(scope, body, receive, answer)
            return
        if self.running >= self.limits.requests:
            raise Refused(
                429,
                f"{self.running} requests are under way, which is the most; try again in a second",
                [(b"retry-after", b"1")],
            )
        self.running += 1
        try:
            body = await self._body(scope, receive, self.limits.body)
            await self._answer(scope, body, receive, answer)
        finally:
            self.running -= 1

    def _check_names(self, scope: Scope) -> None:
        hosts = _values(scope, b"host")
        if len(hosts) != 1:
            raise Refused(400, f"the request has {len(hosts)} Host headers; send one")
        if not self._names.allow(hosts[0]):
            known = ", ".join(sorted(self._names.allowed))
            raise Refused(
                421,
                f"{escaped(hosts[0][:200])!r} is not a name of this server, which is {known}; ask "
                "for one of them, or start it with --allow-host",
            )
        for origin in _values(scope, b"origin"):
            _, _, from_host = origin.partition("://")
            if from_host.lower() != hosts[0].lower():
                raise Refused(
                    403,
                    f"a page of {escaped(origin[:200])!r} may not ask this server; only its own "
                    "page may",
                )
        path = scope["path"]
        sites = _values(scope, b"sec-fetch-site")
        if path not in _PAGE and not path.startswith(STATIC) and _FOREIGN.intersection(sites):
            raise Refused(403, "a page of another site may not ask this server; only its own may")

    def _check_token(self, scope: Scope) -> None:
        given = _values(scope, b"authorization")
        kind, _, value = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        assert self._token is not None
        if kind.lower() != "bearer" or not self._token.accepts(value.strip()):
            found = "another token" if given else "no token"
            raise Refused(
                401,
                f"the request has {found}; send Authorization: Bearer with the one that "
                "searchkit serve --new-token printed",
                [(b"www-authenticate", b"Bearer")],
            )

    async def _body(self, scope: Scope, receive: Receive, most: int) -> bytes:
        """The whole body, of at most so many bytes that came in time."""
        told = _values(scope, b"content-length")
        if told and told[0].isdecimal() and (len(told[0]) > 18 or int(told[0]) > most):
            raise Refused(413, f"the body has {told[0][:20]} bytes; at most {most} are read")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.limits.body_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    part = message.get("body", b"")
                    size += len(part)
                    if size > most:
                        raise Refused(413, f"the body has over {most} bytes; send less")
                    parts.append(part)
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise Refused(
                408,
                f"the body had not come after {self.limits.body_s:g} s; send it at once",
            ) from None
        if size:
            kinds = [
                one.partition(";")[0].strip().lower() for one in _values(scope, b"content-type")
            ]
            if kinds != [_JSON.decode()] or _values(scope, b"content-encoding"):
                raise Refused(
                    415,
                    f"the body is {escaped(', '.join(kinds)[:100]) or 'of no type'}; send "
                    "Content-Type: application/json, not compressed",
                )
        return b"".join(parts)

    async def _answer(self, scope: Scope, body: bytes, receive: Receive, answer: "_Answer") -> None:
        """Let the application answer, for as long as anybody waits for it."""
        gone = asyncio.ensure_future(_disconnect(receive))
        given = False

        async def replay() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            await asyncio.shield(gone)
            return {"type": "http.disconnect"}

        task = asyncio.ensure_future(self._run(scope, replay, answer))
        try:
            awaited = {task, gone, answer.first}
            await asyncio.wait(awaited, timeout=self.limits.answer_s, return_when=_FIRST)
            if answer.begun:  # a stream takes its time
                await asyncio.wait({task, gone}, timeout=self.limits.stream_s, return_when=_FIRST)
            if task.done():
                await task
            elif gone.done() or answer.begun:
                raise _Gone
            else:
                raise Refused(
                    408,
                    f"no answer after {self.limits.answer_s:g} s; ask for less, or start the "
                    "server with a longer --timeout",
                )
        finally:
            for one in (task, gone):
                if not one.done():
                    one.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    async def _run(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        await self._app(scope, receive, answer.send)

    def _address(self, scope: Scope) -> str:
        """What was asked for; what follows it only where queries are to be told."""
        address = str(scope["path"])
        if self._log.queries and scope["query_string"]:
            address += f"?{scope['query_string'].decode('latin-1')}"
        return address


class _Gone(Exception):
    """Nobody waits for the answer any more, or nobody may any longer."""


_FIRST = asyncio.FIRST_COMPLETED
_FOREIGN = frozenset({"cross-site", "same-site"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Answer:
    """What is sent, with the headers that every answer has.

    They are sent with the first of the body: a stream without an event can still be refused.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self.status = self.size = 0
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def begun(self) -> bool:
        """Whether anything was sent."""
        return self.first.done()

    async def send(self, message: Message) -> None:
        """Send a part of it."""
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message.get("headers", ())}
            missing = [one for one in _HEADERS if one[0] not in own]
            self._start = {**message, "headers": [*message.get("headers", ()), *missing]}
            return
        body = message.get("body", b"")
        if self._start is not None and (body or not message.get("more_body")):
            self.first.set_result(None)
            self.status = self._start["status"]
            start, self._start = self._start, None
            await self._send(start)
        if self.begun:
            self.size += len(body)
            await self._send(message)

    async def refuse(self, status: int, message: str, headers: Headers = ()) -> None:
        """Say why there is no answer, unless one has begun."""
        if self.begun:
            return
        body = fault(status, message)
        start = [
            (b"content-type", _JSON),
            (b"content-length", str(len(body)).encode()),
            *headers,
        ]
        with suppress(OSError):
            await self.send({"type": "http.response.start", "status": status, "headers": start})
            await self.send({"type": "http.response.body", "body": body})


def fault(status: int, message: str) -> bytes:
    """The body that says why there is no answer."""
    error = {"error": {"status": status, "message": message}}
    return json.dumps(error, ensure_ascii=False).encode("utf-8", "replace")


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _name_of(host: str) -> str | None:
    """The name in `name:port` or `[address]:port`, in lower case; None if it is neither."""
    if host.startswith("["):
        name, closed, port = host[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            return None
        port = port[1:]
    else:
        name, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdecimal()):
        return None
    return name.lower().removesuffix(".")


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "-"
